// The experiment `sgd-stationary` from the command line.
#include <cmath>

#include "tests/support/experiment_command.hpp"

namespace {

class SgdStationary : public widelab::test::ExperimentTest {
 protected:
  SgdStationary()
      : ExperimentTest(
            "schema = 1\nexperiment = \"sgd-stationary\"\n[model]\nwidth = 3\nactivation = \"identity\"\n"
            "train_layers = [false, true]\n[data]\nexamples = 20\ndimension = 3\n[data.target]\nnoise = 0.5\n"
            "[train]\nbatch = 2\norder = \"iid\"\nreduction = \"mean\"\nprecision = \"fp64\"\n"
            "learning_rate = 0.1\nsteps = 60\n[chain]\nburn_in = 20\nlags = [0, 3]\n[observe]\ncount = 4\n"
            "[seeds]\nreplicates = 40\n") {}
};

TEST_F(SgdStationary, StoresEveryMomentWithItsLaw) {
  ASSERT_TRUE(exits(run(command("out", {"sweep.optimiser=[sgd, heavy-ball]"})), 0));
  const widelab::io::Result made = result("out");
  for (const auto& [name, entries] : {std::pair<const char*, std::size_t>{"excess_loss", 2},
                                      {"mode_variance", 6},
                                      {"temperature", 6},
                                      {"mode_mean", 6},
                                      {"autocovariance", 4},
                                      {"excess_loss_at", 8}}) {
    const widelab::io::Observable& one = find(made, name);
    ASSERT_EQ(one.mean.size(), entries) << name;
    for (std::size_t k = 0; k < entries; ++k) {
      EXPECT_TRUE(std::isfinite(one.mean[k])) << name;
      EXPECT_TRUE(std::isfinite(one.theory[k])) << name;
    }
  }
  EXPECT_EQ(find(made, "mode_kurtosis").mean.size(), 6u);
}

TEST_F(SgdStationary, BeyondTheEdgeThereIsNoLawButTheWayThere) {
  ASSERT_TRUE(exits(run(command("out", {"train.batch=1", "train.learning_rate=1.5", "train.steps=30"})), 0));
  const widelab::io::Result made = result("out");
  EXPECT_TRUE(std::isfinite(find(made, "excess_loss_at").theory.back()));
  bool seen = false;
  for (const widelab::io::NamedArray& extra : made.extras)
    if (extra.name == "stationary_variance") seen = std::isnan(std::get<std::vector<double>>(extra.values).front());
  EXPECT_TRUE(seen);
}

TEST_F(SgdStationary, ExtendingARunGivesTheBitsOfALongOne) {
  ASSERT_TRUE(exits(run(command("long", {})), 0));
  ASSERT_TRUE(exits(run(command("short", {"seeds.replicates=10"})), 0));
  ASSERT_TRUE(exits(run({"extend", "short", "--replicates", "+30", "--quiet"}), 0));
  EXPECT_EQ(cell_bits("long"), cell_bits("short"));
}

TEST_F(SgdStationary, RefusalsNameTheKey) {
  expect_refused({"model.train_layers=[]"}, {"model.train_layers", "[false, true]"});
  expect_refused({"model.outputs=2"}, {"model.outputs", "2"});
  expect_refused({"train.optimiser=adam"}, {"train.optimiser", "adam", "heavy-ball"});
  expect_refused({"train.schedule=cosine"}, {"train.schedule", "constant"});
  const auto online = [&](const char* setting, const std::vector<std::string>& words) {
    expect_refused({"train.order=online", "data.law=gaussian", "model.train_bias=false", setting}, words);
  };
  online("data.law=sphere", {"data.law", "sphere", "gaussian"});
  online("data.target.kind=hermite", {"data.target.kind", "hermite", "linear"});
  online("model.activation=relu", {"model.activation", "relu", "identity"});
  online("train.optimiser=heavy-ball", {"train.optimiser", "heavy-ball", "sgd"});
  online("train.weight_decay=0.1", {"train.weight_decay", "0.1"});
  online("model.sigma_b=1.0", {"model.sigma_b", "1"});
  online("model.width=4", {"model.width", "4", "data.dimension"});
  online("train.reduction=dataset-sum", {"train.reduction", "dataset-sum"});
  expect_refused({"train.order=fixed"}, {"train.order", "fixed", "train.batch = 0"});
  expect_refused({"train.converged_loss=0.1"}, {"train.converged_loss", "0.1"});
  expect_refused({"chain.burn_in=58"}, {"chain.burn_in", "58", "train.steps"});
  expect_refused({"train.order=epochs", "chain.burn_in=15"}, {"chain.burn_in", "15", "epoch", "20"});
  expect_refused({"train.order=epochs", "train.steps=65"}, {"train.steps", "65", "epoch", "70"});
  expect_refused({"chain.sampled_orders=40"}, {"chain.sampled_orders", "40", "16"});
  expect_refused({"chain.lags=[3, 1]"}, {"chain.lags"});
}

}  // namespace
