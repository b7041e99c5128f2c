// Random features in the proportional limit and at finite dimension: references, the deterministic equivalent, growth
// at the threshold, planted faults.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "host/theory/mei_montanari.hpp"
#include "host/theory/ridge_convention.hpp"
#include "tests/unit/regression_golden.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/math/activation_names.hpp"

namespace widelab {
namespace {

using namespace theory;

constexpr double kReference = 1e-9, kInfinite = std::numeric_limits<double>::infinity();

void expect_relative(double measured, double expected, double tolerance) {
  EXPECT_NEAR(measured, expected, tolerance * std::abs(expected));
}

MeiMontanariProblem relu(double psi1, double psi2, double ridge) {
  return {activation_parts(Relu{}), psi1, psi2, ridge};
}

TEST(MeiMontanari, ReluPartsAreKnown) {
  constexpr double kPi = 3.141592653589793;
  const ActivationParts parts = activation_parts(Relu{});
  expect_relative(parts.mu0, 1 / std::sqrt(2 * kPi), 1e-15);
  expect_relative(parts.mu1, 0.5, 1e-15);
  expect_relative(parts.mu_star2, (kPi - 2) / (4 * kPi), 1e-14);
  expect_relative(parts.zeta2(), kPi / (kPi - 2), 1e-14);
  expect_relative(critical_signal_to_noise(parts), 2.7519384, 1e-7);
  EXPECT_THROW(activation_parts(Identity{}), RecipeError);
  EXPECT_THROW(activation_parts(parse_activation("hermite-series(1,2)")), RecipeError);
}

TEST(MeiMontanari, ReluEqualsTheReferences) {
  for (const test::MeiMontanariValue& row : test::kMeiMontanariRelu) {
    const MeiMontanariRisk risk = mei_montanari_risk(relu(row.features_ratio, row.examples_ratio, row.ridge));
    expect_relative(risk.chi, row.chi, kReference);
    expect_relative(risk.bias, row.bias, kReference);
    expect_relative(risk.variance, row.variance, kReference);
  }
}

TEST(MeiMontanari, SpotValuesHold) {
  const auto expect = [](double psi1, double ridge, double chi, double bias, double variance) {
    const MeiMontanariRisk risk = mei_montanari_risk(relu(psi1, 3, ridge));
    if (chi < 0) expect_relative(risk.chi, chi, kReference);
    expect_relative(risk.bias, bias, kReference);
    expect_relative(risk.variance, variance, kReference);
  };
  expect(3, 1e-4, -2.0118126402112906, 1.589507778113148, 9.96401180376241);
  expect(3, 1e-8, 0, 149.1724418544694, 1028.671734151522);
  expect(6, 0, -2.1448737756076603, 0.17262693435264803, 1.3223087222597787);
  expect(6, 0.1, 0, 0.25006673830156007, 0.16307143430224966);
}

TEST(MeiMontanari, WideLimitEqualsTheReferencesAndIsALimit) {
  for (const test::WideLimitValue& row : test::kMeiMontanariWideRelu) {
    const MeiMontanariRisk risk = mei_montanari_risk(relu(kInfinite, row.examples_ratio, row.ridge));
    expect_relative(risk.bias, row.bias, kReference);
    expect_relative(risk.variance, row.variance, kReference);
    const MeiMontanariRisk wide = mei_montanari_risk(relu(1e7, row.examples_ratio, row.ridge));
    EXPECT_NEAR(wide.bias, risk.bias, 2e-6);
    EXPECT_NEAR(wide.variance, risk.variance, 2e-6);
  }
}

TEST(MeiMontanari, TheCurveAtThreeExamplesPerDimensionIsTheKnownOne) {
  const std::vector<double> psi1{.5, 1.5, 2.4, 3.6, 6, 12, 60};
  const std::vector<double> ridgeless{.8600, .8695, 1.9319, 2.0827, .5032, .2400, .1291};
  const std::vector<double> regularised{.8046, .5136, .4080, .3436, .2908, .2513, .2201};
  for (std::size_t i = 0; i < psi1.size(); ++i) {
    EXPECT_NEAR(mei_montanari_risk(relu(psi1[i], 3, 0)).excess(1, 0, .25), ridgeless[i], 5.1e-5);
    EXPECT_NEAR(mei_montanari_risk(relu(psi1[i], 3, 0.1)).excess(1, 0, .25), regularised[i], 5.1e-5);
  }
}

/// What a planted fault may change in the equivalent of one problem.
using Fault = std::function<void(FeatureRegression&)>;

/// Largest distance between the polynomials and the deterministic equivalent, relative to the risk, over activations
/// and sizes on both sides of the threshold.
double worst_distance(const Fault& fault = [](FeatureRegression&) {}) {
  double worst = 0;
  for (const char* name : {"relu", "tanh", "erf", "gelu", "quadratic", "leaky-relu(0.2)"}) {
    for (const double psi1 : {0.5, 2.0, 3.5, 20.0}) {
      for (const double ridge : {0.0, 1e-4, 0.05, 2.0}) {
        const MeiMontanariProblem problem{activation_parts(parse_activation(name)), psi1, 3, ridge};
        const MeiMontanariRisk limit = mei_montanari_risk(problem);
        FeatureRegression regression = mei_montanari_equivalent(problem, 1, 0.3, 0.25);
        fault(regression);
        const double excess = limit.excess(1, 0.3, 0.25);
        worst = std::max(worst, std::abs(regression_risk(regression).excess / excess - 1));
      }
    }
  }
  return worst;
}

TEST(MeiMontanari, PolynomialsEqualTheDeterministicEquivalent) { EXPECT_LT(worst_distance(), 1e-11); }

TEST(MeiMontanari, PlantedFaultsAreNoticed) {
  EXPECT_GT(worst_distance([](FeatureRegression& r) { r.noise_variance *= 2; }), 0.1);
  EXPECT_GT(worst_distance([](FeatureRegression& r) { r.ridge /= r.examples; }), 0.1);  // mean instead of sum
  EXPECT_GT(worst_distance([](FeatureRegression& r) { r.ridge *= r.features; }), 0.1);  // sum instead of per feature
  EXPECT_GT(worst_distance([](FeatureRegression& r) { r.spectrum.tail_power = 0; }), 0.1);
  EXPECT_GT(worst_distance([](FeatureRegression& r) { std::swap(r.features, r.examples); }), 0.1);
}

TEST(MeiMontanari, RidgeMapsThroughTheConventions) {
  const double dimension = 100, ridge = 0.02;
  const RegressionSize size{600, 300, dimension};
  const double lambda_u = sum_ridge(RidgeConvention::mei_montanari, ridge, size);
  expect_relative(lambda_u, 300 * 600 * ridge / dimension, 1e-15);
  expect_relative(ridge_in(RidgeConvention::per_feature, lambda_u, size),
                  mei_montanari_equivalent(relu(6, 3, ridge), 1, 0, 0).ridge, 1e-14);
}

TEST(MeiMontanari, TheWideOptimumIsAMinimumBelowTheCriticalRatio) {
  const ActivationParts parts = activation_parts(Relu{});
  for (const double psi2 : {0.5, 3.0}) {
    const double noise = 1.0;  // signal-to-noise 1, below zeta^2 = 2.75
    const auto excess = [&](double ridge, double noise_variance) {
      return mei_montanari_risk(relu(kInfinite, psi2, ridge)).excess(1, 0, noise_variance);
    };
    const double best = best_wide_ridge(parts, psi2, 1 / noise);
    for (const double factor : {0.9, 0.99, 1.01, 1.1}) EXPECT_GT(excess(factor * best, noise), excess(best, noise));
    // on either side of the critical ratio the least norm is the best choice, or not
    const double critical = critical_signal_to_noise(parts);
    EXPECT_EQ(best_wide_ridge(parts, psi2, critical), 0);
    EXPECT_GT(excess(1e-4, 0.9 / critical), excess(0, 0.9 / critical));
    EXPECT_LT(excess(1e-4, 1.1 / critical), excess(0, 1.1 / critical));
  }
}

TEST(MeiMontanari, ThePeakGrowsLikeTheInverseRootOfTheRidge) {
  const ActivationParts parts = activation_parts(Relu{});
  EXPECT_NEAR(threshold_growth(parts, 1).variance, 0.22518, 5e-6);
  EXPECT_NEAR(threshold_growth(parts, 3).variance, 0.10290, 5e-6);
  EXPECT_NEAR(threshold_growth(parts, 10).variance, 0.05012, 1e-5);
  for (const double psi : {1.0, 3.0, 10.0}) {
    const ThresholdGrowth growth = threshold_growth(parts, psi);
    const double ridge = 1e-9;
    const RegressionRisk peak = regression_risk(mei_montanari_equivalent(relu(psi, psi, ridge), 1, 0, 1));
    EXPECT_NEAR(peak.variance * std::sqrt(ridge) / growth.variance, 1, 1e-3);
    EXPECT_NEAR(peak.bias * std::sqrt(ridge) / growth.bias, 1, 1e-3);
  }
}

TEST(MeiMontanari, ImpossibleProblemsAreRefused) {
  EXPECT_THROW(mei_montanari_risk(relu(3, 3, 0)), RecipeError);
  EXPECT_THROW(mei_montanari_risk(relu(0, 3, 0.1)), RecipeError);
  EXPECT_THROW(mei_montanari_risk(relu(2, kInfinite, 0.1)), RecipeError);
  EXPECT_THROW(mei_montanari_risk(relu(2, 3, -1)), RecipeError);
  EXPECT_THROW(best_wide_ridge(activation_parts(Relu{}), 3, 0), RecipeError);
}

/// Random ReLU features at d, n = 3d, N = psi_1 d, F1^2 = 1, tau^2 = 0.25, ridge in the paper's convention.
RegressionRisk finite(Index dimension, double psi1, double ridge) {
  const auto d = static_cast<double>(dimension);
  FeatureRegression regression;
  regression.spectrum = features_spectrum(Relu{}, dimension, {0, 1}, 24);
  regression.examples = 3 * d;
  regression.features = psi1 * d;
  regression.ridge = regression.examples * ridge / d;
  regression.noise_variance = 0.25;
  return regression_risk(regression);
}

TEST(RandomFeatures, FiniteDimensionsEqualAnIndependentEvaluation) {
  const auto expect = [](Index d, double psi1, double ridge, double bias, double variance, double train, double norm) {
    const RegressionRisk risk = finite(d, psi1, ridge);
    EXPECT_NEAR(risk.bias, bias, 5.1e-6);
    EXPECT_NEAR(risk.variance, variance, 5.1e-6);
    EXPECT_NEAR(risk.train, train, 5.1e-6);
    EXPECT_NEAR(risk.norm2 / static_cast<double>(d), norm, 5.1e-6);  // (N/d) |a|^2
  };
  expect(100, 3, 1e-4, 1.52093, 2.45249, 0.00965, 94.19495);
  expect(100, 6, 1e-4, 0.16642, 0.33761, 0.00002, 18.74741);
  expect(100, 1.5, 1e-4, 0.61436, 0.24822, 0.27914, 7.82447);
  expect(200, 0.5, 1e-4, 0.81253, 0.04997, 0.77264, 0.88659);
  expect(200, 0.5, 0.1, 0.77526, 0.03239, 0.78646, 0.56313);
  const RiskTerms terms = finite(100, 6, 1e-4).terms;
  EXPECT_NEAR(terms.bias2, 0.01999, 5.1e-6);
  EXPECT_NEAR(terms.bias2 + terms.features, 0.07080, 5.1e-6);
  EXPECT_NEAR(terms.bias2 + terms.data, 0.02745, 5.1e-6);
  EXPECT_NEAR(terms.data_noise, 0.09327, 5.1e-6);
}

TEST(RandomFeatures, FiniteDimensionsTendToTheLimitLikeOneOverD) {
  for (const double psi1 : {1.0, 6.0}) {
    const double limit = mei_montanari_risk(relu(psi1, 3, 1e-3)).excess(1, 0, 0.25);
    const double at_1000 = finite(1000, psi1, 1e-3).excess / limit - 1,
                 at_4000 = finite(4000, psi1, 1e-3).excess / limit - 1;
    EXPECT_LT(std::abs(at_4000), 1e-3);
    EXPECT_NEAR(at_1000 / at_4000, 4, 0.05);
  }
}

TEST(RandomFeatures, OneMultiplicityOffByOneIsNoticed) {
  FeatureRegression regression;
  regression.spectrum = features_spectrum(Relu{}, 100, {0, 1}, 24);
  regression.examples = 300;
  regression.features = 600;
  regression.ridge = 3e-4;
  regression.noise_variance = 0.25;
  EXPECT_NEAR(regression_risk(regression).bias, 0.16642, 5.1e-6);
  regression.spectrum.groups[1].multiplicity += 1;
  EXPECT_GT(std::abs(regression_risk(regression).bias - 0.16642), 5.1e-5);
}

}  // namespace
}  // namespace widelab
