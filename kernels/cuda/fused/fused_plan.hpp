// How fused training is launched: threads, shared memory, steps and members of a launch. Pure functions.
#pragma once

#include <algorithm>
#include <string>

#include "kernels/cuda/fused/tile_block.hpp"
#include "kernels/shared/fused_member.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/plan/device_limits.hpp"
#include "widelab/plan/train_plan.hpp"

namespace widelab::cuda {

inline constexpr int kFewestFusedThreads = 64;
inline constexpr int kMostFusedThreads = 256;
/// Steps whose schedule is on the device at once.
inline constexpr Index kMostFusedSteps = 1 << 16;

/// Where a member's arrays lie in the shared memory of its block, in scalars; each piece begins at a multiple of 16.
/// theta_0 of displacement storage stays in device memory: it is read once a step.
struct SharedLayout {
  Index parameters = 0, displacement = 0, moments = 0, workspace = 0, size = 0;
};

template <class T>
WIDELAB_HD SharedLayout shared_layout(const FusedNetwork<T>& network, Index batch, int threads, int moments,
                                      bool displacement) {
  const Index state = 16 * ceil_div(network.parameters, 16);
  SharedLayout at;
  at.parameters = 16 * ceil_div(block_scratch(threads), 16);
  at.displacement = at.parameters + state;
  at.moments = at.displacement + (displacement ? state : 0);
  at.workspace = at.moments + 16 * ceil_div(moments * network.parameters, 16);
  at.size = at.workspace + fused_workspace(network, batch).size;
  return at;
}

/// Threads for a member: one for each tile of its largest forward product, as a power of two within bounds.
inline int fused_threads(const MlpShape& shape, Index batch) {
  Index tiles = 1;
  for (Index l = 0; l < shape.depth(); ++l)
    tiles = std::max(tiles, ceil_div(shape.fan_out(l), kTile) * ceil_div(16 * ceil_div(batch, 16), kTile));
  int threads = kFewestFusedThreads;
  while (threads < kMostFusedThreads && threads < tiles) threads *= 2;
  return threads;
}

/// Blocks that a multiprocessor holds: by its shared memory, of which every block takes 1 KB more than it asks for, and
/// by its 65536 registers, of which a thread may have 256 (resource_budget.txt).
inline int blocks_per_multiprocessor(double bytes, int threads) {
  constexpr double kMultiprocessorBytes = 228.0 * 1024, kReserved = 1024;
  const int by_memory = static_cast<int>(kMultiprocessorBytes / (bytes + kReserved));
  return std::clamp(by_memory, 1, 65536 / (256 * threads));
}

/// One launch: members with one number of threads, of which equally many fit a multiprocessor.
struct FusedBucket {
  int threads = kFewestFusedThreads;
  int resident = 1;  ///< blocks a multiprocessor

  friend auto operator<=>(const FusedBucket&, const FusedBucket&) = default;
};

/// PlanError with the inequality where a member needs more shared memory than a block may have.
inline FusedBucket fused_bucket(const MlpShape& shape, Index batch, double bytes, double limit) {
  if (bytes > limit)
    throw PlanError("train.engine = \"fused\": " + std::to_string(static_cast<Index>(bytes)) +
                    " bytes of shared memory for a member with batch " + std::to_string(batch) + " > " +
                    std::to_string(static_cast<Index>(limit)) +
                    " bytes that a block may have: take \"gemm\" or \"auto\", a narrower network or a smaller batch");
  const int threads = fused_threads(shape, batch);
  return {threads, blocks_per_multiprocessor(bytes, threads)};
}

/// Steps of one launch, so that it lasts a fraction of a second, whatever is to be trained: a step of a member is taken
/// to last 5 us and its flops at 100 GFLOP/s, half of what plain fma reaches on a multiprocessor at best.
inline Index steps_per_launch(double flops_per_step, Index members, Index resident_blocks) {
  constexpr double kSeconds = 0.25, kStepSeconds = 5e-6, kRate = 1e11;
  const double waves = static_cast<double>(ceil_div(members, std::max<Index>(resident_blocks, 1)));
  const double steps = kSeconds / (waves * (kStepSeconds + flops_per_step / kRate));
  return std::clamp(static_cast<Index>(steps), Index{1}, kMostFusedSteps);
}

/// Members whose state fits in `limit` bytes of device memory at once. PlanError if not one does.
inline Index members_at_once(double bytes_per_member, Index members, double limit) {
  if (bytes_per_member > limit)
    throw PlanError("the state of one member takes " + std::to_string(bytes_per_member * 1e-9) +
                    " GB on the device, more than the limit of " + std::to_string(limit * 1e-9) +
                    " GB: use a narrower network, fp32, or a larger memory limit");
  return std::clamp(static_cast<Index>(limit / bytes_per_member), Index{1}, std::max(members, Index{1}));
}

}  // namespace widelab::cuda
