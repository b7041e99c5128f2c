// How far training has moved every layer's pre-activations.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "host/engine/training_job.hpp"
#include "widelab/model/parametrization.hpp"

namespace widelab::experiments {

/// Pre-activations z_1 .. z_L and outputs (model/mlp_shape.hpp) of all inputs (N x d), one layer after another, each N
/// x n_l, in double. Parameters in ParamLayout's order.
std::vector<std::vector<double>> pre_activations(const Network& network, std::span<const double> parameters,
                                                 std::span<const double> inputs);

/// Name "coordinates": mean over inputs and units of |z_l(t) - z_l(0)| for l = 1 .. L, then of |f_t - f_0|.
std::shared_ptr<const engine::Observer> coordinate_observer(const Network& network, std::vector<double> inputs);

}  // namespace widelab::experiments
