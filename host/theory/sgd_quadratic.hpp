// SGD with additive noise on a quadratic loss: stationary law, correlations and transients, exact at every step size.
// Steps and conventions: sgd_step.hpp. Noise is independent from step to step and does not depend on the position; what
// linear regression adds to that is in sgd_regression.hpp, what sampling by epochs takes from it in shuffled_modes.hpp.
#pragma once

#include <vector>

#include "host/theory/eigenbasis.hpp"
#include "host/theory/sgd_step.hpp"

namespace widelab::theory {

/// One direction.
struct QuadraticMode {
  LinearTraining training;
  double curvature = 1.0;       ///< h, weight decay included
  double gradient_noise = 1.0;  ///< c: variance of the gradient of a step, its batch size already divided out

  double step() const { return training.effective_rate() * curvature; }  ///< s = eta h
  bool stable() const;                                                   ///< 0 < s < training.stability_limit()
};

/// E e^2, E e u, E u^2 of one direction.
struct ModeMoments {
  double parameter = 0.0, cross = 0.0, velocity = 0.0;
};

/// The stationary law in closed form (autoregressive processes of order 2; derived here):
///   gradient descent, heavy ball: Var e = eta c (1 + mu) / (h (1 - mu) (2 (1 + mu) - s)), mu = 0 without momentum,
///                                 Var u = 2 s Var e / (1 + mu), Cov = Var u / 2;
///   nesterov: with q = 1 - s, g_0 = Var(theta - mu u) = eta^2 c (1 + mu q) / ((1 - mu q) s (1 + q + 2 mu q)) and
///             g_0 - g_1 = g_0 s / (1 + mu q): Var e = g_0 + 2 mu (1 + mu) (g_0 - g_1), Var u = 2 (g_0 - g_1),
///             Cov = (1 + 2 mu) (g_0 - g_1).
/// Throws RecipeError if the mode is not stable.
ModeMoments stationary_mode(const QuadraticMode& mode);

/// g_0 above: the variance of Nesterov's own iterate, at which no gradient is taken.
double nesterov_iterate_variance(const QuadraticMode& mode);

/// Autocorrelations of the parameter at lags 0 .. lags: a^k for gradient descent; heavy ball rho_1 = (1 + mu - s) /
/// (1 + mu), rho_k = (1 + mu - s) rho_{k-1} - mu rho_{k-2}; nesterov, as a moving average of such a process.
std::vector<double> autocorrelation(const QuadraticMode& mode, Index lags);

/// (1/2) h Var e.
double mode_excess_loss(const QuadraticMode& mode);

/// Second moments `steps` later; any curvature, also h <= 0 and learning rates that diverge.
ModeMoments mode_after(const QuadraticMode& mode, const ModeMoments& start, Index steps);

/// d directions with a curvature matrix H (symmetric; weight decay included) and noise of any covariance C (d x d, of a
/// step's gradient). S = A S A^T + eta^2 C, A = I - eta H, and the like with momentum: solved pair by pair of
/// eigenvectors of H.
class QuadraticSgd {
 public:
  /// Throws RecipeError for a learning rate or momentum out of range.
  QuadraticSgd(MatrixView<const double> curvature, const LinearTraining& training);

  const Eigenbasis& basis() const { return basis_; }
  const LinearTraining& training() const { return training_; }
  double curvature(Index mode) const { return basis_.values()[static_cast<std::size_t>(mode)]; }
  /// |eigenvalue| within d epsilon of the largest: it counts as 0.
  bool flat(Index mode) const { return flat_[static_cast<std::size_t>(mode)]; }
  bool stable() const;  ///< all but flat directions

  /// Flat directions without noise (within 1e-10 of the largest) stay where they started, here at 0. Throws
  /// RecipeError, naming the eigenvalue, if another direction has no stationary law.
  StateCovariance stationary(MatrixView<const double> noise) const;
  /// `steps` later, stable or not.
  StateCovariance after(const StateCovariance& start, MatrixView<const double> noise, Index steps) const;
  /// E[e_{t + lag} e_t^T], d x d, for the state's law `moments` at t.
  std::vector<double> autocovariance(const StateCovariance& moments, Index lag) const;
  /// (1/2) tr(H S).
  double excess_loss(const StateCovariance& moments) const;

 private:
  StateCovariance into_modes(const StateCovariance& moments) const;
  StateCovariance out_of_modes(const StateCovariance& modes) const;

  Eigenbasis basis_;
  LinearTraining training_;
  StepForm form_;
  std::vector<bool> flat_;
};

}  // namespace widelab::theory
