// A plain simulation of small networks for tests of host/theory: explicit weights, loops over scalars and the standard
// library's random numbers. It shares no formula, no scale and no random number with the engine or the kernels.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <vector>

namespace widelab::test {

using Vector = std::vector<double>;

/// Standard normals by Marsaglia's polar method; the library's own distribution takes several times as long.
class NormalSource {
 public:
  explicit NormalSource(std::uint64_t seed) : bits_(seed) {}
  double operator()() {
    has_spare_ = !has_spare_;
    if (!has_spare_) return spare_;
    double a, b, square;
    do {
      a = symmetric();
      b = symmetric();
      square = a * a + b * b;
    } while (square >= 1.0 || square == 0.0);
    const double scale = std::sqrt(-2.0 * std::log(square) / square);
    spare_ = b * scale;
    return a * scale;
  }

 private:
  double symmetric() { return static_cast<double>(static_cast<std::int64_t>(bits_() >> 11)) * 0x1p-52 - 1.0; }
  std::mt19937_64 bits_;
  double spare_ = 0.0;
  bool has_spare_ = false;
};

/// What is simulated: L hidden layers of n units, one output, weights of variance sigma_w2 / fan-in.
struct PlainNet {
  std::size_t input_dim = 3, depth = 2, width = 16;
  double sigma_w2 = 1.0, sigma_b2 = 0.0;
  bool biases_start_at_zero = false;
  bool standard = false;  ///< parameters are the plain weights and biases, so each layer's kernel has weight 1
  bool layer_norm = false;
  double residual = 0.0;
  std::function<double(double)> phi, slope;
};

/// One input's way through one network.
struct PlainPass {
  std::vector<Vector> normalised, features;  // arguments of phi and its values, hidden layers 1 .. L
  std::vector<double> spread;                // LayerNorm's standard deviation
  std::vector<Vector> signal;                // derivative of the output by the affine output of layers 1 .. L+1
};

/// The weights of one draw.
struct PlainWeights {
  std::vector<Vector> weight;  // row-major, fan-out x fan-in
  std::vector<Vector> bias;
};

inline PlainWeights draw(const PlainNet& net, NormalSource& normal) {
  PlainWeights w;
  for (std::size_t l = 0; l <= net.depth; ++l) {
    const std::size_t in = l == 0 ? net.input_dim : net.width, out = l == net.depth ? 1 : net.width;
    const double scale = std::sqrt(net.sigma_w2 / static_cast<double>(in));
    w.weight.emplace_back(out * in);
    for (double& entry : w.weight.back()) entry = scale * normal();
    w.bias.emplace_back(out, 0.0);
    if (net.sigma_b2 > 0.0 && !net.biases_start_at_zero)
      for (double& entry : w.bias.back()) entry = std::sqrt(net.sigma_b2) * normal();
  }
  return w;
}

inline bool skips(const PlainNet& net, std::size_t l) { return net.residual != 0.0 && l > 0 && l < net.depth; }

inline void forward(const PlainNet& net, const PlainWeights& w, const Vector& x, PlainPass& pass) {
  Vector z, h = x;
  for (std::size_t l = 0; l < net.depth; ++l) {
    Vector u = w.bias[l];
    for (std::size_t i = 0; i < u.size(); ++i)
      for (std::size_t j = 0; j < h.size(); ++j) u[i] += w.weight[l][i * h.size() + j] * h[j];
    if (skips(net, l)) {
      for (std::size_t i = 0; i < u.size(); ++i) z[i] += net.residual * u[i];
    } else {
      z = u;
    }
    Vector y = z;
    double mean = 0.0, square = 0.0;
    if (net.layer_norm) {
      for (const double value : z) mean += value / static_cast<double>(z.size());
      for (const double value : z) square += (value - mean) * (value - mean) / static_cast<double>(z.size());
      for (double& value : y) value = (value - mean) / std::sqrt(square);
    }
    pass.spread.push_back(std::sqrt(square));
    h.assign(y.size(), 0.0);
    for (std::size_t i = 0; i < y.size(); ++i) h[i] = net.phi(y[i]);
    pass.normalised.push_back(std::move(y));
    pass.features.push_back(h);
  }
}

inline void backward(const PlainNet& net, const PlainWeights& w, PlainPass& pass) {
  pass.signal.assign(net.depth + 1, {});
  pass.signal[net.depth] = {1.0};
  Vector skip;  // derivative by z_{l+1}
  for (std::size_t l = net.depth; l-- > 0;) {
    const Vector &y = pass.normalised[l], &above = pass.signal[l + 1];
    const double n = static_cast<double>(y.size());
    Vector g(y.size(), 0.0);
    for (std::size_t i = 0; i < above.size(); ++i)
      for (std::size_t j = 0; j < g.size(); ++j) g[j] += w.weight[l + 1][i * g.size() + j] * above[i];
    double mean = 0.0, projection = 0.0;
    for (std::size_t j = 0; j < g.size(); ++j) {
      g[j] *= net.slope(y[j]);
      mean += g[j] / n;
      projection += g[j] * y[j] / n;
    }
    if (net.layer_norm)
      for (std::size_t j = 0; j < g.size(); ++j) g[j] = (g[j] - mean - projection * y[j]) / pass.spread[l];
    if (skips(net, l + 1))
      for (std::size_t j = 0; j < g.size(); ++j) g[j] += skip[j];
    skip = g;
    if (skips(net, l))
      for (double& value : g) value *= net.residual;
    pass.signal[l] = std::move(g);
  }
}

inline double dot(const Vector& a, const Vector& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// Theta(x, x') of one draw of the weights, for all pairs of `inputs` with i <= j, in the order (0,0), (0,1), (1,1).
inline Vector draw_ntk(const PlainNet& net, const std::vector<Vector>& inputs, NormalSource& normal) {
  const PlainWeights w = draw(net, normal);
  std::vector<PlainPass> passes(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    forward(net, w, inputs[i], passes[i]);
    backward(net, w, passes[i]);
  }
  Vector entries;
  for (std::size_t j = 0; j < inputs.size(); ++j) {
    for (std::size_t i = 0; i <= j; ++i) {
      double theta = 0.0;
      for (std::size_t l = 0; l <= net.depth; ++l) {
        const Vector& h = l == 0 ? inputs[i] : passes[i].features[l - 1];
        const Vector& hp = l == 0 ? inputs[j] : passes[j].features[l - 1];
        const double in = static_cast<double>(l == 0 ? net.input_dim : net.width);
        const double weight = net.standard ? 1.0 : net.sigma_w2 / in;
        const double bias = net.sigma_b2 == 0.0 ? 0.0 : (net.standard ? 1.0 : net.sigma_b2);
        theta += (weight * dot(h, hp) + bias) * dot(passes[i].signal[l], passes[j].signal[l]);
      }
      entries.push_back(theta);
    }
  }
  return entries;
}

/// An estimate and its standard error.
struct Estimate {
  double value = 0.0, error = 0.0;
  double z(double expected) const { return (value - expected) / error; }
};

inline Estimate mean_of(const Vector& sample) {
  const double count = static_cast<double>(sample.size());
  double mean = 0.0, square = 0.0;
  for (const double v : sample) mean += v / count;
  for (const double v : sample) square += (v - mean) * (v - mean) / (count - 1.0);
  return {mean, std::sqrt(square / count)};
}

/// Sample variance; its error from the fourth central moment.
inline Estimate variance_of(const Vector& sample) {
  const double mean = mean_of(sample).value;
  Vector squares;
  for (const double v : sample) squares.push_back((v - mean) * (v - mean));
  return mean_of(squares);
}

}  // namespace widelab::test
