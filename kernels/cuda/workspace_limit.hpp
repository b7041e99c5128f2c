// The workspace that an op may use.
#pragma once

#include "kernels/cuda/support/context.hpp"
#include "widelab/plan/device_limits.hpp"

namespace widelab::cuda {

/// The problem's limit where it states one, but never more than the context's.
inline double workspace_limit(const Context& context, const DeviceLimits& limits) {
  return limits.workspace_bytes > 0 && limits.workspace_bytes < context.workspace_limit ? limits.workspace_bytes
                                                                                        : context.workspace_limit;
}

}  // namespace widelab::cuda
