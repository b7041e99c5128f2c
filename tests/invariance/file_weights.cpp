// Networks read from a file are the networks that were written.
#include <gtest/gtest.h>

#include <filesystem>

#include "host/data/npy_file.hpp"
#include "host/experiments/kernel_job.hpp"
#include "host/experiments/run.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/ops/init.hpp"

namespace widelab {
namespace {

namespace fs = std::filesystem;
using experiments::find_experiment;

constexpr Index kNetworks = 5;

std::string recipe_text(const std::string& model) {
  return "schema = 1\nexperiment = \"ntk-limit\"\n[model]\nwidth = 7\ndepth = 2\nsigma_b = 0.3\n" + model +
         "[data]\nexamples = 3\ndimension = 4\n[seeds]\nreplicates = 5\n[measure]\nprecision = \"fp64\"\n";
}

/// Kernels of all networks of a recipe without a sweep.
std::vector<double> kernels(const std::string& model) {
  const io::Recipe recipe = io::Recipe::parse(recipe_text(model), "test", find_experiment("ntk-limit").schema());
  experiments::RunSetup setup;
  setup.recipe = &recipe;
  setup.sweep = io::make_sweep(recipe);
  setup.seed = 1;
  const experiments::KernelCell cell = experiments::make_kernel_cell(setup, setup.sweep.cells.front());
  const auto backend = runtime::make_backend("cpu");
  engine::KernelSampler sampler(*backend, cell.task);
  std::vector<double> out;
  sampler.run(cell.init_key, 0, kNetworks,
              [&](const engine::MemberKernels& m) { out.insert(out.end(), m.ntk.begin(), m.ntk.end()); });
  return out;
}

/// The networks that the recipe with normal weights draws, as a .npy file.
fs::path write_networks(Index networks, Index missing_numbers) {
  const io::Recipe recipe = io::Recipe::parse(recipe_text(""), "test", find_experiment("ntk-limit").schema());
  experiments::RunSetup setup;
  setup.recipe = &recipe;
  setup.sweep = io::make_sweep(recipe);
  setup.seed = 1;
  const experiments::KernelCell cell = experiments::make_kernel_cell(setup, setup.sweep.cells.front());
  const Index size = ParamLayout(cell.task.network.shape).size;
  std::vector<DrawId> ids;
  for (Index r = 0; r < networks; ++r) ids.push_back({cell.init_key, static_cast<std::uint32_t>(r)});
  std::vector<double> weights(static_cast<std::size_t>(networks * size));
  cpu::init(InitProblem<double>{&cell.task.network, ids.data(), networks, weights.data()});
  weights.resize(static_cast<std::size_t>(networks * (size - missing_numbers)));
  const fs::path path = fs::temp_directory_path() / ("widelab_file_weights_" + std::to_string(networks) + "_" +
                                                     std::to_string(missing_numbers) + ".npy");
  fs::remove(path);
  data::write_npy(path.string(), {networks, size - missing_numbers}, weights);
  return path;
}

std::string from_file(const fs::path& path) { return "init = \"file\"\nweights_path = \"" + path.string() + "\"\n"; }

TEST(FileWeights, GiveTheKernelsOfTheNetworksThatWereWritten) {
  const fs::path path = write_networks(kNetworks, 0);
  EXPECT_EQ(kernels(from_file(path)), kernels(""));
  fs::remove(path);
}

TEST(FileWeights, OfAnotherNetworkOrTooFewAreRefused) {
  const fs::path short_rows = write_networks(kNetworks, 1), few = write_networks(kNetworks - 1, 0);
  EXPECT_THROW(kernels(from_file(short_rows)), DataError);
  EXPECT_THROW(kernels(from_file(few)), DataError);
  EXPECT_THROW(kernels(from_file("/nowhere.npy")), DataError);
  EXPECT_THROW(kernels("init = \"file\"\n"), RecipeError);
  fs::remove(short_rows);
  fs::remove(few);
}

}  // namespace
}  // namespace widelab
