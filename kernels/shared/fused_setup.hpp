// Builds what the fused training body is told, on the host, the same for every device.
#pragma once

#include <vector>

#include "kernels/shared/fused_member.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/model/parametrization.hpp"

namespace widelab {

/// Owns the arrays that a FusedNetwork points to. A device copies `layers` and `unit_multipliers` and takes view() with
/// its own pointers.
template <class T>
struct FusedNetworkArrays {
  FusedNetwork<T> numbers;
  std::vector<FusedLayer<T>> layers;
  std::vector<float> unit_multipliers;

  explicit FusedNetworkArrays(const Network& network) {
    const MlpShape& shape = network.shape;
    const ParamLayout layout(shape);
    numbers.input_dim = shape.input_dim;
    numbers.depth = shape.depth();
    numbers.outputs = shape.outputs;
    numbers.parameters = layout.size;
    numbers.layer_norm = shape.layer_norm;
    numbers.residual = shape.residual != 0.0;
    numbers.activation = shape.activation;
    numbers.lowest_trained = shape.layers();
    for (Index l = shape.depth(); l >= 0; --l) {
      const LayerScale& scale = network.layers[static_cast<std::size_t>(l)];
      if (scale.weight_rate > 0 || scale.bias_rate > 0) numbers.lowest_trained = l;
    }
    for (Index l = 0; l < shape.layers(); ++l) add_layer(network, layout, l);
  }

  /// With pointers into the host arrays.
  FusedNetwork<T> view() const { return view(layers.data(), unit_multipliers.data()); }
  FusedNetwork<T> view(const FusedLayer<T>* layers_at, const float* multipliers_at) const {
    FusedNetwork<T> out = numbers;
    out.layers = layers_at;
    out.unit_multipliers = multipliers_at;
    return out;
  }

 private:
  void add_layer(const Network& network, const ParamLayout& layout, Index l) {
    const MlpShape& shape = network.shape;
    const auto at = static_cast<std::size_t>(l);
    const LayerScale& scale = network.layers[at];
    const double branch = shape.is_residual(l) ? shape.residual : 1.0;
    FusedLayer<T> layer;
    layer.fan_in = shape.fan_in(l);
    layer.fan_out = shape.fan_out(l);
    layer.weights = layout.weight_offset[at];
    layer.biases = layout.bias_offset[at];
    layer.first_unit = numbers.units;
    layer.weight_multiplier = static_cast<T>(branch * scale.weight_multiplier);
    layer.bias_multiplier = static_cast<T>(branch * scale.bias_multiplier);
    layer.weight_rate = scale.weight_rate;
    layer.bias_rate = scale.bias_rate;
    layer.residual = shape.is_residual(l);
    if (l < shape.depth()) {
      if (const float* s = shape.multipliers(l)) {
        layer.unit_multipliers = static_cast<Index>(unit_multipliers.size());
        unit_multipliers.insert(unit_multipliers.end(), s, s + layer.fan_out);
      }
      numbers.units += layer.fan_out;
      numbers.widest = layer.fan_out > numbers.widest ? layer.fan_out : numbers.widest;
    }
    layers.push_back(layer);
  }
};

/// Factors of every step of the range.
inline std::vector<StepFactors> fused_step_factors(const TrainRule& rule, StepRange steps) {
  std::vector<StepFactors> out;
  for (Index t = steps.first; t < steps.last; ++t)
    out.push_back({rule.schedule.factor(t), adam_corrections(rule.update, t)});
  return out;
}

/// `factors` as of fused_step_factors, in the memory of whoever runs the body.
inline FusedRule fused_rule(const TrainRule& rule, StepRange steps, const StepFactors* factors) {
  return {rule.loss,           rule.reduction,        rule.update, rule.order, rule.dropout_keep,
          rule.dropout_scaled, rule.divergence_limit, steps,       factors};
}

/// Member `m` of a group, its state where the group's arrays are; workspace and status are still missing.
template <class T>
FusedMember<T> fused_member(const TrainProblem<T>& problem, const TrainGroup<T>& group, Index m) {
  const Index size = ParamLayout(group.network->shape).size;
  const Index moments = moment_count(problem.rule.update.kind);
  FusedMember<T> member;
  member.settings = group.settings[m];
  member.data = problem.datasets[static_cast<std::size_t>(member.settings.dataset)];
  member.parameters = group.parameters + m * size;
  if (group.displacement) {
    member.start = group.start + m * size;
    member.displacement = group.displacement + m * size;
  }
  if (moments > 0) member.moments = group.moments + m * moments * size;
  member.status = group.status + m;
  return member;
}

}  // namespace widelab
