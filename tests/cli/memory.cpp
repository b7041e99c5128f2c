// The measured peak of a run, by the kernel's own account, against what the plan said before it began.
#include <nlohmann/json.hpp>

#include "tests/support/command.hpp"

namespace {

using widelab::test::CommandTest;
using widelab::test::Launch;
using widelab::test::Process;
using widelab::test::read_text;

constexpr double kShare = 0.15;

class PlannedMemory : public CommandTest {
 protected:
#ifdef __SANITIZE_ADDRESS__
  void SetUp() override { GTEST_SKIP() << "the sanitizer's own memory would be counted too"; }
#endif
  /// run.json's memory.peak_bytes is VmHWM: rusage would inherit what the test itself had used before the exec.
  void expect_within(const std::vector<std::string>& settings, const std::string& threads = "2",
                     const std::vector<std::string>& options = {}) {
    const std::string name = "run" + std::to_string(runs_++);
    std::vector<std::string> arguments{"run", tiny_recipe().string(), "--out", name, "--quiet", "--device", "cpu"};
    for (const std::string& setting : settings) arguments.insert(arguments.end(), {"--set", setting});
    arguments.insert(arguments.end(), options.begin(), options.end());
    Launch launched = launch(arguments);
    launched.environment["OMP_NUM_THREADS"] = threads;
    ASSERT_TRUE(exits(Process(launched).wait(), 0));
    const auto record = nlohmann::json::parse(read_text(folder() / name / "run.json"));
    const double planned = record["plan"]["peak_bytes"], measured = record["memory"]["peak_bytes"];
    EXPECT_NEAR(measured, planned, kShare * planned)
        << settings.front() << ": measured / planned = " << measured / planned;
  }

 private:
  int runs_ = 0;
};

TEST_F(PlannedMemory, HoldsWhereWeightsDominate) {
  const std::vector<std::string> wide{"sweep.width=[2048]", "model.depth=3", "data.examples=64", "seeds.replicates=4"};
  expect_within(wide);
  expect_within(wide, "5");                         // more threads than networks: they share one
  expect_within(wide, "2", {"--memory", "0.055"});  // weights drawn twice, in tiles
}

TEST_F(PlannedMemory, HoldsWhereStatisticsDominate) {
  expect_within({"sweep.width=[8]", "data.examples=200", "seeds.replicates=16"});
}

TEST_F(PlannedMemory, HoldsOverManyCells) {
  expect_within({"sweep.width=[8, 12, 16]", "data.examples=100", "seeds.replicates=70"});
}

TEST_F(PlannedMemory, HoldsWhereEveryNetworkIsKept) {
  expect_within({"sweep.width=[8, 16]", "data.examples=40", "seeds.replicates=3000", "measure.keep=samples"});
}

TEST_F(PlannedMemory, HoldsForStoredWeightsAndDoublePrecision) {
  expect_within(
      {"sweep.width=[1024]", "model.depth=2", "data.examples=64", "seeds.replicates=4", "model.init=orthogonal"});
  expect_within({"sweep.width=[1024]", "model.depth=3", "data.examples=64", "seeds.replicates=4",
                 "measure.precision=fp64", "model.outputs=3"});
}

TEST_F(PlannedMemory, HoldsBesideALargeDataFile) {
  // 40000 images of 28 x 28 pixels, read whole before 64 of them are taken.
  const std::string header("\0\0\x08\x03\0\0\x9C\x40\0\0\0\x1C\0\0\0\x1C", 16);
  std::string pixels(40000u * 784u, '\0');
  for (std::size_t k = 0; k < pixels.size(); ++k) pixels[k] = static_cast<char>(k * k % 251);
  write("images.idx", header + pixels);
  expect_within({"sweep.width=[1024]", "data.examples=64", "data.law=idx", "data.dimension=0", "seeds.replicates=6",
                 "data.paths=[" + (folder() / "images.idx").string() + "]", "data.preprocessing=[pixel/255]"});
}

TEST_F(PlannedMemory, HoldsForTheLawExactSampler) {
  expect_within(
      {"sweep.width=[1000]", "model.depth=3", "data.examples=96", "seeds.replicates=4", "measure.method=law-exact"});
}

}  // namespace
