// Training by matrix products on the CPU against the reference: one step to rounding, trajectories in double precision,
// the lazy window against updates at every step.
#include "kernels/cpu/train_gemm.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "kernels/shared/window_coefficients.hpp"
#include "tests/support/nan_memory.hpp"
#include "tests/support/train_comparison.hpp"

namespace widelab {
namespace {

using test::gap_after;
using test::TrainCase;
using test::TrainGap;
using test::TrainState;

template <class T>
void expect_one_step_within_rounding() {
  for (const TrainCase& c : test::all_train_cases()) {
    const TrainGap gap =
        gap_after(c, test::trained<T>(cpu::train_gemm, c, 1), test::trained<double>(reference::train, c, 1));
    EXPECT_LT(gap.parameters, gap.allowed) << c.name;
    EXPECT_LT(gap.moments, gap.allowed) << c.name;
  }
}

TEST(TrainGemm, OneStepEqualsTheReferenceInDouble) { expect_one_step_within_rounding<double>(); }

TEST(TrainGemm, OneStepInSinglePrecisionIsWithinItsRounding) { expect_one_step_within_rounding<float>(); }

TEST(TrainGemm, TwoHundredStepsStayWithTheReference) {
  for (const TrainCase& c : test::all_train_cases()) {
    double weights = 0;
    for (const Index n : c.network.widths) weights = std::max(weights, static_cast<double>(n));
    const Index steps = weights > 500 ? 10 : 200;  // the oracle is slow
    const TrainGap gap = gap_after(c, test::trained<double>(cpu::train_gemm, c, steps),
                                   test::trained<double>(reference::train, c, steps));
    EXPECT_LT(gap.parameters, 1e-12) << c.name;
    EXPECT_LT(gap.moments, 1e-12) << c.name;
  }
}

TEST(TrainGemm, FaultsAreSeen) {
  // A learning rate off by a millionth, biases left out, and momentum one step late.
  const TrainCase c = test::small_train_case("sgd", OptimiserKind::heavy_ball);
  const TrainState<double> exact = test::trained<double>(reference::train, c, 2);
  const auto caught = [&](const TrainCase& faulty, const TrainState<double>& state) {
    const TrainGap gap = gap_after(faulty, state, exact);
    return gap.parameters > 100 * gap.allowed;
  };
  EXPECT_FALSE(caught(c, test::trained<double>(cpu::train_gemm, c, 2)));
  TrainCase rate = c;
  rate.settings.learning_rate *= 1 + 1e-6;
  EXPECT_TRUE(caught(rate, test::trained<double>(cpu::train_gemm, rate, 2)));
  TrainCase biases = c;
  biases.network.train_bias = false;
  EXPECT_TRUE(caught(biases, test::trained<double>(cpu::train_gemm, biases, 2)));
  TrainState<double> late = test::train_start<double>(c);
  test::advance<double>(cpu::train_gemm, c, {0, 1}, late);
  std::fill(late.moments.begin(), late.moments.end(), 0.0);
  test::advance<double>(cpu::train_gemm, c, {1, 2}, late);
  EXPECT_TRUE(caught(c, late));
}

TEST(TrainGemm, AMemberThatDivergesSaysWhenAndHowFar) {
  TrainCase c = test::small_train_case("diverges");
  c.settings.learning_rate = 40;
  c.network.activation = "relu";
  c.members = 1;
  const TrainState<double> fast = test::trained<double>(cpu::train_gemm, c, 60),
                           exact = test::trained<double>(reference::train, c, 60);
  ASSERT_EQ(exact.status[0].status, TrainStatus::diverged);
  EXPECT_EQ(fast.status[0].status, TrainStatus::diverged);
  EXPECT_EQ(fast.status[0].step, exact.status[0].step);
  EXPECT_NEAR(fast.status[0].quantity / exact.status[0].quantity, 1, 1e-9);
}

TEST(TrainGemm, LazyWindowEqualsUpdatesAtEachStep) {
  ASSERT_TRUE(window_pays(59, 67, 3, 8));
  for (TrainCase c : test::window_cases()) {
    const TrainState<double> lazy = test::trained<double>(cpu::train_gemm, c, 29);
    c.window = 0;
    const TrainState<double> stepwise = test::trained<double>(cpu::train_gemm, c, 29);
    EXPECT_LT(test::relative_distance(lazy.parameters, stepwise.parameters), 3e-15) << c.name;
    EXPECT_LT(test::relative_distance(lazy.moments, stepwise.moments), 1e-14) << c.name;
  }
}

TEST(TrainGemm, LazyWindowEqualsTheReferenceInEveryPrecision) {
  for (const TrainCase& c : test::window_cases()) {
    const TrainState<double> exact = test::trained<double>(reference::train, c, 12);
    EXPECT_LT(gap_after(c, test::trained<double>(cpu::train_gemm, c, 12), exact).parameters, 1e-13) << c.name;
    EXPECT_LT(gap_after(c, test::trained<float>(cpu::train_gemm, c, 12), exact).parameters, 2e-5) << c.name;
  }
}

TEST(TrainGemm, SmallDecayIsNotRoundedAwayInSinglePrecision) {
  // eta lambda = 1e-6: as a factor 1 - eta lambda in fp32 it would be off by several percent.
  TrainCase c = test::window_case(OptimiserKind::sgd, 1e-6 / 1e-9, true);
  c.settings.learning_rate = 1e-9;
  c.rule.schedule = {};
  for (const Index window : {Index(0), Index(8)}) {
    c.window = window;
    const double shrunk = test::shrinkage(test::train_start<float>(c), test::trained<float>(cpu::train_gemm, c, 200));
    // Members decay at eta and 1.25 eta; roundings of single steps average out over thousands of parameters.
    EXPECT_NEAR(shrunk / (200 * 1.125e-6), 1, 0.02) << "window " << window;
  }
}

TEST(TrainGemm, RefusesWindowsThatItCannotHonour) {
  TrainCase adam = test::small_train_case("adam", OptimiserKind::adam);
  adam.window = 4;
  EXPECT_THROW(test::trained<double>(cpu::train_gemm, adam, 4), ContractError);
  TrainCase displaced = test::small_train_case("displacement");
  displaced.displacement = true;
  displaced.window = 4;
  EXPECT_THROW(test::trained<double>(cpu::train_gemm, displaced, 4), ContractError);
  TrainCase late = test::small_train_case("begins inside a window");
  late.window = 4;
  TrainState<double> state = test::train_start<double>(late);
  EXPECT_THROW(test::advance<double>(cpu::train_gemm, late, {2, 8}, state), ContractError);
}

}  // namespace
}  // namespace widelab
