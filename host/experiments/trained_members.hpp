// Ensembles whose training an experiment runs itself, without observers on the way: rows of numbers, one a network.
#pragma once

#include <algorithm>
#include <functional>

#include "host/experiments/sample_job.hpp"
#include "host/experiments/training_cell.hpp"

namespace widelab::experiments {

/// RecipeError for training sets without an end (order online), which such an experiment does not feed.
void require_training_set(const io::Recipe& recipe, const TrainingCell& cell);
/// RecipeError for train.converged_loss, where training has to go on to its last step.
void require_whole_training(const TrainingCell& cell);
/// RecipeError unless training is plain SGD at one learning rate per step, and the draw of its batches all the noise:
/// no momentum, schedule, dropout, label noise or weight decay.
void require_batch_noise_alone(const io::Recipe& recipe, const TrainingCell& cell);
/// RecipeError where relative learning rates of layers differ: eigenvectors of the Hessian are then no modes of
/// training.
void require_one_rate(const TrainingCell& cell);

/// The plan of a cell that keeps `numbers` numbers of every network, and takes `bytes` more while it samples.
CellPlan plan_training_rows(const TrainingCell& cell, const std::string& name, Index numbers, double bytes);

/// The task of a cell that has a training, a fingerprint and numbers() of every network; measure(cell, first, count,
/// rows) samples `segment` networks at a time, and may keep the backend: it outlives the task.
template <class Cell, class Measure>
SampleTask trained_task(const Cell& cell, Index segment, const Measure& measure) {
  SampleTask task;
  task.fingerprint = cell.fingerprint;
  task.replicates = cell.training.spec.replicates;
  task.numbers = cell.numbers();
  task.segment = std::min(segment, task.replicates);
  task.measure = [cell, measure](Index first, Index count, double* rows) { measure(cell, first, count, rows); };
  return task;
}

/// Trains replicates first .. first + count - 1 of a cell to the last of its observed steps; at each of them, members
/// whose training loss is below train.converged_loss stop. visit(member, parameters, steps) sees each that did not
/// diverge.
void train_members(const TrainingCell& cell, runtime::Backend& backend, Index first, Index count,
                   const std::function<void(Index member, const std::vector<double>& parameters, Index steps)>& visit);

}  // namespace widelab::experiments
