// Additive noise under sampling by epochs: each example is used once an epoch, so that the noises of an epoch's batches
// are anticorrelated (they sum to zero if the batches exhaust the data), and the variance of a parameter is a bridge
// between epochs instead of the stationary value of independent batches. One direction of a quadratic loss, exact at
// every step size; formulas of sgd_step.hpp. What a curvature that differs between examples adds: sgd_epochs.hpp.
//
// N examples, batches of B, M = floor(N / B) steps an epoch (the N mod B last examples of the epoch's order are not
// used), C = variance of the gradient over the examples. Then the noises of steps k, l of one epoch have
//   Cov = c ((1 + beta) delta_kl - beta),  c = C (N - B) / (B (N - 1)),  beta = B / (N - B),
// = c M / (M - 1) (delta_kl - 1 / M) for N = M B; epochs are independent. With b_k = F^k G the state after n steps has
//   V_n = F^n V_0 F^nT + eta^2 Q(n),  Q(n) = c { (1 + beta) sum_{k<n} b_k b_k^T - beta (sum_{k<n} b_k)(sum_{k<n} b_k)^T
//   }.
// Derived here; the anticorrelation is that of Kuehn and Rosenow 2023.
#pragma once

#include <vector>

#include "host/theory/sgd_quadratic.hpp"

namespace widelab::theory {

struct ShuffledMode {
  LinearTraining training;
  double curvature = 1.0;     ///< h, weight decay included
  double sample_noise = 1.0;  ///< C
  Index examples = 2;         ///< N
  Index batch = 1;            ///< B

  Index steps_per_epoch() const { return examples / batch; }  ///< M
  double batch_noise() const;                                 ///< c: of one batch without replacement
  /// The same direction under batches drawn with replacement: gradient noise C / B.
  QuadraticMode with_replacement() const;
};

/// V_0 of the stationary law: at the boundary between two epochs. Throws RecipeError if the mode is not stable, or for
/// N and B that leave no two batches.
ModeMoments shuffled_boundary(const ShuffledMode& mode);
/// V_0 .. V_M from the value at the boundary; any curvature.
std::vector<ModeMoments> shuffled_phases(const ShuffledMode& mode, const ModeMoments& boundary);
/// The value at the boundary `epochs` later; any curvature. All replicas at one point is ModeMoments{}.
ModeMoments shuffled_after(const ShuffledMode& mode, ModeMoments boundary, Index epochs);
/// Mean of E e^2 over the phases n = 0 .. M - 1 of the stationary law.
double shuffled_average(const ShuffledMode& mode);

/// Flat limit eta h M << 1 without momentum, N = M B: the Brownian bridge V_n = eta^2 c n (M - n) / (M - 1), whatever
/// h, and its mean over n, eta^2 c (M + 1) / 6. `rate` = eta, `noise` = c.
double bridge_variance(double rate, double noise, Index steps_per_epoch, Index phase);
double bridge_average(double rate, double noise, Index steps_per_epoch);

/// Covariance of the noises of two batches `lag` steps apart, averaged over the phase of the first, N = M B: c for lag
/// 0, -c (M - lag) / (M (M - 1)) below M, 0 beyond.
double shuffled_noise_autocovariance(double noise, Index steps_per_epoch, Index lag);

}  // namespace widelab::theory
