// One row (one example) of a hidden layer, second order: what layer_rows.hpp does, differentiated along a direction.
// R{q} is the derivative of q along it.
#pragma once

#include "kernels/cpu/layer_rows.hpp"

namespace widelab::cpu {

/// From R{z} to R{y}, y = LN(z), in place; returns R{sd} / sd = mean(y R{z}) / sd. LN's derivative is symmetric, so
/// that the rest is normalise_row_backward.
template <class T>
T normalise_row_tangent(const T* y, T inverse_sd, Index n, T* tangent) {
  double overlap = 0;
  for (Index j = 0; j < n; ++j) overlap += static_cast<double>(y[j]) * static_cast<double>(tangent[j]);
  normalise_row_backward(y, inverse_sd, n, tangent);
  return static_cast<T>(overlap / static_cast<double>(n) * static_cast<double>(inverse_sd));
}

/// The terms of R{dz} that come from LN's own derivative: with g = dL/dy and dz = (g - mean(g) - y mean(g y)) / sd,
///   R{dz} = [R{g} through normalise_row_backward] - (R{y} mean(g y) + y mean(g R{y})) / sd - dz R{sd} / sd.
/// `rate` is normalise_row_tangent's result; the terms are added to `tangent`.
template <class T>
struct NormalisedRow {
  const T *y, *y_tangent;
  T inverse_sd, rate;
  Index n;

  void add_second_order(const T* g, const T* dz, T* tangent) const {
    double along = 0, across = 0;
    for (Index j = 0; j < n; ++j) {
      along += static_cast<double>(g[j]) * static_cast<double>(y[j]);
      across += static_cast<double>(g[j]) * static_cast<double>(y_tangent[j]);
    }
    const T a = static_cast<T>(along / static_cast<double>(n)) * inverse_sd;
    const T b = static_cast<T>(across / static_cast<double>(n)) * inverse_sd;
    for (Index j = 0; j < n; ++j) tangent[j] -= y_tangent[j] * a + y[j] * b + dz[j] * rate;
  }
};

/// bend = s phi''(y) over one row.
template <class T>
void bend_row(const Activation& activation, const T* y, const float* multipliers, Index n, T* bend) {
  visit(activation, [&](const auto& phi) {
    for (Index j = 0; j < n; ++j) bend[j] = (multipliers ? static_cast<T>(multipliers[j]) : T(1)) * phi.second(y[j]);
  });
}

}  // namespace widelab::cpu
