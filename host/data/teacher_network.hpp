// Targets given by a random network.
#pragma once

#include <vector>

#include "widelab/model/parametrization.hpp"
#include "widelab/rng/replicate_ids.hpp"

namespace widelab::data {

/// Outputs (N x k, row-major) of `network` (model/mlp_shape.hpp) at `inputs` (N x d, d = shape.input_dim). Weights come
/// from the streams teacher_weights and teacher_biases of the data id, at the places where a network finds its own in
/// weights and biases. RecipeError if the weight law is not elementwise (orthogonal, file).
std::vector<double> teacher_outputs(const Network& network, DrawId data_id, const std::vector<double>& inputs,
                                    Index examples);

}  // namespace widelab::data
