#include "host/theory/mei_montanari.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "host/theory/sphere_spectrum.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/math/activation_names.hpp"
#include "widelab/math/gaussian_moments.hpp"

namespace widelab::theory {
namespace {

void require_valid(const MeiMontanariProblem& problem) {
  const auto require = [](bool valid, const char* name, double value, const char* range) {
    if (!valid) throw RecipeError(std::string(name) + " = " + std::to_string(value) + ": must be " + range);
  };
  const double psi1 = problem.features_ratio, psi2 = problem.examples_ratio;
  require(psi1 > 0, "psi_1 = N / d", psi1, "positive, or infinite for the wide limit");
  require(psi2 > 0 && std::isfinite(psi2), "psi_2 = n / d", psi2, "positive and finite");
  require(problem.ridge >= 0 && std::isfinite(problem.ridge), "ridge", problem.ridge, "a finite number of at least 0");
  if (problem.ridge == 0 && psi1 == psi2)
    throw RecipeError("ridge = 0 at N = n (psi_1 = psi_2 = " + std::to_string(psi1) +
                      "): the risk is infinite; use a ridge above 0 or another N / n");
}

/// c with c (1 + zeta^2 / (1 + zeta^2 c)) = y: the degrees of freedom y at c = mu_star^2 / nu_2.
double inverse_degrees(double y, double zeta2) {
  const double b = 1 + zeta2 - zeta2 * y;
  if (zeta2 == 0) return y;
  const double root = std::sqrt(b * b + 4 * zeta2 * y);
  return b > 0 ? 2 * y / (b + root) : (root - b) / (2 * zeta2);
}

/// chi = -c, c psi_1 psi_2 lambda / mu_star^2 = (psi_1 - y)(psi_2 - y), y = c g(c) in [0, min(psi_1, psi_2)]. Bisects
/// the logarithm of 1 - y / min, so that the distance to the threshold keeps its digits.
double chi_of(const MeiMontanariProblem& problem) {
  const double zeta2 = problem.parts.zeta2(), scaled = problem.ridge / problem.parts.mu_star2;
  const double least = std::min(problem.features_ratio, problem.examples_ratio);
  const double most = std::max(problem.features_ratio, problem.examples_ratio);
  if (problem.ridge == 0) return -inverse_degrees(least, zeta2);
  const auto excess = [&](double gap) {
    const double y = least * -std::expm1(gap);
    return least * std::exp(gap) * (most - y) - inverse_degrees(y, zeta2) * least * most * scaled;
  };
  double low = -700, high = 0;  // the excess is negative at y -> least, positive at y = 0
  for (int i = 0; i < 200; ++i) {
    const double middle = 0.5 * (low + high);
    if (middle == low || middle == high) break;
    (excess(middle) < 0 ? low : high) = middle;
  }
  return -inverse_degrees(least * -std::expm1(low), zeta2);
}

/// The limit psi_1 -> infinity, with omega in place of chi.
MeiMontanariRisk wide_risk(const MeiMontanariProblem& problem) {
  const double zeta2 = problem.parts.zeta2(), psi2 = problem.examples_ratio;
  const double shrink = problem.ridge / problem.parts.mu_star2 * psi2;
  const double a = shrink + 1, b = psi2 * zeta2 - zeta2 - shrink - 1;
  const double root = std::sqrt(b * b + 4 * psi2 * zeta2 * a);
  const double omega = b > 0 ? -(root + b) / (2 * a) : -2 * psi2 * zeta2 / (root - b), square = omega * omega;
  const double delta = (psi2 - 1) * square * omega + (1 - 3 * psi2) * square + 3 * psi2 * omega - psi2;
  return {omega, (psi2 * omega - psi2) / delta, (square * omega - square) / delta};
}

/// The equivalent's nu_2 where D1(nu_2) = ratio.
double interpolation_nu(const ActivationParts& parts, double ratio) {
  return parts.mu_star2 / inverse_degrees(ratio, parts.zeta2());
}

}  // namespace

ActivationParts activation_parts(const Activation& activation) {
  const std::vector<double> hermite = hermite_coefficients(activation, 1.0, 1);
  const double square = single_moments(activation, 1.0).square;
  const ActivationParts parts{hermite[0], hermite[1], square - hermite[0] * hermite[0] - hermite[1] * hermite[1]};
  if (parts.mu_star2 > 1e-14 * square) return parts;
  throw RecipeError("activation = \"" + to_string(activation) +
                    "\": random features of an affine activation are linear in x (mu_star = 0, zeta infinite); use the "
                    "law linear-regression, or an activation that is not affine");
}

MeiMontanariRisk mei_montanari_risk(const MeiMontanariProblem& problem) {
  require_valid(problem);
  if (std::isinf(problem.features_ratio)) return wide_risk(problem);
  const double p1 = problem.features_ratio, p2 = problem.examples_ratio, z2 = problem.parts.zeta2(), z4 = z2 * z2;
  const double x = chi_of(problem), x2 = x * x, x3 = x2 * x, x4 = x2 * x2, x5 = x4 * x, z6 = z4 * z2, p12 = p1 * p2;
  const double e0 = -x5 * z6 + 3 * x4 * z4 + (p12 - p2 - p1 + 1) * x3 * z6 - 2 * x3 * z4 - 3 * x3 * z2 +
                    (p1 + p2 - 3 * p12 + 1) * x2 * z4 + 2 * x2 * z2 + x2 + 3 * p12 * x * z2 - p12;
  const double e1 = p2 * x3 * z4 - p2 * x2 * z2 + p12 * x * z2 - p12;
  const double e2 =
      x5 * z6 - 3 * x4 * z4 + (p1 - 1) * x3 * z6 + 2 * x3 * z4 + 3 * x3 * z2 + (-p1 - 1) * x2 * z4 - 2 * x2 * z2 - x2;
  return {x, e1 / e0, e2 / e0};
}

double best_wide_ridge(const ActivationParts& parts, double examples_ratio, double signal_to_noise) {
  if (!(signal_to_noise > 0))
    throw RecipeError("signal-to-noise ratio = " + std::to_string(signal_to_noise) +
                      ": must be positive; without a signal the best ridge is infinite");
  return parts.mu_star2 * std::max(0.0, (parts.zeta2() / signal_to_noise - 1) / examples_ratio);
}

double critical_signal_to_noise(const ActivationParts& parts) { return parts.zeta2(); }

ThresholdGrowth threshold_growth(const ActivationParts& parts, double ratio) {
  // nu_1 / nu_2 -> sqrt(lambda / nu), so that upsilon -> 1 - 2 sqrt(lambda / nu) in the deterministic equivalent
  const double nu = interpolation_nu(parts, ratio), s = parts.mu1 * parts.mu1, pole = s + nu;
  const double df2 = s * s / (pole * pole), t12 = s / (pole * pole) + parts.mu_star2 / (nu * nu);
  const double signal = nu * nu * (1 + t12 / (ratio - df2) * s) / (pole * pole);
  const double variance = 0.5 * std::sqrt(nu);
  return {signal * variance, variance};
}

FeatureRegression mei_montanari_equivalent(const MeiMontanariProblem& problem, double linear, double nonlinear,
                                           double noise_variance) {
  require_valid(problem);
  FeatureRegression regression;
  regression.spectrum.groups = {{problem.parts.mu1 * problem.parts.mu1, 1, linear}};
  regression.spectrum.tail_trace = problem.parts.mu_star2;
  regression.spectrum.tail_power = nonlinear;
  regression.examples = problem.examples_ratio;
  regression.features = problem.features_ratio;
  regression.ridge = problem.examples_ratio * problem.ridge;
  regression.noise_variance = noise_variance;
  return regression;
}

FeatureSpectrum features_spectrum(const Activation& activation, Index dimension,
                                  const std::vector<double>& target_power, int degrees) {
  return with_target(activation_spectrum(activation, dimension, degrees), target_power);
}

}  // namespace widelab::theory
