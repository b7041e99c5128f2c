#include "host/experiments/export_member_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "host/engine/export.hpp"
#include "host/experiments/member_files.hpp"
#include "host/experiments/run.hpp"
#include "host/experiments/training_cell.hpp"
#include "host/io/run_folder.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/base/nearest.hpp"

namespace widelab::experiments {
namespace {

namespace fs = std::filesystem;

io::Recipe recipe_of(const fs::path& run) {
  if (!fs::is_directory(run)) return load_recipe(run, {});
  return io::read_recipe(run, [](const std::string& name) { return find_experiment(name).schema(); });
}

void require_training(const io::Schema& schema) {
  if (io::find_key(schema, "train.steps")) return;
  std::string list;
  for (const std::string& name : experiment_names())
    if (io::find_key(find_experiment(name).schema(), "train.steps")) list += (list.empty() ? "" : ", ") + name;
  throw RecipeError("experiment = \"" + schema.experiment +
                    "\" trains no network, so there is none to export; these do: " + list);
}

void require_free(const fs::path& out) {
  std::error_code failed;
  if (!fs::exists(out, failed)) return;
  if (!fs::is_directory(out, failed))
    throw OutputError("--out = '" + out.string() + "' is a file: name a folder that is missing or empty");
  if (!fs::is_empty(out, failed))
    throw OutputError("--out = '" + out.string() + "' exists and is not empty: name a folder that is missing or empty");
}

const io::Cell& find_cell(const io::Sweep& sweep, const std::string& name) {
  if (name.empty() && sweep.cells.size() == 1) return sweep.cells.front();
  if (name.empty())
    throw RecipeError(fmt::format("--cell is needed, because the sweep has {} cells: for example --cell \"{}\"",
                                  sweep.cells.size(), sweep.cells.front().name));
  std::vector<std::string> names;
  for (const io::Cell& cell : sweep.cells) {
    if (cell.name == name) return cell;
    names.push_back(cell.name);
  }
  throw RecipeError(fmt::format("--cell = \"{}\" is none of the {} cells: did you mean \"{}\"?", name, names.size(),
                                nearest_name(name, names)));
}

Index steps_of(const MemberChoice& choice, const TrainingCell& cell) {
  const Index steps = choice.steps.value_or(cell.spec.observed.back());
  if (steps >= 1 && steps <= cell.train.steps) return steps;
  throw RecipeError(fmt::format("--steps = {}{}: must be from 1 to {} (train.steps)", steps,
                                choice.steps ? "" : " (the last observed step)", cell.train.steps));
}

/// What would only turn out after the training: files that do not fit, and members that the script does not train.
void require_exportable(const engine::TrainTask& task, Index steps) {
  const double bytes = 8.0 * static_cast<double>(steps) * static_cast<double>(task.members.front().batch + 4);
  if (bytes > task.limits.workspace_bytes)
    throw PlanError(
        fmt::format("the batches of {} steps take {:.3g} GB, more than the {:.3g} GB that may be used: give "
                    "fewer --steps, or a larger --memory",
                    steps, bytes * 1e-9, task.limits.workspace_bytes * 1e-9));
  engine::replay_description(task, 0, 0);
  engine::minibatch_order(task, 0, task.rule.order == OrderKind::file ? steps : 0);
}

/// One member in the engine and the window that the cell's job trains it with.
engine::TrainTask member_task(const TrainingCell& cell, const MemberSettings& settings) {
  const TrainPlan plan = engine::training_cost(cell.spec, cell.on_gpu).plan;
  engine::TrainTask task = cell.spec.task;
  task.members = {settings};
  task.engine = plan.engine;
  task.window = plan.window;
  return task;
}

bool has_converged(const TrainingCell& cell, const engine::Trainer& trainer) {
  const engine::TrainSet& set = trainer.task().datasets.front();
  const MlpShape& shape = cell.network().shape;
  const std::vector<double> outputs = trainer.outputs(matrix_view(set.inputs.data(), set.examples, shape.input_dim));
  return engine::training_loss(cell.train.rule, outputs, set.targets, shape.outputs) < cell.spec.converged_loss;
}

/// Returns whether it converged, which is asked at observed steps only.
bool train_to(const TrainingCell& cell, engine::Trainer& trainer, Index steps) {
  if (cell.spec.converged_loss > 0)
    for (const Index observed : cell.spec.observed) {
      if (observed > steps) break;
      trainer.run_to(observed);
      if (trainer.status().front().status == TrainStatus::running && has_converged(cell, trainer)) return true;
    }
  trainer.run_to(steps);
  return false;
}

void require_trained(const engine::Trainer& trainer, Index replicate) {
  const MemberStatus& status = trainer.status().front();
  if (trainer.step() == 0)
    throw RecipeError(
        fmt::format("replicate {} has converged before its first step, so there is nothing to replay: lower "
                    "train.converged_loss, or export another replicate",
                    replicate));
  if (status.status != TrainStatus::diverged) return;
  throw RecipeError(
      fmt::format("replicate {} diverges at step {} (an output of {:.3g}): {}", replicate, status.step, status.quantity,
                  status.step > 0 ? fmt::format("export --steps {} at most, or another replicate", status.step)
                                  : "export another replicate"));
}

}  // namespace

ExportedMember export_member_run(const MemberChoice& choice) {
  const io::Recipe recipe = recipe_of(choice.run);
  require_training(recipe.schema());
  require_free(choice.out);
  const auto backend = runtime::make_backend(choice.device);
  const RunSetup setup = make_run_setup(recipe, choice.memory_bytes, backend->info().kind == "cuda");
  const io::Cell& at = find_cell(setup.sweep, choice.cell);
  const Index replicates = recipe.integer("seeds.replicates");
  if (choice.replicate < 0 || choice.replicate >= replicates)
    throw RecipeError(fmt::format("--replicate = {}: must be from 0 to {} (seeds.replicates = {})", choice.replicate,
                                  replicates - 1, replicates));
  // Refuses what the experiment itself refuses.
  find_experiment(recipe.schema().experiment).plan(setup, at);
  const TrainingCell cell = make_training_cell(setup, at);
  const Index steps = steps_of(choice, cell);

  const auto replicate = static_cast<std::uint32_t>(choice.replicate);
  engine::TrainTask task = member_task(cell, cell.spec.member(replicate));
  require_exportable(task, steps);
  // Rates of each network's own are computed for as many as are left, which here is one.
  TrainingCell last = cell;
  last.spec.replicates = choice.replicate + 1;
  task.members = {trained_members(last, *backend)(replicate)};
  engine::Trainer trainer(*backend, std::move(task));
  const bool converged = train_to(cell, trainer, steps);
  require_trained(trainer, choice.replicate);
  export_member(choice.out, trainer, 0);
  return {at.name, choice.replicate, trainer.step(), converged};
}

}  // namespace widelab::experiments
