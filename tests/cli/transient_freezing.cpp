// The experiment `transient-freezing` from the command line, on a mixture.
#include <cmath>

#include "tests/support/experiment_command.hpp"

namespace {

class TransientFreezing : public widelab::test::ExperimentTest {
 protected:
  TransientFreezing()
      : ExperimentTest(
            "schema = 1\nexperiment = \"transient-freezing\"\n[model]\noutputs = 3\n[data]\n"
            "law = \"mixture\"\ncomponents = 3\nexamples = 40\ntest_examples = 60\ndimension = 6\n[data.target]\n"
            "kind = \"classes\"\nlabel_coding = \"one-hot\"\n[train]\nloss = \"cross-entropy\"\nreduction = \"mean\"\n"
            "batch = 4\nlearning_rate = 0.5\n[freezing]\ntime = 40.0\nbranches = 4\nfirst = 0.05\ndirections = 3\n"
            "train_error = 0.3\n[seeds]\nreplicates = 6\n") {}
};

TEST_F(TransientFreezing, StoresTheWayToOneBasin) {
  ASSERT_TRUE(exits(run(command("out", {"sweep.width=[4, 8, 12]"})), 0));
  const widelab::io::Result made = result("out");
  const widelab::io::Observable &frozen = find(made, "frozen_share"), &similarity = find(made, "similarity");
  ASSERT_EQ(frozen.mean.size(), 3 * 4u);
  for (std::size_t c = 0; c < 3; ++c) {
    EXPECT_EQ(frozen.mean[4 * c + 3], 1);
    EXPECT_EQ(similarity.mean[4 * c + 3], 1);
    for (std::size_t b = 1; b < 4; ++b) EXPECT_GE(frozen.mean[4 * c + b], frozen.mean[4 * c + b - 1]);
    EXPECT_TRUE(std::isfinite(find(made, "freezing_time").mean[c]));
    EXPECT_TRUE(std::isfinite(find(made, "freezing_flatness").mean[c]));
  }
  bool seen = false;
  for (const widelab::io::NamedArray& extra : made.extras)
    if (extra.name == "collapse") {
      seen = true;
      const auto& shares = std::get<std::vector<double>>(extra.values);
      for (const std::size_t by_time : {0, 2}) EXPECT_TRUE(shares[by_time] >= 0 && shares[by_time] <= 1 + 1e-12);
      for (const std::size_t by_noise : {1, 3}) EXPECT_TRUE(std::isnan(shares[by_noise]));  // eta / B is one number
    }
  EXPECT_TRUE(seen);
}

TEST_F(TransientFreezing, AllExamplesAtOnceHaveNoNoise) {
  ASSERT_TRUE(exits(run(command("out", {"train.batch=40"})), 0));
  const widelab::io::Result made = result("out");
  for (const double share : find(made, "frozen_share").mean) EXPECT_EQ(share, 1);
  EXPECT_DOUBLE_EQ(find(made, "freezing_time").mean.front(), 40 * 0.05);
}

TEST_F(TransientFreezing, ExtendingARunGivesTheBitsOfALongOne) {
  ASSERT_TRUE(exits(run(command("long", {})), 0));
  ASSERT_TRUE(exits(run(command("short", {"seeds.replicates=2"})), 0));
  ASSERT_TRUE(exits(run({"extend", "short", "--replicates", "+4", "--quiet"}), 0));
  EXPECT_EQ(cell_bits("long"), cell_bits("short"));
}

TEST_F(TransientFreezing, RefusalsNameTheKey) {
  expect_refused({"train.steps=70"}, {"train.steps", "70", "freezing.time"});
  expect_refused({"train.learning_rate=0"}, {"freezing.time", "train.learning_rate"});
  expect_refused({"train.optimiser=heavy-ball"}, {"train.optimiser", "heavy-ball", "sgd"});
  expect_refused({"train.weight_decay=0.1"}, {"train.weight_decay"});
  expect_refused({"train.order=online"}, {"train.order", "online"});
  expect_refused({"freezing.branches=60"}, {"freezing.branches", "60", "80 steps"});
  expect_refused({"freezing.first=0.6"}, {"freezing.first", "0.6", "freezing.last", "0.5"});
  expect_refused({"data.target.kind=random-labels", "model.outputs=2"},
                 {"data.target.kind", "random-labels", "classes"});
  expect_refused({"data.test_examples=0"}, {"data.test_examples", "0"});
}

}  // namespace
