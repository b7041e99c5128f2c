#include "widelab/ops/law_exact_ntk.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/cpu/blas.hpp"
#include "kernels/cpu/law_exact_ntk_algebra.hpp"
#include "kernels/cpu/law_exact_ntk_noise.hpp"
#include "kernels/cpu/parallel.hpp"
#include "widelab/base/contract.hpp"

namespace widelab::cpu {
namespace {

using Array = std::vector<double>;

constexpr Index kUnitsPerBlock = 512;
constexpr Index kMaxLanes = 16;
constexpr Index kLargeProblem = 1024;  ///< N O from which a lane's own sums are too large to be kept 16 times

/// Units are cut into blocks, blocks into lanes, lanes are summed in a fixed tree: a rule of the shape alone.
struct UnitPartition {
  Index units, blocks, lanes, stride;

  UnitPartition(Index n, Index columns)
      : units(n),
        blocks(ceil_div(n, kUnitsPerBlock)),
        lanes(std::min(blocks, columns > kLargeProblem ? kMaxLanes / 4 : kMaxLanes)),
        stride(std::min(kUnitsPerBlock, ceil_div(n, kNoiseGroup) * kNoiseGroup)) {}

  Index first_block(Index lane) const { return lane * blocks / lanes; }
};

Array array(Index size) { return Array(static_cast<std::size_t>(size)); }

/// Adds lanes pairwise, at distance 1, 2, 4, ...; the result stands in the first.
template <class Sums>
Sums& tree_sum(std::vector<Sums>& lanes) {
  for (std::size_t step = 1; step < lanes.size(); step *= 2)
    for (std::size_t i = 0; i + step < lanes.size(); i += 2 * step) lanes[i].add(lanes[i + step]);
  return lanes.front();
}

/// What the forward pass over the units of a hidden layer leaves: A^T A (N x N) and A^T w (N x N O), w the white noise
/// of the layer's backward signals. The latter is all that the projection of xi = w (B^T B)^(1/2) needs.
struct ForwardSums {
  CompensatedArray gram, noise;
  void add(const ForwardSums& other) {
    gram.add(other.gram);
    noise.add(other.noise);
  }
};

/// What the backward pass leaves: B^T B (N O x N O) and Z^T B (N x N O).
struct BackwardSums {
  CompensatedArray gram, cross;
  void add(const BackwardSums& other) {
    gram.add(other.gram);
    cross.add(other.cross);
  }
};

/// Per-layer state of one member; sizes do not depend on the width.
struct LayerState {
  Array features;        ///< A^T A of the layer's input, N x N
  Array root;            ///< G^(1/2), N x N
  Array pseudo_inverse;  ///< G^+, N x N
  Array noise;           ///< hidden layers: A^T w, A this layer's output features, N x N O
  Array signals;         ///< B^T B, N O x N O
  Array cross;           ///< Z^T B, N x N O
};

class Sampler {
 public:
  Sampler(const LawExactProblem& problem, Index member, bool parallel)
      : problem_(problem),
        network_(*problem.network),
        init_(problem.init[member]),
        member_(member),
        parallel_(parallel),
        n_(problem.inputs.rows),
        outputs_(network_.shape.outputs),
        columns_(n_ * outputs_),
        layers_(static_cast<std::size_t>(network_.shape.layers())) {}

  void run() {
    forward();
    readout();
    for (Index l = network_.shape.depth(); l >= 1; --l) backward(l);
    write_kernel();
  }

 private:
  const LayerScale& scale(Index l) const { return network_.layers[static_cast<std::size_t>(l)]; }
  LayerState& layer(Index l) { return layers_[static_cast<std::size_t>(l)]; }

  /// G = c_w^2 A^T A + c_b^2 1 1^T.
  Array covariance(Index l) {
    Array g = layer(l).features;
    for (double& v : g) v = scale(l).weight_variance() * v + scale(l).bias_variance();
    return g;
  }

  void forward() {
    const MatrixView<const double>& x = problem_.inputs;
    layer(0).features = array(n_ * n_);
    gemm(n_, n_, x.cols, 1.0, {x.data, x.stride}, {x.data, x.stride, Op::transposed}, 0.0, layer(0).features.data(),
         n_);
    for (Index l = 0; l < network_.shape.layers(); ++l) {
      GramFunctions functions = gram_functions(covariance(l), n_, l > 0);
      layer(l).root = std::move(functions.root);
      layer(l).pseudo_inverse = std::move(functions.pseudo_inverse);
      if (l < network_.shape.depth()) forward_pass(l);
    }
  }

  /// z (N x stride, units contiguous) = G^(1/2) g for one block of units.
  void preactivations(Index l, Index first, Index units, Index stride, Array& g, Array& z) {
    fill_noise_columns(init_.stream(Stream::law_exact_forward, static_cast<std::uint8_t>(l)), first, units, n_, stride,
                       g.data());
    gemm(n_, units, n_, 1.0, {layer(l).root.data(), n_}, {g.data(), stride}, 0.0, z.data(), stride);
  }

  void backward_noise(Index l, Index first, Index units, Index stride, Array& w) const {
    fill_noise_columns(init_.stream(Stream::law_exact_backward, static_cast<std::uint8_t>(l)), first, units, columns_,
                       stride, w.data());
  }

  /// a = phi(z), and slope = phi'(z) unless null.
  void activate(Index units, Index stride, const Array& z, Array& a, Array* slope) const {
    visit(network_.shape.activation, [&](const auto& f) {
      for (Index i = 0; i < n_; ++i) {
        const double* in = z.data() + i * stride;
        double* out = a.data() + i * stride;
        for (Index r = 0; r < units; ++r) out[r] = f.value(in[r]);
        if (!slope) continue;
        double* first = slope->data() + i * stride;
        for (Index r = 0; r < units; ++r) first[r] = f.first(in[r]);
      }
    });
  }

  void forward_pass(Index l) {
    const UnitPartition part(network_.shape.fan_out(l), columns_);
    std::vector<ForwardSums> lanes(static_cast<std::size_t>(part.lanes));
    parallel_for(part.lanes, parallel_, [&](Index lane) {
      ForwardSums& sums = lanes[static_cast<std::size_t>(lane)];
      sums = {CompensatedArray(n_ * n_), CompensatedArray(n_ * columns_)};
      Array g = array(n_ * part.stride), z = g, w = array(columns_ * part.stride);
      Array gram = array(n_ * n_), noise = array(n_ * columns_);
      for (Index block = part.first_block(lane); block < part.first_block(lane + 1); ++block) {
        const Index first = block * kUnitsPerBlock, units = std::min(kUnitsPerBlock, part.units - first);
        preactivations(l, first, units, part.stride, g, z);
        activate(units, part.stride, z, z, nullptr);
        backward_noise(l, first, units, part.stride, w);
        const Operand<double> a{z.data(), part.stride};
        gemm(n_, n_, units, 1.0, a, {z.data(), part.stride, Op::transposed}, 0.0, gram.data(), n_);
        gemm(n_, columns_, units, 1.0, a, {w.data(), part.stride, Op::transposed}, 0.0, noise.data(), columns_);
        sums.gram.add(gram.data());
        sums.noise.add(noise.data());
      }
    });
    const ForwardSums& total = tree_sum(lanes);
    layer(l + 1).features = total.gram.value();
    layer(l).noise = total.noise.value();
  }

  /// f is the last layer's Z (O units), and there B(k, (i, o)) = [k = o].
  void readout() {
    const Index depth = network_.shape.depth(), stride = ceil_div(outputs_, kNoiseGroup) * kNoiseGroup;
    Array g = array(n_ * stride), f = g;
    preactivations(depth, 0, outputs_, stride, g, f);
    LayerState& last = layer(depth);
    last.signals = array(columns_ * columns_);
    last.cross = array(n_ * columns_);
    for (Index c = 0; c < columns_; ++c) {
      for (Index k = c % outputs_; k < columns_; k += outputs_)
        last.signals[static_cast<std::size_t>(c * columns_ + k)] = 1.0;
      for (Index i = 0; i < n_; ++i)
        last.cross[static_cast<std::size_t>(i * columns_ + c)] = f[static_cast<std::size_t>(i * stride + c % outputs_)];
    }
    if (problem_.nngp) {
      const Array k = covariance(depth);
      std::copy(k.begin(), k.end(), problem_.nngp + member_ * n_ * n_);
    }
    for (Index i = 0; problem_.outputs && i < n_; ++i)
      for (Index o = 0; o < outputs_; ++o)
        problem_.outputs[(member_ * n_ + i) * outputs_ + o] = f[static_cast<std::size_t>(i * stride + o)];
  }

  /// C = G^+ (Z^T B - [c_w A; c_b]^T xi), N x N O, with xi = w root.
  Array conditioning(Index l, const Array& root) {
    const double weight = std::sqrt(scale(l).weight_variance()), bias = std::sqrt(scale(l).bias_variance());
    Array noise = layer(l - 1).noise, bias_noise = array(columns_ * kNoiseGroup);
    backward_noise(l - 1, network_.shape.fan_in(l), 1, kNoiseGroup, bias_noise);
    for (Index i = 0; i < n_; ++i)
      for (Index c = 0; c < columns_; ++c) {
        double& v = noise[static_cast<std::size_t>(i * columns_ + c)];
        v = weight * v + bias * bias_noise[static_cast<std::size_t>(c * kNoiseGroup)];
      }
    Array residual = layer(l).cross;
    gemm(n_, columns_, columns_, -1.0, {noise.data(), columns_}, {root.data(), columns_}, 1.0, residual.data(),
         columns_);
    return multiply(n_, columns_, n_, layer(l).pseudo_inverse, residual);
  }

  /// From the signals of layer l to those of layer l - 1: B = phi'(Z) o c_w (c_w A C + xi), row by row.
  void backward(Index l) {
    const Array root = gram_functions(layer(l).signals, columns_, false).root, c = conditioning(l, root);
    const double weight_variance = scale(l).weight_variance(), weight = std::sqrt(weight_variance);
    const UnitPartition part(network_.shape.fan_in(l), columns_);
    std::vector<BackwardSums> lanes(static_cast<std::size_t>(part.lanes));
    parallel_for(part.lanes, parallel_, [&](Index lane) {
      BackwardSums& sums = lanes[static_cast<std::size_t>(lane)];
      sums = {CompensatedArray(columns_ * columns_), CompensatedArray(n_ * columns_)};
      Array g = array(n_ * part.stride), z = g, slope = g, w = array(columns_ * part.stride), b = w;
      Array gram = array(columns_ * columns_), cross = array(n_ * columns_);
      for (Index block = part.first_block(lane); block < part.first_block(lane + 1); ++block) {
        const Index first = block * kUnitsPerBlock, units = std::min(kUnitsPerBlock, part.units - first);
        preactivations(l - 1, first, units, part.stride, g, z);
        activate(units, part.stride, z, g, &slope);
        backward_noise(l - 1, first, units, part.stride, w);
        gemm(columns_, units, columns_, weight, {root.data(), columns_}, {w.data(), part.stride}, 0.0, b.data(),
             part.stride);
        gemm(columns_, units, n_, weight_variance, {c.data(), columns_, Op::transposed}, {g.data(), part.stride}, 1.0,
             b.data(), part.stride);
        for (Index k = 0; k < columns_; ++k)
          for (Index r = 0; r < units; ++r)
            b[static_cast<std::size_t>(k * part.stride + r)] *=
                slope[static_cast<std::size_t>(k / outputs_ * part.stride + r)];
        const Operand<double> bt{b.data(), part.stride, Op::transposed};
        gemm(columns_, columns_, units, 1.0, {b.data(), part.stride}, bt, 0.0, gram.data(), columns_);
        gemm(n_, columns_, units, 1.0, {z.data(), part.stride}, bt, 0.0, cross.data(), columns_);
        sums.gram.add(gram.data());
        sums.cross.add(cross.data());
      }
    });
    const BackwardSums& total = tree_sum(lanes);
    layer(l - 1).signals = total.gram.value();
    layer(l - 1).cross = total.cross.value();
  }

  /// Theta = sum_l (kw A^T A + kb) o B^T B.
  void write_kernel() {
    double* theta = problem_.ntk + member_ * columns_ * columns_;
    std::fill_n(theta, columns_ * columns_, 0.0);
    for (Index l = 0; l < network_.shape.layers(); ++l) {
      const double kw = scale(l).weight_kernel(), kb = scale(l).bias_kernel();
      for (Index r = 0; r < columns_; ++r)
        for (Index c = 0; c < columns_; ++c) {
          const double feature = layer(l).features[static_cast<std::size_t>(r / outputs_ * n_ + c / outputs_)];
          theta[r * columns_ + c] += (kw * feature + kb) * layer(l).signals[static_cast<std::size_t>(r * columns_ + c)];
        }
    }
  }

  const LawExactProblem& problem_;
  const Network& network_;
  DrawId init_;
  Index member_;
  bool parallel_;
  Index n_, outputs_, columns_;
  std::vector<LayerState> layers_;
};

}  // namespace

void law_exact_ntk(const LawExactProblem& problem) {
  check_law_exact(*problem.network);
  WIDELAB_REQUIRE(problem.inputs.cols == problem.network->shape.input_dim && problem.inputs.rows > 0,
                  "inputs must be N x d, N > 0");
  use_single_threaded_blas();
  const bool across_members = problem.members >= worker_count(0);
  parallel_for(problem.members, across_members, [&](Index m) { Sampler(problem, m, !across_members).run(); });
}

}  // namespace widelab::cpu
