// The experiment double-descent from its recipe: what it stores, what it refuses, and that a run killed half-way ends
// at the bits of one long run.
#include <algorithm>
#include <csignal>

#include "tests/support/experiment_command.hpp"

namespace {

namespace fs = std::filesystem;
using widelab::test::Outcome;
using widelab::test::Process;

/// `more` belongs to `[regression]`.
std::string recipe_text(const std::string& more, const std::string& replicates) {
  return "schema = 1\nexperiment = \"double-descent\"\n[regression]\ndimension = 8\nexamples = 20\n"
         "sizes = [10, 20, 40]\nridges = [0.01, 0.1]\ntimes = [5]\n" +
         more + "[seeds]\nreplicates = " + replicates + "\n";
}

class DoubleDescent : public widelab::test::ExperimentTest {
 protected:
  DoubleDescent() : ExperimentTest(recipe_text("", "6")) {}

  fs::path recipe(const std::string& more = "", const std::string& replicates = "6") const {
    return write("descent.toml", recipe_text(more, replicates));
  }
};

TEST_F(DoubleDescent, StoresRisksTermsEnsemblesAndAllFourRidges) {
  ASSERT_TRUE(exits(run({"run", recipe().string(), "--out", "a", "--quiet"}), 0));
  const widelab::io::ArrayFile result = widelab::io::read_arrays(folder() / "a" / "result.nc");
  for (const char* name :
       {"test", "test_theory", "excess_median", "variance_term", "ensemble_excess", "ridge_sum", "resolvent",
        "ridge_per-feature", "ridge_mean", "ridge_mei-montanari", "limit_excess", "joint"}) {
    const bool found = std::any_of(result.arrays.begin(), result.arrays.end(),
                                   [&](const widelab::io::NamedArray& array) { return array.name == name; });
    EXPECT_TRUE(found) << name;
  }
}

TEST_F(DoubleDescent, OtherModelsRun) {
  ASSERT_TRUE(exits(run({"run", recipe("kind = \"tangent\"\n").string(), "--out", "tangent", "--quiet"}), 0));
  ASSERT_TRUE(exits(
      run({"run", recipe("kind = \"linear\"\ntarget_power = [1.0]\n").string(), "--out", "linear", "--quiet"}), 0));
  ASSERT_TRUE(exits(
      run({"run", recipe("activation = \"tanh\"\ninputs = \"gaussian\"\n").string(), "--out", "gaussian", "--quiet"}),
      0));
}

TEST_F(DoubleDescent, ProjectionsOfAPowerLawAndSizesByRatioRun) {
  const std::string power = "kind = \"projections\"\npower_law = [1.5, 1.2]\n",
                    ratios = "kind = \"tangent\"\nsize_ratios = [0.5, 1.0, 2.0]\n";
  ASSERT_TRUE(exits(run({"run", recipe(power).string(), "--out", "power", "--quiet"}), 0));
  ASSERT_TRUE(exits(
      run({"run", recipe(ratios + "[sweep]\nnoise_variance = [0.1, 0.2]\n").string(), "--out", "ratio", "--quiet"}),
      0));
  for (const widelab::io::NamedArray& array : widelab::io::read_arrays(folder() / "ratio" / "result.nc").arrays)
    if (array.name == "test") {
      EXPECT_EQ(array.dims, (std::vector<std::string>{"noise_variance", "size_ratio", "filter"}));
    }
}

TEST_F(DoubleDescent, RefusalsNameTheKey) {
  expect_refused({"regression.size_ratios=[0.001]"}, {"regression.size_ratios", "0.001"});
  expect_refused({"regression.size_ratios=[1, 1.01]"}, {"regression.size_ratios", "20 after 20"});
  expect_refused({"regression.sizes=[20, 10]"}, {"regression.sizes", "10 after 20"});
  expect_refused({"regression.kind=tangents"}, {"regression.kind", "tangents", "tangent"});
  expect_refused({"regression.ridge_convention=summ"}, {"regression.ridge_convention", "mei-montanari"});
  const std::string linear = recipe("kind = \"linear\"\n").string();
  const Outcome power = run({"run", linear, "--out", "refused"});
  EXPECT_TRUE(exits(power, 2));
  EXPECT_NE(power.err.find("regression.target_power has 2 entries"), std::string::npos) << power.err;
  const std::string tangent = recipe("kind = \"tangent\"\nactivation = \"erf\"\n").string();
  EXPECT_NE(run({"run", tangent, "--out", "refused"}).err.find("regression.activation"), std::string::npos);
  const std::string law = recipe("kind = \"linear\"\npower_law = [1.0]\n").string();
  EXPECT_NE(run({"run", law, "--out", "refused"}).err.find("regression.power_law has 1 entries"), std::string::npos);
  const std::string normal = recipe("weights = \"normal\"\nactivation = \"erf\"\n").string();
  EXPECT_NE(run({"run", normal, "--out", "refused"}).err.find("regression.weights"), std::string::npos);
}

TEST_F(DoubleDescent, SegmentsAndAKillChangeNoBit) {
  const std::string sweep = recipe("[sweep]\nnoise_variance = [0.1, 0.2]\n", "80").string();
  const std::string first = "noise_variance=0.1", second = "noise_variance=0.2";
  ASSERT_TRUE(exits(run({"run", sweep, "--out", "whole", "--quiet"}), 0));
  widelab::test::Launch alone = launch({"run", sweep, "--out", "alone", "--quiet"});
  alone.environment["OMP_NUM_THREADS"] = "1";  // a replicate a segment
  ASSERT_TRUE(exits(Process(alone).wait(), 0));
  Process process(launch({"run", sweep, "--out", "killed", "--quiet"}));
  ASSERT_TRUE(process.wait_until(
      [&] { return fs::exists(folder() / "killed" / "cells" / widelab::io::cell_file_name(first)); }));
  process.send(SIGKILL);
  process.wait();
  ASSERT_TRUE(exits(run({"run", sweep, "--out", "killed", "--quiet", "--resume"}), 0));
  for (const std::string& cell : {first, second}) {
    EXPECT_EQ(cell_bits("whole", cell), cell_bits("killed", cell));
    EXPECT_EQ(cell_bits("whole", cell), cell_bits("alone", cell));
  }
  EXPECT_NE(cell_bits("whole", first), cell_bits("whole", second));
}

}  // namespace
