// Training by matrix products on the CPU: no bit depends on threads, on other members, on their order, or on where
// a range of steps is cut.
#include "kernels/cpu/train_gemm.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/train_comparison.hpp"

namespace widelab {
namespace {

using test::only;
using test::same_bits;
using test::ThreadCount;
using test::TrainCase;
using test::TrainState;

/// Layers of several tiles, noise, dropout, label noise, and a lazy window.
std::vector<TrainCase> cases() {
  std::vector<TrainCase> out;
  for (const OptimiserKind kind :
       {OptimiserKind::sgd, OptimiserKind::heavy_ball, OptimiserKind::adam, OptimiserKind::langevin}) {
    TrainCase c = test::small_train_case(test::optimiser_label(kind), kind);
    c.network.widths = {293, 521};
    c.network.outputs = 3;
    c.settings.learning_rate = 0.02;
    c.settings.weight_decay = 0.01;
    c.settings.temperature = is_noisy(kind) ? 1e-4 : 0.0;
    c.settings.label_noise = 0.1;
    c.rule.dropout_keep = 0.8;
    c.displacement = kind == OptimiserKind::langevin;
    c.members = 3;
    out.push_back(c);
  }
  TrainCase norm = out.front();
  norm.name = "LayerNorm and residual";
  norm.network.widths = {263, 263, 263};
  norm.network.layer_norm = true;
  norm.network.residual = 0.5;
  out.push_back(norm);
  for (std::size_t i = 0; i < 2; ++i) {
    TrainCase lazy = out[i];
    lazy.name += ", window";
    lazy.window = 4;
    out.push_back(lazy);
  }
  return out;
}

template <class T>
void expect_threads_change_nothing() {
  for (const TrainCase& c : cases()) {
    TrainState<T> alone;
    {
      const ThreadCount one(1);
      alone = test::trained<T>(cpu::train_gemm, c, 7);
    }
    // 2 and 3: at least as many members as workers; 5: the workers share one member.
    for (const int threads : {2, 3, 5}) {
      const ThreadCount several(threads);
      EXPECT_TRUE(same_bits(test::trained<T>(cpu::train_gemm, c, 7), alone)) << c.name << ", " << threads;
    }
  }
}

TEST(TrainGemm, ThreadsChangeNoBit) {
  expect_threads_change_nothing<float>();
  expect_threads_change_nothing<double>();
}

TEST(TrainGemm, OtherMembersChangeNoBit) {
  for (const TrainCase& c : cases()) {
    const TrainState<float> together = test::trained<float>(cpu::train_gemm, c, 7);
    TrainState<float> reordered = test::train_start<float>(c, {2, 0, 1});
    test::advance<float>(cpu::train_gemm, c, {0, 7}, reordered);
    TrainState<float> single = test::train_start<float>(c, {1});
    test::advance<float>(cpu::train_gemm, c, {0, 7}, single);
    EXPECT_TRUE(same_bits(only(together, 1), single)) << c.name;
    EXPECT_TRUE(same_bits(only(reordered, 2), single)) << c.name;
    EXPECT_FALSE(same_bits(only(together, 0), single)) << c.name;
  }
}

TEST(TrainGemm, SegmentsChangeNoBit) {
  for (const TrainCase& c : cases()) {
    const TrainState<float> whole = test::trained<float>(cpu::train_gemm, c, 13);
    const std::vector<Index> cuts =
        c.window > 1 ? std::vector<Index>{0, 4, 12, 13} : std::vector<Index>{0, 1, 4, 6, 13};
    TrainState<float> parts = test::train_start<float>(c);
    for (std::size_t i = 1; i < cuts.size(); ++i)
      test::advance<float>(cpu::train_gemm, c, {cuts[i - 1], cuts[i]}, parts);
    EXPECT_TRUE(same_bits(parts, whole)) << c.name;
  }
}

TEST(TrainGemm, ADivergingMemberDisturbsNoOther) {
  for (const TrainCase& healthy : cases()) {
    // Rules whose increments grow with the gradient.
    if (is_noisy(healthy.rule.update.kind) || healthy.rule.update.kind == OptimiserKind::adam) continue;
    // Member 400's learning rate is 101 times member 0's.
    TrainCase c = healthy;
    c.network.activation = "relu";
    c.rule.divergence_limit = 30;
    c.settings.learning_rate = 0.3;
    c.members = 1;
    TrainState<float> mixed = test::train_start<float>(c, {0, 400, 1});
    test::advance<float>(cpu::train_gemm, c, {0, 9}, mixed);
    ASSERT_EQ(mixed.status[1].status, TrainStatus::diverged) << c.name;
    for (const std::size_t at : {std::size_t(0), std::size_t(2)}) {
      TrainState<float> alone = test::train_start<float>(c, {mixed.members[at]});
      test::advance<float>(cpu::train_gemm, c, {0, 9}, alone);
      EXPECT_EQ(alone.status[0].status, TrainStatus::running) << c.name;
      EXPECT_TRUE(same_bits(only(mixed, at), alone)) << c.name;
    }
    // A member that is not running is not touched.
    const TrainState<float> before = mixed;
    test::advance<float>(cpu::train_gemm, c, {12, 13}, mixed);
    EXPECT_TRUE(same_bits(only(mixed, 1), only(before, 1))) << c.name;
    EXPECT_FALSE(same_bits(only(mixed, 0), only(before, 0))) << c.name;
  }
}

}  // namespace
}  // namespace widelab
