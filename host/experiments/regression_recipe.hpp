// `[regression]`: least squares on fixed random features, as a recipe states it, for one cell of a sweep.
//
// Data: n inputs of E|x|^2 = d, uniform on the sphere of radius sqrt(d) or N(0, 1_d), y = f*(x) + noise. Models:
//   random-features  f = sum_j a_j phi(<w_j, x> / sqrt(d)), j < N; |w_j|^2 = d or w_j ~ N(0, 1_d)
//   tangent          f = sum_j <a_j, x> phi'(<w_j, x>) / sqrt(d): the first layer of a two-layer network, N d columns
//   linear           f = sum_k a_k sqrt(s_k) x_k, k < d: no random features
//   projections      f = sum_j a_j <w_j, (sqrt(s_k) x_k)_k>, w_j ~ N(0, 1_d): linear random features of any spectrum
// fitted by min sum_i (y_i - f_i)^2 + ridge |a|^2, or by gradient flow. The target is f* = sum_l F_l psi_l with psi_l a
// function of <u, x> of degree l and of E psi_l^2 = 1 (Gegenbauer, or Hermite for Gaussian inputs), and for linear
// models and projections a sum over coordinates. No law knows a direction, so that u is the first coordinate.
#pragma once

#include <string>
#include <vector>

#include "host/experiments/experiment.hpp"
#include "host/theory/ridge_convention.hpp"
#include "widelab/math/activations.hpp"
#include "widelab/ops/ridge_path.hpp"

namespace widelab::experiments {

enum class RegressionKind { random_features, tangent, linear, projections };

struct RegressionRecipe {
  RegressionKind kind = RegressionKind::random_features;
  Activation activation = Relu{};
  Index dimension = 1, examples = 1;
  std::vector<Index> sizes;         ///< N, ascending; for linear models the dimension alone
  std::vector<double> size_ratios;  ///< where sizes were asked for as columns over examples; else empty
  bool sphere_inputs = true, sphere_weights = true;
  theory::RidgeConvention convention = theory::RidgeConvention::sum;
  std::vector<double> ridges, times;  ///< filters: first the ridges, then the times
  std::vector<double> target_power;   ///< F_l^2 by degree; on coordinates by group of eigenvalues
  std::vector<double> eigenvalues;    ///< s_k: of the covariance, by group,
  std::vector<Index> counts;          ///< and how many coordinates have them
  double noise_variance = 0;

  bool linear() const { return kind == RegressionKind::linear; }
  /// Whether the target is a sum over coordinates, which have a spectrum.
  bool on_coordinates() const { return linear() || kind == RegressionKind::projections; }
  /// Independent draws of features in a replicate: a linear model has none to draw.
  Index feature_draws() const { return linear() ? 1 : 2; }
  Index columns(std::size_t size) const;
  std::size_t filters() const { return ridges.size() + times.size(); }
  bool is_flow(std::size_t filter) const { return filter >= ridges.size(); }
  /// N, or 1 for linear models: coefficients are stated for features divided by its root.
  double normalisation(std::size_t size) const;
  theory::RegressionSize extents(std::size_t size) const;
  /// lambda_u of a ridge filter.
  double sum_ridge(std::size_t size, std::size_t filter) const;
  /// As the op takes it. Times are those of da/dt = Z^T (y - Z a) / n with features divided by sqrt(N) (linear models:
  /// as they are), so that curves of different N have one clock.
  SpectralFilter filter(std::size_t size, std::size_t filter) const;
  /// "ridge=0.1", "time=10".
  std::vector<std::string> filter_labels() const;
  double signal_power() const;  ///< E f*^2
};

std::vector<io::KeySpec> regression_keys();

/// `recipe` is that of one cell (io::at_cell). Throws RecipeError.
RegressionRecipe regression_from(const io::Recipe& recipe);

/// "ReLU random features ...": title of figures.
std::string describe_regression(const io::Recipe& recipe);

}  // namespace widelab::experiments
