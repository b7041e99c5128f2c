// One cell of `langevin`: chains of Langevin dynamics on the loss of a data set, which differ in their noise, and,
// where all layers are trained, in where they start.
//
// Readout alone: all chains have the features of network 0 and start at the minimiser of U. All layers: every chain
// starts from its own draw of the prior, or of the network's initial law. After chain.burn_in steps a draw is taken
// every chain.thin steps.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/experiments/langevin_target.hpp"
#include "host/experiments/readout_regression.hpp"
#include "host/experiments/sample_job.hpp"
#include "host/runtime/backend.hpp"

namespace widelab::experiments {

/// Numbers that a chain keeps of each quantity it draws.
enum class ChainNumber : Index { first_mean, second_mean, first_variance, second_variance, effective_size };
inline constexpr Index kChainNumbers = 5;

struct LangevinCell {
  TrainingCell training;
  GibbsTarget target;
  std::optional<ReadoutRegression> readout;  ///< where the readout alone is trained
  std::vector<double> inputs;                ///< points x d: training, then test inputs
  Index burn_in = 0, thin = 1;               ///< steps
  std::vector<Index> observed;               ///< steps at which the loss of chains is kept
  std::string fingerprint;

  Index train_points() const { return training.data.train.examples; }
  Index points() const { return train_points() + training.data.test.examples; }
  Index steps() const { return training.train.steps; }
  Index draws() const { return (steps() - burn_in) / thin / 2 * 2; }  ///< even: chains are split
  Index half() const { return draws() / 2; }
  /// Trained parameters of the readout.
  Index readout_parameters() const;

  // Quantities: f at every point, the loss (1/2) sum (f - y)^2, and theta.grad U / (p T) over the p trained parameters
  // of the readout, which is 1 in the Gibbs law at any width (integration by parts).
  Index loss() const { return points(); }
  Index virial() const { return points() + 1; }
  Index quantities() const { return points() + 2; }

  // Columns of a chain's row.
  Index column(Index quantity, ChainNumber number) const {
    return quantity * kChainNumbers + static_cast<Index>(number);
  }
  Index loss_at(std::size_t time) const { return quantities() * kChainNumbers + static_cast<Index>(time); }
  Index numbers() const { return loss_at(observed.size()); }
};

/// Keys of `[chain]`.
std::vector<io::KeySpec> langevin_keys();

/// Throws RecipeError, among others for a burn-in too short to forget the start or one that leaves fewer than 8 draws.
LangevinCell make_langevin_cell(const RunSetup& setup, const io::Cell& at);

SampleTask langevin_task(const LangevinCell& cell, runtime::Backend& backend);
CellPlan plan_langevin_cell(const LangevinCell& cell, const std::string& name);

}  // namespace widelab::experiments
