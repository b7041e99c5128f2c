// The experiment `sharpness-and-batch` from the command line, on a mixture.
#include <cmath>

#include "tests/support/experiment_command.hpp"

namespace {

class SharpnessAndBatch : public widelab::test::ExperimentTest {
 protected:
  SharpnessAndBatch()
      : ExperimentTest(
            "schema = 1\nexperiment = \"sharpness-and-batch\"\n[model]\nwidths = [7, 5]\nsigma_b = 0.3\n"
            "outputs = 3\n[data]\nlaw = \"mixture\"\ncomponents = 3\nexamples = 40\ntest_examples = 30\n"
            "dimension = 6\n[data.target]\nkind = \"classes\"\nlabel_coding = \"one-hot\"\n[train]\n"
            "loss = \"cross-entropy\"\nreduction = \"mean\"\nbatch = 10\nlearning_rate = 0.2\nsteps = 60\n"
            "precision = \"fp64\"\n[observe]\ncount = 4\n[sharpness]\nrescaling = 3.0\ndirections = 4\n"
            "[seeds]\nreplicates = 5\n") {}
};

TEST_F(SharpnessAndBatch, SaysWhichMeasuresAreThoseOfTheFunction) {
  ASSERT_TRUE(exits(run(command("out", {"sweep.weight_decay=[0.0, 0.01]"})), 0));
  const widelab::io::Result made = result("out");
  const widelab::io::Observable& control = find(made, "rescaled_over_trained");
  ASSERT_EQ(control.mean.size(), 2 * 6u);
  for (std::size_t c = 0; c < 2; ++c) {
    EXPECT_LT(find(made, "output_change").mean[c], 1e-13);  // the function is the same
    // Row by row and trace times squared weights: invariant. The others are not.
    for (const std::size_t measure : {4, 5}) EXPECT_NEAR(control.mean[6 * c + measure], 1, 1e-6) << measure;
    for (const std::size_t measure : {0, 1, 2, 3})
      EXPECT_GT(std::fabs(control.mean[6 * c + measure] - 1), 1e-3) << measure;
    for (std::size_t measure = 0; measure < 6; ++measure)
      EXPECT_GT(find(made, "flatness").se[6 * c + measure], 0) << measure;
  }
}

TEST_F(SharpnessAndBatch, ExtendingARunGivesTheBitsOfALongOne) {
  ASSERT_TRUE(exits(run(command("long", {})), 0));
  ASSERT_TRUE(exits(run(command("short", {"seeds.replicates=2"})), 0));
  ASSERT_TRUE(exits(run({"extend", "short", "--replicates", "+3", "--quiet"}), 0));
  EXPECT_EQ(cell_bits("long"), cell_bits("short"));
}

// Learning rates that each network's own sharpness sets exist only once the networks are drawn.
TEST_F(SharpnessAndBatch, TrainsAtRatesOfEachNetworksOwn) {
  const std::string unit = "train.rate_unit=\"2/sharpness\"";
  ASSERT_TRUE(exits(run(command("long", {unit})), 0));
  ASSERT_TRUE(exits(run(command("short", {unit, "train.steps=4"})), 0));
  EXPECT_LT(find(result("long"), "train_loss").mean.front(), 0.9 * find(result("short"), "train_loss").mean.front());
}

TEST_F(SharpnessAndBatch, RefusalsNameTheKey) {
  expect_refused({"train.order=online"}, {"train.order", "online"});
  expect_refused({"model.activation=tanh"}, {"model.activation", "relu"});
  expect_refused({"sharpness.layer=2"}, {"sharpness.layer", "2", "1"});
  expect_refused({"data.test_examples=0"}, {"data.test_examples", "0"});
}

}  // namespace
