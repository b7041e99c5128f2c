// What the exact second-moment closure expects of a cell of chains, and the approximations that are made of it.
#pragma once

#include <vector>

#include "host/experiments/stationary_cell.hpp"

namespace widelab::experiments {

/// Modes are eigenvectors of the loss's Hessian (weight decay included), ascending.
struct StationaryPrediction {
  std::vector<double> numbers;              ///< columns of a chain's row; NaN where no law is known
  std::vector<double> errors;               ///< of `numbers`: shuffled epochs, from the sampled orders; else 0
  std::vector<double> curvature;            ///< h_i
  std::vector<double> stationary_variance;  ///< S_ii in the limit of many steps; NaN beyond the edge of stability
  std::vector<double> frozen_variance;      ///< S_ii if the noise did not grow with the distance from the minimum
  std::vector<double> small_step;           ///< h_i S_ii for eta -> 0: eta C_ii / (2 (1 - mu)) of a step's noise C
  /// Of P(|e| > t) ~ t^-alpha; NaN where all moments exist or no formula is known: more than one direction (streams: of
  /// unequal variance), momentum, batches of several examples of a set, shuffled epochs.
  double tail_exponent = 0;
  /// What it is taken to be at least: streams, that of isotropic inputs of the largest variance; infinite where nothing
  /// is known.
  double least_tail_exponent = 0;
  double mean_square_radius = 0;      ///< of the map of second moments; stable below 1
  double critical_learning_rate = 0;  ///< where it passes 1, in the units of train.learning_rate
  bool stable() const { return mean_square_radius < 1; }
};

/// `numbers` are exact at every step, stationary or not (order online: theory/sgd_online.hpp). Shuffled epochs
/// (theory/sgd_epochs.hpp): to within `errors`, and no autocovariance, stability or small-step law; without noise of
/// labels or temperature, and up to EpochMap::kMostState directions, velocities counted.
StationaryPrediction predict_stationary(const StationaryCell& cell);

}  // namespace widelab::experiments
