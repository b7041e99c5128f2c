// What another program needs to train a member again: weights, batches, and the numbers of its update; and the way back
// for batches that come from elsewhere.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/engine/trainer.hpp"

namespace widelab::engine {

/// theta of these members (their number x P, in ParamLayout's order), widened.
std::vector<double> stacked_parameters(const Trainer& trainer, const std::vector<Index>& members);

/// Row of the data set in every slot of the member's batches at steps 0 .. steps - 1: steps x B. RecipeError for an
/// online order, whose examples are no rows of a set that stays.
std::vector<std::int64_t> minibatch_order(const TrainTask& task, Index member, Index steps);

/// Makes `rows` (steps x batch) the set's table for OrderKind::file. DataError naming `source` and the first entry that
/// is no row of the set, or if `rows` is not a whole number of steps.
void set_order(TrainSet& set, const std::vector<double>& rows, Index batch, const std::string& source);

/// A JSON object for tools/replay_torch.py: widths, activation, and for each layer the forward multipliers and relative
/// rates; loss, reduction factor c; optimiser, momentum and weight decay; learning rate of each step 0 .. steps - 1.
/// RecipeError for what that script does not do: dropout, label noise, injected noise, Adam and sign descent, hinge,
/// LayerNorm, residual branches, unit multipliers, and activations other than relu, tanh, erf and identity.
std::string replay_description(const TrainTask& task, Index member, Index steps);

}  // namespace widelab::engine
