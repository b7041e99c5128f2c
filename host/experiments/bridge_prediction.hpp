// Linear theory of replicas that leave one checkpoint: variances along given directions from the gradients and the
// curvatures of single examples there.
#pragma once

#include <vector>

#include "host/experiments/bridge_cell.hpp"
#include "host/theory/linear_dynamics.hpp"
#include "host/theory/quadratic_samples.hpp"

namespace widelab::experiments {

/// g_n and U^T H_n U of every training example at `parameters` (P); `basis`: K orthonormal vectors of the counted
/// parameters, row by row.
theory::QuadraticSamples samples_at(const TrainingCell& cell, runtime::Backend& backend,
                                    const std::vector<double>& parameters, const std::vector<double>& basis,
                                    Index directions);

/// How a step of plain SGD enters the linear theory: learning rate, factor on the normalised loss.
theory::LinearTraining linear_training(const TrainingCell& cell);

/// times x K: each direction by itself, noise of the checkpoint everywhere (host/theory/shuffled_modes.hpp, and
/// sgd_quadratic.hpp for batches with replacement); 0 for a fixed order.
std::vector<double> additive_variances(const BridgeCell& cell, const theory::QuadraticSamples& samples);

/// times x K: all directions together, with every example's own curvature (host/theory/sgd_epochs.hpp).
std::vector<double> linear_variances(const BridgeCell& cell, const theory::QuadraticSamples& samples);

}  // namespace widelab::experiments
