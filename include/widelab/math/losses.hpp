// Losses of one example: value and slope as functions of the outputs f and the targets y. Conventions are in the
// names: half-squared is (1/2)(f - y)^2, squared is (f - y)^2. How examples are added up is Reduction's business.
#pragma once

#include <cmath>
#include <cstdint>

#include "widelab/base/host_device.hpp"
#include "widelab/base/types.hpp"
#include "widelab/math/portable.hpp"

namespace widelab {

/// Targets: real numbers (squared losses), -1 or 1 for each output (logistic, hinge; several outputs are independent
/// one-against-all problems and their losses add), probabilities over outputs (cross_entropy of the softmax).
enum class LossKind : std::uint8_t { half_squared, squared, cross_entropy, logistic, hinge };

/// The factor c in g = c sum_{batch} grad loss, with B examples of a batch, N of the data set and k outputs:
/// sum 1, mean 1/B, mean_entries 1/(B k) (PyTorch's MSELoss), dataset_sum N/B (unbiased for the sum over the data
/// set: what Langevin dynamics needs).
enum class Reduction : std::uint8_t { sum, mean, mean_entries, dataset_sum };

WIDELAB_HD double reduction_factor(Reduction reduction, Index batch, Index examples, Index outputs) {
  const double b = static_cast<double>(batch);
  if (reduction == Reduction::mean) return 1.0 / b;
  if (reduction == Reduction::mean_entries) return 1.0 / (b * static_cast<double>(outputs));
  if (reduction == Reduction::dataset_sum) return static_cast<double>(examples) / b;
  return 1.0;
}

namespace losses {

/// d loss / d f of one output, for all losses but cross-entropy; hinge has slope 0 at its kink (y f = 1).
template <class T>
WIDELAB_HD T output_slope(LossKind kind, T f, T y) {
  if (kind == LossKind::half_squared) return f - y;
  if (kind == LossKind::squared) return T(2) * (f - y);
  const T margin = y * f;
  if (kind == LossKind::hinge) return margin < T(1) ? -y : T(0);
  // logistic: -y / (1 + e^{y f}), through e^{-|y f|} so that nothing overflows
  const T e = portable::exp(margin < T(0) ? margin : -margin);
  return -y * (margin < T(0) ? T(1) : e) / (T(1) + e);
}

/// d^2 loss / d f^2 of one output, for all losses but cross-entropy; hinge: 0, also at its kink.
template <class T>
WIDELAB_HD T output_curvature(LossKind kind, T f, T y) {
  if (kind == LossKind::half_squared) return T(1);
  if (kind == LossKind::squared) return T(2);
  if (kind == LossKind::hinge) return T(0);
  // logistic: y^2 e / (1 + e)^2, e = e^{-|y f|}
  const T margin = y * f;
  const T e = portable::exp(margin < T(0) ? margin : -margin);
  const T root = y / (T(1) + e);
  return root * root * e;
}

}  // namespace losses

/// d loss / d f_o for o < outputs; f, y and slope of one example, consecutive outputs `stride` apart. f and slope may
/// be the same memory. Cross-entropy: softmax(f) sum_p y_p - y.
template <class T>
WIDELAB_HD void loss_slope(LossKind kind, const T* f, const T* y, Index outputs, Index stride, T* slope) {
  if (kind != LossKind::cross_entropy) {
    for (Index o = 0; o < outputs; ++o) slope[o * stride] = losses::output_slope(kind, f[o * stride], y[o * stride]);
    return;
  }
  T largest = f[0], mass = T(0), total = T(0);
  for (Index o = 1; o < outputs; ++o) largest = f[o * stride] > largest ? f[o * stride] : largest;
  for (Index o = 0; o < outputs; ++o) {
    const T e = portable::exp(f[o * stride] - largest);
    slope[o * stride] = e;
    total += e;
    mass += y[o * stride];
  }
  for (Index o = 0; o < outputs; ++o) slope[o * stride] = mass * slope[o * stride] / total - y[o * stride];
}

/// out = (d^2 loss / d f^2) u for one example, consecutive outputs `stride` apart; out is none of the other arrays.
/// Cross-entropy, p = softmax(f): sum_q y_q (p_o u_o - p_o sum_q p_q u_q).
template <class T>
WIDELAB_HD void loss_curvature(LossKind kind, const T* f, const T* y, Index outputs, Index stride, const T* u, T* out) {
  if (kind != LossKind::cross_entropy) {
    for (Index o = 0; o < outputs; ++o)
      out[o * stride] = losses::output_curvature(kind, f[o * stride], y[o * stride]) * u[o * stride];
    return;
  }
  T largest = f[0], mass = T(0), total = T(0), mean = T(0);
  for (Index o = 1; o < outputs; ++o) largest = f[o * stride] > largest ? f[o * stride] : largest;
  for (Index o = 0; o < outputs; ++o) {
    const T e = portable::exp(f[o * stride] - largest);
    out[o * stride] = e;
    total += e;
    mass += y[o * stride];
    mean += e * u[o * stride];
  }
  mean /= total;
  for (Index o = 0; o < outputs; ++o) out[o * stride] = mass * out[o * stride] / total * (u[o * stride] - mean);
}

/// The loss of one example, consecutive outputs next to each other. Host only: standard library logarithms.
inline double loss_value(LossKind kind, const double* f, const double* y, Index outputs) {
  double total = 0;
  if (kind == LossKind::cross_entropy) {
    double largest = f[0], sum = 0, mass = 0, linear = 0;
    for (Index o = 1; o < outputs; ++o) largest = std::fmax(largest, f[o]);
    for (Index o = 0; o < outputs; ++o) {
      sum += std::exp(f[o] - largest);
      mass += y[o];
      linear += y[o] * (f[o] - largest);
    }
    return mass * std::log(sum) - linear;
  }
  for (Index o = 0; o < outputs; ++o) {
    const double difference = f[o] - y[o], margin = y[o] * f[o];
    if (kind == LossKind::half_squared) total += 0.5 * difference * difference;
    if (kind == LossKind::squared) total += difference * difference;
    if (kind == LossKind::hinge) total += margin < 1 ? 1 - margin : 0;
    if (kind == LossKind::logistic) total += std::log1p(std::exp(-std::fabs(margin))) + (margin < 0 ? -margin : 0);
  }
  return total;
}

/// Whether the example is misclassified: the largest output is not the largest target (first of equals), or, with one
/// output, signs differ (0 counts as wrong).
inline bool misclassified(const double* f, const double* y, Index outputs) {
  if (outputs == 1) return f[0] * y[0] <= 0;
  Index guess = 0, label = 0;
  for (Index o = 1; o < outputs; ++o) {
    if (f[o] > f[guess]) guess = o;
    if (y[o] > y[label]) label = o;
  }
  return guess != label;
}

}  // namespace widelab
