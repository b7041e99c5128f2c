// The experiment `staircase` from the command line: a run, what is said of bad recipes, and runs that were killed.
#include <algorithm>
#include <cmath>

#include "tests/support/experiment_command.hpp"

namespace {

namespace fs = std::filesystem;
using widelab::io::Observable;
using widelab::test::Outcome;
using widelab::test::Process;

class Staircase : public widelab::test::ExperimentTest {
 protected:
  Staircase()
      : ExperimentTest(
            "schema = 1\nexperiment = \"staircase\"\n[curve]\ndimension = 5\nsizes = [4, 12, 40]\n"
            "noise_variance = 0.1\n[seeds]\nreplicates = 40\n") {}

  static const std::vector<double>& flags(const widelab::io::Result& result, const std::string& name) {
    for (const widelab::io::NamedArray& extra : result.extras)
      if (extra.name == name) return std::get<std::vector<double>>(extra.values);
    throw std::runtime_error("no array " + name);
  }

  Outcome python(std::vector<std::string> arguments) const {
    widelab::test::Launch launched = launch(std::move(arguments));
    launched.program = "/usr/bin/python3";
    return Process(launched).wait();
  }

  /// Figures of a run, by name.
  std::vector<std::string> figures(const std::string& run) const {
    const Outcome drawn = python({"-B", "-W", "error::UserWarning", WIDELAB_SOURCE_DIR "/tools/plotting/plot.py", run});
    EXPECT_TRUE(exits(drawn, 0));
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder() / run / "figures"))
      names.push_back(entry.path().stem().string());
    std::sort(names.begin(), names.end());
    return names;
  }
};

TEST_F(Staircase, RunsEveryKernelAndHoldsEveryDegreeAgainstTheory) {
  ASSERT_TRUE(exits(run(command("a", {"sweep.kernel=[exp, inverse(20), nt-first-layer, nngp, ntk]"})), 0));
  const widelab::io::Result made = result("a");
  const Observable &test = find(made, "test"), &excess = find(made, "excess"), &learned = find(made, "learned");
  EXPECT_EQ(test.dims, (std::vector<std::string>{"kernel", "examples"}));
  EXPECT_EQ(learned.dims, (std::vector<std::string>{"kernel", "examples", "degree"}));
  for (std::size_t k = 0; k < test.mean.size(); ++k) {
    EXPECT_NEAR(test.mean[k], excess.mean[k] + 0.1, 1e-12);
    EXPECT_TRUE(std::isfinite(test.theory[k]) && test.se[k] > 0) << k;
  }
  EXPECT_TRUE(std::all_of(learned.theory.begin(), learned.theory.end(), [](double x) { return x >= 0 && x <= 1; }));
  bool stairs = false;
  for (const widelab::io::NamedArray& extra : made.extras)
    if (extra.name == "multiplicity") {
      const auto& values = std::get<std::vector<double>>(extra.values);
      stairs = std::equal(values.begin(), values.begin() + 5, std::vector<double>{1, 5, 14, 30, 55}.begin());
    }
  EXPECT_TRUE(stairs) << "B(5, l)";
}

TEST_F(Staircase, RunsRandomFeaturesAndMeanRidges) {
  ASSERT_TRUE(exits(run(command("a", {"curve.kind=random-features", "curve.examples=30", "curve.ridge=0.1"})), 0));
  EXPECT_EQ(find(result("a"), "test").dims, (std::vector<std::string>{"cell", "features"}));
  ASSERT_TRUE(exits(run(command("b", {"curve.ridge_convention=mean"})), 0));
  const widelab::io::Result made = result("b");
  EXPECT_NE(widelab::io::attribute(made.attributes, "conventions").find("\"mean\""), std::string::npos);
}

TEST_F(Staircase, TangentFeaturesStandBesideAConjectureThatIsNotCounted) {
  std::vector<std::string> tangent =
      command("a", {"curve.kind=tangent", "curve.examples=30", "curve.sizes=[5, 20, 60]"});
  tangent.insert(tangent.end(), {"--require-z", "1e-9"});
  ASSERT_TRUE(exits(run(tangent), 0));
  const widelab::io::Result made = result("a");
  const Observable& learned = find(made, "learned");
  EXPECT_EQ(learned.dims, (std::vector<std::string>{"cell", "parameters", "degree"}));
  EXPECT_NE(learned.prediction.find("conjecture"), std::string::npos);
  for (const char* name : {"excess", "train", "learned"}) {
    const Observable& one = find(made, name);
    for (std::size_t k = 0; k < one.mean.size(); ++k)
      EXPECT_TRUE(std::isfinite(one.mean[k]) && std::isfinite(one.theory[k])) << name << " " << k;
    const std::vector<double>& held = flags(made, std::string(name) + "_mean_is_exact");
    EXPECT_EQ(std::count(held.begin(), held.end(), 0.0), static_cast<std::ptrdiff_t>(held.size())) << name;
  }
  for (const double number : flags(made, "joint_verdict")) EXPECT_TRUE(std::isnan(number));
  EXPECT_GT(learned.mean[2 * 5 + 1], learned.mean[1]) << "degree 1 of 60 parameters, and of 5";
}

TEST_F(Staircase, ThreeKindsShareAnAxisOfParametersAndAFigure) {
  const std::string sizes = "curve.sizes=[5, 20, 60]";
  ASSERT_TRUE(
      exits(run(command("a", {"sweep.kind=[kernel, random-features, tangent]", "curve.examples=30", sizes})), 0));
  const widelab::io::Result made = result("a");
  EXPECT_EQ(find(made, "excess").dims, (std::vector<std::string>{"kind", "parameters"}));
  // The kernel's risk is held from n = 4 d = 20 on, that of the features everywhere, and the conjecture nowhere.
  EXPECT_EQ(flags(made, "excess_mean_is_exact"), (std::vector<double>{0, 1, 1, 1, 1, 1, 0, 0, 0}));
  ASSERT_TRUE(
      exits(run(command("b", {"sweep.examples=[20, 30, 60]", "curve.kind=random-features", "curve.sizes=[10]"})), 0));
  EXPECT_EQ(find(result("b"), "learned").dims, (std::vector<std::string>{"examples", "features", "degree"}));
  if (python({"-c", "import xarray, netCDF4, matplotlib"}).code != 0)
    GTEST_SKIP() << "needs python3-xarray, python3-netcdf4 and python3-matplotlib (tools/setup installs them)";
  EXPECT_EQ(figures("a"), (std::vector<std::string>{"residuals", "staircase_kinds"}));
  EXPECT_EQ(figures("b"), (std::vector<std::string>{"residuals", "staircase"}));
}

TEST_F(Staircase, BadRecipesAreRefusedWithTheKeyAndTheWayOut) {
  expect_refused({"curve.kernel=expp"}, {"curve.kernel", "expp", "did you mean \"exp\""});
  expect_refused({"curve.kernel=ntkk"}, {"did you mean \"ntk\""});
  expect_refused({"curve.kernel=inverse(0.5)"}, {"inverse", "1.01"});
  expect_refused({"curve.sizes=[10, 5]"}, {"curve.sizes", "ascend"});
  expect_refused({"curve.sizes=[]", "curve.first=50", "curve.last=20"}, {"curve.last", "curve.first"});
  expect_refused({"curve.kind=random-features", "curve.examples=12", "curve.ridge=0"}, {"curve.ridge", "infinite"});
  expect_refused({"curve.kind=tangent"}, {"curve.sizes", "4 is no multiple of 5", "take 5"});
  expect_refused({"curve.kind=tangent", "curve.sizes=[10]", "model.activation=tanh"},
                 {"model.activation", "relu alone"});
  expect_refused({"sweep.kind=[kernel, tangent]", "curve.sizes=[]"}, {"curve.first", "give curve.sizes"});
  expect_refused({"sweep.examples=[20, 30]"}, {"curve.examples", "curve.sizes"});
}

TEST_F(Staircase, KilledAtAnyMomentItResumesToTheSameBits) {
  const std::vector<std::string> settings{"sweep.kernel=[exp, ntk]", "curve.sizes=[10, 150]", "curve.dimension=8",
                                          "seeds.replicates=300"};
  ASSERT_TRUE(exits(run(command("whole", settings)), 0));
  for (const int milliseconds : {40, 200, 500}) {
    const std::string name = "killed" + std::to_string(milliseconds);
    run_with_a_kill(name, settings, milliseconds);
    for (const char* cell : {"kernel=exp", "kernel=ntk"})
      EXPECT_EQ(cell_bits("whole", cell), cell_bits(name, cell)) << name << " " << cell;
    EXPECT_EQ(result_bits("whole"), result_bits(name)) << name;
  }
}

TEST_F(Staircase, FurtherReplicatesGiveTheBitsOfOneLongRun) {
  ASSERT_TRUE(exits(run(command("long", {"seeds.replicates=60"})), 0));
  ASSERT_TRUE(exits(run(command("short", {})), 0));
  ASSERT_TRUE(exits(run({"extend", "short", "--replicates", "+20"}), 0));
  EXPECT_EQ(result_bits("long"), result_bits("short"));
}

}  // namespace
