// From a recipe to a folder with a result: plan, run or resume every cell, summarise.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "host/experiments/experiment.hpp"
#include "host/io/run_folder.hpp"

namespace widelab::experiments {

struct RunOptions {
  std::filesystem::path out;
  io::OpenMode mode = io::OpenMode::fresh;
  std::string device = "auto";        ///< auto, cpu, cuda, cuda:N
  double memory_bytes = 0;            ///< limit on the run's memory; 0 = what the machine has free
  std::set<std::string> may_differ;   ///< keys in which a resumed recipe may differ from the stored one
  bool quiet = false;
};

/// What every cell takes, before anything starts.
struct RunPlan {
  std::vector<CellPlan> cells;
  double peak_bytes = 0;  ///< of the whole process, the program itself included
  double flops = 0, draws = 0;
  std::string device;
};

/// What came out: the largest |z| among entries with an exact prediction, and where.
struct RunOutcome {
  std::filesystem::path folder;
  double largest_z = 0;
  std::string worst;
  std::size_t cells = 0, resumed_cells = 0;
};

/// Reads a recipe of any experiment. Overrides as after --set.
io::Recipe load_recipe(const std::filesystem::path& path, const std::vector<std::string>& overrides);

/// Seed, cells and limits of a run of `recipe`, which outlives the setup. `memory_bytes` as in RunOptions.
RunSetup make_run_setup(const io::Recipe& recipe, double memory_bytes, bool on_gpu);

/// Throws PlanError when a cell does not fit.
RunPlan plan_run(const io::Recipe& recipe, const RunOptions& options);
std::string plan_table(const RunPlan& plan);

RunOutcome run(const io::Recipe& recipe, const RunOptions& options);

/// Builds result.nc from the cells that are finished.
io::Result summarise_folder(const std::filesystem::path& folder);

}  // namespace widelab::experiments
