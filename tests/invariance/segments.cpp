// How a cell's work is cut, saved, taken up and extended changes no bit.
#include "host/experiments/run.hpp"
#include "host/io/array_checksum.hpp"
#include "host/io/run_folder.hpp"
#include "host/io/sweep.hpp"
#include "tests/support/command.hpp"

namespace {

using namespace widelab;
using test::CommandTest;

class SegmentInvariance : public CommandTest {
 protected:
  /// The tiny recipe of an experiment and method, one cell.
  experiments::RunSetup setup(const std::string& experiment, const std::vector<std::string>& settings) {
    const auto path = write("recipe.toml", "schema = 1\nexperiment = \"" + experiment + "\"\n");
    std::vector<std::string> all{"model.width=16", "model.depth=2", "seeds.replicates=100"};
    all.insert(all.end(), settings.begin(), settings.end());
    recipe_ = std::make_unique<io::Recipe>(experiments::load_recipe(path, all));
    experiments::RunSetup out;
    out.recipe = recipe_.get();
    out.sweep = io::make_sweep(*recipe_);
    out.seed = 1;
    out.limits.workers = 2;
    return out;
  }

  std::unique_ptr<engine::SegmentedJob> job(const experiments::RunSetup& setup) {
    return experiments::find_experiment(recipe_->schema().experiment)
        .make_job(setup, setup.sweep.cells.front(), *backend_);
  }

  std::string in_one_piece(const experiments::RunSetup& setup) {
    const auto work = job(setup);
    while (work->done() < work->target()) work->advance(work->target() - work->done());
    return io::checksum(work->state());
  }

  /// Every piece by a new job, which knows only the state of the one before, through a file.
  std::string in_pieces(const experiments::RunSetup& setup, const std::vector<Index>& pieces) {
    io::ArrayFile state = job(setup)->state();
    bool first = true;
    for (std::size_t p = 0;; ++p) {
      const auto work = job(setup);
      if (!first) work->restore(state);
      first = false;
      if (work->done() >= work->target()) return io::checksum(work->state());
      work->advance(std::min(pieces[p % pieces.size()], work->target() - work->done()));
      io::publish(folder() / "state.nc", work->state());
      state = io::read_arrays(folder() / "state.nc");
    }
  }

 private:
  std::unique_ptr<io::Recipe> recipe_;
  std::unique_ptr<runtime::Backend> backend_ = runtime::make_backend("cpu");
};

TEST_F(SegmentInvariance, PiecesThroughCheckpointsAreOneLongRun) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases{
      {"ntk-limit", {}},
      {"ntk-limit", {"measure.keep=samples"}},
      {"ntk-limit", {"measure.method=law-exact", "model.outputs=2"}},
      {"ntk-limit", {"measure.precision=fp64", "model.activation=gelu", "model.sigma_b=0.1"}},
      {"ntk-limit", {"model.init=orthogonal"}},
      {"ntk-map", {}},
      {"ntk-map", {"measure.method=weights"}}};
  for (const auto& [experiment, settings] : cases) {
    const experiments::RunSetup all = setup(experiment, settings);
    const std::string expected = in_one_piece(all);
    EXPECT_EQ(in_pieces(all, {33, 1, 17}), expected) << experiment << " " << (settings.empty() ? "" : settings.front());
  }
}

TEST_F(SegmentInvariance, StoppingOnPrecisionLooksAtPresetSizesOnly) {
  const std::vector<std::string> settings{"seeds.replicates=20", "until.se_rel=0.04", "until.max=100000",
                                          "data.examples=1"};
  const experiments::RunSetup all = setup("ntk-limit", settings);
  const auto work = job(all);
  while (work->done() < work->target()) work->advance(work->target() - work->done());
  const Index size = work->done();
  EXPECT_GT(size, 20);
  EXPECT_LT(size, 100000);
  EXPECT_EQ(size % 20, 0);
  EXPECT_EQ((size / 20) & (size / 20 - 1), 0) << size << " networks: not 20 times a power of two";
  // Whoever looks in between, or stops there, ends at the same size with the same bits.
  EXPECT_EQ(in_pieces(all, {7, 50, 3}), io::checksum(work->state()));
}

TEST_F(SegmentInvariance, ExtendedRunsAreOneLongRun) {
  for (const std::string experiment : {"ntk-limit", "ntk-map"}) {
    write("short.toml", "schema = 1\nexperiment = \"" + experiment +
                            "\"\n[model]\nwidth = 16\ndepth = 2\n[sweep]\nactivation = [\"relu\", \"erf\"]\n");
    const std::string a = experiment + "-a", b = experiment + "-b";
    ASSERT_TRUE(exits(run({"run", "short.toml", "--out", a, "--set", "seeds.replicates=130", "--quiet"}), 0));
    ASSERT_TRUE(exits(run({"run", "short.toml", "--out", b, "--set", "seeds.replicates=20", "--quiet"}), 0));
    ASSERT_TRUE(exits(run({"extend", b, "--replicates", "+37", "--quiet"}), 0));
    ASSERT_TRUE(exits(run({"extend", b, "--replicates", "130", "--quiet"}), 0));
    for (const std::string cell : {"activation=relu", "activation=erf"})
      EXPECT_EQ(io::checksum(io::read_cell(folder() / a, cell)), io::checksum(io::read_cell(folder() / b, cell)))
          << experiment << " " << cell;
    EXPECT_EQ(io::checksum(io::read_arrays(folder() / a / "result.nc")),
              io::checksum(io::read_arrays(folder() / b / "result.nc")))
        << experiment;
    EXPECT_EQ(test::read_text(folder() / a / "recipe.toml"), test::read_text(folder() / b / "recipe.toml"));
    EXPECT_TRUE(exits(run({"extend", b, "--replicates", "50"}), 2)) << "finished networks are never removed";
    EXPECT_TRUE(exits(run({"extend", b, "--replicates", "more"}), 2));
  }
}

}  // namespace
