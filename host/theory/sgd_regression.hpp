// SGD on linear regression with a finite data set: the second moments close, so that the stationary covariance, its
// stability and every transient are exact at any learning rate.
//
// Loss l = (1 / 2N) |X w - y|^2 + (lambda / 2) |w|^2, times LinearTraining::curvature; w* its minimiser, e = w - w*,
// r_n = y_n - x_n.w*, H = X^T X / N, A = I - eta (H + lambda), S = E[e e^T]. Batches that are drawn anew each step have
// E e -> 0 and
//   S = A S A^T + eta^2 C(S),
//   C(S) = f { (1/N) sum_n (x_n.S x_n + r_n^2) x_n x_n^T - H S H - lambda^2 w* w*^T } + s2 H / B,
// f = 1/B (with replacement) or (N - B) / (B (N - 1)) (without, within a batch), s2 the variance of label noise that is
// new at each use. Momentum as in sgd_step.hpp. Derived here; dropping what S adds to C is the usual approximation of a
// frozen noise. With weight decay the noise per example has the mean gradient -lambda w* taken out. For k outputs each
// column of w is such a problem of its own. A bias is a column of ones, and decays. Sampling by epochs: sgd_epochs.hpp.
#pragma once

#include <vector>

#include "host/theory/sgd_quadratic.hpp"

namespace widelab::theory {

/// How the B examples of a step are drawn, steps being independent.
enum class BatchSampling { with_replacement, without_replacement };

struct RegressionSgd {
  LinearTraining training;
  BatchSampling sampling = BatchSampling::with_replacement;
  Index batch = 1;              ///< B; at most N without replacement
  double weight_decay = 0.0;    ///< lambda, coupled, of the normalised loss
  double label_noise = 0.0;     ///< s2
  double injected_noise = 0.0;  ///< variance that each step adds to each parameter (Langevin); gradient descent only
};

/// SGLD (Welling and Teh 2011; sgld of math/update_rules.hpp) on the posterior of w: y ~ N(X w, noise_variance), prior
/// w ~ N(0, 1 / prior_precision): w -= (eps / 2) grad U_B + sqrt(eps T) z, as the problem above with
/// eta = eps N / (2 noise_variance) and lambda = prior_precision noise_variance / N.
struct SgldPosterior {
  double step = 0.01;  ///< eps
  double noise_variance = 1.0, prior_precision = 0.0, temperature = 1.0;
};
RegressionSgd sgld_regression(const SgldPosterior& posterior, Index examples, Index batch,
                              BatchSampling sampling = BatchSampling::with_replacement);

/// First and second moments of (e, u).
struct RegressionMoments {
  std::vector<double> mean, mean_velocity;  ///< d each
  StateCovariance second;                   ///< E[e e^T] and so on, not centred
};

class RegressionNoise {
 public:
  /// `inputs` N x d, `targets` N. Directions that no input has are left out unless weight decay acts on them: w* is the
  /// solution of least norm. Meant for d up to some hundreds. Throws RecipeError for sizes, a batch or numbers out of
  /// range.
  RegressionNoise(MatrixView<const double> inputs, const std::vector<double>& targets, const RegressionSgd& sgd);

  const QuadraticSgd& quadratic() const { return quadratic_; }  ///< of curvature H + lambda
  const std::vector<double>& minimiser() const { return minimiser_; }
  const std::vector<double>& residuals() const { return residuals_; }  ///< r_n

  /// C(0), d x d.
  std::vector<double> noise_at_minimum() const;

  /// Spectral radius of S -> A S A^T + eta^2 (C(S) - C(0)), with momentum of the map of all second moments: below 1 is
  /// mean-square stability, stricter than stability of the mean. rho is the only solution beyond rho(F)^2 of
  /// "growth S = F S F^T + noise(S) has a positive solution" (Schneider 1965 on sums of positive operators).
  double mean_square_radius() const;
  /// The learning rate at which that radius passes 1 (that of the mean, where no noise grows with S).
  double critical_learning_rate() const;

  /// The exact law. Up to kDense directions by a linear system of d (d + 1) / 2 unknowns, beyond by iteration, whose
  /// count grows as 1 / (distance from the edge). Throws RecipeError if not mean-square stable.
  StateCovariance stationary() const;
  /// The approximation C(S) = C(0).
  StateCovariance frozen_noise() const;
  double excess_loss(const StateCovariance& moments) const { return quadratic_.excess_loss(moments); }
  /// E[e_{t + lag} e_t^T]: d x d.
  std::vector<double> autocovariance(const StateCovariance& moments, Index lag) const {
    return quadratic_.autocovariance(moments, lag);
  }

  /// All at the point w, at rest.
  RegressionMoments at(const std::vector<double>& w) const;
  /// `steps` later, E e and its part in the noise included; stable or not. Cost N d^2 a step.
  RegressionMoments after(const RegressionMoments& start, Index steps) const;

  static constexpr Index kDense = 32;

 private:
  using Matrix = std::vector<double>;  // d x d in the eigenbasis of H

  double effective_rate() const { return quadratic_.training().effective_rate(); }
  double data_curvature(Index mode) const;
  /// (1/N) sum_n weights_n x_n x_n^T.
  Matrix weighted_gram(const std::vector<double>& weights) const;
  std::vector<double> quadratic_forms(const Matrix& second) const;
  Matrix growing_noise(const Matrix& second) const;
  Matrix source() const;
  /// For each pair the S_ij of growth S = F_i S F_j^T + eta^2 G G^T, block (e, e): what a unit noise C_ij does at the
  /// learning rate `rate`. 0 for flat directions.
  Matrix response(double rate, double growth) const;
  double gain(double rate, double growth) const;
  double mean_radius() const;
  Matrix solve_dense(const Matrix& response, const Matrix& source) const;
  Matrix solve_by_iteration(const Matrix& response, const Matrix& source) const;
  Matrix noise_of(const std::vector<double>& mean, const Matrix& second) const;

  RegressionSgd sgd_;
  double factor_;           // f
  QuadraticSgd quadratic_;  // H + lambda
  Matrix inputs_;           // N x d, in the eigenbasis
  std::vector<double> minimiser_, modes_of_minimiser_, residuals_;
};

}  // namespace widelab::theory
