// The experiment `lazy-gap` from the command line: every learner, what is said of bad recipes, and runs that were
// killed.
#include <algorithm>
#include <cmath>

#include "tests/support/experiment_command.hpp"

namespace {

using widelab::io::Observable;

class LazyGap : public widelab::test::ExperimentTest {
 protected:
  LazyGap()
      : ExperimentTest(
            "schema = 1\nexperiment = \"lazy-gap\"\n[model]\nwidth = 6\n[data]\nexamples = 20\n"
            "test_examples = 12\n[train]\nsteps = 30\nbatch = 4\n[observe]\ncount = 4\n[gap]\nregressions = 3\n"
            "[seeds]\nreplicates = 10\n") {}

  /// d = 5 where it is not swept.
  std::vector<std::string> command(const std::string& out, const std::vector<std::string>& settings) const override {
    std::vector<std::string> all = settings;
    if (std::none_of(all.begin(), all.end(),
                     [](const auto& setting) { return setting.starts_with("sweep.dimension"); }))
      all.insert(all.begin(), "data.dimension=5");
    return ExperimentTest::command(out, all);
  }
};

const std::string kLearners = "sweep.learner=[network, linearised, random-features, tangent]";

TEST_F(LazyGap, RunsEveryLearnerWithTheSameDraws) {
  ASSERT_TRUE(
      exits(run(command("a", {kLearners, "sweep.order=[epochs, online]", "sweep.link=[hermite(1), hermite(2)]"})), 0));
  const widelab::io::Result made = result("a");
  const Observable &risk = find(made, "risk"), &distance = find(made, "distance_to_linearised"),
                   &regression = find(made, "regression_risk"), &overlap = find(made, "overlap");
  const auto all = [](auto begin, auto end) {
    return std::all_of(begin, end, [](double x) { return std::isfinite(x); });
  };
  const std::size_t part = risk.mean.size() / 4;
  EXPECT_TRUE(all(risk.mean.begin(), risk.mean.begin() + static_cast<std::ptrdiff_t>(2 * part)));
  EXPECT_TRUE(all(distance.mean.begin() + static_cast<std::ptrdiff_t>(part),
                  distance.mean.begin() + static_cast<std::ptrdiff_t>(2 * part)));
  EXPECT_TRUE(all(regression.mean.begin() + 8, regression.mean.end()));
  EXPECT_TRUE(all(regression.theory.begin() + 8, regression.theory.end()));
  // Before training a network and its linearisation are one network.
  for (std::size_t k = 0; k < part; k += 4) {
    EXPECT_EQ(overlap.mean[k], overlap.mean[part + k]);
    EXPECT_NEAR(distance.mean[part + k], 0, 1e-6);
  }
}

TEST_F(LazyGap, SeveralDirectionsAreLookedAtOneByOne) {
  ASSERT_TRUE(exits(run(command("a", {"data.target.kind=multi-index", "data.target.directions=2",
                                      "data.target.coefficients=[0, 1, 0, 0, 0, 1]"})),
                    0));
  EXPECT_EQ(find(result("a"), "overlap").dims, (std::vector<std::string>{"cell", "step", "direction"}));
}

TEST_F(LazyGap, SweepsOverRichnessAndDimensionHaveSlopes) {
  ASSERT_TRUE(exits(run(command("a", {"sweep.learner=[network, linearised]", "sweep.richness=[0.1, 0.5]"})), 0));
  const widelab::io::Result made = result("a");
  const Observable& slope = find(made, "distance_slope");
  EXPECT_TRUE(std::isfinite(slope.mean[2 * 4 + 3]) && slope.theory[2 * 4 + 3] == 1);
  ASSERT_TRUE(exits(run(command("b", {"sweep.dimension=[4, 8]", "gap.escape_overlap=0.2"})), 0));
  EXPECT_EQ(find(result("b"), "escape_exponent").dims, (std::vector<std::string>{"dimension"}));
}

TEST_F(LazyGap, BadRecipesAreRefusedWithTheKeyAndTheWayOut) {
  expect_refused({"gap.learner=forest"}, {"gap.learner", "forest"});
  expect_refused({"data.test_examples=0"}, {"data.test_examples"});
  expect_refused({"data.test_examples=1"}, {"data.test_examples", "at least 2"});
  expect_refused({"model.outputs=2"}, {"model.outputs", "1"});
  expect_refused({"data.target.kind=teacher"}, {"data.target.kind", "multi-index"});
  expect_refused({"data.target.link=hermite(2)", "data.target.coefficients=[0, 0.5]"},
                 {"data.target.link", "data.target.coefficients"});
  expect_refused({"gap.learner=tangent", "model.depth=2"}, {"gap.learner", "model.depth"});
  expect_refused({"train.rate_unit=2/sharpness"}, {"train.rate_unit"});
  expect_refused({"train.order=online", "train.steps=1000000000", "train.batch=4"}, {"2^32", "train.steps"});
}

TEST_F(LazyGap, KilledAtAnyMomentItResumesToTheSameBits) {
  const std::vector<std::string> settings{kLearners, "sweep.order=[epochs, online]", "train.steps=1000",
                                          "seeds.replicates=16"};
  ASSERT_TRUE(exits(run(command("whole", settings)), 0));
  for (const int milliseconds : {40, 200, 500}) {
    const std::string name = "killed" + std::to_string(milliseconds);
    run_with_a_kill(name, settings, milliseconds);
    EXPECT_EQ(result_bits("whole"), result_bits(name)) << name;
  }
}

TEST_F(LazyGap, FurtherReplicatesGiveTheBitsOfOneLongRun) {
  const std::vector<std::string> swept{kLearners, "sweep.order=[epochs, online]"};
  std::vector<std::string> longer = swept;
  longer.emplace_back("seeds.replicates=21");
  ASSERT_TRUE(exits(run(command("long", longer)), 0));
  ASSERT_TRUE(exits(run(command("short", swept)), 0));
  ASSERT_TRUE(exits(run({"extend", "short", "--replicates", "+11"}), 0));
  EXPECT_EQ(result_bits("long"), result_bits("short"));
}

}  // namespace
