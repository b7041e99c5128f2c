// The verification grid of least squares, first half: linear models, and random ReLU features at d = 100 and 200,
// against the deterministic equivalent at their own finite sizes. Rules: tests/validation/regression_grid.hpp.
#include "tests/validation/regression_grid.hpp"

namespace widelab::experiments::grid {
namespace {

RegressionRecipe linear(Index dimension) {
  RegressionRecipe recipe = test::linear_model(dimension, 400);
  recipe.convention = theory::RidgeConvention::mean;
  recipe.ridges = {0, 0.01, 0.1, 1};
  recipe.times = {1, 10};
  return recipe;
}

TEST(RegressionGrid, RejectsSwappedConventionsAndDoubledNoise) {
  for (const RegressionRecipe& recipe : {linear(320), relu_features(100, {0.1})}) expect_faults_rejected(recipe);
}

}  // namespace

std::vector<Case> cells() {
  std::vector<Case> out;
  for (const Index dimension : {40, 200, 320, 500, 800})
    out.push_back(regression_case("linear, d = " + std::to_string(dimension), linear(dimension)));
  for (const Index dimension : {100, 200})
    out.push_back(regression_case("random features, d = " + std::to_string(dimension),
                                  relu_features(dimension, {1e-4, 1e-2, 0.1})));
  return out;
}

}  // namespace widelab::experiments::grid
