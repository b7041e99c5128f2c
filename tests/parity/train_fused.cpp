// The fused engine on the CPU against the reference: one step to rounding, trajectories in double precision.
#include <gtest/gtest.h>

#include "tests/support/nan_memory.hpp"
#include "tests/support/train_comparison.hpp"

namespace widelab {
namespace {

using test::gap_after;
using test::TrainCase;
using test::TrainGap;
using test::TrainState;

std::vector<TrainCase> all_cases() {
  std::vector<TrainCase> cases = test::all_train_cases();
  // Tiles of rows and registers, whole and cut; a batch beyond one tile.
  for (const auto& [widths, batch] :
       {std::pair<std::vector<Index>, Index>{{16, 32}, 13}, {{1}, 1}, {{33, 17, 7}, 1}, {{48, 1, 3}, 2}}) {
    TrainCase c = test::small_train_case("tiles " + std::to_string(widths.front()));
    c.network.widths = widths;
    c.network.outputs = 2;
    c.settings.batch = batch;
    cases.push_back(c);
  }
  TrainCase large = test::small_train_case("batch of 67");
  large.examples = 67;
  large.settings.batch = 67;
  cases.push_back(large);
  return cases;
}

template <class T>
void expect_one_step_within_rounding() {
  for (const TrainCase& c : all_cases()) {
    const TrainGap gap =
        gap_after(c, test::trained<T>(cpu::train, c, 1), test::trained<double>(reference::train, c, 1));
    EXPECT_LT(gap.parameters, gap.allowed) << c.name;
    EXPECT_LT(gap.moments, gap.allowed) << c.name;
  }
}

TEST(TrainFused, OneStepEqualsTheReferenceInDouble) { expect_one_step_within_rounding<double>(); }

TEST(TrainFused, OneStepInSinglePrecisionIsWithinItsRounding) { expect_one_step_within_rounding<float>(); }

TEST(TrainFused, TwoHundredStepsStayWithTheReference) {
  for (const TrainCase& c : all_cases()) {
    Index widest = 0;
    for (const Index n : c.network.widths) widest = std::max(widest, n);
    const Index steps = widest > 100 ? 10 : 200;  // the oracle is slow
    const TrainGap gap =
        gap_after(c, test::trained<double>(cpu::train, c, steps), test::trained<double>(reference::train, c, steps));
    EXPECT_LT(gap.parameters, 1e-11) << c.name;
    EXPECT_LT(gap.moments, 1e-11) << c.name;
  }
}

TEST(TrainFused, UntrainedLayersStayAndOthersMove) {
  TrainCase c = test::small_train_case("layers");
  Network network = c.network.network();
  const ParamLayout layout(network.shape);
  for (const Index trained : {Index(0), Index(1), Index(2)}) {
    for (Index l = 0; l < network.shape.layers(); ++l) {
      LayerScale& scale = network.layers[static_cast<std::size_t>(l)];
      scale.weight_rate = l == trained ? 1 : 0;
      scale.bias_rate = 0;
    }
    const auto run = [&](test::TrainOp<double> op) {
      std::vector<double> theta = test::train_start<double>(c, {0}).parameters;
      const std::vector<double> x = test::normals<double>(13, 5, 1), y = test::normals<double>(13, 1, 2);
      const MemberSettings settings = c.member(0);
      MemberStatus status;
      TrainProblem<double> problem;
      problem.rule = c.rule;
      TrainGroup<double> group;
      group.network = &network;
      group.members = 1;
      group.settings = &settings;
      group.status = &status;
      group.parameters = theta.data();
      problem.groups = {group};
      TrainData<double> data;
      data.inputs = x.data();
      data.targets = y.data();
      data.examples = 13;
      problem.datasets = {data};
      problem.steps = {0, 5};
      op(problem);
      return theta;
    };
    const std::vector<double> fast = run(cpu::train), exact = run(reference::train);
    const std::vector<double> start = test::train_start<double>(c, {0}).parameters;
    EXPECT_LT(test::relative_distance(fast, exact), 1e-13);
    for (Index l = 0; l < network.shape.layers(); ++l) {
      const auto at = static_cast<std::size_t>(layout.weight_offset[static_cast<std::size_t>(l)]);
      EXPECT_EQ(fast[at] == start[at], l != trained) << l << " of " << trained;
    }
  }
}

TEST(TrainFused, FaultsAreSeen) {
  const TrainCase c = test::small_train_case("faults", OptimiserKind::heavy_ball);
  const TrainState<double> exact = test::trained<double>(reference::train, c, 2);
  EXPECT_TRUE(gap_after(c, test::trained<double>(cpu::train, c, 2), exact).within());
  TrainCase rate = c, biases = c, slope = c, noise = c;
  rate.settings.learning_rate *= 1 + 1e-6;
  biases.network.train_bias = false;
  slope.network.activation = "erf";
  noise.settings.label_noise = 1e-6;
  for (const TrainCase& faulty : {rate, biases, slope, noise})
    EXPECT_FALSE(gap_after(c, test::trained<double>(cpu::train, faulty, 2), exact).within());
  TrainState<double> late = test::train_start<double>(c);
  test::advance<double>(cpu::train, c, {0, 1}, late);
  std::fill(late.moments.begin(), late.moments.end(), 0.0);
  test::advance<double>(cpu::train, c, {1, 2}, late);
  EXPECT_FALSE(gap_after(c, late, exact).within());
}

TEST(TrainFused, AMemberThatDivergesSaysWhenAndHowFar) {
  TrainCase c = test::small_train_case("diverges");
  c.settings.learning_rate = 40;
  c.network.activation = "relu";
  c.members = 1;
  const TrainState<double> fast = test::trained<double>(cpu::train, c, 60),
                           exact = test::trained<double>(reference::train, c, 60);
  ASSERT_EQ(exact.status[0].status, TrainStatus::diverged);
  EXPECT_EQ(fast.status[0].status, TrainStatus::diverged);
  EXPECT_EQ(fast.status[0].step, exact.status[0].step);
  EXPECT_NEAR(fast.status[0].quantity / exact.status[0].quantity, 1, 1e-9);
}

TEST(TrainFused, AnEngineThatIsNotChosenIsAContractError) {
  TrainProblem<float> problem;
  for (const TrainEngine engine : {TrainEngine::automatic, TrainEngine::reference}) {
    problem.engine = engine;
    EXPECT_THROW(cpu::train(problem), ContractError);
  }
}

}  // namespace
}  // namespace widelab
