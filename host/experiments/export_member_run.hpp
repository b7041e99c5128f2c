// One network of a training experiment, trained again from the recipe alone and written for tools/replay_torch.py:
// every trajectory is a pure function of the network's own parameters, so no run needs to have been made.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "widelab/base/types.hpp"

namespace widelab::experiments {

struct MemberChoice {
  std::filesystem::path run;   ///< folder of a run, or a recipe
  std::string cell;            ///< as in the sweep; empty where there is only one
  Index replicate = 0;         ///< 0 .. seeds.replicates - 1
  std::optional<Index> steps;  ///< 1 .. train.steps; the last observed step if not given
  std::filesystem::path out;   ///< missing or empty
  std::string device = "auto";
  double memory_bytes = 0;  ///< as in RunOptions
};

struct ExportedMember {
  std::string cell;
  Index replicate = 0;
  Index steps = 0;         ///< fewer than asked for where it converged (train.converged_loss)
  bool converged = false;  ///< at an observed step at or before the steps asked for
};

/// Trains the network as its run does and writes the folder of export_member. Throws RecipeError for an experiment that
/// trains nothing, an unknown cell or number, a network that diverges on the way, and what replay_description and
/// minibatch_order refuse; OutputError if `out` is no folder or holds files; PlanError if it does not fit in memory.
ExportedMember export_member_run(const MemberChoice& choice);

}  // namespace widelab::experiments
