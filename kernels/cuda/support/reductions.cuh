// Sums over the threads of a block by a fixed tree: the same bits whatever else runs.
#pragma once

#include "kernels/cuda/support/launch.hpp"

namespace widelab::cuda {

/// Sum over the kThreads threads of the block, in all of them. `lanes` is shared memory for kThreads / 32 values; the
/// call may be repeated with the same memory.
__device__ inline double block_sum(double value, double* lanes) {
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xFFFFFFFFu, value, step);
  const int warp = static_cast<int>(threadIdx.x) / 32;
  if (threadIdx.x % 32 == 0) lanes[warp] = value;
  __syncthreads();
  double total = 0;
  for (int w = 0; w < kThreads / 32; ++w) total += lanes[w];
  __syncthreads();
  return total;
}

}  // namespace widelab::cuda
