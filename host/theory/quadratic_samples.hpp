// Examples whose losses are quadratic, each with a curvature of its own: linear regression, or a network's examples
// about a checkpoint, projected on some directions.
#pragma once

#include <vector>

#include "widelab/base/view.hpp"

namespace widelab::theory {

/// Gradient and curvature of each example at the origin, weight decay included.
struct QuadraticSamples {
  Index examples = 0, dim = 0;
  std::vector<double> gradients;   ///< g_n, N x d
  std::vector<double> curvatures;  ///< H_n, N x d x d, symmetric
};

/// Linear regression, l_n = (x_n.w - y_n)^2 / 2 + (lambda / 2) |w|^2, about `origin` (length d).
QuadraticSamples regression_samples(MatrixView<const double> inputs, const std::vector<double>& targets,
                                    double weight_decay, const std::vector<double>& origin);

/// All H_n replaced by their mean: additive noise, what shuffled_modes.hpp computes. What is lost is the part of
/// per-sample curvature.
QuadraticSamples with_mean_curvature(QuadraticSamples samples);

/// First order in eta of the stationary E e at epoch boundaries without momentum, samples with mean gradient 0:
/// -(eta / 2B) (N - B) / (N - 1) H^-1 mean_n(H_n g_n), g_n the gradients (derived here). Shuffled epochs are biased.
std::vector<double> epoch_bias(const QuadraticSamples& samples, double rate, Index batch);

}  // namespace widelab::theory
