#include "host/experiments/layer_features.hpp"

#include <algorithm>

#include "host/runtime/backend.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::experiments {

std::vector<double> layer_features(const Network& network, const std::vector<double>& parameters, Index layer,
                                   MatrixView<const double> inputs) {
  // The network below the layer, with its features as outputs.
  const Index n = network.shape.fan_in(layer);
  Network below = network;
  below.shape.widths.resize(static_cast<std::size_t>(layer));
  if (!below.shape.unit_multipliers.empty()) below.shape.unit_multipliers.resize(static_cast<std::size_t>(layer));
  below.shape.outputs = n;
  below.layers.resize(static_cast<std::size_t>(layer + 1));
  LayerScale& readout = below.layers.back();
  readout.weight_multiplier = 1;
  readout.bias_multiplier = 0;
  const ParamLayout layout(below.shape);
  const Index at = layout.weight_offset.back();
  std::vector<double> all(static_cast<std::size_t>(layout.size), 0.0);
  std::copy_n(parameters.begin(), at, all.begin());
  for (Index j = 0; j < n; ++j) all[static_cast<std::size_t>(at + j * n + j)] = 1;
  std::vector<double> features(static_cast<std::size_t>(inputs.rows * n));
  runtime::make_backend("cpu")->forward(
      ForwardProblem<double>{&below, {1, nullptr, all.data()}, inputs, features.data(), {}});
  return features;
}

}  // namespace widelab::experiments
