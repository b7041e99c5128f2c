// The experiment `effective-landscape` from the command line.
#include <cmath>

#include "tests/support/experiment_command.hpp"

namespace {

class Valley : public widelab::test::ExperimentTest {
 protected:
  Valley()
      : ExperimentTest(
            "schema = 1\nexperiment = \"effective-landscape\"\n[landscape]\nkind = \"valley\"\n[valley]\n"
            "burn_in = 0.2\ntime = 1.0\nbins = 8\n[sweep]\nalong = [0.4, 0.8]\n[seeds]\nreplicates = 8\n") {}
};

TEST_F(Valley, StoresDensityCurvatureAndLimits) {
  ASSERT_TRUE(exits(run(command("out", {})), 0));
  const widelab::io::Result made = result("out");
  const widelab::io::Observable& density = find(made, "density");
  ASSERT_EQ(density.mean.size(), 16u);
  for (std::size_t cell = 0; cell < 2; ++cell) {
    double measured = 0, theory = 0;
    for (std::size_t b = 0; b < 8; ++b) {
      measured += density.mean[cell * 8 + b] * 6.283185307179586 / 8;
      theory += density.theory[cell * 8 + b] * 6.283185307179586 / 8;
    }
    EXPECT_NEAR(measured, 1, 1e-9);
    EXPECT_NEAR(theory, 1, 1e-9);
  }
  EXPECT_EQ(find(made, "mean_curvature_at_zero_noise").mean.size(), 1u);
  EXPECT_EQ(find(made, "density_at_zero_noise").mean.size(), 8u);
  EXPECT_NEAR(find(made, "curvature_at").mean.front(), 2, 1.5);
}

TEST_F(Valley, ExtendingARunGivesTheBitsOfALongOne) {
  ASSERT_TRUE(exits(run(command("long", {})), 0));
  ASSERT_TRUE(exits(run(command("short", {"seeds.replicates=3"})), 0));
  ASSERT_TRUE(exits(run({"extend", "short", "--replicates", "+5", "--quiet"}), 0));
  EXPECT_EQ(cell_bits("long", "along=0.4"), cell_bits("short", "along=0.4"));
}

TEST_F(Valley, RefusalsNameTheKey) {
  expect_refused({"valley.amplitude=2.5"}, {"valley.amplitude = 2.5", "below mean"});
  expect_refused({"valley.learning_rate=0.6"}, {"valley.learning_rate = 0.6", "2 / learning_rate"});
  expect_refused({"sweep.along=[1e-9]"}, {"valley.along", "at most"});
  expect_refused({"valley.noise=pink"}, {"valley.noise", "pink"});
}

class Slice : public widelab::test::ExperimentTest {
 protected:
  Slice()
      : ExperimentTest(
            "schema = 1\nexperiment = \"effective-landscape\"\n[landscape]\nkind = \"network\"\n[model]\nwidth = 4\n"
            "[data]\nexamples = 20\ndimension = 3\n[data.target]\nnoise = 0.5\n[train]\nsteps = 100\nbatch = 5\n"
            "order = \"fresh\"\nreduction = \"mean\"\nlearning_rate = 0.1\nprecision = \"fp64\"\n"
            "rate_scaling = \"plain\"\n[slice]\nreplicas = 16\nsteps = 200\nburn_in = 20\nflat = 3\nbins = 5\n[seeds]\n"
            "replicates = 3\n") {}
};

TEST_F(Slice, StoresPotentialLossAndTheirDifference) {
  ASSERT_TRUE(exits(run(command("out", {})), 0));
  const widelab::io::Result made = result("out");
  const std::vector<double>&potential = find(made, "effective_potential").mean,
        &loss = find(made, "loss_on_plane").mean, &noise = find(made, "noise_potential").mean;
  ASSERT_EQ(potential.size(), 25u);
  const std::size_t middle = 12;
  EXPECT_NEAR(noise[middle], potential[middle] - loss[middle], 1e-9);
  EXPECT_EQ(find(made, "temperature").mean.size(), 2u);
  for (const double value : find(made, "temperature").mean) EXPECT_GT(value, 0);
  EXPECT_TRUE(std::isfinite(find(made, "temperature_ratio").theory.front()));
}

TEST_F(Slice, ExtendingARunGivesTheBitsOfALongOne) {
  ASSERT_TRUE(exits(run(command("long", {})), 0));
  ASSERT_TRUE(exits(run(command("short", {"seeds.replicates=2"})), 0));
  ASSERT_TRUE(exits(run({"extend", "short", "--replicates", "+1", "--quiet"}), 0));
  EXPECT_EQ(cell_bits("long"), cell_bits("short"));
}

TEST_F(Slice, DivergedNetworksStayWithoutNumbers) {
  ASSERT_TRUE(exits(run(command("out", {"train.learning_rate=30", "train.divergence_limit=100"})), 0));
  EXPECT_FALSE(std::isfinite(find(result("out"), "temperature").mean.front()));
}

TEST_F(Slice, RefusalsNameTheKey) {
  expect_refused({"train.order=epochs"}, {"train.order", "epochs", "fresh"});
  expect_refused({"train.batch=0"}, {"train.order", "batch"});
  expect_refused({"train.optimiser=adam"}, {"train.optimiser", "adam"});
  expect_refused({"train.weight_decay=0.1"}, {"train.weight_decay"});
  expect_refused({"slice.flat=100"}, {"slice.flat = 100", "trained parameters"});
  expect_refused({"slice.burn_in=195"}, {"slice.burn_in = 195", "at least 10"});
}

}  // namespace
