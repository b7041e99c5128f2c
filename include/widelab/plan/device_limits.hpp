// What a plan may use of a device.
#pragma once

#include "widelab/base/types.hpp"

namespace widelab {

/// workspace_bytes: memory an op may take beside its inputs and outputs; 0 = no limit stated.
/// workers: threads (CPU) that work at once; 0 = all that the runtime offers.
/// fast_bytes: memory in which the fused engine keeps a member: a core's second-level cache (CPU), the shared memory of
/// a block (CUDA); 0 = kDefaultFastBytes.
struct DeviceLimits {
  double workspace_bytes = 0;
  int workers = 0;
  double fast_bytes = 0;
};

/// A core's second-level cache where nothing else is known.
inline constexpr double kDefaultFastBytes = 2.0 * 1024 * 1024;
/// Shared memory that a block may have on compute capability 9.0 (CUDA C++ Programming Guide, table of capabilities).
inline constexpr double kHopperSharedBytes = 232448;

}  // namespace widelab
