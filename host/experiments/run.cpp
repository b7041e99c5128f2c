#include "host/experiments/run.hpp"

#include <fmt/format.h>
#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "host/io/progress.hpp"
#include "host/io/provenance.hpp"
#include "host/runtime/backend.hpp"
#include "host/runtime/devices.hpp"

namespace widelab::experiments {
namespace {

namespace fs = std::filesystem;

// Of the machine's free memory, what a run may take unless it is told: the rest is the system's and the page cache's.
constexpr double kShareOfFreeMemory = 0.8;

/// MemAvailable, the kernel's own estimate of what can be had without swapping; physical memory where it says nothing.
double free_memory_bytes() {
  std::ifstream info("/proc/meminfo");
  std::string key;
  double kilobytes = 0;
  while (info >> key >> kilobytes) {
    if (key == "MemAvailable:") return kilobytes * 1024;
    info.ignore(64, '\n');
  }
  return static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

RunSetup make_setup(const io::Recipe& recipe, const RunOptions& options) {
  RunSetup setup;
  setup.recipe = &recipe;
  setup.sweep = io::make_sweep(recipe);
  setup.seed = static_cast<std::uint64_t>(recipe.integer("seeds.run"));
  setup.limits.workers = omp_get_max_threads();
  setup.limits.workspace_bytes = options.memory_bytes > 0 ? options.memory_bytes : kShareOfFreeMemory * free_memory_bytes();
  return setup;
}

RunPlan plan_cells(const Experiment& experiment, const RunSetup& setup, const std::string& device) {
  RunPlan plan;
  plan.device = device;
  double largest = 0;
  for (const io::Cell& cell : setup.sweep.cells) {
    plan.cells.push_back(experiment.plan(setup, cell));
    const CellPlan& added = plan.cells.back();
    largest = std::max(largest, added.bytes);
    plan.flops += added.flops;
    plan.draws += added.draws;
    if (added.bytes > setup.limits.workspace_bytes)
      throw PlanError(fmt::format("cell \"{}\" needs {:.3g} GB, more than the {:.3g} GB that may be used: fewer networks or inputs, "
                                  "measure.keep = \"moments\", or a larger --memory",
                                  cell.name, added.bytes * 1e-9, setup.limits.workspace_bytes * 1e-9));
  }
  // Beside the cell at work: the program as it stands now.
  plan.peak_bytes = largest + static_cast<double>(io::peak_memory_bytes());
  return plan;
}

/// Exact predictions only: an infinite-width limit is not one, unless NAME_mean_is_exact says so for the entry.
void find_largest_z(const io::Result& result, RunOutcome& outcome) {
  for (const io::Observable& observable : result.observables) {
    const std::vector<double>* exact = nullptr;
    for (const io::NamedArray& extra : result.extras)
      if (extra.name == observable.name + "_mean_is_exact") exact = std::get_if<std::vector<double>>(&extra.values);
    for (std::size_t k = 0; k < observable.z.size(); ++k) {
      if (exact && (*exact)[k] == 0.0) continue;
      if (!(std::abs(observable.z[k]) > outcome.largest_z)) continue;  // NaN: no prediction there
      outcome.largest_z = std::abs(observable.z[k]);
      outcome.worst = fmt::format("{} entry {}", observable.name, k);
    }
  }
}

fs::path checkpoint_path(const fs::path& folder, const std::string& cell) { return folder / ".unfinished" / io::cell_file_name(cell); }

/// Brings one cell to its target. Returns false if the file on disk was finished already.
bool run_cell(const Experiment& experiment, const RunSetup& setup, const io::Cell& cell, runtime::Backend& backend,
              const io::RunFolder& folder, bool finished, io::Progress& progress) {
  std::unique_ptr<engine::SegmentedJob> job = experiment.make_job(setup, cell, backend);
  if (finished) {
    job->restore(io::read_cell(folder.path(), cell.name));
    if (job->done() >= job->target()) {
      progress.advance(static_cast<double>(job->done()), cell.name);
      return false;
    }
  }
  engine::SegmentOptions options;
  options.checkpoint = checkpoint_path(folder.path(), cell.name);
  options.label = cell.name;
  engine::run_to_target(*job, options, progress);
  folder.publish_cell(cell.name, job->state());
  fs::remove(options.checkpoint);
  return true;
}

io::Result summarise(const Experiment& experiment, const RunSetup& setup, const fs::path& folder) {
  const io::CellList list = io::list_cells(folder);
  std::vector<std::unique_ptr<io::ArrayFile>> files;
  for (const io::Cell& cell : setup.sweep.cells)
    files.push_back(list.finished.count(cell.name) ? std::make_unique<io::ArrayFile>(io::read_cell(folder, cell.name)) : nullptr);
  return experiment.summarise(setup, files);
}

void record_plan(io::RunRecord& record, const RunPlan& plan, const RunSetup& setup) {
  record.set("run.seed", static_cast<std::int64_t>(setup.seed));
  record.set("run.device", plan.device);
  record.set("run.threads", static_cast<std::int64_t>(setup.limits.workers));
  record.set("plan.peak_bytes", plan.peak_bytes);
  record.set("plan.flops", plan.flops);
  record.set("plan.random_draws", plan.draws);
  std::vector<std::string> cells, reasons;
  for (const CellPlan& cell : plan.cells) {
    cells.push_back(cell.cell);
    reasons.push_back(cell.engine + ": " + cell.reason);
  }
  record.set("plan.cells", cells);
  record.set("plan.reasons", reasons);
}

}  // namespace

io::Recipe load_recipe(const fs::path& path, const std::vector<std::string>& overrides) {
  return io::Recipe::load(path, [](const std::string& name) { return find_experiment(name).schema(); }, overrides);
}

RunPlan plan_run(const io::Recipe& recipe, const RunOptions& options) {
  const auto backend = runtime::make_backend(options.device);
  return plan_cells(find_experiment(recipe.schema().experiment), make_setup(recipe, options), backend->info().name);
}

std::string plan_table(const RunPlan& plan) {
  std::string out = fmt::format("{:<44} {:>10} {:>10} {:>10} {:>10}  {}\n", "cell", "networks", "memory", "Gflop", "draws", "engine, reason");
  for (const CellPlan& cell : plan.cells)
    out += fmt::format("{:<44} {:>10} {:>7.1f} MB {:>10.3g} {:>10.3g}  {}: {}\n", cell.cell, cell.replicates, cell.bytes * 1e-6,
                       cell.flops * 1e-9, cell.draws, cell.engine, cell.reason);
  return out + fmt::format("in all: {:.3g} Gflop, {:.3g} random draws, peak memory {:.0f} MB, on {}\n", plan.flops * 1e-9, plan.draws,
                           plan.peak_bytes * 1e-6, plan.device);
}

RunOutcome run(const io::Recipe& recipe, const RunOptions& options) {
  const Experiment& experiment = find_experiment(recipe.schema().experiment);
  const auto backend = runtime::make_backend(options.device);
  const RunSetup setup = make_setup(recipe, options);
  const RunPlan plan = plan_cells(experiment, setup, backend->info().name);
  const io::RunFolder folder = io::RunFolder::open(options.out, recipe, options.mode, options.may_differ);
  if (!folder.resumed()) fs::remove_all(folder.path() / ".unfinished");
  io::RunRecord record;
  io::begin_record(record, runtime::blas_description());
  record_plan(record, plan, setup);
  folder.write_record(record);

  RunOutcome outcome;
  outcome.folder = folder.path();
  double networks = 0;
  for (const CellPlan& cell : plan.cells) networks += static_cast<double>(cell.replicates);
  io::ProgressOptions progress_options;
  progress_options.quiet = options.quiet;
  io::Progress progress(recipe.schema().experiment, networks, "networks", 0.0, progress_options);
  const io::CellList present = io::list_cells(folder.path());
  for (const io::Cell& cell : setup.sweep.cells) {
    if (!run_cell(experiment, setup, cell, *backend, folder, present.finished.count(cell.name) > 0, progress)) ++outcome.resumed_cells;
    ++outcome.cells;
  }
  progress.finish();
  const io::Result result = summarise(experiment, setup, folder.path());
  folder.publish_result(result);
  io::end_record(record);
  folder.write_record(record);
  find_largest_z(result, outcome);
  return outcome;
}

io::Result summarise_folder(const fs::path& folder) {
  const io::Recipe recipe = io::read_recipe(folder, [](const std::string& name) { return find_experiment(name).schema(); });
  return summarise(find_experiment(recipe.schema().experiment), make_setup(recipe, {}), folder);
}

}  // namespace widelab::experiments
