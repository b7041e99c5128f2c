#include "host/estimators/input_gradient.hpp"

#include <cmath>

#include "widelab/model/param_layout.hpp"

namespace widelab::estimators {
namespace {

using Vector = std::vector<double>;

/// A hidden layer after the forward pass.
struct Hidden {
  Vector normalised;     ///< y = LN(z), or z
  Vector slope;          ///< d h / d y = s phi'(y), with the factor on features
  double deviation = 1;  ///< of z over its units
};

/// y = LN(z) in place (a constant row maps to 0); its deviation.
double normalise(Vector& z) {
  const double n = static_cast<double>(z.size());
  double mean = 0, variance = 0;
  for (const double v : z) mean += v / n;
  for (const double v : z) variance += (v - mean) * (v - mean) / n;
  const double deviation = std::sqrt(variance);
  for (double& v : z) v = deviation > 0 ? (v - mean) / deviation : 0.0;
  return deviation;
}

/// d/dz from d/dy: (g - mean(g) - y mean(g y)) / deviation.
void normalise_backward(const Hidden& layer, Vector& g) {
  const double n = static_cast<double>(g.size());
  double mean = 0, along = 0;
  for (std::size_t i = 0; i < g.size(); ++i) {
    mean += g[i] / n;
    along += g[i] * layer.normalised[i] / n;
  }
  for (std::size_t i = 0; i < g.size(); ++i)
    g[i] = layer.deviation > 0 ? (g[i] - mean - layer.normalised[i] * along) / layer.deviation : 0.0;
}

class GradientPass {
 public:
  GradientPass(const Network& network, std::span<const double> parameters, double factor)
      : network_(network), shape_(network.shape), layout_(network.shape), parameters_(parameters), factor_(factor) {}

  void forward(const double* x) {
    Vector h(x, x + shape_.input_dim), previous;
    for (Index l = 0; l < shape_.depth(); ++l) {
      Vector z = affine(l, h);
      if (shape_.is_residual(l))
        for (std::size_t i = 0; i < z.size(); ++i) z[i] = previous[i] + shape_.residual * z[i];
      previous = z;
      Hidden layer;
      if (shape_.layer_norm) layer.deviation = normalise(z);
      h.resize(z.size());
      layer.slope.resize(z.size());
      const float* s = shape_.multipliers(l);
      visit(shape_.activation, [&](const auto& phi) {
        for (std::size_t i = 0; i < z.size(); ++i) {
          const double scale = factor_ * (s ? static_cast<double>(s[i]) : 1.0);
          h[i] = scale * phi.value(z[i]);
          layer.slope[i] = scale * phi.first(z[i]);
        }
      });
      layer.normalised = std::move(z);
      hidden_.push_back(std::move(layer));
    }
  }

  /// Row `output` of the gradient; forward() comes first.
  Vector backward(Index output) const {
    Vector dz(static_cast<std::size_t>(shape_.outputs), 0.0), skipped;
    dz[static_cast<std::size_t>(output)] = 1.0;
    for (Index l = shape_.depth(); l > 0; --l) {
      Vector g = transposed(l, dz);  // d f / d h_l
      const Hidden& layer = hidden_[static_cast<std::size_t>(l - 1)];
      for (std::size_t i = 0; i < g.size(); ++i)
        g[i] *= (shape_.is_residual(l) ? shape_.residual : 1.0) * layer.slope[i];
      if (shape_.layer_norm) normalise_backward(layer, g);
      if (shape_.is_residual(l))
        for (std::size_t i = 0; i < g.size(); ++i) g[i] += dz[i];
      dz = std::move(g);
    }
    return transposed(0, dz);
  }

 private:
  const double* weights(Index l) const {
    return parameters_.data() + layout_.weight_offset[static_cast<std::size_t>(l)];
  }
  const LayerScale& scale(Index l) const { return network_.layers[static_cast<std::size_t>(l)]; }

  /// m W h + M b.
  Vector affine(Index l, const Vector& h) const {
    const Index rows = shape_.fan_out(l), cols = shape_.fan_in(l);
    const double *w = weights(l), *b = parameters_.data() + layout_.bias_offset[static_cast<std::size_t>(l)];
    Vector z(static_cast<std::size_t>(rows));
    for (Index i = 0; i < rows; ++i) {
      double sum = 0;
      for (Index j = 0; j < cols; ++j) sum += w[i * cols + j] * h[static_cast<std::size_t>(j)];
      z[static_cast<std::size_t>(i)] = scale(l).weight_multiplier * sum + scale(l).bias_multiplier * b[i];
    }
    return z;
  }

  /// m W^T g.
  Vector transposed(Index l, const Vector& g) const {
    const Index rows = shape_.fan_out(l), cols = shape_.fan_in(l);
    Vector out(static_cast<std::size_t>(cols), 0.0);
    for (Index i = 0; i < rows; ++i) {
      const double factor = scale(l).weight_multiplier * g[static_cast<std::size_t>(i)];
      const double* row = weights(l) + i * cols;
      for (Index j = 0; j < cols; ++j) out[static_cast<std::size_t>(j)] += factor * row[j];
    }
    return out;
  }

  const Network& network_;
  const MlpShape& shape_;
  ParamLayout layout_;
  std::span<const double> parameters_;
  double factor_;
  std::vector<Hidden> hidden_;
};

}  // namespace

std::vector<double> input_gradient(const Network& network, std::span<const double> parameters, double hidden_factor,
                                   const double* x) {
  GradientPass pass(network, parameters, hidden_factor);
  pass.forward(x);
  std::vector<double> out;
  for (Index o = 0; o < network.shape.outputs; ++o) {
    const std::vector<double> row = pass.backward(o);
    out.insert(out.end(), row.begin(), row.end());
  }
  return out;
}

}  // namespace widelab::estimators
