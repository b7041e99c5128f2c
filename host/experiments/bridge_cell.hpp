// One cell of `epoch-bridge`: replicas of a trained network that go on from one checkpoint and differ in the order of
// their batches alone, seen along the leading eigenvectors of the Hessian there.
//
// Networks 0, 1, ... are trained for train.steps steps, the checkpoint theta_0; each is continued by `replicas`
// replicas under `order`. e = U^T (theta - theta_0), U the K leading eigenvectors of the Hessian of the training loss
// at theta_0 (Lanczos). Replicate r of the run is replica r mod replicas of network r / replicas.
#pragma once

#include <string>
#include <vector>

#include "host/experiments/sample_job.hpp"
#include "host/experiments/training_cell.hpp"

namespace widelab::experiments {

struct BridgeCell {
  TrainingCell training;  ///< up to the checkpoint
  OrderKind order = OrderKind::epochs;
  Index replicas = 0;
  Index directions = 0;          ///< K
  Index probes = 0;              ///< random sign vectors z: Var z.theta has the trace of the covariance as its mean
  Index sampled_orders = 0;      ///< of the epoch map
  std::vector<Index> times;      ///< steps after the checkpoint, from 1, ascending
  std::uint64_t branch_key = 0;  ///< of the replicas' own orders
  std::string fingerprint;

  Index batch() const { return training.spec.member(0).batch; }
  Index steps_per_epoch() const { return training.data.train.examples / batch(); }
  Index networks() const { return training.spec.replicates / replicas; }

  // Columns of a replica's row. What belongs to a network stands in the row of its replica 0; NaN in the others.
  Index place(std::size_t time, Index direction) const { return static_cast<Index>(time) * directions + direction; }
  Index probe(std::size_t time, Index k) const {
    return place(times.size(), 0) + static_cast<Index>(time) * probes + k;
  }
  Index curvature(Index direction) const { return probe(times.size(), 0) + direction; }
  Index bound(Index direction) const { return curvature(directions) + direction; }
  Index noise(Index direction) const { return bound(directions) + direction; }
  /// Variance that additive noise alone would give.
  Index additive(std::size_t time, Index direction) const { return noise(directions) + place(time, direction); }
  /// Variance of linear dynamics with every example's own curvature.
  Index linear(std::size_t time, Index direction) const { return additive(times.size(), 0) + place(time, direction); }
  Index numbers() const { return linear(times.size(), 0); }
};

/// Keys of `[bridge]`.
std::vector<io::KeySpec> bridge_keys();

/// Throws RecipeError for a design that leaves no network or no time, weight decay, dropout, label noise, unequal
/// learning rates, and rules without a linear theory.
BridgeCell make_bridge_cell(const RunSetup& setup, const io::Cell& at);

SampleTask bridge_task(const BridgeCell& cell, runtime::Backend& backend);
CellPlan plan_bridge_cell(const BridgeCell& cell, const std::string& name);

}  // namespace widelab::experiments
