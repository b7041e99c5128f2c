// The experiment `epoch-bridge` from the command line.
#include <cmath>

#include "tests/support/experiment_command.hpp"

namespace {

class EpochBridge : public widelab::test::ExperimentTest {
 protected:
  EpochBridge()
      : ExperimentTest(
            "schema = 1\nexperiment = \"epoch-bridge\"\n[model]\nwidth = 5\nactivation = \"tanh\"\n[data]\n"
            "examples = 24\ndimension = 3\n[train]\nbatch = 4\nreduction = \"mean\"\nprecision = \"fp64\"\n"
            "learning_rate = 0.1\nsteps = 60\n[bridge]\nreplicas = 6\nepochs = 2\nphases = 3\n"
            "directions = 3\nprobes = 4\nsampled_orders = 32\n[seeds]\nreplicates = 12\n") {}
};

TEST_F(EpochBridge, StoresVariancesBesideLinearTheory) {
  ASSERT_TRUE(
      exits(run(command("out", {"sweep.replica_order=[epochs, iid, fixed]", "seeds.shared=[replica_order]"})), 0));
  const widelab::io::Result made = result("out");
  const widelab::io::Observable& variance = find(made, "variance");
  constexpr std::size_t kEntries = 6 * 3;  // times x directions of an order
  ASSERT_EQ(variance.mean.size(), 3 * kEntries);
  for (std::size_t k = 0; k < kEntries; ++k) {
    EXPECT_GT(variance.mean[k], 0);
    EXPECT_GT(variance.theory[k], 0);
    EXPECT_GT(variance.mean[kEntries + k], 0);
    EXPECT_EQ(variance.mean[2 * kEntries + k], 0);  // a fixed order has no noise
    EXPECT_EQ(variance.theory[2 * kEntries + k], 0);
  }
  // At the end of an epoch shuffled replicas meet again; with replacement they do not.
  EXPECT_LT(variance.mean[2 * 3], 0.5 * variance.mean[1 * 3]);
  EXPECT_GT(variance.mean[kEntries + 2 * 3], variance.mean[kEntries + 0 * 3]);
}

TEST_F(EpochBridge, ExtendingARunGivesTheBitsOfALongOne) {
  ASSERT_TRUE(exits(run(command("long", {"seeds.replicates=18"})), 0));
  ASSERT_TRUE(exits(run(command("short", {})), 0));
  ASSERT_TRUE(exits(run({"extend", "short", "--replicates", "+6", "--quiet"}), 0));
  EXPECT_EQ(cell_bits("long"), cell_bits("short"));
}

TEST_F(EpochBridge, RefusalsNameTheKey) {
  expect_refused({"seeds.replicates=10"}, {"seeds.replicates", "10", "bridge.replicas", "6"});
  expect_refused({"train.steps=61"}, {"train.steps", "61", "66"});
  expect_refused({"train.weight_decay=0.1"}, {"train.weight_decay"});
  expect_refused({"train.optimiser=adam"}, {"train.optimiser", "adam"});
  expect_refused({"train.optimiser=heavy-ball"}, {"train.optimiser", "heavy-ball", "sgd"});
  expect_refused({"train.order=online"}, {"train.order", "online", "iid"});
  expect_refused({"train.converged_loss=0.1"}, {"train.converged_loss", "0.1"});
  expect_refused({"bridge.directions=40"}, {"bridge.directions", "40", "20"});
  expect_refused({"bridge.sampled_orders=20"}, {"bridge.sampled_orders", "20", "16"});
  expect_refused({"train.batch=24"}, {"train.batch", "24", "epoch"});
}

}  // namespace
