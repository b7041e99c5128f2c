// Training of linearised networks: a network replaced by its first-order expansion in the parameters, trained by full
// batches on squared losses. What it does to the outputs is known exactly, eigenmode by eigenmode of the kernel.
//
// Loss convention. The objective is c sum_i loss(f_i, y_i), c = reduction_factor (math/losses.hpp), with loss
// (f - y)^2 / 2 (half_squared) or (f - y)^2 (squared). Its second derivative by one output is `curvature` = c or 2 c,
// so that everything depends on eta_eff = eta curvature alone: eta for half_squared and sum, 2 eta / (N k) for
// squared and mean_entries (PyTorch's MSELoss), and so on.
//
// With Theta = Theta(X, X) = U diag(lambda) U^T and initial outputs f_0, after t steps
//   f_t(X) = y + G_t (f_0(X) - y),                       G_t = U diag(p_t(lambda)) U^T,
//   f_t(x) = f_0(x) - A_t(x) (f_0(X) - y),               A_t(x) = Theta(x, X) U diag(w_t(lambda)) U^T,
// where w_t = (1 - p_t) / lambda. Sources: Lee et al. 2019; discrete steps and momentum derived here: the parameters
// move by J^T a with a = -w_t r_0 in each mode, and w_t obeys the update rule with gradient r_t = (1 - lambda w_t) r_0.
#pragma once

#include <limits>
#include <vector>

#include "widelab/base/types.hpp"
#include "widelab/base/view.hpp"
#include "widelab/math/losses.hpp"

namespace widelab::theory {

/// gradient_descent: p_t = (1 - eta_eff lambda)^t. heavy_ball and nesterov: PyTorch's forms (math/update_rules.hpp),
/// velocity 0 at the start. gradient_flow: p_t = exp(-eta_eff lambda t), t steps of length eta.
enum class LinearRule { gradient_descent, heavy_ball, nesterov, gradient_flow };

/// t for the limit t -> infinity.
inline constexpr double kForever = std::numeric_limits<double>::infinity();

struct LinearTraining {
  LinearRule rule = LinearRule::gradient_descent;
  double learning_rate = 0.1;  ///< eta, constant
  double curvature = 1.0;      ///< output_curvature of the loss
  double momentum = 0.9;       ///< mu of heavy_ball and nesterov

  double effective_rate() const { return learning_rate * curvature; }
  /// Modes converge iff eta_eff lambda is below this: 2, 2 (1 + mu), 2 (1 + mu) / (1 + 2 mu), infinity (roots of each
  /// rule's characteristic polynomial inside the unit circle).
  double stability_limit() const;
};

/// c (half_squared) or 2 c (squared) for batches of all `examples`. Throws RecipeError for other losses, whose
/// linearised training has no closed form.
double output_curvature(LossKind loss, Reduction reduction, Index examples, Index outputs);

/// w_t and p_t of one eigenvalue.
struct ModeResponse {
  double weight = 0.0, residual = 1.0;
};

/// t >= 0, an integer except for gradient_flow, or kForever. lambda = 0: weight eta_eff t without momentum, residual 1;
/// at kForever the weight is 0, which makes A the pseudo-inverse's. Cost O(t) with momentum, O(1) without. Throws
/// RecipeError for a time or a momentum out of range, and at kForever for an unstable mode.
ModeResponse mode_response(const LinearTraining& training, double lambda, double t);

/// The kernel on the training set, diagonalised once. For networks of one kernel for all k outputs (infinite width)
/// examples are rows; a finite network's full empirical kernel is used as one of N k examples with one output.
class LinearDynamics {
 public:
  /// `theta` symmetric N x N, positive semidefinite: eigenvalues within N epsilon lambda_max of 0 count as 0, and one
  /// below is a RecipeError.
  LinearDynamics(MatrixView<const double> theta, const LinearTraining& training);

  Index examples() const { return static_cast<Index>(eigenvalues_.size()); }
  const std::vector<double>& eigenvalues() const { return eigenvalues_; }  ///< ascending
  const LinearTraining& training() const { return training_; }
  bool stable() const;
  /// The learning rate eta below which all modes converge (infinity for gradient flow).
  double largest_stable_rate() const;

  /// I - G_t, N x N: A_t on the training set.
  std::vector<double> train_response(double t) const;
  /// A_t, M x N, from `cross` = Theta(x, X), M x N.
  std::vector<double> response(MatrixView<const double> cross, double t) const;

  /// Largest |p_t|, the operator norm of G_t: |f_t(X) - y| <= residual_norm(t) |f_0(X) - y|.
  double residual_norm(double t) const;
  /// exp(-eta_eff lambda_min t): residual_norm of gradient flow, and a bound on gradient descent's whenever
  /// eta_eff (lambda_min + lambda_max) <= 2, where 1 - eta_eff lambda_min is the largest factor.
  double exponential_bound(double t) const;

  /// E of the objective (curvature / 2) |f_t(X) - y|^2 for f_0(X) ~ N(0, nngp), outputs independent: (curvature / 2)
  /// sum_modes p_t^2 (k u.K u + sum_o (u.y_o)^2). `nngp` N x N, `targets` N x k. With nngp = 0 and targets y - f_0 it
  /// is the loss of one network.
  double expected_train_loss(MatrixView<const double> nngp, MatrixView<const double> targets, double t) const;

 private:
  /// left diag(factor) U^T, left of `rows` rows in the eigenbasis; overwrites `left`.
  std::vector<double> from_modes(std::vector<double>& left, Index rows, const std::vector<double>& factor) const;

  LinearTraining training_;
  std::vector<double> eigenvalues_, vectors_;  // vectors_: N x N, eigenvectors in columns
};

/// Covariances of the initial outputs, of one output: K(x, x) M x M, K(x, X) M x N, K(X, X) N x N.
struct NngpBlocks {
  MatrixView<const double> test, cross, train;
};

/// Mean M x k and covariance M x M of the outputs at M points; the k outputs are independent with equal covariances.
struct EnsembleMoments {
  Index points = 0, outputs = 0;
  std::vector<double> mean, covariance;
};

/// The trained infinite ensemble: mean A y, covariance K - A K(X, x) - K(x, X) A^T + A K(X, X) A^T, for A = `response`
/// (M x N) and `targets` (N x k). Lee et al. 2019. With the kernel of the readout layer alone (Theta = K) the limit
/// t -> infinity is the posterior of the Gaussian process: K(x, X) K^+ y and K(x, x) - K(x, X) K^+ K(X, x); with all
/// layers trained it is not a posterior.
EnsembleMoments ensemble_moments(MatrixView<const double> response, const NngpBlocks& nngp,
                                 MatrixView<const double> targets);

/// Initial outputs of `members` networks: at the points (members x M x k) and on the training set (members x N x k).
struct InitialOutputs {
  Index members = 0;
  const double* test = nullptr;
  const double* train = nullptr;
};

/// Pathwise prediction, members x M x k: each network's own f_0(x) - A (f_0(X) - y).
std::vector<double> linearised_outputs(MatrixView<const double> response, const InitialOutputs& initial,
                                       MatrixView<const double> targets);

}  // namespace widelab::theory
