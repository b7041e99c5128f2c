// The experiment `activity-weight-duality` from the command line, on a mixture.
#include <cmath>

#include "tests/support/experiment_command.hpp"

namespace {

class ActivityWeightDuality : public widelab::test::ExperimentTest {
 protected:
  ActivityWeightDuality()
      : ExperimentTest(
            "schema = 1\nexperiment = \"activity-weight-duality\"\n[model]\nwidths = [7, 5]\nsigma_b = 0.3\n"
            "outputs = 3\n[data]\nlaw = \"mixture\"\ncomponents = 3\nseparation = 2.0\nexamples = 40\n"
            "test_examples = 30\ndimension = 6\n[data.target]\nkind = \"classes\"\n"
            "label_coding = \"one-hot\"\n[train]\nloss = \"cross-entropy\"\nreduction = \"mean\"\n"
            "batch = 10\nlearning_rate = 0.3\nsteps = 80\nprecision = \"fp64\"\n[observe]\ncount = 5\n"
            "[duality]\ndirections = 20\n[seeds]\nreplicates = 5\n") {}
};

TEST_F(ActivityWeightDuality, HoldsToRoundingAndAddsUpToTheGap) {
  ASSERT_TRUE(exits(run(command("out", {"sweep.weight_decay=[0.0, 0.01]"})), 0));
  const widelab::io::Result made = result("out");
  for (std::size_t c = 0; c < 2; ++c) {
    EXPECT_GT(find(made, "gap").se[c], 0);
    EXPECT_LT(find(made, "identity_error").mean[c], 1e-12);
    EXPECT_LT(find(made, "split_error").mean[c], 1e-12);
    EXPECT_LE(find(made, "train_loss").mean[c], find(made, "test_loss").mean[c]);
  }
  const widelab::io::Observable& curvature = find(made, "curvature");
  ASSERT_EQ(curvature.mean.size(), 2 * 20u);
  for (std::size_t n = 1; n < 20; ++n) EXPECT_LE(curvature.mean[n], curvature.mean[n - 1]);
}

TEST_F(ActivityWeightDuality, TrainsUntilTheLossIsLowEnough) {
  ASSERT_TRUE(
      exits(run(command("out", {"train.converged_loss=0.9", "observe.spacing=linear", "observe.count=41"})), 0));
  const widelab::io::Result made = result("out");
  EXPECT_LT(find(made, "steps").mean.front(), 80);
  EXPECT_LT(find(made, "train_loss").mean.front(), 0.9);
}

TEST_F(ActivityWeightDuality, RefusalsNameTheKey) {
  expect_refused({"duality.layer=3"}, {"duality.layer", "3", "2"});
  expect_refused({"model.layer_norm=true"}, {"model.layer_norm"});
  expect_refused({"train.order=online"}, {"train.order", "online"});
  expect_refused({"data.test_examples=1"}, {"data.test_examples", "1"});
  expect_refused({"model.train_layers=[true, false, true]"}, {"model.train_layers", "layer 1"});
}

}  // namespace
