// Random-feature regression in the proportional limit: x_i and theta_a uniform on the sphere of radius sqrt(d),
// y = <beta_1, x> + f_NL(x) + noise, f(x) = sum_a a_a sigma(<theta_a, x> / sqrt(d)), loss
//   (1/n) sum (y - f)^2 + (N lambda / d) |a|^2,      N / d -> psi_1, n / d -> psi_2, d -> infinity.
// The activation enters through three Gaussian numbers alone. Source: Mei and Montanari 2019 (polynomials E_0, E_1,
// E_2); the real equation for chi, the wide optimum and the growth at the threshold are derived from their fixed point.
#pragma once

#include <vector>

#include "host/theory/deterministic_equivalent.hpp"
#include "widelab/base/types.hpp"
#include "widelab/math/activations.hpp"

namespace widelab::theory {

/// Constant, linear and remaining part of sigma(G), G ~ N(0, 1): mu_0 = E sigma, mu_1 = E G sigma, mu_star^2 =
/// E sigma^2 - mu_0^2 - mu_1^2.
struct ActivationParts {
  double mu0 = 0, mu1 = 0, mu_star2 = 0;

  double zeta2() const { return mu1 * mu1 / mu_star2; }
};

/// RecipeError for an affine activation, whose mu_star^2 is 0: the features are then linear regression.
ActivationParts activation_parts(const Activation& activation);

struct MeiMontanariProblem {
  ActivationParts parts;
  double features_ratio = 1;  ///< psi_1 = N / d; infinity: the wide limit
  double examples_ratio = 1;  ///< psi_2 = n / d
  double ridge = 0;           ///< lambda, convention "mei-montanari"; 0 = least norm
};

/// E (f* - f)^2 = F1^2 bias + (tau^2 + F*^2) variance + F*^2, with F1^2 = |beta_1|^2, F*^2 = Var f_NL and tau^2 = Var
/// noise.
struct MeiMontanariRisk {
  double chi = 0;  ///< < 0; in the wide limit psi_1 = infinity, where chi does not enter, omega
  double bias = 0, variance = 0;

  double excess(double linear, double nonlinear, double noise_variance) const {
    return linear * bias + (noise_variance + nonlinear) * variance + nonlinear;
  }
};

/// RecipeError for ratios that are not positive, a negative ridge, and ridge = 0 at psi_1 = psi_2 (infinite risk).
MeiMontanariRisk mei_montanari_risk(const MeiMontanariProblem& problem);

/// The ridge of least risk at psi_1 = infinity, for the signal-to-noise ratio F1^2 / (tau^2 + F*^2); 0 from
/// critical_signal_to_noise on, at every psi_2.
double best_wide_ridge(const ActivationParts& parts, double examples_ratio, double signal_to_noise);
double critical_signal_to_noise(const ActivationParts& parts);

/// At psi_1 = psi_2 = psi bias and variance grow like amplitude / sqrt(lambda) as lambda -> 0.
struct ThresholdGrowth {
  double bias = 0, variance = 0;
};
ThresholdGrowth threshold_growth(const ActivationParts& parts, double ratio);

/// The same limit as a deterministic equivalent, for training error, norm, ensembles and the analysis of variance: one
/// eigenvalue mu_1^2 and the tail mu_star^2, everything in units of d; its norm2 is (N/d) |a|^2.
FeatureRegression mei_montanari_equivalent(const MeiMontanariProblem& problem, double linear, double nonlinear,
                                           double noise_variance);

/// Random features at finite d: one group for each degree l <= `degrees`, eigenvalue xi_l^2 (Funk-Hecke), multiplicity
/// B(d, l); higher degrees are the tail. `target_power` gives E f_l^2 for l = 0, 1, ...
FeatureSpectrum features_spectrum(const Activation& activation, Index dimension,
                                  const std::vector<double>& target_power, int degrees);

}  // namespace widelab::theory
