#include <algorithm>
#include <boost/math/special_functions/digamma.hpp>
#include <boost/math/special_functions/trigamma.hpp>
#include <cmath>
#include <numbers>

#include "host/theory/domain.hpp"
#include "host/theory/finite_width.hpp"

namespace widelab::theory {
namespace {

/// Layers are numbered l = 1 .. L+1 here, as in the formulas.
class DeepRelu {
 public:
  DeepRelu(const Network& network, const std::string& law) : network_(network) {
    const MlpShape& shape = network.shape;
    if (!(shape.activation == Activation(Relu{})))
      throw RecipeError(law + ": model.activation must be \"relu\": the law is exact for no other");
    require_plain_layers(network, law);
    require_gaussian(network, 0, shape.depth(), law);
    for (Index l = 0; l < shape.depth(); ++l) {
      if (network.layers[static_cast<std::size_t>(l)].bias_variance() != 0.0)
        throw RecipeError(law + ": hidden biases must start at zero (bias_init_std = 0); they may be trained");
      const float* s = shape.multipliers(l);
      const auto differs = [](float m) { return m != 1.0f; };
      if (s != nullptr && std::any_of(s, s + shape.widths[static_cast<std::size_t>(l)], differs))
        throw RecipeError(law + ": unit multipliers must all be 1");
    }
  }

  Index depth() const { return network_.shape.depth(); }
  double n(Index l) const { return static_cast<double>(network_.shape.widths[static_cast<std::size_t>(l - 1)]); }
  const LayerScale& scale(Index l) const { return network_.layers[static_cast<std::size_t>(l - 1)]; }
  double v(Index l) const { return scale(l).weight_variance(); }

 private:
  const Network& network_;
};

/// Mean and second moment of a product of independent factors, in the order of its layers.
struct Factor {
  double mean, second;
  Factor times(Factor other) const { return {mean * other.mean, second * other.second}; }
};

/// c chi^2_N with N ~ Binomial(n, 1/2): E N = n/2, E N(N+2) = n(n+5)/4.
Factor half_chi_square(double c, double n) { return {c * n / 2.0, c * c * n * (n + 5.0) / 4.0}; }

/// |h_{l-1}|^2 for l = 1 .. L+1 (entry l; entry 0 unused).
std::vector<Factor> forward_factors(const DeepRelu& net, double squared_norm) {
  std::vector<Factor> a(static_cast<std::size_t>(net.depth() + 2));
  a[1] = {squared_norm, squared_norm * squared_norm};
  for (Index l = 1; l <= net.depth(); ++l)
    a[static_cast<std::size_t>(l + 1)] = a[static_cast<std::size_t>(l)].times(half_chi_square(net.v(l), net.n(l)));
  return a;
}

/// |delta_l|^2 = |df/dz_l|^2 for l = 1 .. L+1, masks independent of everything.
std::vector<Factor> backward_factors(const DeepRelu& net) {
  std::vector<Factor> b(static_cast<std::size_t>(net.depth() + 2));
  b[static_cast<std::size_t>(net.depth() + 1)] = {1.0, 1.0};
  for (Index l = net.depth(); l >= 1; --l)
    b[static_cast<std::size_t>(l)] = b[static_cast<std::size_t>(l + 1)].times(half_chi_square(net.v(l + 1), net.n(l)));
  return b;
}

/// Moments of R = D_{m-1} W_{m-1} ... W_{l+1} D_l, the path between the inputs of layers l + 1 and m.
struct Segment {
  double frobenius2, frobenius4, gram2;  // E|R|_F^2, E|R|_F^4, E|R R^T|_F^2

  static Segment masks(double n) { return {n / 2.0, n * (n + 1.0) / 4.0, n / 2.0}; }

  /// R -> D W R, W of variance v with n rows.
  Segment extended(double v, double n) const {
    return {v * n / 2.0 * frobenius2, v * v * (n * (n + 1.0) / 4.0 * frobenius4 + n * gram2),
            v * v * (n / 2.0 * frobenius4 + n * (n + 3.0) / 4.0 * gram2)};
  }
};

/// Adds a term of E[Theta^2] once if both layers agree, twice (l < m and l > m) otherwise.
struct Terms {
  double weight_weight = 0.0, weight_bias = 0.0, bias_bias = 0.0;
  double total() const { return weight_weight + 2.0 * weight_bias + bias_bias; }
};

/// Probability 1 - 2^-n that a layer has a live unit.
double live_probability(double n) { return -std::expm1(-std::numbers::ln2 * n); }

/// Probability that no layer below l is dead; 1 for the readout, whose bias needs no live unit.
std::vector<double> alive_below(const DeepRelu& net, double squared_norm) {
  std::vector<double> alive(static_cast<std::size_t>(net.depth() + 2), 1.0);
  alive[1] = squared_norm > 0.0 ? 1.0 : 0.0;
  for (Index l = 2; l <= net.depth(); ++l)
    alive[static_cast<std::size_t>(l)] = alive[static_cast<std::size_t>(l - 1)] * live_probability(net.n(l - 1));
  return alive;
}

}  // namespace

SecondMoment deep_relu_ntk_diagonal(const Network& network, double squared_norm) {
  const DeepRelu net(network, "deep ReLU NTK second moment");
  const Index last = net.depth() + 1;
  const std::vector<Factor> a = forward_factors(net, squared_norm), b = backward_factors(net);
  const std::vector<double> alive = alive_below(net, squared_norm);
  SecondMoment result;
  Terms terms;
  for (Index l = 1; l <= last; ++l) {
    const auto i = static_cast<std::size_t>(l);
    const double kw = net.scale(l).weight_kernel(), kb = net.scale(l).bias_kernel();
    result.mean += kw * a[i].mean * b[i].mean + kb * b[i].mean * alive[i];
    terms.weight_weight += kw * kw * a[i].second * b[i].second;
    terms.weight_bias += kw * kb * a[i].mean * b[i].second;
    terms.bias_bias += kb * kb * b[i].second * alive[i];
    if (l == last) break;
    Segment path = Segment::masks(net.n(l));
    for (Index m = l + 1; m <= last; ++m) {  // layers l < m joined by `path`
      const auto j = static_cast<std::size_t>(m);
      const double kw_m = net.scale(m).weight_kernel(), kb_m = net.scale(m).bias_kernel();
      const double two = net.v(m) * path.frobenius2, four = net.v(l) * net.v(m) * path.frobenius4;
      terms.weight_weight += 2.0 * kw * kw_m * a[i].second * b[j].second * four;
      terms.weight_bias += kw * kb_m * a[i].mean * b[j].second * two;   // weights of l, bias of m
      terms.weight_bias += kw_m * kb * a[i].mean * b[j].second * four;  // weights of m, bias of l
      terms.bias_bias += 2.0 * kb * kb_m * b[j].second * two * alive[i];
      if (m < last) path = path.extended(net.v(m), net.n(m));
    }
  }
  result.second = terms.total();
  return result;
}

double deep_relu_ntk_ratio_limit(double beta) {
  if (!(beta >= 0.0))
    throw RecipeError("beta = " + std::to_string(beta) + ": depth / width must not be negative");
  // (y - 1 + e^-y) / y^2 with y = 6 beta; its series where the closed form cancels.
  const double y = 6.0 * beta;
  double fraction = 0.0;
  if (y < 1.0) {
    double term = 0.5;
    for (int k = 3; std::abs(term) > 1e-18; ++k) {
      fraction += term;
      term *= -y / k;
    }
  } else {
    fraction = (y + std::expm1(-y)) / (y * y);
  }
  return std::exp(5.0 * beta) * (1.0 / 3.0 + 4.0 / 3.0 * fraction);
}

namespace {

/// Mean and variance of log chi^2_N, N ~ Binomial(n, 1/2) given N >= 1: E log chi^2_N = psi(N/2) + log 2 and
/// Var log chi^2_N = psi'(N/2), mixed over N. Binomial weights by their ratios outwards from the mode, normalised at
/// the end, because log-gamma loses its digits at large n.
struct LogMoments {
  double mean, variance;
};

LogMoments log_half_chi_square(Index n) {
  struct Sums {
    double weight = 0.0, mean = 0.0, square = 0.0, inner = 0.0;
  } sums;
  const Index mode = std::max<Index>(1, n / 2);
  const double reference = boost::math::digamma(0.5 * static_cast<double>(mode));
  const auto add = [&](Index count, double weight) {
    const double half = 0.5 * static_cast<double>(count);
    const double shift = boost::math::digamma(half) - reference;
    sums.weight += weight;
    sums.mean += weight * shift;
    sums.square += weight * shift * shift;
    sums.inner += weight * boost::math::trigamma(half);
  };
  constexpr double kNegligible = 1e-22;
  double weight = 1.0;
  for (Index count = mode; count <= n && weight > kNegligible; ++count) {
    add(count, weight);
    weight *= static_cast<double>(n - count) / static_cast<double>(count + 1);
  }
  weight = 1.0;
  for (Index count = mode; count > 1; --count) {
    weight *= static_cast<double>(count) / static_cast<double>(n - count + 1);
    if (weight <= kNegligible) break;
    add(count - 1, weight);
  }
  const double shift = sums.mean / sums.weight;
  return {reference + shift + std::numbers::ln2, sums.square / sums.weight - shift * shift + sums.inner / sums.weight};
}

}  // namespace

ForwardKernel deep_relu_forward_kernel(const Network& network, double squared_norm) {
  const DeepRelu net(network, "deep ReLU forward kernel");
  const Index last = net.depth() + 1;
  if (net.scale(last).bias_variance() != 0.0 || !(squared_norm > 0.0))
    throw RecipeError("deep ReLU forward kernel: needs a non-zero input and a readout without initial bias");
  const Factor a = forward_factors(net, squared_norm)[static_cast<std::size_t>(last)];
  const double v = net.v(last);
  ForwardKernel result;
  result.moments = {v * a.mean, v * v * a.second};
  result.log_mean = std::log(v * squared_norm);
  for (Index l = 1; l < last; ++l) {
    const LogMoments factor = log_half_chi_square(network.shape.widths[static_cast<std::size_t>(l - 1)]);
    result.log_mean += std::log(net.v(l)) + factor.mean;
    result.log_variance += factor.variance;
    result.alive *= live_probability(net.n(l));
  }
  return result;
}

namespace {

/// Central moments of a variable of mean 1.
struct CentralMoments {
  double second = 0.0, third = 0.0, fourth = 0.0;
};

/// Of chi^2_N / (n / 2), N ~ Binomial(n, 1/2): a sum of n independent terms of known cumulants.
CentralMoments relative_chi_square(double n) {
  const double second = 5.0 / n;
  return {second, 44.0 / (n * n), 558.0 / (n * n * n) + 3.0 * second * second};
}

/// Of the product (1 + x)(1 + y) of independent variables: moments of x + y (1 + x), all terms of one sign for x = y.
CentralMoments product(const CentralMoments& x, const CentralMoments& y) {
  const double x2 = x.second, x3 = x.third, x4 = x.fourth;
  CentralMoments z;
  z.second = x2 + (1.0 + x2) * y.second;
  z.third = x3 + 3.0 * (2.0 * x2 + x3) * y.second + (1.0 + 3.0 * x2 + x3) * y.third;
  z.fourth = x4 + 6.0 * (x2 + 2.0 * x3 + x4) * y.second + 4.0 * (3.0 * x2 + 3.0 * x3 + x4) * y.third +
             (1.0 + 6.0 * x2 + 4.0 * x3 + x4) * y.fourth;
  return z;
}

}  // namespace

Cumulants deep_relu_forward_cumulants(const Network& network, double squared_norm) {
  const double mean = deep_relu_forward_kernel(network, squared_norm).moments.mean;
  CentralMoments relative;
  for (const Index n : network.shape.widths) relative = product(relative, relative_chi_square(static_cast<double>(n)));
  const double squared = mean * mean;
  return {mean, squared * relative.second, squared * mean * relative.third,
          squared * squared * (relative.fourth - 3.0 * relative.second * relative.second)};
}

}  // namespace widelab::theory
