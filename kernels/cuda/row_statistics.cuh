// Statistics of a row of pre-activations, a unit's normalised one and its forward multiplier, for the layer kernels of
// all ops.
#pragma once

#include "kernels/cuda/layer_kernels.hpp"
#include "kernels/cuda/support/reductions.cuh"

namespace widelab::cuda {

/// LN(z) from the statistics of the row, or z where there are none.
template <class T>
__device__ inline T normalised(const RowStatistics* statistics, Index row, T z) {
  if (!statistics) return z;
  const RowStatistics s = statistics[row];
  return static_cast<T>((static_cast<double>(z) - s.mean) * s.inverse_deviation);
}

/// By one block of kThreads: z[j] = completed(j), then mean and deviation in two passes, in fp64.
template <class T, class Completed>
__device__ RowStatistics complete_row(T* z, Index units, const Completed& completed) {
  __shared__ double lanes[kThreads / 32];
  const double n = static_cast<double>(units);
  double sum = 0;
  for (Index j = threadIdx.x; j < units; j += kThreads) {
    z[j] = completed(j);
    sum += static_cast<double>(z[j]);
  }
  const double mean = block_sum(sum, lanes) / n;
  double square = 0;
  for (Index j = threadIdx.x; j < units; j += kThreads) {
    const double distance = static_cast<double>(z[j]) - mean;
    square += distance * distance;
  }
  square = block_sum(square, lanes);
  return {mean, square > 0 ? 1.0 / sqrt(square / n) : 0.0};
}

template <class T>
__device__ inline T unit_multiplier(const float* multipliers, Index unit) {
  return multipliers ? static_cast<T>(multipliers[unit]) : T(1);
}

}  // namespace widelab::cuda
