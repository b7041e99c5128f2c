// One cell of `sgd-stationary` and `langevin`: chains of noisy gradient descent of a readout on fixed features, which
// differ in their noise alone.
//
// Every chain starts at the minimiser w* of its data set's loss and runs for train.steps steps; e = w - w* in the
// eigenbasis of the loss's Hessian, eigenvalues ascending. Moments are averaged over the steps after burn_in.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "host/experiments/readout_regression.hpp"
#include "host/experiments/sample_job.hpp"
#include "host/runtime/backend.hpp"

namespace widelab::experiments {

struct StationaryCell {
  TrainingCell training;
  ReadoutRegression regression;
  Index burn_in = 0;
  std::vector<Index> observed;  ///< steps at which the excess loss of chains is kept
  std::vector<Index> lags;      ///< of the autocovariance, in steps; ascending
  Index tail_times = 0;         ///< times at which |e| is kept, evenly spaced after the burn-in
  Index sampled_orders = 0;     ///< behind the prediction of shuffled epochs
  std::uint64_t orders_key = 0;
  std::string fingerprint;

  Index dimension() const { return regression.dimension; }
  Index steps() const { return training.train.steps; }
  Index tail_step(Index time) const { return burn_in + (time + 1) * (steps() - burn_in) / tail_times; }
  bool shuffled() const { return training.train.rule.order == OrderKind::epochs; }
  bool online() const { return regression.population.has_value(); }
  Index steps_per_epoch() const { return training.data.train.examples / training.spec.member(0).batch; }

  // Columns of a chain's row.
  Index excess_at(std::size_t time) const { return static_cast<Index>(time); }
  Index mean(Index mode) const { return static_cast<Index>(observed.size()) + mode; }
  /// Average of e_i e_j, j <= i.
  Index product(Index i, Index j) const { return mean(dimension()) + i * (i + 1) / 2 + j; }
  /// Average of e_t.e_{t + lag}.
  Index along(std::size_t lag) const { return product(dimension(), 0) + static_cast<Index>(lag); }
  Index fourth(Index mode) const { return along(lags.size()) + mode; }
  Index excess() const { return fourth(dimension()); }
  Index distance(Index time) const { return excess() + 1 + time; }  ///< |e|
  Index numbers() const { return distance(tail_times); }
};

/// Keys of `[chain]`.
std::vector<io::KeySpec> stationary_keys();

/// Throws RecipeError, among others for a burn-in that leaves no step, lags beyond the rest, and under shuffled epochs
/// for a burn-in or an end inside an epoch, whose phases are not alike.
StationaryCell make_stationary_cell(const RunSetup& setup, const io::Cell& at);

SampleTask stationary_task(const StationaryCell& cell, runtime::Backend& backend);
CellPlan plan_stationary_cell(const StationaryCell& cell, const std::string& name);

}  // namespace widelab::experiments
