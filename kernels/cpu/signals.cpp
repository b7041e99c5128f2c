#include "kernels/cpu/signals.hpp"

#include "kernels/cpu/layer_rows.hpp"
#include "kernels/cpu/parallel.hpp"
#include "widelab/plan/storage_plan.hpp"

namespace widelab::cpu {
namespace {

/// z (N x fan_out) = m h W^T, tile by tile of output units; finish(first, count) follows each tile while it is in
/// cache.
template <class T, class Finish>
void multiply_forward(const Network& network, WeightTiles<T>& weights, Index layer, MatrixView<const T> h,
                      bool parallel, T* z, const Finish& finish) {
  const Index fan_in = network.shape.fan_in(layer), fan_out = network.shape.fan_out(layer);
  const T multiplier = static_cast<T>(network.layers[static_cast<std::size_t>(layer)].weight_multiplier);
  parallel_for(ceil_div(fan_out, kUnitTile), parallel, [&](Index t) {
    const Index row = t * kUnitTile, rows = std::min(kUnitTile, fan_out - row);
    Buffer<T> buffer(weights.needs_buffer() ? static_cast<std::size_t>(rows * fan_in) : 0);
    const Operand<T> w = weights.tile(layer, row, rows, 0, fan_in, true, buffer.data());
    gemm(h.rows, rows, fan_in, multiplier, {h.data, h.stride}, {w.data, w.stride, Op::transposed}, T(0), z + row,
         fan_out);
    finish(row, rows);
  });
}

/// g (R x fan_in) = m dz W, R = N O: columns of W in tiles, each summed over row tiles in order, then finished.
template <class T, class Finish>
void multiply_backward(const Network& network, WeightTiles<T>& weights, Index layer, const T* dz, Index rows_of_dz,
                       bool parallel, T* g, const Finish& finish) {
  const Index fan_in = network.shape.fan_in(layer), fan_out = network.shape.fan_out(layer);
  const T multiplier = static_cast<T>(network.layers[static_cast<std::size_t>(layer)].weight_multiplier);
  parallel_for(ceil_div(fan_in, kUnitTile), parallel, [&](Index t) {
    const Index col = t * kUnitTile, cols = std::min(kUnitTile, fan_in - col);
    Buffer<T> buffer(weights.needs_buffer() ? static_cast<std::size_t>(std::min(kUnitTile, fan_out) * cols) : 0);
    for (Index row = 0; row < fan_out; row += kUnitTile) {
      const Index rows = std::min(kUnitTile, fan_out - row);
      const Operand<T> w = weights.tile(layer, row, rows, col, cols, false, buffer.data());
      gemm(rows_of_dz, cols, rows, multiplier, {dz + row, fan_out}, w, row == 0 ? T(0) : T(1), g + col, fan_in);
    }
    finish(col, cols);
  });
}

template <class T>
class Propagation {
 public:
  Propagation(const Network& network, WeightTiles<T>& weights, const SignalOptions& options, Signals<T>& signals)
      : network_(network),
        shape_(network.shape),
        weights_(weights),
        options_(options),
        signals_(signals),
        n_(signals.inputs.rows),
        of_loss_(options.backward == BackwardSignals::of_loss),
        rows_(n_ * (of_loss_ ? 1 : shape_.outputs)) {
    signals.backward_rows = of_loss_ ? 1 : shape_.outputs;
    const auto depth = static_cast<std::size_t>(shape_.depth());
    for (auto* arrays : {&signals.h, &signals.b, &signals.slope, &signals.normalised, &signals.inverse_sd})
      arrays->resize(depth);
  }

  void forward() {
    Buffer<T>&z = signals_.z, &previous = signals_.previous_z;
    MatrixView<const T> h = signals_.inputs;
    for (Index l = 0; l < shape_.depth(); ++l) {
      const Index n = shape_.fan_out(l);
      previous.swap(z);
      z.resize(static_cast<std::size_t>(n_ * n));
      make_room(l);
      multiply_forward(network_, weights_, l, h, options_.parallel, z.data(), [&](Index first, Index count) {
        add_bias(l, first, count, z.data());
        if (shape_.is_residual(l)) add_stream(previous.data(), n, first, count, z.data());
        if (!shape_.layer_norm)
          for (Index i = 0; i < n_; ++i) activate(l, i, first, count, z.data() + i * n + first);
      });
      if (shape_.layer_norm) normalise(l, z.data());
      h = matrix_view<const T>(signals_.h[static_cast<std::size_t>(l)].data(), n_, n);
    }
    if (options_.outputs || of_loss_) {
      signals_.f.resize(static_cast<std::size_t>(n_ * shape_.outputs));
      multiply_forward(network_, weights_, shape_.depth(), h, options_.parallel, signals_.f.data(),
                       [&](Index first, Index count) { add_bias(shape_.depth(), first, count, signals_.f.data()); });
    }
  }

  /// df = d loss / df of every input.
  void differentiate(const LossTargets<T>& loss) {
    const Index outputs = shape_.outputs;
    signals_.df.resize(signals_.f.size());
    for (Index i = 0; i < n_; ++i)
      loss_slope(loss.kind, signals_.f.data() + i * outputs, loss.targets + i * outputs, outputs, Index{1},
                 signals_.df.data() + i * outputs);
  }

  void backward() {
    const Index depth = shape_.depth();
    for (Index l = depth - 1; l >= 0; --l) {
      const auto at = static_cast<std::size_t>(l);
      Buffer<T>& b = signals_.b[at];
      b.resize(static_cast<std::size_t>(rows_ * shape_.fan_out(l)));
      const auto finish = [&](Index first, Index count) {
        for (Index r = 0; r < rows_; ++r) through_slope(l, r, first, count, b.data());
        if (!shape_.layer_norm) add_stream_signals(l, first, count, b.data());
      };
      if (l == depth - 1 && !of_loss_) {
        spread_readout(b.data(), finish);
      } else {
        const T* above = l == depth - 1 ? signals_.df.data() : signals_.b[at + 1].data();
        multiply_backward(network_, weights_, l + 1, above, rows_, options_.parallel, b.data(), finish);
      }
      if (shape_.layer_norm) through_normalisation(l, b.data());
    }
  }

 private:
  bool carries_back() const { return options_.backward != BackwardSignals::none; }

  void make_room(Index l) {
    const auto at = static_cast<std::size_t>(l);
    const auto size = static_cast<std::size_t>(n_ * shape_.fan_out(l));
    signals_.h[at].resize(size);
    if (carries_back()) signals_.slope[at].resize(size);
    if (shape_.layer_norm) {
      signals_.normalised[at].resize(size);
      signals_.inverse_sd[at].resize(static_cast<std::size_t>(n_));
    }
  }

  /// z += M b on units [first, first + count).
  void add_bias(Index l, Index first, Index count, T* z) {
    const LayerScale& scale = network_.layers[static_cast<std::size_t>(l)];
    if (scale.bias_multiplier == 0.0) return;
    const Index n = shape_.fan_out(l);
    Buffer<T> bias(static_cast<std::size_t>(count));
    weights_.biases(l, first, count, bias.data());
    const T multiplier = static_cast<T>(scale.bias_multiplier);
    for (Index i = 0; i < n_; ++i)
      for (Index j = 0; j < count; ++j) z[i * n + first + j] += multiplier * bias[static_cast<std::size_t>(j)];
  }

  /// z_{l+1} = z_l + alpha (branch) on units [first, first + count).
  void add_stream(const T* stream, Index n, Index first, Index count, T* branch) const {
    const T alpha = static_cast<T>(shape_.residual);
    for (Index i = 0; i < n_; ++i)
      for (Index j = i * n + first; j < i * n + first + count; ++j) branch[j] = stream[j] + alpha * branch[j];
  }

  /// h and slope of input i on units [first, first + count), y their (normalised) pre-activations.
  void activate(Index l, Index i, Index first, Index count, const T* y) {
    const auto at = static_cast<std::size_t>(l);
    const Index offset = i * shape_.fan_out(l) + first;
    const float* multipliers = shape_.multipliers(l);
    activate_row(shape_.activation, y, multipliers ? multipliers + first : nullptr, count,
                 signals_.h[at].data() + offset, carries_back() ? signals_.slope[at].data() + offset : nullptr);
  }

  /// LayerNorm needs whole rows, so it comes after all tiles.
  void normalise(Index l, const T* z) {
    const auto at = static_cast<std::size_t>(l);
    const Index n = shape_.fan_out(l);
    parallel_for(n_, options_.parallel, [&](Index i) {
      T* y = signals_.normalised[at].data() + i * n;
      signals_.inverse_sd[at][static_cast<std::size_t>(i)] = normalise_row(z + i * n, n, y);
      activate(l, i, 0, n, y);
    });
  }

  /// df_o/dh_L = m W_{L+1}[o, :], the same for every input.
  template <class Finish>
  void spread_readout(T* b, const Finish& finish) {
    const Index depth = shape_.depth(), n = shape_.fan_in(depth), outputs = shape_.outputs;
    const T multiplier = static_cast<T>(network_.layers[static_cast<std::size_t>(depth)].weight_multiplier);
    parallel_for(ceil_div(n, kUnitTile), options_.parallel, [&](Index t) {
      const Index col = t * kUnitTile, cols = std::min(kUnitTile, n - col);
      Buffer<T> buffer(weights_.needs_buffer() ? static_cast<std::size_t>(cols) : 0);
      for (Index o = 0; o < outputs; ++o) {
        // Where f was not computed, the readout is drawn here for the first time.
        const Operand<T> w = weights_.tile(depth, o, 1, col, cols, !options_.outputs, buffer.data());
        for (Index i = 0; i < n_; ++i) {
          T* row = b + (i * outputs + o) * n + col;
          for (Index j = 0; j < cols; ++j) row[j] = multiplier * w.data[j];
        }
      }
      finish(col, cols);
    });
  }

  bool feeds_branch(Index l) const { return l + 1 < shape_.depth() && shape_.is_residual(l + 1); }

  /// df/dy = s phi'(y) df/dh (times alpha in front of a residual branch) of row r = (input, output), in place; here and
  /// below f stands for the loss where its signals are carried.
  void through_slope(Index l, Index r, Index first, Index count, T* b) const {
    const Index n = shape_.fan_out(l);
    const T branch = feeds_branch(l) ? static_cast<T>(shape_.residual) : T(1);
    const T* slope = signals_.slope[static_cast<std::size_t>(l)].data() + r / signals_.backward_rows * n + first;
    T* row = b + r * n + first;
    for (Index j = 0; j < count; ++j) row[j] *= branch * slope[j];
  }

  /// The residual stream's share of df/dz_l: df/dz_{l+1}.
  void add_stream_signals(Index l, Index first, Index count, T* b) const {
    if (!feeds_branch(l)) return;
    const Index n = shape_.fan_out(l);
    const T* above = signals_.b[static_cast<std::size_t>(l + 1)].data();
    for (Index r = 0; r < rows_; ++r)
      for (Index j = r * n + first; j < r * n + first + count; ++j) b[j] += above[j];
  }

  /// df/dz from df/dy, whole rows, in place; then the stream's share.
  void through_normalisation(Index l, T* b) {
    const auto at = static_cast<std::size_t>(l);
    const Index n = shape_.fan_out(l), rows = signals_.backward_rows;
    parallel_for(n_, options_.parallel, [&](Index i) {
      for (Index o = 0; o < rows; ++o)
        normalise_row_backward(signals_.normalised[at].data() + i * n,
                               signals_.inverse_sd[at][static_cast<std::size_t>(i)], n, b + (i * rows + o) * n);
    });
    add_stream_signals(l, 0, n, b);
  }

  const Network& network_;
  const MlpShape& shape_;
  WeightTiles<T>& weights_;
  const SignalOptions& options_;
  Signals<T>& signals_;
  Index n_;
  bool of_loss_;
  Index rows_;  // of all inputs' backward signals
};

}  // namespace

template <class T>
void compute_signals(const Network& network, WeightTiles<T>& weights, MatrixView<const T> inputs,
                     const SignalOptions& options, Signals<T>& signals, const LossTargets<T>& loss) {
  signals.inputs = inputs;
  Propagation<T> propagation(network, weights, options, signals);
  propagation.forward();
  if (options.backward == BackwardSignals::of_loss) propagation.differentiate(loss);
  if (options.backward != BackwardSignals::none) propagation.backward();
}

template void compute_signals(const Network&, WeightTiles<float>&, MatrixView<const float>, const SignalOptions&,
                              Signals<float>&, const LossTargets<float>&);
template void compute_signals(const Network&, WeightTiles<double>&, MatrixView<const double>, const SignalOptions&,
                              Signals<double>&, const LossTargets<double>&);

}  // namespace widelab::cpu
