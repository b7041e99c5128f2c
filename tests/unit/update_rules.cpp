// Update rules, one parameter at a time, against their formulas written out.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "widelab/math/update_rules.hpp"

namespace {

using namespace widelab;

constexpr double kEps = std::numeric_limits<double>::epsilon();

/// The increment of theta = 2 under g = 1/2, eta = 1/4, lambda = 0 unless said otherwise.
struct Trial {
  UpdateRule rule;
  double rate = 0.25, decay = 0, temperature = 0, theta = 2, gradient = 0.5, draw = 0;
  Index step = 0;
  double v = 0, s = 0;

  explicit Trial(OptimiserKind kind) { rule.kind = kind; }
  double increment() {
    return update_increment(make_update_step<double>(rule, rate, decay, temperature, step), theta, gradient, draw, v,
                            s);
  }
};

TEST(UpdateRules, Descent) { EXPECT_EQ(Trial(OptimiserKind::sgd).increment(), -0.125); }

TEST(UpdateRules, HeavyBallKeepsTheVelocityUnscaled) {
  Trial t(OptimiserKind::heavy_ball);
  t.rule.momentum = 0.5;
  t.v = 4;
  EXPECT_EQ(t.increment(), -0.625);
  EXPECT_EQ(t.v, 2.5);
}

TEST(UpdateRules, NesterovLooksAhead) {
  Trial t(OptimiserKind::nesterov);
  t.rule.momentum = 0.5;
  t.v = 4;
  EXPECT_EQ(t.increment(), -0.25 * (0.5 + 0.5 * 2.5));
  EXPECT_EQ(t.v, 2.5);
}

TEST(UpdateRules, AdamFollowsItsFormulas) {
  for (const Index step : {0, 1, 9, 100000}) {
    Trial t(OptimiserKind::adam);
    t.step = step;
    t.v = 0.3;
    t.s = 0.7;
    const double power = static_cast<double>(step + 1);
    const double v = 0.9 * 0.3 + 0.1 * 0.5, s = 0.999 * 0.7 + 0.001 * 0.25;
    const double expected =
        -0.25 * v / (1 - std::pow(0.9, power)) / (std::sqrt(s / (1 - std::pow(0.999, power))) + 1e-8);
    // 1 - 0.999^t by subtraction loses up to three digits: the tolerance of the comparison, not of the code.
    EXPECT_NEAR(t.increment(), expected, 2000 * kEps * std::abs(expected)) << "step " << step;
    EXPECT_NEAR(t.v, v, 4 * kEps);
    EXPECT_NEAR(t.s, s, 4 * kEps);
  }
}

TEST(UpdateRules, TheFirstStepOfAdamIsTheSign) {
  for (const double g : {3e-5, -3e5}) {
    Trial t(OptimiserKind::adam);
    t.gradient = g;
    EXPECT_NEAR(t.increment(), -0.25 * g / (std::abs(g) + 1e-8), 16 * kEps);
  }
}

TEST(UpdateRules, AdamWithoutMemoryHasNoCorrections) {
  Trial t(OptimiserKind::adam);
  t.rule.beta1 = t.rule.beta2 = 0;
  t.gradient = -3;
  EXPECT_NEAR(t.increment(), 0.25, 1e-8);
}

TEST(UpdateRules, SignOfZeroIsZero) {
  Trial t(OptimiserKind::sign);
  EXPECT_EQ(t.increment(), -0.25);
  t.gradient = -1e-300;
  EXPECT_EQ(t.increment(), 0.25);
  t.gradient = 0;
  EXPECT_EQ(t.increment(), 0);
  t.gradient = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(std::isnan(t.increment()));
}

TEST(UpdateRules, LangevinNoise) {
  Trial ula(OptimiserKind::langevin), sgld(OptimiserKind::sgld);
  ula.draw = sgld.draw = 3;
  ula.temperature = sgld.temperature = 2;
  EXPECT_NEAR(ula.increment(), -0.125 + 1.0 * 3, 8 * kEps);                     // sqrt(2 eta T) = 1
  EXPECT_NEAR(sgld.increment(), -0.0625 + std::sqrt(0.5) * 3, 8 * kEps);        // eta / 2, sqrt(eta T)
  for (const OptimiserKind kind : {OptimiserKind::sgd, OptimiserKind::adam}) {  // others ignore temperature and draw
    Trial t(kind), warm(kind);
    warm.draw = 3;
    warm.temperature = 2;
    EXPECT_EQ(t.increment(), warm.increment());
  }
}

TEST(UpdateRules, CoupledDecayPassesThroughTheRuleAndDecoupledBesideIt) {
  for (const OptimiserKind kind : {OptimiserKind::sgd, OptimiserKind::heavy_ball, OptimiserKind::nesterov,
                                   OptimiserKind::adam, OptimiserKind::sign, OptimiserKind::langevin}) {
    Trial plain(kind), coupled(kind), shifted(kind), decoupled(kind);
    for (Trial* t : {&plain, &coupled, &shifted, &decoupled}) t->v = t->s = 0.5;
    coupled.decay = decoupled.decay = 0.3;
    shifted.gradient += 0.3 * 2;
    decoupled.rule.decoupled_decay = true;
    EXPECT_NEAR(coupled.increment(), shifted.increment(), 8 * kEps) << static_cast<int>(kind);
    EXPECT_NEAR(decoupled.increment(), plain.increment() - 0.25 * 0.3 * 2, 8 * kEps) << static_cast<int>(kind);
    EXPECT_EQ(decoupled.v, plain.v);
    EXPECT_NEAR(coupled.v, shifted.v, 8 * kEps);
  }
}

TEST(UpdateRules, MomentsAreAskedForByTheRulesThatHaveThem) {
  EXPECT_EQ(moment_count(OptimiserKind::sgd), 0);
  EXPECT_EQ(moment_count(OptimiserKind::heavy_ball), 1);
  EXPECT_EQ(moment_count(OptimiserKind::nesterov), 1);
  EXPECT_EQ(moment_count(OptimiserKind::adam), 2);
  EXPECT_EQ(moment_count(OptimiserKind::langevin), 0);
  EXPECT_TRUE(is_noisy(OptimiserKind::langevin) && is_noisy(OptimiserKind::sgld) && !is_noisy(OptimiserKind::sgd));
}

TEST(UpdateRules, FloatFollowsDouble) {
  for (const OptimiserKind kind : {OptimiserKind::sgd, OptimiserKind::heavy_ball, OptimiserKind::nesterov,
                                   OptimiserKind::adam, OptimiserKind::sign, OptimiserKind::langevin}) {
    Trial t(kind);
    t.decay = 0.3;
    t.temperature = 0.1;
    t.draw = 1.5;
    t.step = 12;
    float v = 0, s = 0;
    const float small = update_increment(make_update_step<float>(t.rule, t.rate, t.decay, t.temperature, t.step), 2.0f,
                                         0.5f, 1.5f, v, s);
    EXPECT_NEAR(static_cast<double>(small), t.increment(), 2e-6);
  }
}

}  // namespace
