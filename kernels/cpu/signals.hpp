// Forward and backward signals of one member on a set of inputs: what every kernel op is made of.
#pragma once

#include <vector>

#include "kernels/cpu/buffer.hpp"
#include "kernels/cpu/weight_tiles.hpp"
#include "widelab/base/view.hpp"
#include "widelab/math/losses.hpp"

namespace widelab::cpu {

/// What is carried backward: nothing, df_o/dz for every output, or d loss / dz.
enum class BackwardSignals { none, of_outputs, of_loss };

/// h[l] (N x n_{l+1}) = hidden features of hidden layer l; b[l] (N x R x n_{l+1}) = its backward signals, R = O or, of
/// a loss, 1; f (N x O); df (N x O) = d loss / df, of a loss only.
template <class T>
struct Signals {
  MatrixView<const T> inputs;
  Index backward_rows = 0;  ///< R
  std::vector<Buffer<T>> h, b;
  Buffer<T> f, df;

  // Working memory of the passes, kept so that the next member allocates nothing.
  std::vector<Buffer<T>> slope;       // s phi'(y), N x n
  std::vector<Buffer<T>> normalised;  // y = LN(z), with LayerNorm only
  std::vector<Buffer<T>> inverse_sd;  // N, with LayerNorm only
  Buffer<T> z, previous_z;            // of the layer at work, and the residual stream below it
};

struct SignalOptions {
  BackwardSignals backward = BackwardSignals::of_outputs;
  bool outputs = true;    ///< fill f; always so for a loss
  bool parallel = false;  ///< share this member among all threads
};

/// The losses of a tile of inputs.
template <class T>
struct LossTargets {
  LossKind kind = LossKind::half_squared;
  const T* targets = nullptr;  ///< N x O
};

/// Runs `inputs` through the member; `loss` is looked at for BackwardSignals::of_loss alone. The result does not depend
/// on `parallel` or on where the weights come from.
template <class T>
void compute_signals(const Network& network, WeightTiles<T>& weights, MatrixView<const T> inputs,
                     const SignalOptions& options, Signals<T>& signals, const LossTargets<T>& loss = {});

extern template void compute_signals(const Network&, WeightTiles<float>&, MatrixView<const float>, const SignalOptions&,
                                     Signals<float>&, const LossTargets<float>&);
extern template void compute_signals(const Network&, WeightTiles<double>&, MatrixView<const double>,
                                     const SignalOptions&, Signals<double>&, const LossTargets<double>&);

}  // namespace widelab::cpu
