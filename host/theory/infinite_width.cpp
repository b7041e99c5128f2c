#include "host/theory/infinite_width.hpp"

#include <algorithm>
#include <cmath>

#include "host/theory/domain.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::theory {
namespace {

/// Mean square of the forward multipliers of hidden layer `hidden` (0-based); 1 without multipliers.
double mean_square_multiplier(const MlpShape& shape, Index hidden) {
  return multiplier_sums(shape, hidden).square / static_cast<double>(shape.widths[static_cast<std::size_t>(hidden)]);
}

/// K and T of one entry of the Gram matrix.
struct Entry {
  double nngp, ntk;
};

/// The affine parts of the recursion with every scale as a number, read from the network once.
class Recursion {
 public:
  explicit Recursion(const Network& network) : shape_(network.shape), layers_(network.layers) {
    WIDELAB_REQUIRE(static_cast<Index>(layers_.size()) == shape_.layers(), "one scale for each layer is needed");
    for (Index l = 0; l < shape_.depth(); ++l) gain_.push_back(mean_square_multiplier(shape_, l));
  }

  Index layers() const { return shape_.layers(); }
  const Activation& activation() const { return shape_.activation; }

  Entry first(double inner_product) const {
    const LayerScale& s = layers_.front();
    return {s.bias_variance() + s.weight_variance() * inner_product,
            s.weight_kernel() * inner_product + s.bias_kernel()};
  }

  /// sqrt(K11 K22) if the layer's pre-activations are normalised, else 1. A zero row is mapped to zero.
  double normaliser(double k11, double k22) const { return shape_.layer_norm ? std::sqrt(k11 * k22) : 1.0; }

  /// Divides by the normaliser; 0 / 0 is a constant row, which LayerNorm maps to 0 without a gradient.
  Entry normalised(Entry e, double k11, double k22) const {
    const double scale = normaliser(k11, k22);
    if (scale == 0.0) return {0.0, 0.0};
    return {e.nngp / scale, e.ntk / scale};
  }

  /// Layer `layer` >= 1 applied to kernel `e`, the normalised kernel `inner` and its dual moments.
  Entry next(Index layer, Entry e, Entry inner, DualMoments dual) const {
    const auto l = static_cast<std::size_t>(layer);
    const LayerScale& s = layers_[l];
    const double units = gain_[l - 1] * static_cast<double>(shape_.fan_in(layer));
    const double features = units * dual.value, slopes = units * dual.slope;
    const Entry branch{s.bias_variance() + s.weight_variance() * features,
                       s.weight_kernel() * features + s.bias_kernel() + s.weight_variance() * slopes * inner.ntk};
    if (!shape_.is_residual(layer)) return branch;
    const double strength = shape_.residual * shape_.residual;
    return {e.nngp + strength * branch.nngp, e.ntk + strength * branch.ntk};
  }

 private:
  const MlpShape& shape_;
  const std::vector<LayerScale>& layers_;
  std::vector<double> gain_;
};

/// Moments of the activation, or which kernel they cannot be computed for: quadrature ends where kernels explode.
template <class Moments>
auto moments_at(Index layer, double variance, const Moments& moments) {
  try {
    return moments();
  } catch (const ContractError&) {
    throw RecipeError(
        "the infinite-width kernel reaches " + std::to_string(variance) + " at hidden layer " + std::to_string(layer) +
        ", where the activation's moments cannot be computed. Way out: a smaller model.sigma_w, model.sigma_b or "
        "model.depth, smaller inputs, or another model.activation");
  }
}

/// What pairs need of one input: K, T and the single-input moments in front of each layer l >= 1.
struct DiagonalPath {
  std::vector<Entry> entry;       // layers 1 .. L+1
  std::vector<double> variance;   // of the argument of phi, hidden layers 1 .. L
  std::vector<DualMoments> dual;  // E[phi^2], E[phi'^2] at that variance
};

DiagonalPath diagonal_path(const Recursion& recursion, double squared_norm) {
  const auto finite = [](Entry e) {
    if (std::isfinite(e.nngp) && std::isfinite(e.ntk)) return e;
    throw RecipeError(
        "the infinite-width kernel overflows: it grows beyond 1e308 with the layers. Way out: a smaller "
        "model.sigma_w, model.sigma_b or model.depth, or smaller inputs");
  };
  DiagonalPath path;
  path.entry.push_back(finite(recursion.first(squared_norm)));
  for (Index l = 1; l < recursion.layers(); ++l) {
    const Entry e = path.entry.back();
    Entry inner = recursion.normalised(e, e.nngp, e.nngp);
    const SingleMoments moments =
        moments_at(l, inner.nngp, [&] { return single_moments(recursion.activation(), inner.nngp); });
    path.variance.push_back(inner.nngp);
    path.dual.push_back({moments.square, moments.slope_square});
    path.entry.push_back(finite(recursion.next(l, e, inner, path.dual.back())));
  }
  return path;
}

/// The off-diagonal entry of one pair; `visit_layer(l, entry)` sees layers 0 .. L. Inputs whose kernels coincide take
/// the diagonal's moments, because a generic formula loses half the digits at correlation 1.
template <class Visitor>
void pair_path(const Recursion& recursion, const DiagonalPath& a, const DiagonalPath& b, double inner_product,
               Visitor&& visit_layer) {
  Entry e = recursion.first(inner_product);
  visit_layer(Index{0}, e);
  for (Index layer = 1; layer < recursion.layers(); ++layer) {
    const auto l = static_cast<std::size_t>(layer - 1);
    const bool same = e.nngp == a.entry[l].nngp && e.nngp == b.entry[l].nngp;
    const Entry inner = recursion.normalised(e, a.entry[l].nngp, b.entry[l].nngp);
    const DualMoments dual = same ? a.dual[l] : moments_at(layer, a.variance[l], [&] {
      return dual_moments(recursion.activation(), {a.variance[l], inner.nngp, b.variance[l]});
    });
    e = recursion.next(layer, e, inner, dual);
    visit_layer(layer, e);
  }
}

/// Sum of products in an order that depends on the length alone, so that equal rows give equal kernels.
double inner_product(const double* x, const double* y, Index size) {
  constexpr Index kLanes = 8;
  double lane[kLanes] = {};
  Index i = 0;
  for (; i + kLanes <= size; i += kLanes)
    for (Index k = 0; k < kLanes; ++k) lane[k] += x[i + k] * y[i + k];
  double sum = ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
  for (; i < size; ++i) sum += x[i] * y[i];
  return sum;
}

std::vector<DiagonalPath> diagonal_paths(const Recursion& recursion, MatrixView<const double> x, Index dimension) {
  WIDELAB_REQUIRE(x.cols == dimension, "inputs need input_dim columns");
  std::vector<DiagonalPath> paths;
  for (Index i = 0; i < x.rows; ++i)
    paths.push_back(diagonal_path(recursion, inner_product(x.row(i), x.row(i), dimension)));
  return paths;
}

Entry last_entry(const Recursion& recursion, const DiagonalPath& a, const DiagonalPath& b, double product) {
  Entry last{};
  pair_path(recursion, a, b, product, [&](Index, Entry e) { last = e; });
  return last;
}

KernelPair empty_pair(Index rows, Index cols) {
  const auto size = static_cast<std::size_t>(rows * cols);
  return {rows, cols, std::vector<double>(size), std::vector<double>(size)};
}

void store(KernelPair& pair, Index i, Index j, Entry e) {
  const auto at = static_cast<std::size_t>(i * pair.cols + j);
  pair.nngp[at] = e.nngp;
  pair.ntk[at] = e.ntk;
}

}  // namespace

KernelPair infinite_width_kernels(const Network& network, MatrixView<const double> x) {
  const Recursion recursion(network);
  const Index d = network.shape.input_dim;
  const std::vector<DiagonalPath> paths = diagonal_paths(recursion, x, d);
  KernelPair pair = empty_pair(x.rows, x.rows);
  for (Index i = 0; i < x.rows; ++i) {
    const DiagonalPath& a = paths[static_cast<std::size_t>(i)];
    store(pair, i, i, a.entry.back());
    for (Index j = 0; j < i; ++j) {
      const DiagonalPath& b = paths[static_cast<std::size_t>(j)];
      const Entry e = last_entry(recursion, a, b, inner_product(x.row(i), x.row(j), d));
      store(pair, i, j, e);
      store(pair, j, i, e);
    }
  }
  return pair;
}

KernelPair infinite_width_kernels(const Network& network, MatrixView<const double> x1, MatrixView<const double> x2) {
  const Recursion recursion(network);
  const Index d = network.shape.input_dim;
  const std::vector<DiagonalPath> rows = diagonal_paths(recursion, x1, d), cols = diagonal_paths(recursion, x2, d);
  KernelPair pair = empty_pair(x1.rows, x2.rows);
  for (Index i = 0; i < x1.rows; ++i)
    for (Index j = 0; j < x2.rows; ++j)
      store(pair, i, j,
            last_entry(recursion, rows[static_cast<std::size_t>(i)], cols[static_cast<std::size_t>(j)],
                       inner_product(x1.row(i), x2.row(j), d)));
  return pair;
}

std::vector<LayerKernels> kernels_by_layer(const Network& network, KernelTriple q) {
  require_covariance(q, "inner product ");
  const Recursion recursion(network);
  const DiagonalPath a = diagonal_path(recursion, q.k11), b = diagonal_path(recursion, q.k22);
  std::vector<LayerKernels> layers(a.entry.size());
  pair_path(recursion, a, b, q.k12, [&](Index layer, Entry e) {
    const auto l = static_cast<std::size_t>(layer);
    layers[l] = {{a.entry[l].nngp, e.nngp, b.entry[l].nngp}, {a.entry[l].ntk, e.ntk, b.entry[l].ntk}};
  });
  return layers;
}

std::vector<DiagonalKernels> diagonal_by_layer(const Network& network, double squared_norm) {
  const DiagonalPath path = diagonal_path(Recursion(network), squared_norm);
  std::vector<DiagonalKernels> layers;
  for (const Entry& e : path.entry) layers.push_back({e.nngp, e.ntk});
  return layers;
}

std::string infinite_width_caveat(const Network& network) {
  std::string caveat;
  const auto add = [&](const std::string& sentence) { caveat += (caveat.empty() ? "" : " ") + sentence; };
  const auto gaussian_limit = [](InitKind kind) { return kind == InitKind::normal || kind == InitKind::orthogonal; };
  if (!gaussian_limit(network.layers.front().weight_law))
    add("The first layer's weights are not Gaussian: its pre-activations are Gaussian only in the limit of a large "
        "input dimension, so at this dimension the infinite-width kernels are an approximation.");
  for (Index l = 0; l < network.shape.depth(); ++l) {
    const LayerScale& s = network.layers[static_cast<std::size_t>(l)];
    if (s.bias_variance() == 0.0 || s.bias_law == InitKind::normal) continue;
    add("Hidden biases are not Gaussian: pre-activations stay non-Gaussian at every width, so the infinite-width "
        "kernels are an approximation.");
    break;
  }
  double share = 0.0;  // the largest s_j^2 / sum s^2
  for (Index l = 0; l < network.shape.depth(); ++l) {
    const float* s = network.shape.multipliers(l);
    if (s == nullptr) continue;
    const Index n = network.shape.widths[static_cast<std::size_t>(l)];
    double top = 0.0;
    for (Index j = 0; j < n; ++j) top = std::max(top, std::abs(static_cast<double>(s[j])));
    const double sum = multiplier_sums(network.shape, l).square;
    if (sum > 0.0) share = std::max(share, top * top / sum);
  }
  if (share > 0.05)
    add("One unit carries the fraction " + std::to_string(share) +
        " of the sum of squared unit multipliers: the limit "
        "formulas hold when every fraction is small.");
  return caveat;
}

}  // namespace widelab::theory
