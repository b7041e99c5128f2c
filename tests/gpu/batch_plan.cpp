// The plan of a batch is a pure function: no device is needed to test it.
#include "kernels/cuda/batch_plan.hpp"

#include <gtest/gtest.h>

namespace widelab::cuda {
namespace {

MlpShape shape_of(std::vector<Index> widths) {
  MlpShape shape;
  shape.input_dim = 10;
  shape.widths = std::move(widths);
  return shape;
}

/// Weights of a batch, and signals of its inputs.
double toy_bytes(const MlpShape& shape, const BatchPlan& plan) {
  double weights = 0;
  for (Index l = 0; l < shape.layers(); ++l) {
    const double size = static_cast<double>(panel_rows(shape, plan, l) * shape.fan_in(l));
    weights = plan.hold ? weights + size : std::max(weights, size);
  }
  return 4.0 * static_cast<double>(plan.slots) * (weights + static_cast<double>(plan.tile * shape.widths.front()));
}

BatchPlan plan_for(const MlpShape& shape, Index rows, Index cols, double limit) {
  return make_batch_plan(shape, {rows, cols, 132, limit}, "test",
                         [&](const BatchPlan& plan) { return toy_bytes(shape, plan); });
}

TEST(BatchPlan, RoomForAllHoldsWeightsAndInputs) {
  const BatchPlan plan = plan_for(shape_of({64, 64}), 20, 30, 1e12);
  EXPECT_TRUE(plan.hold);
  EXPECT_EQ(plan.tile, 30);
  EXPECT_EQ(plan.slots, kMaxSlots);
}

TEST(BatchPlan, OneMemberAtATimeWhereItFillsTheDevice) {
  EXPECT_EQ(plan_for(shape_of({4096, 4096}), 512, 0, 1e12).slots, 1);
}

TEST(BatchPlan, FewerMembersThenPanelsThenTiles) {
  const MlpShape shape = shape_of({1024, 1024});
  bool fewer = false, panels = false, tiles = false;
  double last = 1e12;
  for (double limit = 1e9; limit > 5e5; limit *= 0.7) {
    const BatchPlan plan = plan_for(shape, 200, 0, limit);
    EXPECT_LE(plan.bytes, limit);
    EXPECT_LE(plan.bytes, last);
    last = plan.bytes;
    fewer = fewer || (plan.hold && plan.slots == 1);
    panels = panels || (!plan.hold && plan.tile == 200);
    tiles = tiles || plan.tile < 200;
  }
  EXPECT_TRUE(fewer && panels && tiles);
}

TEST(BatchPlan, AMemberThatFitsNowhereIsAPlanErrorWithBothNumbers) {
  try {
    plan_for(shape_of({1000000}), 10, 0, 1e5);
    FAIL() << "a member of 4 MB fitted in 0.1 MB";
  } catch (const PlanError& error) {
    EXPECT_NE(std::string(error.what()).find("limit of 0.0001"), std::string::npos) << error.what();
  }
}

TEST(ByteCounter, PadsPiecesLikeTheArena) {
  ByteCounter counter;
  counter.take<char>(1, "one");
  counter.take<double>(32, "exact");
  counter.take<double>(33, "more");
  EXPECT_EQ(counter.bytes(), 256 + 256 + 512);
}

}  // namespace
}  // namespace widelab::cuda
