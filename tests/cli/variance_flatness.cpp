// The experiment `variance-flatness` from the command line, on a mixture.
#include <cmath>

#include "tests/support/experiment_command.hpp"

namespace {

class VarianceFlatness : public widelab::test::ExperimentTest {
 protected:
  VarianceFlatness()
      : ExperimentTest(
            "schema = 1\nexperiment = \"variance-flatness\"\n[model]\nwidths = [6, 5]\noutputs = 3\n"
            "parametrization = \"standard\"\n[data]\nlaw = \"mixture\"\ncomponents = 3\nexamples = 43\n"
            "dimension = 6\n[data.target]\nkind = \"classes\"\nlabel_coding = \"one-hot\"\n[train]\n"
            "loss = \"cross-entropy\"\nreduction = \"mean\"\nbatch = 5\nlearning_rate = 0.2\nsteps = 80\n"
            "precision = \"fp64\"\n[flatness]\nwindow = 3\nevery = 3\nmodes = 10\nreplicas = 4\n"
            "[seeds]\nreplicates = 5\n") {}
};

TEST_F(VarianceFlatness, ReportsThreeExponentsWithErrorsAndVerdicts) {
  ASSERT_TRUE(exits(run(command("out", {"sweep.order=[\"epochs\", \"iid\"]"})), 0));
  const widelab::io::Result made = result("out");
  for (const char* name : {"psi_window", "psi_replica", "psi_null", "psi_linearised"})
    for (std::size_t c = 0; c < 2; ++c) {
      EXPECT_TRUE(std::isfinite(find(made, name).mean[c])) << name;
      EXPECT_GT(find(made, name).se[c], 0) << name;
      EXPECT_EQ(find(made, name).count[c], 5) << name;
    }
  for (const char* name : {"psi_excess", "psi_nonlinear"}) {
    EXPECT_EQ(find(made, name).theory.front(), 0);
    EXPECT_TRUE(std::isfinite(find(made, name).z.front()));
  }
  EXPECT_NEAR(find(made, "psi_excess").mean[0], find(made, "psi_window").mean[0] - find(made, "psi_null").mean[0],
              1e-12);
  // Components 0, 1, 4, .. of a window of 24 steps: the last one is 22.
  const auto& components = std::get<std::vector<double>>(axis_named(made, "component").values);
  EXPECT_EQ(components, (std::vector<double>{0, 1, 4, 7, 10, 13, 16, 19, 22}));
  const widelab::io::Observable &variance = find(made, "variance"), &checkpoint = find(made, "checkpoint");
  for (std::size_t i = 1; i < 9; ++i) EXPECT_LT(variance.mean[i], variance.mean[i - 1]);
  EXPECT_EQ(checkpoint.mean.front(), 80 - 3 * 8);  // 43 examples: 8 steps an epoch, three are left out
  EXPECT_EQ(find(made, "replica_variance").mean.size(), 2 * 5 * 10u);
  EXPECT_EQ(std::get<std::vector<double>>(axis_named(made, "time").values).back(), 3);
  bool said = false;
  for (const auto& [key, text] : made.attributes)
    said = said || (key == "invariance" && text.find("alpha") < text.size());
  EXPECT_TRUE(said);
}

TEST_F(VarianceFlatness, ExtendedAndKilledRunsHaveTheBitsOfALongOne) {
  ASSERT_TRUE(exits(run(command("long", {})), 0));
  ASSERT_TRUE(exits(run(command("short", {"seeds.replicates=2"})), 0));
  ASSERT_TRUE(exits(run({"extend", "short", "--replicates", "+3", "--quiet"}), 0));
  EXPECT_EQ(cell_bits("long"), cell_bits("short"));
  run_with_a_kill("killed", {}, 60);
  EXPECT_EQ(cell_bits("long"), cell_bits("killed"));
}

TEST_F(VarianceFlatness, ANetworkOfItsOwnCheckpointDoesNotDependOnTheOthers) {
  const std::vector<std::string> converge{"train.converged_loss=0.65", "train.steps=800"};
  ASSERT_TRUE(exits(run(command("long", converge)), 0));
  const widelab::io::Observable checkpoint = find(result("long"), "checkpoint");
  EXPECT_GT(checkpoint.se.front(), 0);  // they converge at different times
  EXPECT_LT(find(result("long"), "checkpoint_loss").mean.front(), 0.65);
  std::vector<std::string> two = converge;
  two.emplace_back("seeds.replicates=2");
  ASSERT_TRUE(exits(run(command("short", two)), 0));
  ASSERT_TRUE(exits(run({"extend", "short", "--replicates", "+3", "--quiet"}), 0));
  EXPECT_EQ(cell_bits("long"), cell_bits("short"));
}

TEST_F(VarianceFlatness, NetworksThatDivergeOrDoNotConvergeAreNoNumbers) {
  ASSERT_TRUE(exits(run(command("wild", {"train.learning_rate=1e4", "train.loss=half-squared"})), 0));
  EXPECT_EQ(find(result("wild"), "psi_window").count.front(), 0);
  ASSERT_TRUE(exits(run(command("slow", {"train.converged_loss=1e-9"})), 0));
  EXPECT_EQ(find(result("slow"), "psi_window").count.front(), 0);
  EXPECT_TRUE(std::isnan(find(result("slow"), "checkpoint").mean.front()));
}

TEST_F(VarianceFlatness, LayersOfDifferentWidthsShareTheirAxes) {
  ASSERT_TRUE(
      exits(run(command("out", {"model.widths=[]", "model.depth=2", "sweep.width=[2, 4]", "seeds.replicates=3"})), 0));
  const widelab::io::Result made = result("out");
  const widelab::io::Observable& variance = find(made, "variance");
  ASSERT_EQ(variance.mean.size(), 2 * 6u);  // 4 x 4 weights: 0, 1, 4, 7, 10, 13
  EXPECT_TRUE(std::isnan(variance.mean[2]));
  EXPECT_TRUE(std::isfinite(variance.mean[6 + 2]));
}

TEST_F(VarianceFlatness, RefusalsNameTheKey) {
  expect_refused({"flatness.layer=2"}, {"flatness.layer", "2", "1"});
  expect_refused({"model.widths=[6]"}, {"flatness.layer", "model.depth"});
  expect_refused({"flatness.window=10"}, {"flatness.window", "10", "train.steps", "9"});
  expect_refused({"train.steps=81"}, {"train.steps", "81", "88"});
  expect_refused({"train.batch=11"}, {"train.batch", "11", "four"});
  expect_refused({"train.batch=0"}, {"train.order", "train.batch"});
  expect_refused({"train.order=fixed"}, {"train.order", "fixed", "iid"});
  expect_refused({"train.order=online"}, {"train.order", "online"});
  expect_refused({"train.optimiser=heavy-ball"}, {"train.optimiser", "heavy-ball", "sgd"});
  expect_refused({"train.weight_decay=0.1"}, {"train.weight_decay"});
  expect_refused({"train.dropout_keep=0.9"}, {"train.dropout_keep"});
  expect_refused({"train.label_noise=0.1"}, {"train.label_noise"});
  expect_refused({"train.learning_rate=0.0"}, {"train.learning_rate", "0"});
  expect_refused({"model.activation=tanh"}, {"model.activation", "relu"});
  expect_refused({"model.layer_norm=true"}, {"model.layer_norm"});
  expect_refused({"model.train_layers=[true, false, true]"}, {"model.train_layers", "1"});
  expect_refused({"model.widths=[70, 70]"}, {"flatness.layer", "4900", "4096"});
  expect_refused({"flatness.replicas=1"}, {"flatness.replicas", "1"});
}

}  // namespace
