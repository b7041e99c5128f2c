// Members in NumPy's format: to replay elsewhere, and batches that come from there. (Weights from elsewhere are read by
// model.init = "file".)
#pragma once

#include <filesystem>
#include <vector>

#include "host/engine/trainer.hpp"

namespace widelab::experiments {

/// Weights of these members, members x P, in the run's precision (float32 or float64).
void write_weights(const std::filesystem::path& path, const engine::Trainer& trainer,
                   const std::vector<Index>& members);

/// The folder that tools/replay_torch.py takes, for the steps the trainer has done: member.json, inputs.npy,
/// targets.npy, order.npy (steps x B, int64), start.npy and final.npy (P numbers). Creates the folder. RecipeError for
/// members that cannot be replayed (engine::replay_description), OutputError if a file cannot be written.
void export_member(const std::filesystem::path& folder, const engine::Trainer& trainer, Index member);

/// Reads a table steps x B of rows of `set` and makes it the set's order. DataError if it is none.
void read_order(const std::filesystem::path& path, engine::TrainSet& set);

}  // namespace widelab::experiments
