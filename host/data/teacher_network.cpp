#include "host/data/teacher_network.hpp"

#include <cmath>

#include "widelab/base/errors.hpp"

namespace widelab::data {

namespace {

// z = m W h + M b for all examples: h is N x fan_in, the result N x fan_out. Each row of W is drawn once.
std::vector<double> affine(const Network& network, DrawId data_id, Index layer, const std::vector<double>& h,
                           Index examples) {
  const LayerScale& scale = network.layers[static_cast<std::size_t>(layer)];
  const Index fan_in = network.shape.fan_in(layer), fan_out = network.shape.fan_out(layer);
  const auto tag = static_cast<std::uint8_t>(layer);
  const StreamId weights = data_id.stream(Stream::teacher_weights, tag);
  const StreamId biases = data_id.stream(Stream::teacher_biases, tag);
  std::vector<double> z(static_cast<std::size_t>(examples * fan_out)), row(static_cast<std::size_t>(fan_in));
  for (Index o = 0; o < fan_out; ++o) {
    const auto unit = static_cast<std::uint32_t>(o);
    for (Index c = 0; c < fan_in; ++c)
      row[static_cast<std::size_t>(c)] =
          static_cast<double>(init_draw_at(scale.weight_law, weights, unit, static_cast<std::uint32_t>(c)));
    const double bias = scale.bias_multiplier * scale.bias_std * init_draw_at(scale.bias_law, biases, 0, unit);
    for (Index i = 0; i < examples; ++i) {
      double sum = 0.0;
      for (Index c = 0; c < fan_in; ++c) sum += row[static_cast<std::size_t>(c)] * h[i * fan_in + c];
      z[i * fan_out + o] = scale.weight_multiplier * scale.weight_std * sum + bias;
    }
  }
  return z;
}

// (z - mean) / standard deviation over the units; a constant row maps to 0.
void layer_norm(double* row, Index width) {
  double mean = 0.0, variance = 0.0;
  for (Index j = 0; j < width; ++j) mean += row[j] / static_cast<double>(width);
  for (Index j = 0; j < width; ++j) variance += (row[j] - mean) * (row[j] - mean) / static_cast<double>(width);
  const double scale = variance > 0.0 ? 1.0 / std::sqrt(variance) : 0.0;
  for (Index j = 0; j < width; ++j) row[j] = (row[j] - mean) * scale;
}

// h = s phi(LN(z)).
std::vector<double> activated(const MlpShape& shape, Index hidden, std::vector<double> z, Index examples) {
  const Index width = shape.fan_out(hidden);
  if (shape.layer_norm)
    for (Index i = 0; i < examples; ++i) layer_norm(z.data() + i * width, width);
  visit(shape.activation, [&z](const auto& phi) {
    for (double& value : z) value = phi.value(value);
  });
  if (const float* const s = shape.multipliers(hidden))
    for (Index i = 0; i < examples; ++i)
      for (Index j = 0; j < width; ++j) z[i * width + j] *= static_cast<double>(s[j]);
  return z;
}

}  // namespace

std::vector<double> teacher_outputs(const Network& network, DrawId data_id, const std::vector<double>& inputs,
                                    Index examples) {
  const MlpShape& shape = network.shape;
  for (const LayerScale& scale : network.layers)
    if (!is_elementwise(scale.weight_law))
      throw RecipeError("data.target: a teacher's weights must be drawn one by one (normal, uniform, rademacher)");
  std::vector<double> h = inputs, z;
  for (Index layer = 0; layer < shape.layers(); ++layer) {
    std::vector<double> branch = affine(network, data_id, layer, h, examples);
    if (shape.is_residual(layer)) {
      for (std::size_t j = 0; j < z.size(); ++j) z[j] += shape.residual * branch[j];
    } else {
      z = std::move(branch);
    }
    if (layer < shape.depth()) h = activated(shape, layer, z, examples);
  }
  return z;
}

}  // namespace widelab::data
