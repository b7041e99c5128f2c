// Networks beside their linearisations: the companion that trains as the linearised network, targets that are shifted
// by initial outputs, and the record of test outputs from which risks and distances are taken.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "host/experiments/training_cell.hpp"

namespace widelab::experiments {

/// f_lin(x) = f_0(x) + J(x) (theta - theta_0), trained like the network: the network with outputs f / gamma and rates
/// gamma^2 moves by O(gamma) only, so that it is its own linearisation up to O(gamma); its targets y - f_0 + f_0 /
/// gamma make its residual that of f_lin (derived here; Chizat, Oyallon and Bach 2019).
Network linearise(Network network, double gamma);

/// Gives every replicate data of its own with targets y + factor f_0(x), f_0 the outputs of `original` as it is drawn
/// for that replicate: a copy of its data set, or, online, its stream, which must be the data set of its number.
/// `backend` outlives the job.
void shift_targets(engine::TrainingSpec& spec, runtime::Backend& backend, const Network& original, double factor);

/// Outputs on the evaluation inputs less `first_share` of those at step 0, after the training loss |f - y|^2 a training
/// example where it is asked for.
std::shared_ptr<const engine::Observer> predictions(Index outputs, Index test_examples, double first_share,
                                                    bool train_loss);

/// RecipeError unless there are test examples, the loss is squared, and all networks of the cell have one learning
/// rate.
void require_squared_risk(const TrainingCell& cell);

/// The cell with the same coordinates but for `label`, which has `value` there.
std::optional<std::size_t> cell_beside(const io::Sweep& sweep, std::size_t cell, const std::string& label,
                                       const std::string& value);

}  // namespace widelab::experiments
