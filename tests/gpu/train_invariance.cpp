// Bits of training on the device that must not depend on segments, on who runs beside, or (fused) on the device itself.
#include <gtest/gtest.h>

#include "tests/gpu/device_training.hpp"

namespace widelab {
namespace {

using test::TrainCase;
using test::TrainState;

/// Cases whose members fit a block of shared memory, in either precision.
std::vector<TrainCase> fused_cases() {
  std::vector<TrainCase> out;
  for (TrainCase& c : test::all_train_cases())
    if (std::all_of(c.network.widths.begin(), c.network.widths.end(), [](Index n) { return n <= 250; }))
      out.push_back(std::move(c));
  return out;
}

template <class T>
void expect_the_hosts_bits(Index steps) {
  for (const TrainCase& c : fused_cases())
    EXPECT_TRUE(test::same_bits(test::trained<T>(test::train_there<TrainEngine::fused, T>, c, steps),
                                test::trained<T>(test::train_here<TrainEngine::fused, T>, c, steps)))
        << c.name;
}

TEST(DeviceFusedTraining, HasTheHostsBitsInSinglePrecision) { expect_the_hosts_bits<float>(100); }

/// Of the functions in double precision, sums, products, divisions and roots alone are the same on every device.
bool is_exact_in_double(const TrainCase& c) {
  const bool algebraic = c.network.activation == "relu" || c.network.activation == "identity" ||
                         c.network.activation == "quadratic" || c.network.activation.rfind("leaky", 0) == 0;
  return algebraic && c.rule.loss != LossKind::cross_entropy && c.rule.loss != LossKind::logistic;
}

TEST(DeviceFusedTraining, HasTheHostsBitsInDoublePrecisionWithoutTranscendentalFunctions) {
  for (TrainCase c : fused_cases()) {
    if (c.network.activation == "tanh") c.network.activation = "relu";
    if (!is_exact_in_double(c)) continue;
    EXPECT_TRUE(test::same_bits(test::trained<double>(test::train_there<TrainEngine::fused, double>, c, 50),
                                test::trained<double>(test::train_here<TrainEngine::fused, double>, c, 50)))
        << c.name;
  }
}

TEST(DeviceFusedTraining, AnotherOrderIdGivesOtherBits) {
  const TrainCase c = test::small_train_case("order");
  TrainCase other = c;
  other.rule.order = OrderKind::fresh;
  EXPECT_FALSE(test::same_bits(test::trained<float>(test::train_there<TrainEngine::fused, float>, c, 5),
                               test::trained<float>(test::train_here<TrainEngine::fused, float>, other, 5)));
}

template <TrainEngine kEngine, class T>
void expect_segments_change_no_bit(const std::vector<TrainCase>& cases) {
  for (const TrainCase& c : cases) {
    const TrainState<T> whole = test::trained<T>(test::train_there<kEngine, T>, c, 37);
    TrainState<T> cut = test::train_start<T>(c);
    // Of a lazy window, whole ones: others end it.
    const std::vector<StepRange> parts = c.window > 1
                                             ? std::vector<StepRange>{{0, 8}, {8, 8}, {8, 32}, {32, 37}}
                                             : std::vector<StepRange>{{0, 1}, {1, 2}, {2, 2}, {2, 20}, {20, 37}};
    for (const StepRange& steps : parts) test::advance<T>(test::train_there<kEngine, T>, c, steps, cut);
    EXPECT_TRUE(test::same_bits(whole, cut)) << c.name;
  }
}

TEST(DeviceTrainInvariance, SegmentsChangeNoBit) {
  expect_segments_change_no_bit<TrainEngine::fused, float>(fused_cases());
  expect_segments_change_no_bit<TrainEngine::gemm, float>(test::all_train_cases());
  expect_segments_change_no_bit<TrainEngine::gemm, double>(test::optimiser_cases());
  expect_segments_change_no_bit<TrainEngine::gemm, float>(test::window_cases());
  expect_segments_change_no_bit<TrainEngine::gemm, double>(test::window_cases());
}

template <TrainEngine kEngine, class T>
void expect_alone_equals_among_others(const std::vector<TrainCase>& cases) {
  for (TrainCase c : cases) {
    c.members = 150;  // more than are in flight together
    const TrainState<T> all = test::trained<T>(test::train_there<kEngine, T>, c, 9);
    for (const Index member : {0, 17, 149}) {
      TrainState<T> alone = test::train_start<T>(c, {member});
      test::advance<T>(test::train_there<kEngine, T>, c, {0, 9}, alone);
      EXPECT_TRUE(test::same_bits(alone, test::only(all, static_cast<std::size_t>(member)))) << c.name;
    }
  }
}

TEST(DeviceTrainInvariance, MemberSeventeenIsTheSameAloneAndAmongOthers) {
  expect_alone_equals_among_others<TrainEngine::fused, float>(test::batch_cases());
  expect_alone_equals_among_others<TrainEngine::gemm, float>(test::batch_cases());
  expect_alone_equals_among_others<TrainEngine::gemm, double>({test::small_train_case("sgd")});
  expect_alone_equals_among_others<TrainEngine::gemm, float>(test::window_cases());
}

TEST(DeviceTrainInvariance, TheOrderOfMembersChangesNoBit) {
  const TrainCase c = test::small_train_case("order of members", OptimiserKind::adam);
  for (auto* op : {&test::train_there<TrainEngine::fused, float>, &test::train_there<TrainEngine::gemm, float>}) {
    TrainState<float> forward = test::train_start<float>(c, {0, 1, 2, 3, 4});
    TrainState<float> backward = test::train_start<float>(c, {4, 3, 2, 1, 0});
    test::advance<float>(op, c, {0, 11}, forward);
    test::advance<float>(op, c, {0, 11}, backward);
    for (std::size_t m = 0; m < 5; ++m) {
      TrainState<float> one = test::only(forward, m), other = test::only(backward, 4 - m);
      EXPECT_TRUE(test::same_bits(one, other)) << m;
    }
  }
}

/// Three groups of one problem, of different widths and batch sizes, with a member that diverges.
template <class T>
struct MixedProblem {
  std::vector<TrainCase> cases;
  std::vector<TrainState<T>> states;
  std::vector<Network> networks;
  std::vector<std::vector<MemberSettings>> settings;
  std::vector<T> inputs, targets;
  TrainProblem<T> problem;

  explicit MixedProblem(const std::vector<std::vector<Index>>& widths) {
    for (const std::vector<Index>& w : widths) {
      TrainCase c = test::small_train_case("mixed");
      c.network.widths = w;
      c.network.activation = "relu";
      c.members = 5;
      cases.push_back(c);
    }
    for (const TrainCase& c : cases) {
      networks.push_back(c.network.network());
      states.push_back(test::train_start<T>(c));
      settings.emplace_back();
      for (Index m = 0; m < c.members; ++m) {
        settings.back().push_back(c.member(m));
        settings.back().back().batch = 1 + 3 * m;
        if (m == 2) settings.back().back().learning_rate = 60;
      }
    }
    inputs = test::normals<T>(13, 5, 901);
    targets = test::normals<T>(13, 1, 902);
    TrainData<T> data;
    data.inputs = inputs.data();
    data.targets = targets.data();
    data.examples = 13;
    problem.rule = cases[0].rule;
    problem.datasets = {data};
    problem.steps = {0, 60};
    for (std::size_t g = 0; g < cases.size(); ++g) {
      TrainGroup<T> group;
      group.network = &networks[g];
      group.members = cases[g].members;
      group.settings = settings[g].data();
      group.status = states[g].status.data();
      group.parameters = states[g].parameters.data();
      problem.groups.push_back(group);
    }
  }
  MixedProblem(const MixedProblem&) = delete;
  MixedProblem& operator=(const MixedProblem&) = delete;
};

TEST(DeviceTrainInvariance, MixedWidthsBatchesAndRatesInOneProblemHaveTheBitsOfEachAlone) {
  const std::vector<std::vector<Index>> widths{{16, 16}, {64, 64}, {128}, {7, 33, 5}};
  for (auto* op : {&test::train_there<TrainEngine::fused, float>, &test::train_there<TrainEngine::gemm, float>}) {
    MixedProblem<float> together(widths);
    op(together.problem);
    Index diverged = 0;
    for (std::size_t g = 0; g < widths.size(); ++g) {
      MixedProblem<float> alone({widths[g]});
      op(alone.problem);
      EXPECT_TRUE(test::same_bits(alone.states[0], together.states[g])) << g;
      for (const MemberStatus& status : alone.states[0].status) diverged += status.status == TrainStatus::diverged;
    }
    EXPECT_GT(diverged, 0);
    EXPECT_LT(diverged, 20);
  }
}

TEST(DeviceTrainInvariance, AMemberThatDoesNotRunIsNotTouched) {
  const TrainCase c = test::small_train_case("not running", OptimiserKind::adam);
  for (auto* op : {&test::train_there<TrainEngine::fused, float>, &test::train_there<TrainEngine::gemm, float>}) {
    TrainState<float> state = test::train_start<float>(c);
    state.status[1] = {TrainStatus::converged, 3, 0.25};
    const TrainState<float> before = state;
    test::advance<float>(op, c, {5, 9}, state);
    EXPECT_TRUE(test::same_bits(test::only(state, 1), test::only(before, 1)));
    EXPECT_FALSE(test::same_bits(test::only(state, 0), test::only(before, 0)));
  }
}

TEST(DeviceTrainInvariance, ALazyWindowRoundsInItsOwnWay) {
  // Else its cases above would not look into windows at all.
  for (TrainCase c : test::window_cases()) {
    const TrainState<float> lazy = test::trained<float>(test::train_there<TrainEngine::gemm, float>, c, 8);
    c.window = 0;
    EXPECT_FALSE(test::same_bits(lazy, test::trained<float>(test::train_there<TrainEngine::gemm, float>, c, 8)))
        << c.name;
  }
}

TEST(DeviceTrainInvariance, AMemberThatDivergesInAWindowIsMergedOnceAndDisturbsNobody) {
  const auto op = test::train_there<TrainEngine::gemm, float>;
  for (TrainCase c : test::window_cases()) {
    c.network.activation = "relu";
    c.rule.divergence_limit = 30;
    c.settings.learning_rate = 0.3;
    // Member 400's learning rate is 101 times member 0's.
    TrainState<float> mixed = test::train_start<float>(c, {0, 400, 1});
    test::advance<float>(op, c, {0, 8}, mixed);
    ASSERT_EQ(mixed.status[1].status, TrainStatus::diverged) << c.name;
    EXPECT_NE(mixed.status[1].step % c.window, 0) << c.name;
    const TrainState<float> early = mixed;
    test::advance<float>(op, c, {8, 24}, mixed);
    EXPECT_TRUE(test::same_bits(test::only(mixed, 1), test::only(early, 1))) << c.name;
    TrainState<float> whole = test::train_start<float>(c, {0, 400, 1});
    test::advance<float>(op, c, {0, 24}, whole);
    EXPECT_TRUE(test::same_bits(whole, mixed)) << c.name;
    TrainState<float> alone = test::train_start<float>(c, {1});
    test::advance<float>(op, c, {0, 24}, alone);
    EXPECT_EQ(alone.status[0].status, TrainStatus::running) << c.name;
    EXPECT_TRUE(test::same_bits(test::only(whole, 2), alone)) << c.name;
  }
}

TEST(DeviceTrainInvariance, LittleMemoryChangesNoBit) {
  TrainCase c = test::small_train_case("little memory", OptimiserKind::heavy_ball);
  c.members = 40;
  const auto limited = [](const TrainProblem<float>& problem) {
    TrainProblem<float> there = problem;
    there.limits.workspace_bytes = 30000;  // a few members' states
    test::device().train(there);
  };
  EXPECT_TRUE(test::same_bits(test::trained<float>(limited, c, 7),
                              test::trained<float>(test::train_there<TrainEngine::fused, float>, c, 7)));
}

}  // namespace
}  // namespace widelab
