// The experiment `pool-regression` from the command line: what it stores, what it refuses, and that a run cut in pieces
// has the bits of a whole one.
#include "host/io/array_checksum.hpp"
#include "host/io/run_folder.hpp"
#include "tests/support/command.hpp"

namespace {

namespace fs = std::filesystem;
using widelab::test::CommandTest;
using widelab::test::Outcome;

class PoolRegression : public CommandTest {
 protected:
  std::vector<std::string> command(const std::string& out, const std::vector<std::string>& settings) const {
    const fs::path recipe =
        write("pool.toml",
              "schema = 1\nexperiment = \"pool-regression\"\n[model]\nwidth = 8\n[data]\nexamples = "
              "60\ndimension = 5\n[curve]\nsizes = [5, 20, 50]\nexamples = 30\n[seeds]\nreplicates "
              "= 6\n");
    std::vector<std::string> arguments{"run", recipe.string(), "--out", out, "--quiet", "--set", "model.depth=1"};
    for (const std::string& setting : settings) arguments.insert(arguments.end(), {"--set", setting});
    return arguments;
  }
  std::vector<double> numbers(const std::string& out, const std::string& name) const {
    for (const widelab::io::NamedArray& array : widelab::io::read_arrays(folder() / out / "result.nc").arrays)
      if (array.name == name) return std::get<std::vector<double>>(array.values);
    throw std::runtime_error("no array " + name);
  }
  void expect_refused(const std::vector<std::string>& settings, const std::vector<std::string>& words) const {
    const Outcome outcome = run(command("refused", settings));
    EXPECT_TRUE(exits(outcome, 2)) << settings.front();
    for (const std::string& word : words)
      EXPECT_NE(outcome.err.find(word), std::string::npos) << word << " not in: " << outcome.err;
    EXPECT_FALSE(fs::exists(folder() / "refused")) << settings.front();
  }
};

TEST_F(PoolRegression, RunsKernelsAndFeaturesWithPredictionsBeside) {
  ASSERT_TRUE(exits(run(command("kernel", {"sweep.kernel=[nngp, ntk]"})), 0));
  ASSERT_TRUE(exits(run(command("features", {"curve.kind=random-features", "model.sigma_b=0"})), 0));
  for (const char* out : {"kernel", "features"})
    for (const char* name : {"test", "train"}) {
      const std::vector<double> mean = numbers(out, name), theory = numbers(out, std::string(name) + "_theory");
      EXPECT_EQ(mean.size(), std::string(out) == "kernel" ? 6u : 3u);
      for (std::size_t k = 0; k < mean.size(); ++k) {
        EXPECT_GT(mean[k], 0);
        EXPECT_GT(theory[k], 0);
      }
    }
}

TEST_F(PoolRegression, ExtendingARunGivesTheBitsOfALongOne) {
  ASSERT_TRUE(exits(run(command("long", {})), 0));
  ASSERT_TRUE(exits(run(command("short", {"seeds.replicates=2"})), 0));
  ASSERT_TRUE(exits(run({"extend", "short", "--replicates", "+4", "--quiet"}), 0));
  EXPECT_EQ(widelab::io::checksum(widelab::io::read_cell(folder() / "long", "single")),
            widelab::io::checksum(widelab::io::read_cell(folder() / "short", "single")));
}

TEST_F(PoolRegression, RefusalsNameTheKey) {
  expect_refused({"data.examples=40"}, {"data.examples", "40", "curve.last"});
  expect_refused({"data.test_examples=5"}, {"data.test_examples", "0"});
  expect_refused({"curve.ridge=0"}, {"curve.ridge"});
  expect_refused({"curve.kind=random-features", "model.depth=2"}, {"model.depth = 1"});
  expect_refused({"curve.sizes=[20, 10]"}, {"curve.sizes", "10 after 20"});
}

}  // namespace
