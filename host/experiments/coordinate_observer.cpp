#include "host/experiments/coordinate_observer.hpp"

#include <cmath>
#include <utility>

#include "widelab/model/param_layout.hpp"

namespace widelab::experiments {
namespace {

using Vector = std::vector<double>;

std::size_t at(Index k) { return static_cast<std::size_t>(k); }

/// s phi(LN(z)) of one input's units, in place.
void features(const MlpShape& shape, Index layer, double* z, Index n) {
  if (shape.layer_norm) {
    double mean = 0, variance = 0;
    for (Index j = 0; j < n; ++j) mean += z[j] / static_cast<double>(n);
    for (Index j = 0; j < n; ++j) variance += (z[j] - mean) * (z[j] - mean) / static_cast<double>(n);
    for (Index j = 0; j < n; ++j) z[j] = variance > 0 ? (z[j] - mean) / std::sqrt(variance) : 0.0;
  }
  const float* s = shape.multipliers(layer);
  visit(shape.activation, [&](const auto& phi) {
    for (Index j = 0; j < n; ++j) z[j] = (s ? static_cast<double>(s[j]) : 1.0) * phi.value(z[j]);
  });
}

class CoordinateObserver : public engine::Observer {
 public:
  CoordinateObserver(const Network& network, Vector inputs) : network_(network), inputs_(std::move(inputs)) {}
  std::string name() const override { return "coordinates"; }
  Index entries() const override { return network_.shape.layers(); }
  engine::ObserverNeeds needs() const override {
    engine::ObserverNeeds needs;
    needs.parameters = true;
    return needs;
  }
  void observe(const engine::MemberView& member, std::span<double> out) const override {
    const std::vector<Vector> now = pre_activations(network_, member.parameters, inputs_),
                              then = pre_activations(network_, member.start, inputs_);
    for (std::size_t l = 0; l < now.size(); ++l) {
      double sum = 0;
      for (std::size_t k = 0; k < now[l].size(); ++k) sum += std::fabs(now[l][k] - then[l][k]);
      out[l] = sum / static_cast<double>(now[l].size());
    }
  }

 private:
  Network network_;
  Vector inputs_;
};

}  // namespace

std::vector<Vector> pre_activations(const Network& network, std::span<const double> parameters,
                                    std::span<const double> inputs) {
  const MlpShape& shape = network.shape;
  const ParamLayout layout(shape);
  const Index count = static_cast<Index>(inputs.size()) / shape.input_dim;
  std::vector<Vector> all;
  Vector h(inputs.begin(), inputs.end());
  for (Index l = 0; l < shape.layers(); ++l) {
    const LayerScale& scale = network.layers[at(l)];
    const Index rows = shape.fan_out(l), cols = shape.fan_in(l);
    const double *w = parameters.data() + layout.weight_offset[at(l)],
                 *b = parameters.data() + layout.bias_offset[at(l)];
    Vector z(at(count * rows));
    for (Index i = 0; i < rows; ++i)
      for (Index x = 0; x < count; ++x) {
        double sum = 0;
        for (Index j = 0; j < cols; ++j) sum += w[i * cols + j] * h[at(x * cols + j)];
        sum = scale.weight_multiplier * sum + scale.bias_multiplier * b[i];
        z[at(x * rows + i)] = shape.is_residual(l) ? all.back()[at(x * rows + i)] + shape.residual * sum : sum;
      }
    h = z;
    if (l < shape.depth())
      for (Index x = 0; x < count; ++x) features(shape, l, h.data() + x * rows, rows);
    all.push_back(std::move(z));
  }
  return all;
}

std::shared_ptr<const engine::Observer> coordinate_observer(const Network& network, Vector inputs) {
  return std::make_shared<CoordinateObserver>(network, std::move(inputs));
}

}  // namespace widelab::experiments
