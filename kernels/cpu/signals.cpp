#include "kernels/cpu/signals.hpp"

#include <cmath>

#include "kernels/cpu/parallel.hpp"
#include "widelab/plan/storage_plan.hpp"

namespace widelab::cpu {
namespace {

/// z (N x fan_out) = m h W^T, tile by tile of output units.
template <class T>
void multiply_forward(const Network& network, WeightTiles<T>& weights, Index layer, MatrixView<const T> h, bool parallel, T* z) {
  const Index fan_in = network.shape.fan_in(layer), fan_out = network.shape.fan_out(layer);
  const T multiplier = static_cast<T>(network.layers[static_cast<std::size_t>(layer)].weight_multiplier);
  parallel_for(ceil_div(fan_out, kUnitTile), parallel, [&](Index t) {
    const Index row = t * kUnitTile, rows = std::min(kUnitTile, fan_out - row);
    std::vector<T> buffer(weights.needs_buffer() ? static_cast<std::size_t>(rows * fan_in) : 0);
    const Operand<T> w = weights.tile(layer, row, rows, 0, fan_in, true, buffer.data());
    gemm(h.rows, rows, fan_in, multiplier, {h.data, h.stride}, {w.data, w.stride, Op::transposed}, T(0), z + row, fan_out);
  });
}

/// g (R x fan_in) = m dz W, R = N O: columns of W in tiles, each summed over row tiles in order.
template <class T>
void multiply_backward(const Network& network, WeightTiles<T>& weights, Index layer, const T* dz, Index rows_of_dz, bool parallel, T* g) {
  const Index fan_in = network.shape.fan_in(layer), fan_out = network.shape.fan_out(layer);
  const T multiplier = static_cast<T>(network.layers[static_cast<std::size_t>(layer)].weight_multiplier);
  parallel_for(ceil_div(fan_in, kUnitTile), parallel, [&](Index t) {
    const Index col = t * kUnitTile, cols = std::min(kUnitTile, fan_in - col);
    std::vector<T> buffer(weights.needs_buffer() ? static_cast<std::size_t>(std::min(kUnitTile, fan_out) * cols) : 0);
    for (Index row = 0; row < fan_out; row += kUnitTile) {
      const Index rows = std::min(kUnitTile, fan_out - row);
      const Operand<T> w = weights.tile(layer, row, rows, col, cols, false, buffer.data());
      gemm(rows_of_dz, cols, rows, multiplier, {dz + row, fan_out}, w, row == 0 ? T(0) : T(1), g + col, fan_in);
    }
  });
}

/// (z - mean) / sd over the units of a row; a constant row maps to 0. Returns 1/sd, or 0 for a constant row.
template <class T>
T normalise_row(const T* z, Index n, T* normalised) {
  double mean = 0, square = 0;
  for (Index j = 0; j < n; ++j) mean += static_cast<double>(z[j]);
  mean /= static_cast<double>(n);
  for (Index j = 0; j < n; ++j) square += (static_cast<double>(z[j]) - mean) * (static_cast<double>(z[j]) - mean);
  const double inverse_sd = square > 0 ? 1.0 / std::sqrt(square / static_cast<double>(n)) : 0.0;
  for (Index j = 0; j < n; ++j) normalised[j] = static_cast<T>((static_cast<double>(z[j]) - mean) * inverse_sd);
  return static_cast<T>(inverse_sd);
}

/// dz = (g - mean(g) - y mean(g y)) / sd, the transpose of the derivative of y = LN(z), in place on g.
template <class T>
void normalise_row_backward(const T* y, T inverse_sd, Index n, T* g) {
  double mean = 0, overlap = 0;
  for (Index j = 0; j < n; ++j) {
    mean += static_cast<double>(g[j]);
    overlap += static_cast<double>(g[j]) * static_cast<double>(y[j]);
  }
  mean /= static_cast<double>(n);
  overlap /= static_cast<double>(n);
  for (Index j = 0; j < n; ++j)
    g[j] = static_cast<T>((static_cast<double>(g[j]) - mean - static_cast<double>(y[j]) * overlap) * static_cast<double>(inverse_sd));
}

/// h = s phi(y) and, if wanted, slope = s phi'(y), over one row.
template <class T>
void activate_row(const Activation& activation, const T* y, const float* multipliers, Index n, T* h, T* slope) {
  visit(activation, [&](const auto& phi) {
    if (multipliers) {
      for (Index j = 0; j < n; ++j) h[j] = static_cast<T>(multipliers[j]) * phi.value(y[j]);
      if (slope)
        for (Index j = 0; j < n; ++j) slope[j] = static_cast<T>(multipliers[j]) * phi.first(y[j]);
    } else {
      for (Index j = 0; j < n; ++j) h[j] = phi.value(y[j]);
      if (slope)
        for (Index j = 0; j < n; ++j) slope[j] = phi.first(y[j]);
    }
  });
}

template <class T>
class Propagation {
 public:
  Propagation(const Network& network, WeightTiles<T>& weights, const SignalOptions& options, Signals<T>& signals)
      : network_(network), shape_(network.shape), weights_(weights), options_(options), signals_(signals), n_(signals.inputs.rows) {
    const auto depth = static_cast<std::size_t>(shape_.depth());
    for (auto* arrays : {&signals.h, &signals.b, &signals.slope, &signals.normalised, &signals.inverse_sd}) arrays->resize(depth);
  }

  void forward() {
    std::vector<T>&z = signals_.z, &previous = signals_.previous_z;
    MatrixView<const T> h = signals_.inputs;
    for (Index l = 0; l < shape_.depth(); ++l) {
      const Index n = shape_.fan_out(l);
      previous.swap(z);
      z.resize(static_cast<std::size_t>(n_ * n));
      multiply_forward(network_, weights_, l, h, options_.parallel, z.data());
      add_bias(l, z.data());
      if (shape_.is_residual(l)) add_stream(previous, z);
      activate(l, z.data());
      h = matrix_view<const T>(signals_.h[static_cast<std::size_t>(l)].data(), n_, n);
    }
    if (options_.outputs) {
      signals_.f.resize(static_cast<std::size_t>(n_ * shape_.outputs));
      multiply_forward(network_, weights_, shape_.depth(), h, options_.parallel, signals_.f.data());
      add_bias(shape_.depth(), signals_.f.data());
    }
  }

  void backward() {
    const Index outputs = shape_.outputs, depth = shape_.depth();
    for (Index l = depth - 1; l >= 0; --l) {
      const auto at = static_cast<std::size_t>(l);
      std::vector<T>& b = signals_.b[at];
      b.resize(static_cast<std::size_t>(n_ * outputs * shape_.fan_out(l)));
      if (l == depth - 1)
        spread_readout(b.data());
      else
        multiply_backward(network_, weights_, l + 1, signals_.b[at + 1].data(), n_ * outputs, options_.parallel, b.data());
      through_activation(l, b.data());
    }
  }

 private:
  void add_bias(Index l, T* z) {
    const LayerScale& scale = network_.layers[static_cast<std::size_t>(l)];
    if (scale.bias_multiplier == 0.0) return;
    const Index n = shape_.fan_out(l);
    std::vector<T> bias(static_cast<std::size_t>(n));
    weights_.biases(l, 0, n, bias.data());
    const T multiplier = static_cast<T>(scale.bias_multiplier);
    parallel_for(n_, options_.parallel, [&](Index i) {
      for (Index j = 0; j < n; ++j) z[i * n + j] += multiplier * bias[static_cast<std::size_t>(j)];
    });
  }

  /// z_{l+1} = z_l + alpha (branch).
  void add_stream(const std::vector<T>& stream, std::vector<T>& branch) const {
    const T alpha = static_cast<T>(shape_.residual);
    for (std::size_t k = 0; k < branch.size(); ++k) branch[k] = stream[k] + alpha * branch[k];
  }

  void activate(Index l, const T* z) {
    const auto at = static_cast<std::size_t>(l);
    const Index n = shape_.fan_out(l);
    const auto size = static_cast<std::size_t>(n_ * n);
    signals_.h[at].resize(size);
    if (options_.backward) signals_.slope[at].resize(size);
    if (shape_.layer_norm) {
      signals_.normalised[at].resize(size);
      signals_.inverse_sd[at].resize(static_cast<std::size_t>(n_));
    }
    parallel_for(n_, options_.parallel, [&](Index i) {
      const T* y = z + i * n;
      if (shape_.layer_norm) {
        T* normalised = signals_.normalised[at].data() + i * n;
        signals_.inverse_sd[at][static_cast<std::size_t>(i)] = normalise_row(y, n, normalised);
        y = normalised;
      }
      activate_row(shape_.activation, y, shape_.multipliers(l), n, signals_.h[at].data() + i * n,
                   options_.backward ? signals_.slope[at].data() + i * n : nullptr);
    });
  }

  /// df_o/dh_L = m W_{L+1}[o, :], the same for every input.
  void spread_readout(T* b) {
    const Index depth = shape_.depth(), n = shape_.fan_in(depth), outputs = shape_.outputs;
    const T multiplier = static_cast<T>(network_.layers[static_cast<std::size_t>(depth)].weight_multiplier);
    std::vector<T> buffer(weights_.needs_buffer() ? static_cast<std::size_t>(outputs * n) : 0);
    for (Index o = 0; o < outputs; ++o) {
      // Where f was not computed, the readout is drawn here for the first time.
      const Operand<T> w = weights_.tile(depth, o, 1, 0, n, !options_.outputs, buffer.data());
      parallel_for(n_, options_.parallel, [&](Index i) {
        T* row = b + (i * outputs + o) * n;
        for (Index j = 0; j < n; ++j) row[j] = multiplier * w.data[j];
      });
    }
  }

  /// df/dz_l from df/dh_l, in place; adds the residual stream's share, df/dz_{l+1}.
  void through_activation(Index l, T* b) {
    const auto at = static_cast<std::size_t>(l);
    const Index n = shape_.fan_out(l), outputs = shape_.outputs;
    const bool residual = l + 1 < shape_.depth() && shape_.is_residual(l + 1);
    const T branch = residual ? static_cast<T>(shape_.residual) : T(1);
    parallel_for(n_, options_.parallel, [&](Index i) {
      const T* slope = signals_.slope[at].data() + i * n;
      for (Index o = 0; o < outputs; ++o) {
        T* row = b + (i * outputs + o) * n;
        for (Index j = 0; j < n; ++j) row[j] *= branch * slope[j];
        if (shape_.layer_norm)
          normalise_row_backward(signals_.normalised[at].data() + i * n, signals_.inverse_sd[at][static_cast<std::size_t>(i)], n, row);
        if (residual) {
          const T* above = signals_.b[at + 1].data() + (i * outputs + o) * n;
          for (Index j = 0; j < n; ++j) row[j] += above[j];
        }
      }
    });
  }

  const Network& network_;
  const MlpShape& shape_;
  WeightTiles<T>& weights_;
  const SignalOptions& options_;
  Signals<T>& signals_;
  Index n_;
};

}  // namespace

template <class T>
void compute_signals(const Network& network, WeightTiles<T>& weights, MatrixView<const T> inputs, const SignalOptions& options,
                     Signals<T>& signals) {
  signals.inputs = inputs;
  Propagation<T> propagation(network, weights, options, signals);
  propagation.forward();
  if (options.backward) propagation.backward();
}

template void compute_signals(const Network&, WeightTiles<float>&, MatrixView<const float>, const SignalOptions&, Signals<float>&);
template void compute_signals(const Network&, WeightTiles<double>&, MatrixView<const double>, const SignalOptions&, Signals<double>&);

}  // namespace widelab::cpu
