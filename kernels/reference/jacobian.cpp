#include "kernels/reference/jacobian.hpp"

#include "widelab/model/param_layout.hpp"

namespace widelab::reference {
namespace {

/// Branch factor: z gets alpha (m W h + M b) in a residual layer, m W h + M b otherwise.
double branch(const MlpShape& shape, Index layer) { return shape.is_residual(layer) ? shape.residual : 1.0; }

/// df/dh of the layer's input: branch m W^T df/dz.
std::vector<double> through_weights(const Network& network, const std::vector<double>& parameters, Index layer,
                                    const std::vector<double>& dz) {
  const ParamLayout layout(network.shape);
  const Index rows = network.shape.fan_out(layer), cols = network.shape.fan_in(layer);
  const double* w = parameters.data() + layout.weight_offset[static_cast<std::size_t>(layer)];
  const double scale = branch(network.shape, layer) * network.layers[static_cast<std::size_t>(layer)].weight_multiplier;
  std::vector<double> dh(static_cast<std::size_t>(cols), 0.0);
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j)
      dh[static_cast<std::size_t>(j)] += scale * w[i * cols + j] * dz[static_cast<std::size_t>(i)];
  return dh;
}

/// df/dz from df/dh for h = s phi(LN(z)), s the unit's factor. With y = LN(z) and g = df/dy:
/// df/dz = (g - mean(g) - y mean(g y)) / deviation.
std::vector<double> through_activation(const MlpShape& shape, const Trace& trace, Index hidden, std::vector<double> g) {
  const std::vector<double>& y = trace.normalised[static_cast<std::size_t>(hidden)];
  const std::vector<double>& s = trace.unit_factor[static_cast<std::size_t>(hidden)];
  for (std::size_t i = 0; i < g.size(); ++i)
    g[i] *= s[i] * visit(shape.activation, [v = y[i]](const auto& f) { return f.first(v); });
  if (!shape.layer_norm) return g;

  const double n = static_cast<double>(g.size()), deviation = trace.deviation[static_cast<std::size_t>(hidden)];
  double mean = 0, along = 0;
  for (std::size_t i = 0; i < g.size(); ++i) {
    mean += g[i] / n;
    along += g[i] * y[i] / n;
  }
  for (std::size_t i = 0; i < g.size(); ++i) g[i] = deviation > 0 ? (g[i] - mean - y[i] * along) / deviation : 0.0;
  return g;
}

}  // namespace

std::vector<double> pullback(const Network& network, const std::vector<double>& parameters, const Trace& trace,
                             std::vector<double> dz) {
  const MlpShape& shape = network.shape;
  const ParamLayout layout(shape);
  std::vector<double> row(static_cast<std::size_t>(layout.size), 0.0);
  for (Index l = shape.depth(); l >= 0; --l) {
    const LayerScale& scale = network.layers[static_cast<std::size_t>(l)];
    const std::vector<double>& h = trace.input[static_cast<std::size_t>(l)];
    const Index cols = shape.fan_in(l);
    double* dw = row.data() + layout.weight_offset[static_cast<std::size_t>(l)];
    double* db = row.data() + layout.bias_offset[static_cast<std::size_t>(l)];
    for (Index i = 0; i < shape.fan_out(l); ++i) {
      const double signal = branch(shape, l) * dz[static_cast<std::size_t>(i)];
      for (Index j = 0; j < cols; ++j)
        dw[i * cols + j] = scale.weight_multiplier * signal * h[static_cast<std::size_t>(j)];
      db[i] = scale.bias_multiplier * signal;
    }
    if (l == 0) break;
    const std::vector<double> skip = dz;
    dz = through_activation(shape, trace, l - 1, through_weights(network, parameters, l, dz));
    if (shape.is_residual(l))
      for (std::size_t i = 0; i < dz.size(); ++i) dz[i] += skip[i];
  }
  return row;
}

std::vector<double> jacobian_row(const Network& network, const std::vector<double>& parameters, const Trace& trace,
                                 Index output) {
  std::vector<double> dz(static_cast<std::size_t>(network.shape.outputs), 0.0);
  dz[static_cast<std::size_t>(output)] = 1.0;
  return pullback(network, parameters, trace, dz);
}

std::vector<double> parameter_rates(const Network& network) {
  const ParamLayout layout(network.shape);
  std::vector<double> rates(static_cast<std::size_t>(layout.size));
  for (std::size_t l = 0; l < network.layers.size(); ++l) {
    for (Index t = layout.weight_offset[l]; t < layout.bias_offset[l]; ++t)
      rates[static_cast<std::size_t>(t)] = network.layers[l].weight_rate;
    for (Index i = 0; i < network.shape.fan_out(static_cast<Index>(l)); ++i)
      rates[static_cast<std::size_t>(layout.bias_offset[l] + i)] = network.layers[l].bias_rate;
  }
  return rates;
}

}  // namespace widelab::reference
