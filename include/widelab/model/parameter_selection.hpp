// Which of a network's parameters are the coordinates of a gradient, a Gram matrix or a Hessian.
#pragma once

#include <string>
#include <vector>

#include "widelab/base/contract.hpp"
#include "widelab/model/parametrization.hpp"

namespace widelab {

/// One flag for each of the L + 1 layers, or empty = every layer. A parameter counts if it is trained (relative rate
/// above 0) and selected. Coordinates are the parameters as they are stored: a forward multiplier enters a derivative,
/// a learning rate does not.
struct ParameterSelection {
  std::vector<bool> weights, biases;
};

inline bool weights_count(const Network& network, const ParameterSelection& selection, Index layer) {
  const auto l = static_cast<std::size_t>(layer);
  return network.layers[l].weight_rate > 0 && (selection.weights.empty() || selection.weights[l]);
}

inline bool biases_count(const Network& network, const ParameterSelection& selection, Index layer) {
  const auto l = static_cast<std::size_t>(layer);
  return network.layers[l].bias_rate > 0 && (selection.biases.empty() || selection.biases[l]);
}

/// The same network with relative rates 1 for parameters that count and 0 for others: its tangent kernel is
/// sum over counted parameters of df/dt df'/dt. Throws ContractError if a list of flags has another length than L + 1.
inline Network with_unit_rates(const Network& network, const ParameterSelection& selection) {
  for (const std::vector<bool>* flags : {&selection.weights, &selection.biases})
    WIDELAB_REQUIRE(flags->empty() || flags->size() == network.layers.size(),
                    "a selection of parameters needs one flag for each layer");
  Network out = network;
  for (Index l = 0; l < network.shape.layers(); ++l) {
    LayerScale& scale = out.layers[static_cast<std::size_t>(l)];
    scale.weight_rate = weights_count(network, selection, l) ? 1.0 : 0.0;
    scale.bias_rate = biases_count(network, selection, l) ? 1.0 : 0.0;
  }
  return out;
}

}  // namespace widelab
