// Linear regression on isotropic Gaussian inputs: x ~ N(0, 1_p), y = <x, beta> + noise, |beta|^2 = signal, n examples,
// p / n -> aspect. The estimator is (X^T X / n + ridge)^-1 X^T y / n (ridge convention "mean"), its least-norm limit,
// or gradient flow on (1/2n) sum (y - f)^2 from 0. Source: Hastie, Montanari, Rosset and Tibshirani 2019; gradient flow
// from the Marchenko-Pastur law of X^T X / n; finite sizes from the mean of an inverse Wishart matrix.
#pragma once

#include "widelab/base/types.hpp"

namespace widelab::theory {

struct IsotropicRegression {
  double aspect = 1;          ///< gamma = p / n > 0
  double signal = 1;          ///< r^2 >= 0
  double noise_variance = 0;  ///< sigma^2 >= 0
};

/// Excess risk E |beta_hat - beta|^2.
struct IsotropicRisk {
  double bias = 0, variance = 0;

  double excess() const { return bias + variance; }
};

/// m(-ridge), the Stieltjes transform of the spectrum of X^T X / n, atom at 0 included; infinite where ridge = 0 and
/// aspect >= 1.
double isotropic_stieltjes(double aspect, double ridge);

/// Limit n -> infinity; ridge = 0 is the least-norm interpolator. RecipeError for a ridge below 0, and for ridge = 0 at
/// aspect = 1, where the risk is infinite.
IsotropicRisk isotropic_risk(const IsotropicRegression& problem, double ridge);

/// The ridge of least risk, noise_variance aspect / signal; RecipeError if the signal is 0 (the best ridge is
/// infinite).
double isotropic_best_ridge(const IsotropicRegression& problem);

/// Exact mean over Gaussian inputs of the least-norm interpolator's risk at finite n and p. RecipeError for
/// |n - p| <= 1: the mean is infinite there, at every noise above 0.
IsotropicRisk isotropic_finite_risk(Index examples, Index dimension, double signal, double noise_variance);

/// Gradient flow at time t in [0, 1e10], limit n -> infinity, to about 1e-14 of signal and noise; t = infinity is
/// isotropic_risk at ridge 0.
IsotropicRisk isotropic_flow_risk(const IsotropicRegression& problem, double time);

}  // namespace widelab::theory
