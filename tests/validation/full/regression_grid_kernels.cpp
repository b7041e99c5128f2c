// The verification grid of least squares, second half: gradient flow, power-law spectra and kernels on the sphere
// against the deterministic equivalent at their own finite sizes. Rules: tests/validation/regression_grid.hpp.
#include <cmath>

#include "tests/validation/regression_grid.hpp"

namespace widelab::experiments::grid {
namespace {

RegressionRecipe relu_flow() {
  RegressionRecipe recipe = relu_features(60, {});
  recipe.sizes = {90, 180, 540};
  recipe.times = {10, 100, 1000, 10000};
  return recipe;
}

/// Gaussian features of eigenvalues k^-1.5, target power k^-1.2.
RegressionRecipe power_law() {
  RegressionRecipe recipe = test::linear_model(400, 150);
  recipe.kind = RegressionKind::projections;
  recipe.sizes = {60, 150, 400};
  recipe.eigenvalues.clear();
  recipe.target_power.clear();
  double power = 0;
  for (int k = 1; k <= 400; ++k) {
    recipe.eigenvalues.push_back(std::pow(k, -1.5));
    recipe.target_power.push_back(std::pow(k, -1.2));
    power += recipe.target_power.back();
  }
  for (double& p : recipe.target_power) p /= power;
  recipe.counts.assign(400, 1);
  recipe.noise_variance = 0.1;
  recipe.convention = theory::RidgeConvention::per_feature;
  recipe.ridges = {0.01, 0.1, 1};
  recipe.times = {3, 300};
  return recipe;
}

StaircaseCell kernel_curve(theory::SphereKernel kernel, double ridge) {
  StaircaseCell cell;
  cell.dimension = 20;
  cell.sizes = {80, 120, 209, 400, 700, 1000};
  cell.examples = 1000;
  cell.kernel = std::move(kernel);
  cell.spectrum = theory::sphere_spectrum(cell.kernel, cell.dimension, 40);
  cell.coefficient = cell.spectrum.eigenvalue;
  cell.ridge = ridge;
  cell.target_power = {0, 0.4, 0.3, 0.2, 0.1};
  cell.noise_variance = 0.2;
  return cell;
}

theory::SphereKernel ntk_with_biases() {
  return theory::network_kernel(test::relu_network(1, 1.0, 20), theory::NetworkKernel::ntk);
}
theory::SphereKernel deep_nngp() {
  return theory::network_kernel(test::relu_network(2, 0.0, 20), theory::NetworkKernel::nngp);
}

TEST(RegressionGrid, RejectsSwappedConventionsAndDoubledNoise) { expect_faults_rejected(power_law()); }

TEST(RegressionGrid, RejectsTwiceTheTime) {
  RegressionRecipe late = relu_flow();
  const Samples flow = regression_case("with a fault", late).draw(kFirstSeed, kRuns);
  for (double& time : late.times) time *= 2;
  expect_rejected(flow, regression_case("with a fault", late), "the loss taken with a factor 1/2");
}

TEST(RegressionGrid, RejectsAMultiplicityOffByOne) {
  // Between the stairs of degrees 1 and 2 the risk is label noise on 1 + B(d, 1) directions.
  StaircaseCell plateau = kernel_curve(theory::inverse_kernel(20), 0.01);
  plateau.sizes = {100, 130, 160};
  plateau.examples = 160;
  plateau.target_power = {0, 1};
  plateau.noise_variance = 1;
  const Samples samples = staircase_case("plateau", plateau).draw(kFirstSeed, 4 * kRuns);
  const Case right = staircase_case("plateau", plateau);
  EXPECT_TRUE(test::judge_together(samples, right.predicted, 1).consistent(kChance));
  plateau.spectrum.multiplicity[1] += 1;
  expect_rejected(samples, staircase_case("plateau", plateau), "B(d, 1) + 1");
}

}  // namespace

std::vector<Case> cells() {
  std::vector<Case> out;
  out.push_back(regression_case("flow of random features", relu_flow()));
  out.push_back(regression_case("flow of two scales", test::two_scales()));
  out.push_back(regression_case("power law", power_law()));
  out.push_back(staircase_case("kernel exp", kernel_curve(theory::exponential_kernel(), 0.01)));
  out.push_back(staircase_case("kernel 1/(1 - t/20)", kernel_curve(theory::inverse_kernel(20), 0.01)));
  out.push_back(staircase_case("ReLU NTK with biases", kernel_curve(ntk_with_biases(), 0.01)));
  out.push_back(staircase_case("ReLU NNGP of two layers", kernel_curve(deep_nngp(), 0.01)));
  return out;
}

}  // namespace widelab::experiments::grid
