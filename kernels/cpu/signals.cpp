#include "kernels/cpu/signals.hpp"

#include "kernels/cpu/layer_rows.hpp"
#include "kernels/cpu/parallel.hpp"
#include "widelab/plan/storage_plan.hpp"

namespace widelab::cpu {
namespace {

/// Rows of a product that one call of BLAS forms.
constexpr Index kRowBlock = 256;

/// body(first unit, count, first row, count) for every tile of kUnitTile units and, where the weights are at hand,
/// every block of rows, in parallel; a drawn tile of weights (whole = true) meets all rows.
template <class Body>
void for_each_piece(Index units, Index rows, bool whole, bool parallel, const Body& body) {
  const Index tiles = ceil_div(units, kUnitTile), piece = whole ? rows : kRowBlock;
  parallel_for(tiles * ceil_div(rows, piece), parallel, [&](Index p) {
    const Index unit = p % tiles * kUnitTile, row = p / tiles * piece;
    body(unit, std::min(kUnitTile, units - unit), row, std::min(piece, rows - row));
  });
}

/// c (rows x cols) = alpha a b + beta c, block by block of rows, so that no bit depends on the pieces.
template <class T>
void gemm_by_rows(Index rows, Index cols, Index inner, T alpha, Operand<T> a, Operand<T> b, T beta, T* c,
                  Index c_stride) {
  for (Index row = 0; row < rows; row += kRowBlock)
    gemm(std::min(kRowBlock, rows - row), cols, inner, alpha, {a.data + row * a.stride, a.stride}, b, beta,
         c + row * c_stride, c_stride);
}

/// z (N x fan_out) = m h W^T, piece by piece; finish(first unit, count, first row, count) follows each while it is in
/// cache.
template <class T, class Finish>
void multiply_forward(const Network& network, WeightTiles<T>& weights, Index layer, MatrixView<const T> h,
                      bool parallel, T* z, const Finish& finish) {
  const Index fan_in = network.shape.fan_in(layer), fan_out = network.shape.fan_out(layer);
  const T multiplier = static_cast<T>(network.layers[static_cast<std::size_t>(layer)].weight_multiplier);
  weights.hold(layer, parallel);
  const bool drawn = weights.needs_buffer();
  for_each_piece(fan_out, h.rows, drawn, parallel, [&](Index unit, Index units, Index row, Index rows) {
    Buffer<T> buffer(drawn ? static_cast<std::size_t>(units * fan_in) : 0);
    const Operand<T> w = weights.tile(layer, unit, units, 0, fan_in, buffer.data());
    gemm_by_rows(rows, units, fan_in, multiplier, {h.row(row), h.stride}, {w.data, w.stride, Op::transposed}, T(0),
                 z + row * fan_out + unit, fan_out);
    finish(unit, units, row, rows);
  });
}

/// g (R x fan_in) = m dz W, R = N O: columns of W in tiles, each summed over row tiles in order, then finished.
template <class T, class Finish>
void multiply_backward(const Network& network, WeightTiles<T>& weights, Index layer, const T* dz, Index rows_of_dz,
                       bool parallel, T* g, const Finish& finish) {
  const Index fan_in = network.shape.fan_in(layer), fan_out = network.shape.fan_out(layer);
  const T multiplier = static_cast<T>(network.layers[static_cast<std::size_t>(layer)].weight_multiplier);
  weights.hold(layer, parallel);
  const bool drawn = weights.needs_buffer();
  for_each_piece(fan_in, rows_of_dz, drawn, parallel, [&](Index col, Index cols, Index row, Index rows) {
    Buffer<T> buffer(drawn ? static_cast<std::size_t>(std::min(kUnitTile, fan_out) * cols) : 0);
    for (Index unit = 0; unit < fan_out; unit += kUnitTile) {
      const Index units = std::min(kUnitTile, fan_out - unit);
      const Operand<T> w = weights.tile(layer, unit, units, col, cols, buffer.data());
      gemm_by_rows(rows, cols, units, multiplier, {dz + row * fan_out + unit, fan_out}, w, unit == 0 ? T(0) : T(1),
                   g + row * fan_in + col, fan_in);
    }
    finish(col, cols, row, rows);
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
      const auto finish = [&](Index first, Index count, Index row, Index rows) {
        add_bias(l, first, count, row, rows, z.data());
        if (shape_.is_residual(l)) add_stream(previous.data(), n, first, count, row, rows, z.data());
        if (!shape_.layer_norm)
          for (Index i = row; i < row + rows; ++i) activate(l, i, first, count, z.data() + i * n + first);
      };
      multiply_forward(network_, weights_, l, h, options_.parallel, z.data(), finish);
      if (shape_.layer_norm) normalise(l, z.data());
      h = matrix_view<const T>(signals_.h[static_cast<std::size_t>(l)].data(), n_, n);
    }
    if (options_.outputs || of_loss_) {
      signals_.f.resize(static_cast<std::size_t>(n_ * shape_.outputs));
      multiply_forward(network_, weights_, shape_.depth(), h, options_.parallel, signals_.f.data(),
                       [&](Index first, Index count, Index row, Index rows) {
                         add_bias(shape_.depth(), first, count, row, rows, signals_.f.data());
                       });
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
      const auto finish = [&](Index first, Index count, Index row, Index rows) {
        for (Index r = row; r < row + rows; ++r) through_slope(l, r, first, count, b.data());
        if (!shape_.layer_norm) add_stream_signals(l, first, count, row, rows, b.data());
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

  /// z += M b on units [first, first + count) of inputs [row, row + rows).
  void add_bias(Index l, Index first, Index count, Index row, Index rows, T* z) {
    const LayerScale& scale = network_.layers[static_cast<std::size_t>(l)];
    if (scale.bias_multiplier == 0.0) return;
    const Index n = shape_.fan_out(l);
    Buffer<T> bias(static_cast<std::size_t>(count));
    weights_.biases(l, first, count, bias.data());
    const T multiplier = static_cast<T>(scale.bias_multiplier);
    for (Index i = row; i < row + rows; ++i)
      for (Index j = 0; j < count; ++j) z[i * n + first + j] += multiplier * bias[static_cast<std::size_t>(j)];
  }

  /// z_{l+1} = z_l + alpha (branch) on units [first, first + count) of inputs [row, row + rows).
  void add_stream(const T* stream, Index n, Index first, Index count, Index row, Index rows, T* branch) const {
    const T alpha = static_cast<T>(shape_.residual);
    for (Index i = row; i < row + rows; ++i)
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
    weights_.hold(depth, options_.parallel);
    const bool drawn = weights_.needs_buffer();
    for_each_piece(n, n_, drawn, options_.parallel, [&](Index col, Index cols, Index first, Index inputs) {
      Buffer<T> buffer(drawn ? static_cast<std::size_t>(cols) : 0);
      for (Index o = 0; o < outputs; ++o) {
        const Operand<T> w = weights_.tile(depth, o, 1, col, cols, buffer.data());
        for (Index i = first; i < first + inputs; ++i) {
          T* row = b + (i * outputs + o) * n + col;
          for (Index j = 0; j < cols; ++j) row[j] = multiplier * w.data[j];
        }
      }
      finish(col, cols, first * outputs, inputs * outputs);
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
  void add_stream_signals(Index l, Index first, Index count, Index row, Index rows, T* b) const {
    if (!feeds_branch(l)) return;
    const Index n = shape_.fan_out(l);
    const T* above = signals_.b[static_cast<std::size_t>(l + 1)].data();
    for (Index r = row; r < row + rows; ++r)
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
    add_stream_signals(l, 0, n, 0, rows_, b);
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
