// The coefficients of a lazy window: a parameter and its velocity, moved step by step, are the combinations that the
// coefficients say.
#include "kernels/shared/window_coefficients.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace widelab {
namespace {

constexpr Index kSteps = 40;

UpdateStep<double> step_at(OptimiserKind kind, bool decoupled, double decay, Index t) {
  UpdateRule rule;
  rule.kind = kind;
  rule.decoupled_decay = decoupled;
  return make_update_step<double>(rule, 0.1 / (1 + 0.2 * static_cast<double>(t)), decay, 0.0, t);
}

double gradient_at(Index t) { return std::sin(1.7 * static_cast<double>(t) + 0.3); }

struct Moved {
  double weight = 0.8, velocity = -0.35;
};

/// Step by step.
Moved trajectory(OptimiserKind kind, bool decoupled, double decay) {
  Moved state;
  double none = 0;
  for (Index t = 0; t < kSteps; ++t)
    state.weight +=
        update_increment(step_at(kind, decoupled, decay, t), state.weight, gradient_at(t), 0.0, state.velocity, none);
  return state;
}

/// By the coefficients, as an engine keeps them.
Moved combination(OptimiserKind kind, bool decoupled, double decay) {
  std::vector<WindowShare> shares{first_share(kTermOfWeights), first_share(kTermOfVelocity)};
  for (Index t = 0; t < kSteps; ++t) {
    const UpdateStep<double> step = step_at(kind, decoupled, decay, t);
    for (WindowShare& share : shares) share = moved_share(step, share, 0);
    shares.push_back(moved_share(step, first_share(kTermOfGradients + t), 1));
  }
  const Moved start;
  const WindowStart<double> merged(shares[kTermOfWeights], shares[kTermOfVelocity]);
  Moved out{merged.weight(start.weight, start.velocity), merged.velocity(start.weight, start.velocity)};
  if (kind == OptimiserKind::sgd) out = {merged.weight(start.weight), start.velocity};
  for (Index t = 0; t < kSteps; ++t) {
    const WindowShare& share = shares[static_cast<std::size_t>(kTermOfGradients + t)];
    out.weight += share.weight * gradient_at(t);
    out.velocity += share.velocity * gradient_at(t);
  }
  return out;
}

TEST(WindowCoefficients, CombineToTheParameterAndItsVelocity) {
  for (const OptimiserKind kind : {OptimiserKind::sgd, OptimiserKind::heavy_ball})
    for (const bool decoupled : {false, true})
      for (const double decay : {0.0, 0.3}) {
        const Moved stepwise = trajectory(kind, decoupled, decay), merged = combination(kind, decoupled, decay);
        EXPECT_NEAR(merged.weight, stepwise.weight, 1e-14);
        EXPECT_NEAR(merged.velocity, stepwise.velocity, 1e-14);
      }
}

TEST(WindowCoefficients, ADecayOffByAMillionthIsSeen) {
  const OptimiserKind kind = OptimiserKind::heavy_ball;
  EXPECT_GT(std::abs(combination(kind, false, 0.3 * (1 + 1e-6)).weight - trajectory(kind, false, 0.3).weight), 1e-10);
}

TEST(WindowCoefficients, StartAsTheTermsThemselves) {
  const WindowStart<float> start(first_share(kTermOfWeights), first_share(kTermOfVelocity));
  EXPECT_TRUE(start.is_identity());
  EXPECT_EQ(first_share(kTermOfGradients).weight, 0);
  EXPECT_EQ(first_share(kTermOfGradients).velocity, 0);
}

TEST(WindowCoefficients, KeepADecayBelowAnUlpOfOne) {
  // c = 1 - 1e-9 is 1 in fp32; its change is not 0.
  const WindowStart<float> start({1 - 1e-9, 0}, first_share(kTermOfVelocity));
  EXPECT_NEAR(static_cast<double>(start.change), -1e-9, 1e-15);
}

TEST(WindowCoefficients, APayingWindowHasAtMostHalfOfTheArithmetic) {
  EXPECT_TRUE(window_pays(64, 64, 4, 8));
  EXPECT_FALSE(window_pays(64, 64, 4, 9));
  EXPECT_FALSE(window_pays(64, 64, 4, 1));
  EXPECT_FALSE(window_pays(1, 4096, 1, 2));
}

}  // namespace
}  // namespace widelab
