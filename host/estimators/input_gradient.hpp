// Gradients of a network's outputs with respect to its input, in double.
#pragma once

#include <span>
#include <vector>

#include "widelab/model/parametrization.hpp"

namespace widelab::estimators {

/// d f_o(x) / d x_j, outputs x d, at one input x (d numbers): backpropagation through the network of MlpShape, its
/// hidden features times `hidden_factor` (keep of unscaled dropout). Parameters in ParamLayout's order.
std::vector<double> input_gradient(const Network& network, std::span<const double> parameters, double hidden_factor,
                                   const double* x);

}  // namespace widelab::estimators
