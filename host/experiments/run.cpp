#include "host/experiments/run.hpp"

#include <fmt/format.h>
#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "host/io/interrupt.hpp"
#include "host/io/progress.hpp"
#include "host/io/provenance.hpp"
#include "host/runtime/backend.hpp"
#include "host/runtime/devices.hpp"

namespace widelab::experiments {
namespace {

namespace fs = std::filesystem;

// Of the machine's free memory, what a run may take unless it is told: the rest is the system's and the page cache's.
constexpr double kShareOfFreeMemory = 0.8;

// A result in memory, as arrays, as the image of its file, and read back.
constexpr double kCopiesOfResult = 4;
// What the program comes to occupy after the plan: code and buffers of NetCDF and HDF5 from the first file on, ...
constexpr double kLibraryBytes = 10e6;
// ... and, a thread, panels that BLAS packs, some 384 x (256 + 512) numbers, or a block of a kernel with its Grams.
constexpr double kThreadBytes = 2.5e6;

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

RunPlan plan_cells(const Experiment& experiment, const RunSetup& setup, const std::string& device) {
  RunPlan plan;
  plan.device = device;
  double work = 0, summary = 0, result = 0;
  for (const io::Cell& cell : setup.sweep.cells) {
    plan.cells.push_back(experiment.plan(setup, cell));
    const CellPlan& added = plan.cells.back();
    // The file libraries come in with the first cell's file.
    work = std::max({work, added.sampling_bytes + (plan.cells.size() > 1 ? kLibraryBytes : 0),
                     added.writing_bytes + kLibraryBytes});
    summary = std::max(summary, added.summary_bytes);
    result += added.result_bytes;
    plan.flops += added.flops;
    plan.draws += added.draws;
    if (added.bytes > setup.limits.workspace_bytes)
      throw PlanError(fmt::format(
          "cell \"{}\" needs {:.3g} GB, more than the {:.3g} GB that may be used: fewer networks or inputs, "
          "measure.keep = \"moments\", or a larger --memory",
          cell.name, added.bytes * 1e-9, setup.limits.workspace_bytes * 1e-9));
  }
  // The cells one by one, their summary into the result, the result and its file: whichever takes most.
  const double in_result = std::max(result + summary, kCopiesOfResult * result);
  if (in_result > setup.limits.workspace_bytes)
    throw PlanError(fmt::format(
        "the result of {} cells needs {:.3g} GB, more than the {:.3g} GB that may be used: fewer cells or inputs, "
        "or a larger --memory",
        plan.cells.size(), in_result * 1e-9, setup.limits.workspace_bytes * 1e-9));
  // Beside the program as it stands now; it stood higher while data files were read, and will beside the result.
  const double now = static_cast<double>(io::resident_memory_bytes()),
               reading = static_cast<double>(io::peak_memory_bytes()) - now;
  plan.peak_bytes =
      now + kThreadBytes * setup.limits.workers + std::max(work, kLibraryBytes + std::max(in_result, result + reading));
  return plan;
}

/// Exact predictions only: an infinite-width limit is not one, unless NAME_mean_is_exact says so for the entry.
void find_largest_z(const io::Result& result, RunOutcome& outcome) {
  for (const io::Observable& observable : result.observables) {
    // Errors of third and fourth cumulants are known too poorly for a single z to be held against anything.
    if (observable.name.ends_with("_cumulant")) continue;
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

fs::path checkpoint_path(const fs::path& folder, const std::string& cell) {
  return folder / ".unfinished" / io::cell_file_name(cell);
}

/// 10^9 operations a network, the unit of the progress bar; a random draw counts as 30.
double work_per_replicate(const CellPlan& plan) {
  return 1e-9 * (plan.flops + 30 * plan.draws) / static_cast<double>(std::max<Index>(1, plan.replicates));
}

/// Brings one cell to its target. Returns false if the file on disk was finished already.
bool run_cell(const Experiment& experiment, const RunSetup& setup, const io::Cell& cell, runtime::Backend& backend,
              const io::RunFolder& folder, bool finished, double work_per_replicate, io::Progress& progress) {
  std::unique_ptr<engine::SegmentedJob> job = experiment.make_job(setup, cell, backend);
  if (finished) {
    job->restore(io::read_cell(folder.path(), cell.name));
    if (job->done() >= job->target()) {
      const Index replicates = job->done() / job->units_per_replicate();
      progress.skip(work_per_replicate * static_cast<double>(replicates));
      return false;
    }
  }
  engine::SegmentOptions options;
  options.checkpoint = checkpoint_path(folder.path(), cell.name);
  options.label = cell.name;
  options.work_per_replicate = work_per_replicate;
  engine::run_to_target(*job, options, progress);
  folder.publish_cell(cell.name, job->state());
  fs::remove(options.checkpoint);
  return true;
}

io::Result summarise(const Experiment& experiment, const RunSetup& setup, const fs::path& folder) {
  const io::CellList list = io::list_cells(folder);
  return experiment.summarise(setup, [&](std::size_t c) -> std::unique_ptr<io::ArrayFile> {
    const std::string& name = setup.sweep.cells[c].name;
    return list.finished.count(name) ? std::make_unique<io::ArrayFile>(io::read_cell(folder, name)) : nullptr;
  });
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
  return io::Recipe::load(
      path, [](const std::string& name) { return find_experiment(name).schema(); }, overrides);
}

RunSetup make_run_setup(const io::Recipe& recipe, double memory_bytes, bool on_gpu) {
  runtime::fix_blas_threads();
  RunSetup setup;
  setup.recipe = &recipe;
  setup.sweep = io::make_sweep(recipe);
  setup.seed = static_cast<std::uint64_t>(recipe.integer("seeds.run"));
  setup.on_gpu = on_gpu;
  setup.limits.workers = omp_get_max_threads();
  setup.limits.workspace_bytes = memory_bytes > 0 ? memory_bytes : kShareOfFreeMemory * free_memory_bytes();
  return setup;
}

RunPlan plan_run(const io::Recipe& recipe, const RunOptions& options) {
  const auto backend = runtime::make_backend(options.device);
  return plan_cells(find_experiment(recipe.schema().experiment),
                    make_run_setup(recipe, options.memory_bytes, backend->info().kind == "cuda"), backend->info().name);
}

std::string plan_table(const RunPlan& plan) {
  std::string out = fmt::format("{:<44} {:>10} {:>10} {:>10} {:>10}  {}\n", "cell", "networks", "memory", "Gflop",
                                "draws", "engine, reason");
  for (const CellPlan& cell : plan.cells)
    out += fmt::format("{:<44} {:>10} {:>7.1f} MB {:>10.3g} {:>10.3g}  {}: {}\n", cell.cell, cell.replicates,
                       cell.bytes * 1e-6, cell.flops * 1e-9, cell.draws, cell.engine, cell.reason);
  return out + fmt::format("in all: {:.3g} Gflop, {:.3g} random draws, peak memory {:.0f} MB, on {}\n",
                           plan.flops * 1e-9, plan.draws, plan.peak_bytes * 1e-6, plan.device);
}

RunOutcome run(const io::Recipe& recipe, const RunOptions& options) {
  const Experiment& experiment = find_experiment(recipe.schema().experiment);
  const auto backend = runtime::make_backend(options.device);
  const RunSetup setup = make_run_setup(recipe, options.memory_bytes, backend->info().kind == "cuda");
  const RunPlan plan = plan_cells(experiment, setup, backend->info().name);
  const io::RunFolder folder = io::RunFolder::open(options.out, recipe, options.mode, options.may_differ);
  if (!folder.resumed()) fs::remove_all(folder.path() / ".unfinished");
  io::RunRecord record;
  io::begin_record(record, runtime::blas_description());
  record_plan(record, plan, setup);
  folder.write_record(record);

  RunOutcome outcome;
  outcome.folder = folder.path();
  double work = 0;
  for (const CellPlan& cell : plan.cells) work += work_per_replicate(cell) * static_cast<double>(cell.replicates);
  io::ProgressOptions progress_options;
  progress_options.quiet = options.quiet;
  io::Progress progress(recipe.schema().experiment, work, "Gop", 0.0, progress_options);
  const io::CellList present = io::list_cells(folder.path());
  for (const io::Cell& cell : setup.sweep.cells) {
    // Cells of one segment end before anybody looks; the next one must not begin.
    if (io::interrupts() > 0) throw Interrupted("interrupted: finished cells are on disk; go on with --resume");
    if (!run_cell(experiment, setup, cell, *backend, folder, present.finished.count(cell.name) > 0,
                  work_per_replicate(plan.cells[outcome.cells]), progress))
      ++outcome.resumed_cells;
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
  const io::Recipe recipe =
      io::read_recipe(folder, [](const std::string& name) { return find_experiment(name).schema(); });
  return summarise(find_experiment(recipe.schema().experiment), make_run_setup(recipe, 0, false), folder);
}

}  // namespace widelab::experiments
