// One cell of `transient-freezing`: when does the noise of SGD stop choosing the minimum?
//
// A network trains by SGD. At branch times t_c full-batch gradient descent takes over, up to the time eta t = T that
// all branches share: the basin of a branch is the set of test examples that its endpoint puts into a wrong class. The
// freezing time t_f is the first t_c from which on every branch ends in the basin of the last one (Jaccard similarity
// at least `similarity`; definitions of Yang et al. 2026). A repeat that is frozen at the last branch alone, which is
// so by definition, counts with its time: a lower bound.
#pragma once

#include <string>
#include <vector>

#include "host/experiments/sample_job.hpp"
#include "host/experiments/training_cell.hpp"

namespace widelab::experiments {

/// What is kept of an endpoint.
enum class EndNumber : std::uint8_t {
  similarity,  ///< Jaccard, with the basin of the last branch
  flatness,    ///< -log10 of the mean rise of L along random directions, rho |w_unit| for every unit
  train_loss,
  test_error,
  frozen,  ///< 1 if t_f <= t_c, else 0
  count_
};
inline constexpr std::size_t kEndNumbers = static_cast<std::size_t>(EndNumber::count_);

struct FreezingCell {
  TrainingCell training;        ///< train.steps = T / eta
  double learning_rate = 0;     ///< eta
  std::vector<double> shares;   ///< t_c / T, ascending
  std::vector<Index> branches;  ///< t_c in steps
  double similarity = 1;        ///< from which on two basins are one
  double train_error = 0;       ///< above it a repeat has not converged
  Index directions = 1;
  double radius = 0;  ///< rho
  std::string fingerprint;

  Index steps() const { return training.train.steps; }
  Index batch() const { return training.spec.member(0).batch; }
  /// eta t_c.
  double time(std::size_t branch) const { return learning_rate * static_cast<double>(branches[branch]); }

  // Columns of a repeat's row.
  Index end(std::size_t branch, EndNumber which) const {
    return static_cast<Index>(branch * kEndNumbers) + static_cast<Index>(which);
  }
  Index freezing_time() const { return end(branches.size(), EndNumber::similarity); }  ///< eta t_f
  Index freezing_flatness() const { return freezing_time() + 1; }  ///< of the endpoint that leaves at t_f
  Index converged() const { return freezing_flatness() + 1; }      ///< 1 or 0; all else is NaN where it is 0
  Index numbers() const { return converged() + 1; }
};

/// Default of train.steps, which no recipe sets here.
inline constexpr int kStepsLeftOut = 1;

/// Keys of `[freezing]`.
std::vector<io::KeySpec> freezing_keys();

/// Throws RecipeError for branch times that coincide, rules that full-batch descent does not continue (momentum, weight
/// decay, dropout, label noise, schedules), and train.steps, which freezing.time says here.
FreezingCell make_freezing_cell(const RunSetup& setup, const io::Cell& at);

SampleTask freezing_task(const FreezingCell& cell, runtime::Backend& backend);
CellPlan plan_freezing_cell(const FreezingCell& cell, const std::string& name);

/// |a and b| / |a or b| of two sets given by flags; 1 for two empty ones.
double jaccard(const std::vector<bool>& a, const std::vector<bool>& b);

/// First branch from which on all similarities are at least `least`; the last one is 1.
std::size_t freezing_branch(const std::vector<double>& similarities, double least);

}  // namespace widelab::experiments
