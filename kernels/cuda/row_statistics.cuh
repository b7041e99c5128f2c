// A unit's normalised pre-activation and its forward multiplier, as the layer kernels of all ops read them.
#pragma once

#include "kernels/cuda/layer_kernels.hpp"

namespace widelab::cuda {

/// LN(z) from the statistics of the row, or z where there are none.
template <class T>
__device__ inline T normalised(const RowStatistics* statistics, Index row, T z) {
  if (!statistics) return z;
  const RowStatistics s = statistics[row];
  return static_cast<T>((static_cast<double>(z) - s.mean) * s.inverse_deviation);
}

template <class T>
__device__ inline T unit_multiplier(const float* multipliers, Index unit) {
  return multipliers ? static_cast<T>(multipliers[unit]) : T(1);
}

}  // namespace widelab::cuda
