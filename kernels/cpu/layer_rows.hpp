// One row (one input) of a hidden layer: LayerNorm, its transpose, activation and slope.
#pragma once

#include <cmath>

#include "widelab/base/types.hpp"
#include "widelab/math/activations.hpp"

namespace widelab::cpu {

/// (z - mean) / sd over the units of a row; a constant row maps to 0. Returns 1/sd, or 0 for a constant row.
template <class T>
T normalise_row(const T* z, Index n, T* normalised) {
  double mean = 0, square = 0;
  for (Index j = 0; j < n; ++j) mean += static_cast<double>(z[j]);
  mean /= static_cast<double>(n);
  for (Index j = 0; j < n; ++j) square += (static_cast<double>(z[j]) - mean) * (static_cast<double>(z[j]) - mean);
  const double inverse_sd = square > 0 ? 1.0 / std::sqrt(square / static_cast<double>(n)) : 0.0;
  for (Index j = 0; j < n; ++j) normalised[j] = static_cast<T>((static_cast<double>(z[j]) - mean) * inverse_sd);
  return static_cast<T>(inverse_sd);
}

/// dz = (g - mean(g) - y mean(g y)) / sd, the transpose of the derivative of y = LN(z), in place on g.
template <class T>
void normalise_row_backward(const T* y, T inverse_sd, Index n, T* g) {
  double mean = 0, overlap = 0;
  for (Index j = 0; j < n; ++j) {
    mean += static_cast<double>(g[j]);
    overlap += static_cast<double>(g[j]) * static_cast<double>(y[j]);
  }
  mean /= static_cast<double>(n);
  overlap /= static_cast<double>(n);
  for (Index j = 0; j < n; ++j)
    g[j] = static_cast<T>((static_cast<double>(g[j]) - mean - static_cast<double>(y[j]) * overlap) *
                          static_cast<double>(inverse_sd));
}

/// h = s phi(y) and, if wanted, slope = s phi'(y), over one row.
template <class T>
void activate_row(const Activation& activation, const T* y, const float* multipliers, Index n, T* h, T* slope) {
  visit(activation, [&](const auto& phi) {
    if (multipliers) {
      for (Index j = 0; j < n; ++j) h[j] = static_cast<T>(multipliers[j]) * phi.value(y[j]);
      if (slope)
        for (Index j = 0; j < n; ++j) slope[j] = static_cast<T>(multipliers[j]) * phi.first(y[j]);
    } else {
      for (Index j = 0; j < n; ++j) h[j] = phi.value(y[j]);
      if (slope)
        for (Index j = 0; j < n; ++j) slope[j] = phi.first(y[j]);
    }
  });
}

}  // namespace widelab::cpu
