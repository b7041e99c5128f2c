#include "kernels/reference/naive_network.hpp"

#include <cmath>
#include <cstdint>

#include "widelab/base/contract.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::reference {
namespace {

/// LN(z)_i = (z_i - mean) / deviation; a constant row maps to 0.
double layer_norm(const std::vector<double>& z, std::vector<double>& out) {
  const double n = static_cast<double>(z.size());
  double mean = 0, variance = 0;
  for (const double v : z) mean += v / n;
  for (const double v : z) variance += (v - mean) * (v - mean) / n;
  const double deviation = std::sqrt(variance);
  out.resize(z.size());
  for (std::size_t i = 0; i < z.size(); ++i) out[i] = deviation > 0 ? (z[i] - mean) / deviation : 0.0;
  return deviation;
}

/// m W h + M b.
std::vector<double> affine(const Network& network, const std::vector<double>& parameters, Index layer,
                           const std::vector<double>& h) {
  const ParamLayout layout(network.shape);
  const LayerScale& scale = network.layers[static_cast<std::size_t>(layer)];
  const Index rows = network.shape.fan_out(layer), cols = network.shape.fan_in(layer);
  const double* w = parameters.data() + layout.weight_offset[static_cast<std::size_t>(layer)];
  const double* b = parameters.data() + layout.bias_offset[static_cast<std::size_t>(layer)];
  std::vector<double> z(static_cast<std::size_t>(rows));
  for (Index i = 0; i < rows; ++i) {
    double sum = 0;
    for (Index j = 0; j < cols; ++j) sum += w[i * cols + j] * h[static_cast<std::size_t>(j)];
    z[static_cast<std::size_t>(i)] = scale.weight_multiplier * sum + scale.bias_multiplier * b[i];
  }
  return z;
}

}  // namespace

std::vector<double> member_parameters(const Network& network, const MemberWeights<double>& weights, Index member) {
  const ParamLayout layout(network.shape);
  if (weights.stored) {
    const double* begin = weights.stored + member * layout.size;
    return {begin, begin + layout.size};
  }
  std::vector<double> parameters(static_cast<std::size_t>(layout.size));
  for (Index l = 0; l < network.shape.layers(); ++l) {
    const LayerScale& scale = network.layers[static_cast<std::size_t>(l)];
    WIDELAB_REQUIRE(is_elementwise(scale.weight_law) && is_elementwise(scale.bias_law),
                    "weights of a law that is not elementwise must be stored");
    const auto layer = static_cast<std::uint8_t>(l);
    const StreamId weight_stream = weights.init[member].stream(Stream::weights, layer);
    const StreamId bias_stream = weights.init[member].stream(Stream::biases, layer);
    const Index rows = network.shape.fan_out(l), cols = network.shape.fan_in(l);
    double* w = parameters.data() + layout.weight_offset[static_cast<std::size_t>(l)];
    double* b = parameters.data() + layout.bias_offset[static_cast<std::size_t>(l)];
    for (Index i = 0; i < rows; ++i) {
      const auto row = static_cast<std::uint32_t>(i);
      for (Index j = 0; j < cols; ++j)
        w[i * cols + j] = scale.weight_std * static_cast<double>(init_draw_at(scale.weight_law, weight_stream, row,
                                                                              static_cast<std::uint32_t>(j)));
      b[i] = scale.bias_std * static_cast<double>(init_draw_at(scale.bias_law, bias_stream, 0, row));
    }
  }
  return parameters;
}

Trace run(const Network& network, const std::vector<double>& parameters, const double* x,
          const std::vector<std::vector<double>>& masks) {
  const MlpShape& shape = network.shape;
  Trace trace;
  trace.input.emplace_back(x, x + shape.input_dim);
  for (Index l = 0; l < shape.layers(); ++l) {
    std::vector<double> z = affine(network, parameters, l, trace.input.back());
    if (shape.is_residual(l))
      for (std::size_t i = 0; i < z.size(); ++i) z[i] = trace.preactivation.back()[i] + shape.residual * z[i];
    trace.preactivation.push_back(z);
    if (l == shape.depth()) break;

    std::vector<double> y = z;
    trace.deviation.push_back(shape.layer_norm ? layer_norm(z, y) : 1.0);
    trace.normalised.push_back(y);
    const float* s = shape.multipliers(l);
    std::vector<double> factor(y.size(), 1.0);
    for (std::size_t i = 0; i < y.size(); ++i) {
      if (s) factor[i] = static_cast<double>(s[i]);
      if (!masks.empty()) factor[i] *= masks[static_cast<std::size_t>(l)][i];
      y[i] = factor[i] * visit(shape.activation, [v = y[i]](const auto& f) { return f.value(v); });
    }
    trace.unit_factor.push_back(factor);
    trace.input.push_back(y);
  }
  return trace;
}

double feature_covariance(const Network& network, const Trace& first, const Trace& second) {
  const LayerScale& readout = network.layers.back();
  double dot = 0;
  for (std::size_t k = 0; k < first.input.back().size(); ++k) dot += first.input.back()[k] * second.input.back()[k];
  return readout.bias_variance() + readout.weight_variance() * dot;
}

}  // namespace widelab::reference
