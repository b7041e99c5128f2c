// Forward and backward signals of one member on a set of inputs: what every kernel op is made of.
#pragma once

#include <vector>

#include "kernels/cpu/buffer.hpp"
#include "kernels/cpu/weight_tiles.hpp"
#include "widelab/base/view.hpp"

namespace widelab::cpu {

/// h[l] (N x n_{l+1}) = hidden features of hidden layer l; b[l] (N x O x n_{l+1}) = df_o/dz at that layer; f (N x O).
template <class T>
struct Signals {
  MatrixView<const T> inputs;
  std::vector<Buffer<T>> h, b;
  Buffer<T> f;

  // Working memory of the passes, kept so that the next member allocates nothing.
  std::vector<Buffer<T>> slope;       // s phi'(y), N x n
  std::vector<Buffer<T>> normalised;  // y = LN(z), with LayerNorm only
  std::vector<Buffer<T>> inverse_sd;  // N, with LayerNorm only
  Buffer<T> z, previous_z;            // of the layer at work, and the residual stream below it
};

struct SignalOptions {
  bool backward = true;   ///< fill b
  bool outputs = true;    ///< fill f
  bool parallel = false;  ///< share this member among all threads
};

/// Runs `inputs` through the member. The result does not depend on `parallel` or on where the weights come from.
template <class T>
void compute_signals(const Network& network, WeightTiles<T>& weights, MatrixView<const T> inputs,
                     const SignalOptions& options, Signals<T>& signals);

extern template void compute_signals(const Network&, WeightTiles<float>&, MatrixView<const float>, const SignalOptions&,
                                     Signals<float>&);
extern template void compute_signals(const Network&, WeightTiles<double>&, MatrixView<const double>,
                                     const SignalOptions&, Signals<double>&);

}  // namespace widelab::cpu
