// Forward and backward signals of one member on one batch, batch-major, epilogues tile by tile of units.
#pragma once

#include <optional>
#include <vector>

#include "kernels/cpu/buffer.hpp"
#include "kernels/cpu/train_gemm_window.hpp"
#include "widelab/model/parametrization.hpp"
#include "widelab/ops/train.hpp"

namespace widelab::cpu {

/// One layer of one member. Multipliers include the residual branch's alpha.
template <class T>
struct TrainLayer {
  Index rows, cols;
  double multiplier, bias_multiplier, weight_rate, bias_rate;
  ParameterBlock<T> weights, biases;
  std::optional<LazyWindow<T>> window;  ///< where the weights are trained lazily

  bool trained() const { return weight_rate > 0 || bias_rate > 0; }
};

/// Which hidden units a step drops.
struct DropoutAtStep {
  double keep = 1;
  bool scaled = true;
  DrawId noise;
  Index step = 0;
};

template <class T>
class TrainPass {
 public:
  /// `parallel`: share the member among all threads.
  TrainPass(const MlpShape& shape, std::vector<TrainLayer<T>>& layers, Index batch, bool parallel);

  /// Outputs (B x k) on inputs (B x d), which must stay until the step is done.
  const T* forward(const T* inputs, const DropoutAtStep& dropout);
  /// dz of layer l - 1 from dz of layer l >= 1 (B x fan_out(l)), at layer l's weights as they are. The result stands
  /// until the next call but one.
  const T* backward(Index l, const T* dz);
  /// What layer l multiplies: the inputs, or the features below (B x fan_in(l)).
  const T* input_of(Index l) const { return l == 0 ? inputs_ : h_[static_cast<std::size_t>(l - 1)].data(); }

 private:
  void finish_forward(Index l, Index first, Index count, const DropoutAtStep& dropout);
  void activate(Index l, Index slot, Index first, Index count, const T* y, const DropoutAtStep& dropout);
  void normalise(Index l, const DropoutAtStep& dropout);
  void finish_backward(Index hidden, Index first, Index count, const T* above, T* g) const;
  void through_normalisation(Index hidden, const T* above, T* g) const;

  const MlpShape& shape_;
  std::vector<TrainLayer<T>>& layers_;
  Index batch_;
  bool parallel_;
  const T* inputs_ = nullptr;
  std::vector<Buffer<T>> h_, slope_;                ///< hidden layers: features, and s phi'(y) with the dropout mask
  std::vector<Buffer<T>> normalised_, inverse_sd_;  ///< with LayerNorm only
  Buffer<T> z_, stream_, signals_[2];               ///< pre-activations at work, those below, backward signals
};

}  // namespace widelab::cpu
