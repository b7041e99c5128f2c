// The launch of the fused training body.
#pragma once

#include "kernels/cuda/fused/fused_plan.hpp"
#include "kernels/cuda/support/context.hpp"

namespace widelab::cuda {

/// One block a member; all pointers are device memory. A member's network and batch decide how much of shared_bytes its
/// block uses.
template <class T>
struct FusedLaunch {
  const FusedMember<T>* members = nullptr;  ///< rule and workspace are filled in by the kernel
  Index count = 0;
  int threads = kFewestFusedThreads;
  Index shared_bytes = 0;  ///< the largest of the members'
  FusedRule rule;
};

void train_fused_members(Context& context, const FusedLaunch<float>& launch);
void train_fused_members(Context& context, const FusedLaunch<double>& launch);

}  // namespace widelab::cuda
