// Isotropic linear regression and the ridge conventions: references, limits, other algorithms, planted faults.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "host/theory/deterministic_equivalent.hpp"
#include "host/theory/isotropic_regression.hpp"
#include "host/theory/ridge_convention.hpp"
#include "tests/unit/regression_golden.hpp"
#include "widelab/base/errors.hpp"

namespace widelab {
namespace {

using namespace theory;

constexpr double kReference = 1e-9;  // of the references themselves

void expect_relative(double measured, double expected, double tolerance) {
  EXPECT_NEAR(measured, expected, tolerance * std::abs(expected));
}

IsotropicRegression at_aspect(double aspect) { return {aspect, 1.0, 0.25}; }

TEST(Isotropic, RidgeEqualsTheReferences) {
  for (const test::IsotropicRidge& row : test::kIsotropicRidge) {
    const IsotropicRisk risk = isotropic_risk(at_aspect(row.aspect), row.ridge);
    expect_relative(isotropic_stieltjes(row.aspect, row.ridge), row.stieltjes, kReference);
    expect_relative(risk.bias, row.bias, kReference);
    expect_relative(risk.variance, row.variance, kReference);
  }
}

TEST(Isotropic, LeastNormEqualsTheReferences) {
  for (const test::IsotropicRidgeless& row : test::kIsotropicRidgeless) {
    const IsotropicRisk risk = isotropic_risk(at_aspect(row.aspect), 0);
    expect_relative(risk.bias, row.bias, kReference);
    expect_relative(risk.variance, row.variance, kReference);
  }
  EXPECT_THROW(isotropic_risk(at_aspect(1), 0), RecipeError);
}

TEST(Isotropic, FiniteSizesEqualTheReferences) {
  for (const test::IsotropicFinite& row : test::kIsotropicFinite) {
    const auto n = static_cast<Index>(row.examples), p = static_cast<Index>(row.dimension);
    const IsotropicRisk risk = isotropic_finite_risk(n, p, 1.0, 0.25);
    expect_relative(risk.bias, row.bias, kReference);
    expect_relative(risk.variance, row.variance, kReference);
  }
}

TEST(Isotropic, TheMeanIsRefusedWhereItIsInfinite) {
  for (const Index p : {49, 50, 51}) {
    try {
      isotropic_finite_risk(50, p, 1, 0.25);
      ADD_FAILURE() << p;
    } catch (const RecipeError& error) {
      EXPECT_NE(std::string(error.what()).find("infinite"), std::string::npos);
    }
  }
  EXPECT_NO_THROW(isotropic_finite_risk(50, 48, 1, 0.25));
  EXPECT_NO_THROW(isotropic_finite_risk(50, 52, 1, 0.25));
}

TEST(Isotropic, FiniteSizesTendToTheLimit) {
  for (const Index p : {500000, 2000000}) {
    const double aspect = static_cast<double>(p) / 1e6;
    const IsotropicRisk finite = isotropic_finite_risk(1000000, p, 1, 0.25);
    const IsotropicRisk limit = isotropic_risk(at_aspect(aspect), 0);
    expect_relative(finite.excess(), limit.excess(), 5e-6);
  }
}

TEST(Isotropic, FlowEqualsTheReferences) {
  for (const test::IsotropicFlow& row : test::kIsotropicFlow) {
    const IsotropicRisk risk = isotropic_flow_risk(at_aspect(row.aspect), row.time);
    expect_relative(risk.bias, row.bias, kReference);
    expect_relative(risk.variance, row.variance, kReference);
  }
}

TEST(Isotropic, FlowStartsAtZeroAndEndsAtLeastNorm) {
  for (const double aspect : {0.3, 3.0}) {
    const IsotropicRisk start = isotropic_flow_risk(at_aspect(aspect), 0);
    expect_relative(start.bias, 1, 1e-14);
    EXPECT_EQ(start.variance, 0);
    const IsotropicRisk late = isotropic_flow_risk(at_aspect(aspect), 1e5);
    const IsotropicRisk end = isotropic_flow_risk(at_aspect(aspect), std::numeric_limits<double>::infinity());
    EXPECT_NEAR(late.bias, end.bias, 1e-13);
    expect_relative(late.variance, end.variance, 1e-12);
    EXPECT_EQ(end.excess(), isotropic_risk(at_aspect(aspect), 0).excess());
  }
  // at aspect 1 the density behaves like s^(-1/2) / pi: what is left falls like (2 pi t)^(-1/2)
  for (const double time : {1e4, 1e8}) {
    const double left = isotropic_flow_risk(at_aspect(1), time).bias;
    expect_relative(left * std::sqrt(2 * 3.141592653589793 * time), 1, 1 / time);
  }
}

TEST(Isotropic, TheBestRidgeIsAMinimum) {
  for (const double aspect : {0.5, 1.0, 2.5}) {
    const IsotropicRegression problem = at_aspect(aspect);
    const double best = isotropic_best_ridge(problem), least = isotropic_risk(problem, best).excess();
    expect_relative(best, 0.25 * aspect, 1e-15);
    expect_relative(least, 0.25 * aspect * isotropic_stieltjes(aspect, best), 1e-13);
    for (const double factor : {0.9, 0.999, 1.001, 1.1})
      EXPECT_GT(isotropic_risk(problem, factor * best).excess(), least);
  }
  EXPECT_THROW(isotropic_best_ridge({1, 0, 0.25}), RecipeError);
}

/// Linear regression as kernel regression with p equal eigenvalues 1.
FeatureRegression equivalent(double examples, double dimension, double ridge, double noise) {
  FeatureRegression regression;
  regression.spectrum.groups = {{1.0, dimension, 1.0}};
  regression.examples = examples;
  regression.ridge = ridge;
  regression.noise_variance = noise;
  return regression;
}

/// Largest relative distance of the equivalent's bias and variance from the closed form, with the equivalent's ridge
/// read in `convention` and its noise multiplied by `noise_factor`.
double worst_distance(RidgeConvention convention, double noise_factor) {
  double worst = 0;
  const double n = 400;
  for (const double p : {100.0, 400.0, 1000.0}) {
    for (const double ridge : {1e-3, 0.1, 2.0}) {
      const double lambda_u = sum_ridge(convention, ridge, {p, n, p});
      const RegressionRisk measured = regression_risk(equivalent(n, p, lambda_u, 0.25 * noise_factor));
      const IsotropicRisk expected = isotropic_risk(at_aspect(p / n), ridge);
      worst = std::max(
          {worst, std::abs(measured.bias / expected.bias - 1), std::abs(measured.variance / expected.variance - 1)});
    }
  }
  return worst;
}

TEST(Isotropic, EqualsTheDeterministicEquivalentOfAFlatSpectrum) {
  EXPECT_LT(worst_distance(RidgeConvention::mean, 1), 1e-11);
  EXPECT_LT(worst_distance(RidgeConvention::mei_montanari, 1), 1e-11);  // the same where d = N
}

TEST(Isotropic, ASwappedConventionOrDoubledNoiseIsNoticed) {
  EXPECT_GT(worst_distance(RidgeConvention::sum, 1), 0.1);
  EXPECT_GT(worst_distance(RidgeConvention::per_feature, 1), 0.1);
  EXPECT_GT(worst_distance(RidgeConvention::mean, 2), 0.9);
}

TEST(Isotropic, FlowEqualsTheEquivalentsContour) {
  for (const double p : {100.0, 1000.0}) {
    for (const double time : {0.5, 20.0}) {
      const FlowRisk contour = gradient_flow_risk(equivalent(400, p, 0, 0.25), time);
      const IsotropicRisk integral = isotropic_flow_risk(at_aspect(p / 400), time);
      EXPECT_NEAR(contour.signal, integral.bias, 1e-10);
      EXPECT_NEAR(contour.noise, integral.variance, 1e-10);
    }
  }
}

TEST(RidgeConvention, EachIsItsFactorTimesTheSum) {
  const RegressionSize size{200, 50, 20};  // N, n, d
  EXPECT_EQ(sum_ridge(RidgeConvention::sum, 0.3, size), 0.3);
  EXPECT_EQ(sum_ridge(RidgeConvention::per_feature, 0.3, size), 0.3 * 200);
  EXPECT_EQ(sum_ridge(RidgeConvention::mean, 0.3, size), 0.3 * 50);
  EXPECT_EQ(sum_ridge(RidgeConvention::mei_montanari, 0.3, size), 0.3 * 500);  // n N / d
  for (const RidgeConvention convention :
       {RidgeConvention::sum, RidgeConvention::per_feature, RidgeConvention::mean, RidgeConvention::mei_montanari})
    expect_relative(ridge_in(convention, sum_ridge(convention, 0.7, size), size), 0.7, 1e-15);
  EXPECT_EQ(ridge_convention_names().at(static_cast<std::size_t>(RidgeConvention::mei_montanari)), "mei-montanari");
}

TEST(RidgeConvention, SizesThatAConventionCannotUseAreRefused) {
  const double infinite = std::numeric_limits<double>::infinity();
  EXPECT_EQ(sum_ridge(RidgeConvention::sum, 2, {infinite, 50, 20}), 2);
  EXPECT_THROW(sum_ridge(RidgeConvention::per_feature, 2, {infinite, 50, 20}), RecipeError);
  EXPECT_THROW(ridge_in(RidgeConvention::mei_montanari, 2, {infinite, 50, 20}), RecipeError);
  EXPECT_THROW(ridge_in(RidgeConvention::mean, 2, {100, 0, 20}), RecipeError);
  EXPECT_THROW(sum_ridge(RidgeConvention::mei_montanari, 2, {100, 50, 0}), RecipeError);
  EXPECT_THROW(sum_ridge(RidgeConvention::sum, -1, {}), RecipeError);
  EXPECT_THROW(ridge_in(RidgeConvention::sum, infinite, {}), RecipeError);
  try {
    ridge_in(RidgeConvention::per_feature, 2, {0, 50, 20});
    ADD_FAILURE();
  } catch (const RecipeError& error) {
    EXPECT_NE(std::string(error.what()).find("\"per-feature\" scales with the number of features N"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace widelab
