// A cell's bits know nothing of the other cells of its sweep, of the number of threads, or of the memory allowed.
#include <cmath>

#include "host/io/array_checksum.hpp"
#include "host/io/run_folder.hpp"
#include "tests/support/command.hpp"

namespace {

using widelab::io::ArrayFile;
using widelab::test::CommandTest;
using widelab::test::Launch;
using widelab::test::Process;

class SweepInvariance : public CommandTest {
 protected:
  /// Runs the tiny recipe with these settings into a new folder and returns its name.
  std::string sample(const std::vector<std::string>& settings, const std::vector<std::string>& more = {},
                     const std::string& threads = "2") {
    const std::string name = "run" + std::to_string(runs_++);
    std::vector<std::string> arguments{"run", tiny_recipe().string(), "--out", name, "--quiet"};
    for (const std::string& setting : settings) arguments.insert(arguments.end(), {"--set", setting});
    arguments.insert(arguments.end(), more.begin(), more.end());
    Launch launched = launch(arguments);
    launched.environment["OMP_NUM_THREADS"] = threads;
    EXPECT_TRUE(exits(Process(launched).wait(), 0));
    return name;
  }

  ArrayFile cell(const std::string& run, const std::string& name) const {
    return widelab::io::read_cell(folder() / run, name);
  }

  void expect_same_cells(const std::string& a, const std::string& b, const std::vector<std::string>& cells) const {
    for (const std::string& name : cells)
      EXPECT_EQ(widelab::io::checksum(cell(a, name)), widelab::io::checksum(cell(b, name)))
          << name << " of " << a << " and " << b;
  }

  /// Why each cell was computed as it was.
  std::string reasons(const std::string& run) const {
    const std::string record = widelab::test::read_text(folder() / run / "run.json");
    return record.substr(record.find("\"reasons\""));
  }

  static const std::vector<double>& column(const ArrayFile& file, const std::string& name) {
    for (const auto& array : file.arrays)
      if (array.name == name) return std::get<std::vector<double>>(array.values);
    throw std::runtime_error("no array " + name);
  }

  static double correlation(const std::vector<double>& x, const std::vector<double>& y) {
    double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
    for (std::size_t k = 0; k < x.size(); ++k) mx += x[k], my += y[k];
    mx /= static_cast<double>(x.size()), my /= static_cast<double>(x.size());
    for (std::size_t k = 0; k < x.size(); ++k) {
      xx += (x[k] - mx) * (x[k] - mx);
      yy += (y[k] - my) * (y[k] - my);
      xy += (x[k] - mx) * (y[k] - my);
    }
    return xy / std::sqrt(xx * yy);
  }

 private:
  int runs_ = 0;
};

TEST_F(SweepInvariance, AddingReorderingOrRemovingAWidthChangesNoOtherCell) {
  const std::string base = sample({});
  expect_same_cells(base, sample({"sweep.width=[8, 12, 16]"}), {"width=8", "width=16"});
  expect_same_cells(base, sample({"sweep.width=[16, 8]"}), {"width=8", "width=16"});
  expect_same_cells(base, sample({"sweep.width=[16]"}), {"width=16"});
}

TEST_F(SweepInvariance, AddingAnActivationOrAnOutputChangesNoOtherCell) {
  const std::vector<std::string> cells{"activation=relu,outputs=1,width=16", "activation=relu,outputs=1,width=8"};
  const std::string base = sample({"sweep.activation=[relu]", "sweep.outputs=[1]"});
  expect_same_cells(base, sample({"sweep.activation=[erf, relu]", "sweep.outputs=[1]"}), cells);
  expect_same_cells(base, sample({"sweep.activation=[relu]", "sweep.outputs=[3, 1, 2]"}), cells);
}

TEST_F(SweepInvariance, AnotherSeedChangesEveryCell) {
  const std::string base = sample({}), other = sample({"seeds.run=2"});
  for (const std::string name : {"width=8", "width=16"})
    EXPECT_NE(widelab::io::checksum(cell(base, name)), widelab::io::checksum(cell(other, name)));
}

TEST_F(SweepInvariance, ThreadsChangeNoBit) {
  for (const std::string method : {"weights", "law-exact"}) {
    const std::vector<std::string> settings{"measure.method=" + method, "sweep.width=[8, 600]", "seeds.replicates=5"};
    const std::string base = sample(settings, {}, "1");
    expect_same_cells(base, sample(settings, {}, "2"), {"width=8", "width=600"});
    const std::string many = sample(settings, {}, "7");  // more threads than networks: they share a network
    expect_same_cells(base, many, {"width=8", "width=600"});
    EXPECT_EQ(widelab::io::checksum(widelab::io::read_arrays(folder() / base / "result.nc")),
              widelab::io::checksum(widelab::io::read_arrays(folder() / many / "result.nc")));
  }
}

TEST_F(SweepInvariance, LessMemoryChangesNoBit) {
  // 2048 x 2048 weights in fp32 take 17 MB: held by each worker, by one network at a time, drawn twice in tiles.
  const std::vector<std::string> settings{"sweep.width=[2048]", "seeds.replicates=4"};
  const std::string base = sample(settings);
  EXPECT_NE(reasons(base).find("every worker holds a member"), std::string::npos);
  for (const auto& [memory, reason] :
       std::vector<std::pair<std::string, std::string>>{{"0.025", "share one member"}, {"0.012", "regenerated"}}) {
    const std::string tight = sample(settings, {"--memory", memory});
    EXPECT_NE(reasons(tight).find(reason), std::string::npos) << reasons(tight);
    expect_same_cells(base, tight, {"width=2048"});
  }
}

TEST_F(SweepInvariance, FewerNetworksAreTheFirstOfMore) {
  const std::string few = sample({"seeds.replicates=5"}), many = sample({});
  for (const std::string name : {"width=8", "width=16"}) {
    const ArrayFile a = cell(few, name), b = cell(many, name);
    for (const char* scalar : {"ntk_first", "ntk_deviation", "nngp_projection"}) {
      std::vector<double> head = column(b, scalar);
      head.resize(5);
      EXPECT_EQ(column(a, scalar), head) << scalar;
    }
  }
}

TEST_F(SweepInvariance, WidthsShareDrawsOnlyWhereAsked) {
  const std::vector<std::string> settings{"model.depth=1", "seeds.replicates=256"};
  std::vector<std::string> shared_settings = settings;
  shared_settings.push_back("seeds.shared=[width]");
  const std::string apart = sample(settings), shared = sample(shared_settings);
  // The kernel of width 16 is the mean of two kernels of width 8, one of them that of width 8: correlation 0.71, known
  // to 0.03 at 256 networks; independent networks: 0 +- 0.06.
  EXPECT_GT(correlation(column(cell(shared, "width=8"), "nngp_first"), column(cell(shared, "width=16"), "nngp_first")),
            0.5);
  EXPECT_LT(std::abs(correlation(column(cell(apart, "width=8"), "nngp_first"),
                                 column(cell(apart, "width=16"), "nngp_first"))),
            0.3);
}

}  // namespace
