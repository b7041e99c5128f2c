// The experiment `langevin` from the command line.
#include <cmath>

#include "tests/support/experiment_command.hpp"

namespace {

constexpr const char* kCell = "learning_rate=0.05,width=4";

class Langevin : public widelab::test::ExperimentTest {
 protected:
  Langevin()
      : ExperimentTest(
            "schema = 1\nexperiment = \"langevin\"\n[data]\nexamples = 4\ndimension = 3\n"
            "test_examples = 2\n[train]\ntemperature = 0.5\nsteps = 500\n"
            "[chain]\nburn_in = 230\nthin = 3\n[observe]\ncount = 4\n[sweep]\nwidth = [4]\nlearning_rate = "
            "[0.05]\n[seeds]\nreplicates = 12\n") {}

  static const std::vector<double>& extra(const widelab::io::Result& result, const std::string& name) {
    for (const widelab::io::NamedArray& one : result.extras)
      if (one.name == name) return std::get<std::vector<double>>(one.values);
    throw std::runtime_error("no array " + name);
  }
};

TEST_F(Langevin, ReadoutsHaveALawForEverything) {
  ASSERT_TRUE(exits(run(command("out", {"model.train_layers=[false, true]", "sweep.learning_rate=[0.03, 0.05]"})), 0));
  const widelab::io::Result made = result("out");
  for (const auto& [name, entries] : {std::pair<const char*, std::size_t>{"posterior_mean", 12},
                                      {"posterior_variance", 12},
                                      {"variance_ratio", 2},
                                      {"loss_ratio", 2},
                                      {"readout_virial", 2},
                                      {"posterior_variance_at_zero_step", 6},
                                      {"readout_virial_at_zero_step", 1}}) {
    const widelab::io::Observable& one = find(made, name);
    ASSERT_EQ(one.mean.size(), entries) << name;
    for (std::size_t k = 0; k < entries; ++k) {
      EXPECT_TRUE(std::isfinite(one.mean[k])) << name;
      EXPECT_TRUE(std::isfinite(one.theory[k])) << name;
    }
  }
  EXPECT_EQ(find(made, "split_rhat").mean.size(), 16u);
  EXPECT_EQ(extra(made, "noise_variance").front(), 0.5);
  EXPECT_EQ(extra(made, "prior_variance").front(), 1.0);
}

TEST_F(Langevin, WideNetworksStandBesideTheirLimit) {
  ASSERT_TRUE(exits(run(command("out", {"sweep.width=[2, 4, 8]", "sweep.learning_rate=[0.03, 0.05]"})), 0));
  const widelab::io::Result made = result("out");
  EXPECT_EQ(find(made, "variance_ratio_at_zero_step").mean.size(), 3u);
  const widelab::io::Observable& shift = find(made, "variance_ratio_width_shift");
  EXPECT_FALSE(std::isfinite(shift.theory[1]));
  EXPECT_TRUE(std::isfinite(shift.theory[2]));
  EXPECT_EQ(find(made, "variance_ratio_width_exponent").mean.size(), 1u);
  // A limit beside finite networks is no exact prediction; the virial of the readout is one.
  EXPECT_EQ(extra(made, "posterior_mean_at_zero_step_mean_is_exact").front(), 0.0);
  for (const widelab::io::NamedArray& one : made.extras)
    EXPECT_NE(one.name, "readout_virial_at_zero_step_mean_is_exact");
}

TEST_F(Langevin, ThePriorIsWhatTheWeightDecaySays) {
  ASSERT_TRUE(
      exits(run(command("out", {"chain.prior=weight-decay", "train.weight_decay=1.0", "train.loss=squared"})), 0));
  const widelab::io::Result made = result("out");
  EXPECT_EQ(extra(made, "prior_variance").front(), 0.5);   // T / lambda
  EXPECT_EQ(extra(made, "noise_variance").front(), 0.25);  // kappa = 2
}

TEST_F(Langevin, ExtendingARunGivesTheBitsOfALongOne) {
  ASSERT_TRUE(exits(run(command("long", {})), 0));
  ASSERT_TRUE(exits(run(command("short", {"seeds.replicates=5"})), 0));
  ASSERT_TRUE(exits(run({"extend", "short", "--replicates", "+7", "--quiet"}), 0));
  EXPECT_EQ(cell_bits("long", kCell), cell_bits("short", kCell));
}

TEST_F(Langevin, DivergedChainsAreCountedAndLeftOut) {
  ASSERT_TRUE(
      exits(run(command("out", {"sweep.learning_rate=[0.9]", "train.divergence_limit=20", "seeds.replicates=6"})), 0));
  const widelab::io::Result made = result("out");
  EXPECT_GT(extra(made, "diverged").front(), 0);
}

TEST_F(Langevin, RefusalsNameTheKey) {
  expect_refused({"train.optimiser=sgd", "train.temperature=0"}, {"train.optimiser", "langevin"});
  expect_refused({"train.temperature=0.0"}, {"train.temperature", "T > 0"});
  expect_refused({"train.weight_decay=0.5"}, {"train.weight_decay", "initial-law"});
  expect_refused({"chain.prior=weight-decay"}, {"train.weight_decay = 0", "initial-law"});
  expect_refused({"model.parametrization=standard"}, {"model.parametrization", "ntk"});
  expect_refused({"model.zero_readout=true"}, {"chain.prior", "weight-decay"});
  expect_refused({"model.train_layers=[true, false]"}, {"model.train_layers", "[false, true]"});
  expect_refused({"train.batch=2"}, {"train.order", "iid"});
  expect_refused({"train.schedule=cosine"}, {"train.schedule", "constant"});
  expect_refused({"train.label_noise=0.1"}, {"train.label_noise", "0.1"});
  expect_refused({"train.decay=decoupled"}, {"train.decay", "coupled"});
  expect_refused({"model.outputs=2"}, {"model.outputs", "2"});
  expect_refused({"chain.burn_in=20"}, {"chain.burn_in", "20", "steps to forget"});
  expect_refused({"chain.thin=100"}, {"chain.thin", "at least 8"});
  expect_refused({"model.train_layers=[false, true]", "sweep.learning_rate=[5.0]"},
                 {"train.learning_rate", "stability"});
}

}  // namespace
