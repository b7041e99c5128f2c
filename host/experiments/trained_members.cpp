#include "host/experiments/trained_members.hpp"

namespace widelab::experiments {

void train_members(const TrainingCell& cell, runtime::Backend& backend, Index first, Index count,
                   const std::function<void(Index member, const std::vector<double>& parameters, Index steps)>& visit) {
  const data::Dataset& train = cell.data.train;
  engine::TrainTask task = cell.spec.task;
  for (Index m = 0; m < count; ++m) task.members.push_back(cell.spec.member(static_cast<std::uint32_t>(first + m)));
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
