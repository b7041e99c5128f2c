// What an experiment is: a schema for its recipes, a job for each cell of a sweep, and a summary held against theory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "host/engine/segmented_job.hpp"
#include "host/experiments/recipe_target.hpp"
#include "host/io/array_file.hpp"
#include "host/io/recipe.hpp"
#include "host/io/result.hpp"
#include "host/io/sweep.hpp"
#include "host/runtime/backend.hpp"
#include "widelab/plan/device_limits.hpp"

namespace widelab::experiments {

/// What all cells of a run share.
struct RunSetup {
  const io::Recipe* recipe = nullptr;
  io::Sweep sweep;
  std::uint64_t seed = 0;
  DeviceLimits limits;
  bool on_gpu = false;
  std::shared_ptr<LearningDataCache> data = std::make_shared<LearningDataCache>();
};

/// What a cell will take, stated before it runs.
struct CellPlan {
  std::string cell, engine, reason;
  Index replicates = 0;
  double bytes = 0;  ///< most memory beside the program itself: the larger of the next two
  double sampling_bytes = 0, writing_bytes = 0;
  double summary_bytes = 0;  ///< most memory beside the result while the cell is summarised
  double result_bytes = 0;   ///< what the cell adds to the result
  double flops = 0, draws = 0;
};

/// The file of setup.sweep.cells[c], null where the cell is not finished. One at a time: together they may not fit.
using CellReader = std::function<std::unique_ptr<io::ArrayFile>(std::size_t cell)>;

class Experiment {
 public:
  virtual ~Experiment() = default;
  virtual io::Schema schema() const = 0;
  virtual CellPlan plan(const RunSetup& setup, const io::Cell& cell) const = 0;
  /// The cell's work; its final state() is the cell's file.
  virtual std::unique_ptr<engine::SegmentedJob> make_job(const RunSetup& setup, const io::Cell& cell,
                                                         runtime::Backend& backend) const = 0;
  /// The result of all finished cells.
  virtual io::Result summarise(const RunSetup& setup, const CellReader& read) const = 0;
  /// A commented recipe's first lines: what this experiment asks.
  virtual std::string question() const = 0;
};

/// All experiments; a new one is a .cpp with a factory and a line in registry.cpp.
std::vector<std::string> experiment_names();
/// Throws RecipeError with the nearest name.
const Experiment& find_experiment(const std::string& name);

}  // namespace widelab::experiments
