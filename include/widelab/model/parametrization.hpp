// The parametrisation table: how forward multipliers, initial standard deviations and learning rates scale with
// width. This is the only place where a power of the width is written.
//
// Forward multiplier n^-a, initial std n^-b, SGD learning rate n^c, n the fan-in for hidden and output weights and
// the fan-out for input weights and hidden biases; readout bias: the last hidden width. Sources: Jacot et al. 2018
// (NTK), Yang and Hu 2020 (muP), Mei et al. 2018 (mean field). For two or more hidden layers, "mean-field" is
// muP with richness gamma0. Adam's rates follow from SGD's by removing the gradient's own scale (derived in
// host/theory/coordinate_check.hpp): outputs then move by order 1 in a step, and the rest as under SGD.
#pragma once

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "widelab/base/errors.hpp"
#include "widelab/model/init_law.hpp"
#include "widelab/model/mlp_shape.hpp"

namespace widelab {

enum class Parametrization { ntk, standard, mup, mean_field };

enum class ParameterRole { input, hidden, output, hidden_bias, output_bias };

/// Exponents of one parameter role. `dimension_in_multiplier`: whether 1/sqrt(d) and sigma sit in the forward
/// multiplier (true) or in the initial standard deviation (false).
struct ScalingRow {
  double multiplier_a, init_b, sgd_rate_c, adam_rate_c;
};

struct ScalingTable {
  const char* name;
  bool gain_in_multiplier;
  std::array<ScalingRow, 5> rows;  // indexed by ParameterRole
};

inline constexpr std::array<ScalingTable, 4> kScalingTables{{
    {"ntk", true, {{{0, 0, 0, -0.5}, {0.5, 0, 0, -1}, {0.5, 0, 0, -0.5}, {0, 0, 0, -0.5}, {0, 0, 0, 0}}}},
    {"standard", false, {{{0, 0, 0, 0}, {0, 0.5, 0, 0}, {0, 0.5, 0, 0}, {0, 0, 0, 0}, {0, 0, 0, 0}}}},
    {"mup", false, {{{0, 0, 1, 0}, {0, 0.5, 0, -1}, {0, 1, -1, -1}, {0, 0, 1, 0}, {0, 0, 0, 0}}}},
    {"mean-field", true, {{{0, 0, 1, 0}, {0, 0, 0, 0}, {1, 0, 1, 0}, {0, 0, 1, 0}, {0, 0, 0, 0}}}},
}};

/// What a kernel needs to know of one layer: every scale is a plain number by now.
struct LayerScale {
  double weight_multiplier = 1, weight_std = 1;  ///< z gets weight_multiplier * W h, W = weight_std * draw
  double bias_multiplier = 0, bias_std = 0;      ///< z gets bias_multiplier * b, b = bias_std * draw
  double weight_rate = 1, bias_rate = 1;         ///< relative learning rate; 0 = not trained. Weights of the NTK
  InitKind weight_law = InitKind::normal, bias_law = InitKind::normal;

  double weight_variance() const { return weight_multiplier * weight_multiplier * weight_std * weight_std; }
  double bias_variance() const { return bias_multiplier * bias_multiplier * bias_std * bias_std; }
  double weight_kernel() const { return weight_rate * weight_multiplier * weight_multiplier; }
  double bias_kernel() const { return bias_rate * bias_multiplier * bias_multiplier; }
};

/// Relative learning rates of trained parameters: all 1, or n^c with the table's exponents for SGD or for Adam (and
/// sign descent), whose steps do not know the gradient's scale.
enum class RateScaling { plain, sgd, adam };

/// How a network's parameters are drawn and which of them are trained, before the width is known.
struct InitChoice {
  Parametrization parametrization = Parametrization::ntk;
  std::vector<double> sigma_w{1.0};  ///< gain: one for all layers, or one for each of the L + 1 layers
  double sigma_b = 0.0;              ///< bias multiplier (gain_in_multiplier) or bias std (otherwise); 0 = no bias
  double bias_init_std = 1.0;        ///< extra factor on the initial bias; 0 = biases start at zero
  bool train_bias = true;
  bool zero_readout = false;
  InitKind weight_law = InitKind::normal;
  bool pytorch_default = false;            ///< U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for weights and biases; standard only
  RateScaling rates = RateScaling::plain;  ///< relative learning rates; they weight the NTK as well
  double richness = 1.0;                   ///< gamma0: f -> f / gamma0, learning rates times gamma0^2 (adam: gamma0)
  std::vector<bool> train_weights;         ///< empty = all; else one flag for each of the L + 1 layers
};

/// A network that a kernel can run: shape and scales.
struct Network {
  MlpShape shape;
  std::vector<LayerScale> layers;  ///< L + 1 entries
};

inline const ScalingTable& scaling_table(Parametrization p) { return kScalingTables[static_cast<std::size_t>(p)]; }

/// gamma0^2 n^c (adam: gamma0 n^c), n^0 if rates are plain.
inline double relative_rate(const InitChoice& choice, const ScalingRow& row, double n) {
  const bool adam = choice.rates == RateScaling::adam;
  const double scaled = choice.rates == RateScaling::plain ? 1.0 : std::pow(n, adam ? row.adam_rate_c : row.sgd_rate_c);
  return scaled * (adam ? choice.richness : choice.richness * choice.richness);
}

/// Scale of layer `layer` under `choice`; widths and dimension from `shape`.
inline LayerScale layer_scale(const MlpShape& shape, const InitChoice& choice, Index layer) {
  const Index depth = shape.depth();
  const bool is_input = layer == 0, is_output = layer == depth;
  const ScalingTable& table =
      scaling_table(choice.parametrization == Parametrization::mean_field && depth > 1 ? Parametrization::mup
                                                                                       : choice.parametrization);
  const ParameterRole role = is_input    ? ParameterRole::input
                             : is_output ? ParameterRole::output
                                         : ParameterRole::hidden;
  const ScalingRow& weight = table.rows[static_cast<std::size_t>(role)];
  const ScalingRow& bias =
      table.rows[static_cast<std::size_t>(is_output ? ParameterRole::output_bias : ParameterRole::hidden_bias)];
  const double fan_in = static_cast<double>(shape.fan_in(layer));
  const double n = static_cast<double>(is_input ? shape.fan_out(layer) : shape.fan_in(layer));
  const double bias_n = static_cast<double>(is_output ? shape.fan_in(layer) : shape.fan_out(layer));

  const double sigma =
      choice.sigma_w.size() == 1 ? choice.sigma_w.front() : choice.sigma_w[static_cast<std::size_t>(layer)];
  const double gain = sigma * (is_input ? 1.0 / std::sqrt(fan_in) : 1.0);
  LayerScale scale;
  scale.weight_multiplier = std::pow(n, -weight.multiplier_a) * (table.gain_in_multiplier ? gain : 1.0);
  scale.weight_std = std::pow(n, -weight.init_b) * (table.gain_in_multiplier ? 1.0 : gain);
  if (choice.sigma_b > 0.0) {
    scale.bias_multiplier = std::pow(bias_n, -bias.multiplier_a) * (table.gain_in_multiplier ? choice.sigma_b : 1.0);
    scale.bias_std =
        std::pow(bias_n, -bias.init_b) * (table.gain_in_multiplier ? 1.0 : choice.sigma_b) * choice.bias_init_std;
  }
  if (choice.pytorch_default) {
    scale.weight_std = scale.bias_std = 1.0 / std::sqrt(3.0 * fan_in);
    scale.bias_multiplier = 1.0;
  }
  if (is_output && choice.zero_readout) scale.weight_std = scale.bias_std = 0.0;
  scale.weight_law = scale.bias_law = choice.pytorch_default ? InitKind::uniform : choice.weight_law;
  if (!is_elementwise(scale.bias_law)) scale.bias_law = InitKind::normal;
  const bool trained = choice.train_weights.empty() || choice.train_weights[static_cast<std::size_t>(layer)];
  scale.weight_rate = trained ? relative_rate(choice, weight, n) : 0.0;
  const bool bias_trained = trained && choice.train_bias && scale.bias_multiplier != 0.0;
  scale.bias_rate = bias_trained ? relative_rate(choice, bias, bias_n) : 0.0;
  if (is_output) {
    scale.weight_multiplier /= choice.richness;
    scale.bias_multiplier /= choice.richness;
  }
  return scale;
}

/// Checks shape and choice together (RecipeError) and computes every scale.
inline Network make_network(const MlpShape& shape, const InitChoice& choice) {
  validate(shape);
  const auto layers = static_cast<std::size_t>(shape.layers());
  if (choice.sigma_w.size() != 1 && choice.sigma_w.size() != layers)
    throw RecipeError("model.sigma_w has " + std::to_string(choice.sigma_w.size()) + " entries: needs 1, or " +
                      std::to_string(layers) + " (one for each layer, the readout included)");
  if (!choice.train_weights.empty() && choice.train_weights.size() != layers)
    throw RecipeError("model.train_layers has " + std::to_string(choice.train_weights.size()) +
                      " flags: give one for each of the " + std::to_string(layers) + " layers, or [] to train all");
  if (choice.pytorch_default && choice.parametrization != Parametrization::standard)
    throw RecipeError("model.init = \"pytorch\" needs model.parametrization = \"standard\"");
  Network network{shape, {}};
  for (Index l = 0; l < shape.layers(); ++l) network.layers.push_back(layer_scale(shape, choice, l));
  return network;
}

}  // namespace widelab
