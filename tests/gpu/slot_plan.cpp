// The memory of training by matrix products is planned by a pure function: no device is needed to test it.
#include "kernels/cuda/gemm/slot_buffers.hpp"

#include <gtest/gtest.h>

namespace widelab::cuda {
namespace {

MlpShape shape_of(std::vector<Index> widths) {
  MlpShape shape;
  shape.input_dim = 10;
  shape.widths = std::move(widths);
  return shape;
}

SlotNeeds needs_of(Index batch, Index moments = 0) {
  SlotNeeds needs;
  needs.batch = batch;
  needs.moments = moments;
  needs.in_place = moments == 0;
  return needs;
}

TEST(SlotPlan, NarrowMembersFlyTogetherAndWideOnesAlone) {
  EXPECT_EQ(make_slot_plan<float>(shape_of({64, 64}), needs_of(32), 132, 1e12).slots, kMaxSlots);
  EXPECT_EQ(make_slot_plan<float>(shape_of({8192, 8192}), needs_of(512), 132, 1e12).slots, 1);
}

TEST(SlotPlan, LessMemoryMeansFewerMembersAndNeverMoreBytesThanAllowed) {
  Index last = kMaxSlots;
  for (double limit = 1e9; limit > 3e7; limit *= 0.6) {
    const SlotPlan plan = make_slot_plan<float>(shape_of({512, 512}), needs_of(16, 1), 132, limit);
    EXPECT_LE(plan.bytes, limit);
    EXPECT_LE(plan.slots, last);
    last = plan.slots;
  }
  EXPECT_LT(last, kMaxSlots / 4);
}

TEST(SlotPlan, GradientDescentInPlaceStoresNoGradient) {
  const MlpShape shape = shape_of({1024, 1024});
  SlotNeeds with = needs_of(16);
  with.in_place = false;
  const double saved =
      make_slot_plan<float>(shape, with, 1, 1e12).bytes - make_slot_plan<float>(shape, needs_of(16), 1, 1e12).bytes;
  EXPECT_EQ(saved, 4.0 * 1024 * 1024);
}

/// Bytes of one member's buffers beyond the schedule's, whose length depends on the window.
double bytes_without_table(const MlpShape& shape, const SlotNeeds& needs) {
  ByteCounter table;
  table.take<StepFactors>(table_steps(needs), "");
  return make_slot_plan<float>(shape, needs, 1, 1e12).bytes - table.bytes();
}

TEST(SlotPlan, AWindowIsCountedWithItsFactorsAndStoresNoGradientOfItsLayers) {
  // 1024 x 1024 between the hidden layers: lazy; 1024 x 10 and 1 x 1024: not.
  const MlpShape shape = shape_of({1024, 1024});
  SlotNeeds prompt = needs_of(16, 1), lazy = prompt;
  lazy.window = 8;
  lazy.lazy = {1};
  const double factors = 4.0 * 8 * 16 * (3 * 1024);  // delta, a, and delta scaled for the velocities
  const double products = 4.0 * 16 * (1024 + 128), shares = 256, gradient = 4.0 * 1024 * (1024 - 10);
  EXPECT_EQ(bytes_without_table(shape, lazy) - bytes_without_table(shape, prompt),
            factors + products + shares - gradient);
  lazy.window = 16;
  EXPECT_GT(bytes_without_table(shape, lazy), bytes_without_table(shape, prompt) + 1.9 * factors - gradient);
}

TEST(SlotPlan, AScheduleOnTheDeviceIsCutBetweenWindows) {
  SlotNeeds needs = needs_of(4);
  needs.window = 1000;
  EXPECT_EQ(table_steps(needs), 1 << 16);  // no layer is lazy
  needs.lazy = {1};
  EXPECT_EQ(table_steps(needs), 65000);
  needs.window = 70000;
  EXPECT_EQ(table_steps(needs), 70000);
}

TEST(SlotPlan, LayersAreLazyWhereTheyAreTrainedAndTheWindowPays) {
  Network network;
  network.shape = shape_of({64, 64, 64});
  network.layers.resize(4);
  for (LayerScale& layer : network.layers) layer.weight_rate = 1;
  EXPECT_EQ(lazy_layers(network, 4, 8), (std::vector<Index>{1, 2}));  // rank 32 = 64 64 / (64 + 64)
  EXPECT_TRUE(lazy_layers(network, 4, 9).empty());
  EXPECT_TRUE(lazy_layers(network, 4, 1).empty());
  network.layers[1].weight_rate = 0;
  EXPECT_EQ(lazy_layers(network, 4, 8), std::vector<Index>{2});
}

TEST(SlotPlan, AMemberThatDoesNotFitIsAPlanErrorWithBothNumbers) {
  try {
    make_slot_plan<double>(shape_of({20000, 20000}), needs_of(8), 132, 1e9);
    FAIL() << "3.2 GB fitted in 1 GB";
  } catch (const PlanError& error) {
    EXPECT_NE(std::string(error.what()).find("limit of 1.0"), std::string::npos) << error.what();
  }
}

TEST(SlotLayout, PackingAndUnpackingReturnsEveryNumberAndLeavesTheRestAlone) {
  const MlpShape shape = shape_of({7, 65, 3});
  const SlotLayout layout(shape);
  const Index size = ParamLayout(shape).size;
  std::vector<float> member(static_cast<std::size_t>(size)), back(member.size(), -1);
  for (std::size_t k = 0; k < member.size(); ++k) member[k] = static_cast<float>(k + 1);
  std::vector<float> slot(static_cast<std::size_t>(layout.size), 0);
  layout.pack(shape, member.data(), slot.data());
  layout.unpack(shape, slot.data(), back.data());
  EXPECT_EQ(back, member);
  EXPECT_EQ(std::count_if(slot.begin(), slot.end(), [](float v) { return v != 0; }), size);
  for (std::size_t l = 0; l < layout.weight_offset.size(); ++l) {
    EXPECT_EQ(layout.weight_offset[l] % 64, 0);
    EXPECT_EQ(layout.bias_offset[l] % 64, 0);
  }
}

}  // namespace
}  // namespace widelab::cuda
