// Which ridge paths are solved by a block a member, with the matrix in shared memory, and how that is launched. Pure
// functions of sizes.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/cuda/fused/tile_block.hpp"
#include "kernels/shared/ridge_segment.hpp"
#include "kernels/shared/small_ridge.hpp"
#include "widelab/plan/device_limits.hpp"

namespace widelab::cuda {

inline constexpr int kSmallThreads = 256;
/// Members in flight, if memory allows. A member's bits must not depend on the size of the ensemble, so this does not.
inline constexpr Index kMostSmallSlots = 256;
/// Workspace that more than one member may take: slots without a member cost as much as those with one.
inline constexpr double kMostSmallBytes = 4e9;

/// Where the solver's memory begins, in scalars: after the scratch of the Block.
inline constexpr Index kSmallScratch = ceil_div(block_scratch(kSmallThreads), 16) * 16;

inline double small_shared_bytes(Index order, Index targets) {
  return 8.0 * static_cast<double>(kSmallScratch + least_squares::small_ridge_scalars(order, targets));
}

/// Sizes up to n columns in the space of features, the others one by one in the space of examples.
inline std::vector<RidgeSegment> small_segments(const RidgeWorkload& work) {
  const std::size_t all = work.sizes.size(),
                    beyond = ridge_plan::first_beyond(work, static_cast<double>(work.examples));
  std::vector<RidgeSegment> segments;
  if (beyond > 0) segments.push_back({RidgeMethod::primal_prefix, 0, beyond, 0});
  if (beyond < all) segments.push_back({RidgeMethod::dual, beyond, all, 0});
  return segments;
}

/// Ridges > 0 alone, no method asked for, and every matrix within a block's shared memory: about 160 examples.
inline bool solved_by_blocks(const RidgeWorkload& work) {
  Index order = 0;
  for (const RidgeSegment& segment : small_segments(work))
    order = std::max(order, least_squares::by_features(segment, work) ? work.columns(segment.last - 1) : work.examples);
  return !work.method && small_shared_bytes(order, work.targets_per_example) <= kHopperSharedBytes &&
         std::all_of(work.filters.begin(), work.filters.end(),
                     [](const SpectralFilter& filter) { return least_squares::ridge_of(filter) > 0; });
}

}  // namespace widelab::cuda
