// Feature regressions against the deterministic equivalent at finite dimension and against exact finite-size means.
//
// Statistics. Every number of the crossed design (six products of errors, training error, norm) has a mean over
// replicates; all of a scene are judged together by estimators::joint_test, max|z| against its bootstrap law and chi^2:
// a scene is rejected by chance with probability kAlpha. Seeds are fixed.
// Finite size. The equivalent has a relative error of the order of 1/d: less than 0.5/d at a ridge of 0.1, below the
// noise of the scene at d = 50, and up to about 2/d near-ridgeless, where the comparison allows 3/d beside the noise.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string>
#include <vector>

#include "host/estimators/significance.hpp"
#include "host/theory/mei_montanari.hpp"
#include "tests/validation/regression_draws.hpp"

namespace widelab::experiments {
namespace {

using test::predictions;

constexpr double kAlpha = 1e-3;

struct Scene {
  RegressionCell cell;
  Samples samples;
};

Scene measured(RegressionRecipe recipe, Index replicates) {
  Scene scene;
  scene.cell = test::regression_cell(std::move(recipe), 11, "scene");
  scene.samples = test::draw(scene.cell, replicates);
  return scene;
}

/// All numbers with a prediction that is not 0, judged together.
estimators::JointVerdict verdict(const Scene& scene, const std::vector<double>& predicted) {
  return test::judge_together(scene.samples, predicted, 17);
}

std::string shown(const estimators::JointVerdict& v) {
  return "max|z| " + std::to_string(v.max_z) + " (p " + std::to_string(v.max_z_p) + "), chi^2 " +
         std::to_string(v.chi2) + " for " + std::to_string(v.dof) + " (p " + std::to_string(v.chi2_p) + ") " + v.status;
}

void expect_consistent(const Scene& scene, const RegressionRecipe& recipe) {
  const estimators::JointVerdict v = verdict(scene, predictions(recipe));
  EXPECT_TRUE(v.consistent(kAlpha)) << shown(v);
}

void expect_rejected(const Scene& scene, const RegressionRecipe& faulty, const char* fault) {
  const estimators::JointVerdict v = verdict(scene, predictions(faulty));
  EXPECT_FALSE(v.consistent(kAlpha)) << fault << ": " << shown(v);
}

/// Random ReLU features at n = 2 d, a linear and a quadratic part.
RegressionRecipe relu_features(Index d, std::vector<double> ridges) {
  RegressionRecipe recipe = test::relu_features(d, 2 * d, {3 * d / 10, d / 2, d, 2 * d, 5 * d}, std::move(ridges));
  recipe.target_power = {0, 0.8, 0.2};
  return recipe;
}

/// Predictions with that multiplicity of degree 1, where d = 50 has 50; a scene of one ridge.
std::vector<double> with_linear_multiplicity(const RegressionRecipe& recipe, double multiplicity) {
  std::vector<double> out = predictions(recipe);
  for (std::size_t s = 0; s < recipe.sizes.size(); ++s) {
    theory::FeatureRegression problem;
    problem.spectrum = theory::features_spectrum(recipe.activation, recipe.dimension, recipe.target_power, 24);
    for (theory::FeatureSpectrum::Group& group : problem.spectrum.groups)
      if (group.multiplicity == static_cast<double>(recipe.dimension)) group.multiplicity = multiplicity;
    problem.examples = static_cast<double>(recipe.examples);
    problem.features = static_cast<double>(recipe.sizes[s]);
    problem.ridge = recipe.sum_ridge(s, 0) / problem.features;
    problem.noise_variance = recipe.noise_variance;
    const theory::RegressionRisk risk = theory::regression_risk(problem);
    const theory::RiskTerms& terms = risk.terms;
    const double row[] = {risk.bias,
                          risk.variance,
                          terms.bias2 + terms.data,
                          terms.data_noise,
                          terms.bias2 + terms.features,
                          terms.bias2,
                          risk.train,
                          risk.norm2};
    std::copy(std::begin(row), std::end(row), out.begin() + static_cast<std::ptrdiff_t>(s * kRiskNumbers));
  }
  return out;
}

/// Numbers that differ from their prediction by more than 3/d of it beside the noise, which by chance any one of them
/// does with probability kAlpha.
Index beyond_bound(const Scene& scene, const RegressionRecipe& recipe) {
  const std::vector<double> predicted = predictions(recipe);
  const double z = estimators::z_threshold(kAlpha, static_cast<Index>(predicted.size()));
  Index beyond = 0;
  for (std::size_t k = 0; k < predicted.size(); ++k) {
    if (!std::isfinite(predicted[k])) continue;
    const estimators::Estimate mean = scene.samples.mean(static_cast<Index>(k));
    const double allowed = z * mean.se + 3 / static_cast<double>(recipe.dimension) * predicted[k];
    if (!(std::fabs(mean.value - predicted[k]) <= allowed)) ++beyond;
  }
  return beyond;
}

RegressionRecipe isotropic(Index dimension) {
  RegressionRecipe recipe = test::linear_model(dimension, 40);
  recipe.ridges = {0};
  return recipe;
}

TEST(DoubleDescent, RandomFeaturesAgreeWithTheEquivalentAtFiniteDimension) {
  const RegressionRecipe recipe = relu_features(50, {0.1});
  const Scene scene = measured(recipe, 160);
  expect_consistent(scene, recipe);
  RegressionRecipe swapped = recipe, noisy = recipe;
  swapped.convention = theory::RidgeConvention::mean;
  expect_rejected(scene, swapped, "ridge convention swapped");
  noisy.noise_variance *= 2;
  expect_rejected(scene, noisy, "noise variance doubled");
  const estimators::JointVerdict shifted = verdict(scene, with_linear_multiplicity(recipe, 51));
  EXPECT_FALSE(shifted.consistent(kAlpha)) << "multiplicity off by one: " << shown(shifted);
  const estimators::JointVerdict right = verdict(scene, with_linear_multiplicity(recipe, 50));
  EXPECT_TRUE(right.consistent(kAlpha)) << shown(right);
}

TEST(DoubleDescent, NearRidgelessFeaturesAndTheirFlowStayWithinTheFiniteSizeBound) {
  RegressionRecipe recipe = relu_features(20, {1e-3});
  recipe.times = {10, 300};
  const Scene scene = measured(recipe, 200);
  EXPECT_EQ(beyond_bound(scene, recipe), 0);
  RegressionRecipe swapped = recipe, noisy = recipe, late = recipe;
  swapped.convention = theory::RidgeConvention::per_feature;
  noisy.noise_variance *= 2;
  late.times = {20, 600};  // the loss taken with a factor 1/2
  EXPECT_GT(beyond_bound(scene, swapped), 0);
  EXPECT_GT(beyond_bound(scene, noisy), 0);
  EXPECT_GT(beyond_bound(scene, late), 0);
}

TEST(DoubleDescent, LeastNormLinearModelsHaveTheExactFiniteMeans) {
  for (const Index dimension : {30, 56}) {
    const RegressionRecipe recipe = isotropic(dimension);
    const Scene scene = measured(recipe, 1000);
    expect_consistent(scene, recipe);
    RegressionRecipe noisy = recipe;
    noisy.noise_variance *= 2;
    expect_rejected(scene, noisy, "noise variance doubled");
    expect_rejected(scene, isotropic(dimension + 1), "one coordinate more");
  }
}

TEST(DoubleDescent, TwoScalesDescendTwiceInTime) {
  const RegressionRecipe recipe = test::two_scales();
  const Scene scene = measured(recipe, 40);
  expect_consistent(scene, recipe);
  RegressionRecipe late = recipe;
  late.times = {2, 20, 600, 6000};
  expect_rejected(scene, late, "the loss taken with a factor 1/2");
  std::vector<double> risk;
  for (std::size_t f = 0; f < recipe.filters(); ++f)
    risk.push_back(scene.samples.mean(scene.cell.number(0, f, RiskNumber::signal)).value +
                   scene.samples.mean(scene.cell.number(0, f, RiskNumber::noise)).value);
  EXPECT_GT(risk[1], 1.2 * risk[0]);
  EXPECT_LT(risk[2], 0.9 * risk[1]);
  EXPECT_GT(risk[3], 1.5 * risk[2]);
}

}  // namespace
}  // namespace widelab::experiments
