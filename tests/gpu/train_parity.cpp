// Both engines on the device against the reference, for every optimiser, loss, order, activation and structural option
// at awkward sizes: one step to rounding, trajectories in double precision.
#include <gtest/gtest.h>

#include "kernels/shared/window_coefficients.hpp"
#include "tests/gpu/device_training.hpp"

namespace widelab {
namespace {

using test::gap_after;
using test::TrainCase;
using test::TrainGap;

/// Members of these widths fit a block of shared memory in double precision.
bool fits_a_block(const TrainCase& c) {
  for (const Index n : c.network.widths)
    if (n > 250) return false;
  return true;
}

template <TrainEngine kEngine>
std::vector<TrainCase> cases() {
  std::vector<TrainCase> out;
  for (TrainCase& c : test::all_train_cases())
    if (kEngine == TrainEngine::gemm || fits_a_block(c)) out.push_back(std::move(c));
  return out;
}

template <TrainEngine kEngine, class T>
void expect_one_step_within_rounding() {
  for (const TrainCase& c : cases<kEngine>()) {
    const TrainGap gap = gap_after(c, test::trained<T>(test::train_there<kEngine, T>, c, 1),
                                   test::trained<double>(reference::train, c, 1));
    EXPECT_LT(gap.parameters, gap.allowed) << c.name;
    EXPECT_LT(gap.moments, gap.allowed) << c.name;
  }
}

TEST(DeviceTrain, OneStepOfProductsEqualsTheReference) {
  expect_one_step_within_rounding<TrainEngine::gemm, double>();
  expect_one_step_within_rounding<TrainEngine::gemm, float>();
}

TEST(DeviceTrain, OneFusedStepEqualsTheReference) {
  expect_one_step_within_rounding<TrainEngine::fused, double>();
  expect_one_step_within_rounding<TrainEngine::fused, float>();
}

template <TrainEngine kEngine>
void expect_trajectories_stay_with_the_reference() {
  for (const TrainCase& c : cases<kEngine>()) {
    double widest = 0;
    for (const Index n : c.network.widths) widest = std::max(widest, static_cast<double>(n));
    const Index steps = widest > 500 ? 20 : 200;  // the oracle is slow
    const TrainGap gap = gap_after(c, test::trained<double>(test::train_there<kEngine, double>, c, steps),
                                   test::trained<double>(reference::train, c, steps));
    EXPECT_LT(gap.parameters, 1e-11) << c.name;
    EXPECT_LT(gap.moments, 1e-11) << c.name;
  }
}

TEST(DeviceTrain, TwoHundredStepsOfProductsStayWithTheReference) {
  expect_trajectories_stay_with_the_reference<TrainEngine::gemm>();
}

TEST(DeviceTrain, TwoHundredFusedStepsStayWithTheReference) {
  expect_trajectories_stay_with_the_reference<TrainEngine::fused>();
}

TEST(DeviceTrain, AMillionthOnTheLearningRateIsSeen) {
  const TrainCase c = test::small_train_case("sgd", OptimiserKind::heavy_ball);
  const test::TrainState<double> exact = test::trained<double>(reference::train, c, 2);
  TrainCase faulty = c;
  faulty.settings.learning_rate *= 1 + 1e-6;
  for (auto* op : {&test::train_there<TrainEngine::gemm, double>, &test::train_there<TrainEngine::fused, double>}) {
    const TrainGap gap = gap_after(faulty, test::trained<double>(op, faulty, 2), exact);
    EXPECT_GT(gap.parameters, 100 * gap.allowed);
  }
}

TEST(DeviceTrain, ALazyWindowStaysWithTheReference) {
  for (const TrainCase& c : test::window_cases()) {
    const test::TrainState<double> exact = test::trained<double>(reference::train, c, 29);
    const TrainGap gap =
        gap_after(c, test::trained<double>(test::train_there<TrainEngine::gemm, double>, c, 29), exact);
    EXPECT_LT(gap.parameters, 1e-12) << c.name;
    EXPECT_LT(gap.moments, 1e-12) << c.name;
    EXPECT_LT(gap_after(c, test::trained<float>(test::train_there<TrainEngine::gemm, float>, c, 29), exact).parameters,
              5e-5)
        << c.name;
    if (c.settings.weight_decay == 0) continue;
    TrainCase faulty = c;
    faulty.settings.weight_decay *= 1 + 1e-6;
    EXPECT_GT(
        gap_after(c, test::trained<double>(test::train_there<TrainEngine::gemm, double>, faulty, 29), exact).parameters,
        1e-11)
        << c.name;
  }
}

TEST(DeviceTrain, AWindowTooLongForAGraphEqualsUpdatesAtEachStep) {
  TrainCase c = test::window_case(OptimiserKind::heavy_ball, 0.01, false);
  c.network.widths = {541, 523};
  c.settings.batch = 1;
  c.members = 1;
  c.window = 260;
  ASSERT_TRUE(window_pays(523, 541, c.settings.batch, c.window));
  const test::TrainState<double> lazy = test::trained<double>(test::train_there<TrainEngine::gemm, double>, c, 270);
  c.window = 0;
  const test::TrainState<double> prompt = test::trained<double>(test::train_there<TrainEngine::gemm, double>, c, 270);
  EXPECT_LT(test::relative_distance(lazy.parameters, prompt.parameters), 1e-12);
  EXPECT_LT(test::relative_distance(lazy.moments, prompt.moments), 1e-11);
}

TEST(DeviceTrain, ASmallDecayIsNotRoundedAwayInAWindow) {
  TrainCase c = test::window_case(OptimiserKind::sgd, 1e-6 / 1e-9, true);
  c.settings.learning_rate = 1e-9;
  c.rule.schedule = {};
  const double shrunk = test::shrinkage(test::train_start<float>(c),
                                        test::trained<float>(test::train_there<TrainEngine::gemm, float>, c, 200));
  EXPECT_NEAR(shrunk / (200 * 1.125e-6), 1, 0.02);
}

void expect_the_references_divergence(test::TrainOp<double> op, const TrainCase& c) {
  const test::TrainState<double> exact = test::trained<double>(reference::train, c, 60),
                                 fast = test::trained<double>(op, c, 60);
  ASSERT_EQ(exact.status[0].status, TrainStatus::diverged);
  EXPECT_EQ(fast.status[0].status, TrainStatus::diverged);
  EXPECT_EQ(fast.status[0].step, exact.status[0].step);
  EXPECT_NEAR(fast.status[0].quantity / exact.status[0].quantity, 1, 1e-9);
  EXPECT_LT(test::relative_distance(fast.parameters, exact.parameters), 1e-9);
}

TEST(DeviceTrain, AMemberThatDivergesSaysWhenAndHowFarAndDisturbsNobody) {
  TrainCase c = test::small_train_case("diverges");
  c.network.activation = "relu";
  c.settings.learning_rate = 40;
  c.members = 1;
  TrainCase lazy = test::window_case(OptimiserKind::heavy_ball, 0.01, true);
  lazy.network.activation = "relu";
  lazy.settings.learning_rate = 40;
  lazy.members = 1;
  for (auto* op : {&test::train_there<TrainEngine::gemm, double>, &test::train_there<TrainEngine::fused, double>})
    expect_the_references_divergence(op, c);
  expect_the_references_divergence(test::train_there<TrainEngine::gemm, double>, lazy);
}

TEST(DeviceTrain, WhatTheDeviceCannotDoIsAPlanErrorWithAWayOut) {
  TrainCase c = test::small_train_case("too wide for a block");
  c.network.widths = {400, 400};
  try {
    test::trained<float>(test::train_there<TrainEngine::fused, float>, c, 1);
    FAIL() << "400 x 400 weights fitted in 227 KB";
  } catch (const PlanError& error) {
    EXPECT_NE(std::string(error.what()).find("gemm"), std::string::npos) << error.what();
  }
}

TEST(DeviceTrain, WindowsThatCannotBeHonouredAreRefused) {
  TrainCase adam = test::small_train_case("adam", OptimiserKind::adam);
  adam.window = 4;
  EXPECT_THROW(test::trained<float>(test::train_there<TrainEngine::gemm, float>, adam, 4), ContractError);
  const TrainCase late = test::window_case(OptimiserKind::sgd, 0, false);
  test::TrainState<float> state = test::train_start<float>(late);
  EXPECT_THROW(test::advance<float>(test::train_there<TrainEngine::gemm, float>, late, {2, 8}, state), ContractError);
}

}  // namespace
}  // namespace widelab
