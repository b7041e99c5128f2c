// The experiment `pool-regression` from the command line: what it stores, what it refuses, and that a run cut in pieces
// has the bits of a whole one.
#include "tests/support/experiment_command.hpp"

namespace {

class PoolRegression : public widelab::test::ExperimentTest {
 protected:
  PoolRegression()
      : ExperimentTest(
            "schema = 1\nexperiment = \"pool-regression\"\n[model]\nwidth = 8\ndepth = 1\n[data]\nexamples = 60\n"
            "dimension = 5\n[curve]\nsizes = [5, 20, 50]\nexamples = 30\n[seeds]\nreplicates = 6\n") {}
};

TEST_F(PoolRegression, RunsKernelsAndFeaturesWithPredictionsBeside) {
  ASSERT_TRUE(exits(run(command("kernel", {"sweep.kernel=[nngp, ntk]"})), 0));
  ASSERT_TRUE(exits(run(command("features", {"curve.kind=random-features", "model.sigma_b=0"})), 0));
  for (const std::string out : {"kernel", "features"}) {
    const widelab::io::Result made = result(out);
    for (const char* name : {"test", "train"}) {
      const widelab::io::Observable& error = find(made, name);
      ASSERT_EQ(error.mean.size(), out == "kernel" ? 6u : 3u);
      ASSERT_EQ(error.theory.size(), error.mean.size());
      for (std::size_t k = 0; k < error.mean.size(); ++k) {
        EXPECT_GT(error.mean[k], 0);
        EXPECT_GT(error.theory[k], 0);
      }
    }
  }
}

TEST_F(PoolRegression, ExtendingARunGivesTheBitsOfALongOne) {
  ASSERT_TRUE(exits(run(command("long", {})), 0));
  ASSERT_TRUE(exits(run(command("short", {"seeds.replicates=2"})), 0));
  ASSERT_TRUE(exits(run({"extend", "short", "--replicates", "+4", "--quiet"}), 0));
  EXPECT_EQ(cell_bits("long"), cell_bits("short"));
}

TEST_F(PoolRegression, RefusalsNameTheKey) {
  expect_refused({"data.examples=40"}, {"data.examples", "40", "curve.last"});
  expect_refused({"data.test_examples=5"}, {"data.test_examples", "0"});
  expect_refused({"curve.ridge=0"}, {"curve.ridge"});
  expect_refused({"curve.kind=random-features", "model.depth=2"}, {"model.depth = 1"});
  expect_refused({"curve.sizes=[20, 10]"}, {"curve.sizes", "10 after 20"});
}

}  // namespace
