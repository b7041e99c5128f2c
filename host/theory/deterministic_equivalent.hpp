// The deterministic equivalent of least squares on random features: what training error, test error, norm and every
// term of the variance tend to, as functions of the spectrum of the features alone, at finite sizes.
//
// Model. Features sigma(x; w) = sum_k xi_k psi_k(x) phi_k(w), eigenvalues s_k = xi_k^2, target f* = sum_k beta_k psi_k
// plus noise; the estimator is f(x) = p^-1/2 sum_j a_j sigma(x; w_j), j <= p, which minimises
//   sum_i (y_i - f(x_i))^2 + ridge |a|^2                        over n examples.
// p = infinity is kernel ridge regression with the kernel sum_k s_k psi_k psi_k.
// Fixed point (nu_2 is the only unknown; D1 falls monotonically):
//   nu_2 (1 - D1(nu_2)/n) (1 - D1(nu_2)/p) = ridge / n,  nu_1 = nu_2 (1 - D1/p).
// Sources: Defilippis, Loureiro and Misiakiewicz 2024 (fixed point, bias and variance); norm, ensembles, analysis of
// variance and time derived from it, and checked by simulation.
#pragma once

#include <limits>
#include <vector>

namespace widelab::theory {

inline constexpr double kInfinitelyManyFeatures = std::numeric_limits<double>::infinity();

/// Eigenvalues of the feature covariance with the power that the target has on them, and a tail: infinitely many
/// infinitesimal eigenvalues of total trace `tail_trace`, which carry the target power `tail_power`.
struct FeatureSpectrum {
  struct Group {
    double eigenvalue = 0;    ///< s >= 0
    double multiplicity = 1;  ///< m > 0; need not be an integer (proportional limits)
    double target_power = 0;  ///< sum of beta^2 over the group
  };
  std::vector<Group> groups;
  double tail_trace = 0, tail_power = 0;

  double trace() const;         ///< sum m s + tail
  double target_power() const;  ///< E f*^2
};

struct FeatureRegression {
  FeatureSpectrum spectrum;
  double examples = 1;                        ///< n > 0
  double features = kInfinitelyManyFeatures;  ///< p > 0, or infinity
  double ridge = 0;                           ///< >= 0, in the convention above; 0 = least norm
  double noise_variance = 0;                  ///< of each target
};

/// The analysis of variance (Sobol) of one estimator's excess risk: independent draws of features, of data and of label
/// noise. The terms add up to the excess risk.
struct RiskTerms {
  double bias2 = 0, features = 0, data = 0, features_data = 0, data_noise = 0, features_data_noise = 0;
};

struct RegressionRisk {
  double nu1 = 0, nu2 = 0;
  double df1 = 0, df2 = 0;        ///< D1(nu_2), D2(nu_2): effective degrees of freedom
  double upsilon = 0;             ///< variance / (variance + noise_variance)
  double bias = 0, variance = 0;  ///< of the excess risk: without label noise, and what label noise adds
  double excess = 0;              ///< E (f - f*)^2 = bias + variance
  double ensemble_excess = 0;     ///< of the mean of infinitely many feature draws on the same data
  double train = 0;               ///< E (1/n) sum_i (y_i - f(x_i))^2
  double norm2 = 0;               ///< E |a|^2; infinite where ridge = 0 and p is the rank
  double effective_ridge = 0;     ///< ridge at which kernel regression has the ensemble's risk: n nu_2 (1 - D1/n)
  RiskTerms terms;

  /// Excess risk of the mean of `networks` feature draws on the same data.
  double excess_of_mean(double networks) const { return excess / networks + (1 - 1 / networks) * ensemble_excess; }
};

/// Throws RecipeError, naming what is wrong: no eigenvalue, a negative number, n or p not positive, or a ridgeless
/// problem of infinite risk: n equal to p or, if smaller (and without a tail), to the number of eigenvalues.
RegressionRisk regression_risk(const FeatureRegression& problem);

/// Excess risk at a time of gradient flow, split into what the target and what label noise brings.
struct FlowRisk {
  double signal = 0, noise = 0;                    ///< one draw of features
  double ensemble_signal = 0, ensemble_noise = 0;  ///< mean of infinitely many draws on the same data

  double excess() const { return signal + noise; }
  double ensemble_excess() const { return ensemble_signal + ensemble_noise; }
};

/// da/dt = Z^T (y - Z a) / n from a = 0, Z_ij = p^-1/2 sigma(x_i; w_j), at time t >= 0; `problem.ridge` must be 0.
/// Inverse Laplace transform of the resolvent's equivalent on a parabola scaled by 1/t (Weideman and Trefethen 2007),
/// ridge = n y at its points y; accurate to about 1e-12 of the larger of target power and risk. At t = inf the least
/// norm solution. Throws RecipeError as above, and where the fixed point cannot be followed to a point y.
FlowRisk gradient_flow_risk(const FeatureRegression& problem, double time);

}  // namespace widelab::theory
