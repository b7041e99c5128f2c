// The cell of `trained-double-descent`: a crossed design of initial weights and training sets, networks or their
// linearisations, and the excess risk split over it.
#pragma once

#include <memory>
#include <vector>

#include "host/estimators/sample_sink.hpp"
#include "host/experiments/linearisation.hpp"
#include "host/experiments/sample_job.hpp"
#include "host/experiments/training_cell.hpp"

namespace widelab::experiments {

/// Replicate r belongs to block r / 4, and within it to initial weights (r / 2) % 2 and training set r % 2: four
/// networks of two by two independent draws. Blocks share nothing; every network has a batch order of its own.
inline constexpr Index kBlock = 4;

struct TrainedCell {
  TrainingCell training;
  bool linearised = false;
  double gamma = 1;   ///< linearised: outputs are divided by this, see linearise
  Index numbers = 0;  ///< of one network at one observed step: train loss, then test outputs
};

/// The cell with the first of its training sets. Throws RecipeError unless there are test examples, replicates come in
/// whole blocks, and the loss is squared.
TrainedCell make_trained_cell(const RunSetup& setup, const io::Cell& at);

/// Draws all training sets of the cell.
std::unique_ptr<engine::SegmentedJob> make_trained_job(const RunSetup& setup, const io::Cell& at,
                                                       runtime::Backend& backend);

/// Of all training sets beyond the first: one for every two networks, or, linearised, one for each.
double training_set_bytes(const TrainedCell& cell);

estimators::SampleSink read_trained(const TrainedCell& cell, const io::ArrayFile& file);

/// Numbers of a block at one observed step; squared errors are means over test examples of |f - y|^2.
enum RiskNumber : Index { kTrain, kTest, kError, kBias2, kInit, kData, kRest, kRiskNumbers };
const char* risk_name(Index number);

/// Rows block x (times x kRiskNumbers). Bias^2: two networks with nothing in common. Initial weights, training set:
/// what two networks share of their errors beyond that, when they share the one or the other. Rest: interaction of
/// both, and batch order. A block with a diverged network is NaN.
Samples block_risks(const TrainedCell& cell, const estimators::SampleSink& sink);

/// Mean over test examples of |f - f'|^2, network by network, rows block x times.
Samples block_distances(const TrainedCell& cell, const estimators::SampleSink& a, const estimators::SampleSink& b);

}  // namespace widelab::experiments
