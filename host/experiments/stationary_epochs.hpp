// Chains under shuffled epochs: what the map of an epoch (host/theory/sgd_epochs.hpp) expects of their moments.
#pragma once

#include "host/experiments/stationary_prediction.hpp"

namespace widelab::experiments {

/// Fills `numbers` and `errors`: means, products and excess losses. Nothing where there is label noise or a
/// temperature, or more directions (velocities counted) than the map takes.
void predict_epochs(const StationaryCell& cell, const theory::RegressionNoise& noise, StationaryPrediction& out);

}  // namespace widelab::experiments
