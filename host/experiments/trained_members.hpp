// Ensembles that are trained until their loss is low enough, without observers on the way.
#pragma once

#include <functional>

#include "host/experiments/training_cell.hpp"

namespace widelab::experiments {

/// Trains replicates first .. first + count - 1 of a cell to the last of its observed steps; at each of them, members
/// whose training loss is below train.converged_loss stop. visit(member, parameters, steps) sees each that did not
/// diverge.
void train_members(const TrainingCell& cell, runtime::Backend& backend, Index first, Index count,
                   const std::function<void(Index member, const std::vector<double>& parameters, Index steps)>& visit);

}  // namespace widelab::experiments
