#include "host/experiments/trained_members.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "widelab/base/errors.hpp"

namespace widelab::experiments {

void require_training_set(const io::Recipe& recipe, const TrainingCell& cell) {
  if (cell.train.rule.order == OrderKind::online)
    throw RecipeError(
        fmt::format("train.order = \"{}\": networks here learn a finite training set; take \"epochs\", "
                    "\"iid\", \"fresh\" or \"fixed\"",
                    recipe.text("train.order")));
}

void require_whole_training(const TrainingCell& cell) {
  if (cell.train.converged_loss > 0)
    throw RecipeError(
        fmt::format("train.converged_loss = {:g}: networks here are trained to their last step; set it to 0, and "
                    "choose train.steps",
                    cell.train.converged_loss));
}

void require_batch_noise_alone(const io::Recipe& recipe, const TrainingCell& cell) {
  const auto need = [](bool fine, const std::string& what) {
    if (!fine) throw RecipeError(what);
  };
  need(recipe.text("train.optimiser") == "sgd",
       fmt::format("train.optimiser = \"{}\": take \"sgd\", without momentum, whose noise is that of its batches",
                   recipe.text("train.optimiser")));
  need(recipe.text("train.schedule") == "constant" && recipe.integer("train.warmup") == 0,
       "train.schedule, train.warmup: take \"constant\" and 0, one learning rate throughout");
  need(recipe.text("train.rate_unit") == "per-step",
       fmt::format("train.rate_unit = \"{}\": take \"per-step\"", recipe.text("train.rate_unit")));
  need(cell.train.rule.dropout_keep == 1 && cell.train.label_noise == 0 && cell.train.weight_decay == 0,
       "train.dropout_keep, train.label_noise, train.weight_decay: set them to 1, 0 and 0, so that batches are all the "
       "noise and the training loss all that is descended");
}

void require_one_rate(const TrainingCell& cell) {
  double rate = 0;
  for (const LayerScale& layer : cell.network().layers)
    for (const double own : {layer.weight_rate, layer.bias_rate}) {
      if (own > 0 && rate > 0 && own != rate)
        throw RecipeError(
            "relative learning rates of layers differ: eigenvectors of the Hessian are not modes of training; take "
            "train.rate_scaling = \"plain\"");
      if (own > 0) rate = own;
    }
  if (!(rate > 0)) throw RecipeError("model.train_layers: no parameter is trained");
}

CellPlan plan_training_rows(const TrainingCell& cell, const std::string& name, Index numbers, double bytes) {
  const double rows = 8.0 * static_cast<double>(cell.spec.replicates * numbers);
  CellPlan plan = plan_training_cell(cell, name, 12.0 * static_cast<double>(numbers));
  plan.sampling_bytes += rows + bytes;
  plan.writing_bytes += 4 * rows;
  plan.bytes = std::max(plan.sampling_bytes, plan.writing_bytes);
  plan.summary_bytes += 3 * rows;
  return plan;
}

void train_members(const TrainingCell& cell, runtime::Backend& backend, Index first, Index count,
                   const std::function<void(Index member, const std::vector<double>& parameters, Index steps)>& visit) {
  const data::Dataset& train = cell.data.train;
  engine::TrainTask task = cell.spec.task;
  const auto settings = trained_members(cell, backend);
  for (Index m = 0; m < count; ++m) task.members.push_back(settings(static_cast<std::uint32_t>(first + m)));
  engine::Trainer trainer(backend, task);
  const auto status = [&](Index m) { return trainer.status()[static_cast<std::size_t>(m)]; };
  for (const Index step : cell.spec.observed) {
    trainer.run_to(step);
    if (!(cell.train.converged_loss > 0)) continue;
    const std::vector<double> outputs = trainer.outputs(train.input_view());
    const std::size_t each = train.targets.size();
    for (Index m = 0; m < count; ++m)
      if (status(m).status == TrainStatus::running &&
          engine::training_loss(task.rule, {outputs.data() + static_cast<std::size_t>(m) * each, each}, train.targets,
                                train.outputs) < cell.train.converged_loss)
        trainer.set_converged(m);
  }
  for (Index m = 0; m < count; ++m)
    if (status(m).status != TrainStatus::diverged)
      visit(m, trainer.parameters(m),
            status(m).status == TrainStatus::converged ? static_cast<Index>(status(m).step) : trainer.step());
}

}  // namespace widelab::experiments
