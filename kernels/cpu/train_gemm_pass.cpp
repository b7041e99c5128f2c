#include "kernels/cpu/train_gemm_pass.hpp"

#include <algorithm>

#include "kernels/cpu/blas.hpp"
#include "kernels/cpu/layer_rows.hpp"
#include "kernels/cpu/parallel.hpp"

namespace widelab::cpu {
namespace {

/// z (B x rows) = m h W^T by tiles of units; finish(first, count) follows each tile while it is in cache.
template <class T, class Finish>
void multiply_forward(TrainLayer<T>& layer, const T* h, Index batch, bool parallel, T* z, const Finish& finish) {
  if (layer.window) layer.window->project_inputs(h, parallel);
  parallel_for(ceil_div(layer.rows, kTrainTile), parallel, [&](Index t) {
    const Index first = t * kTrainTile, count = std::min(kTrainTile, layer.rows - first);
    if (layer.window)
      layer.window->multiply_forward(h, first, count, z);
    else
      gemm(batch, count, layer.cols, static_cast<T>(layer.multiplier), {h, layer.cols},
           {layer.weights.theta + first * layer.cols, layer.cols, Op::transposed}, T(0), z + first, layer.rows);
    finish(first, count);
  });
}

/// g (B x cols) = m dz W.
template <class T, class Finish>
void multiply_backward(TrainLayer<T>& layer, const T* dz, Index batch, bool parallel, T* g, const Finish& finish) {
  if (layer.window) layer.window->project_signals(dz, parallel);
  parallel_for(ceil_div(layer.cols, kTrainTile), parallel, [&](Index t) {
    const Index first = t * kTrainTile, count = std::min(kTrainTile, layer.cols - first);
    if (layer.window)
      layer.window->multiply_backward(dz, first, count, g);
    else
      gemm(batch, count, layer.rows, static_cast<T>(layer.multiplier), {dz, layer.rows},
           {layer.weights.theta + first, layer.cols}, T(0), g + first, layer.cols);
    finish(first, count);
  });
}

}  // namespace

template <class T>
TrainPass<T>::TrainPass(const MlpShape& shape, std::vector<TrainLayer<T>>& layers, Index batch, bool parallel)
    : shape_(shape), layers_(layers), batch_(batch), parallel_(parallel) {
  Index widest = shape.outputs;
  for (const Index n : shape.widths) {
    const auto size = static_cast<std::size_t>(batch * n);
    h_.emplace_back(size);
    slope_.emplace_back(size);
    normalised_.emplace_back(shape.layer_norm ? size : 0);
    inverse_sd_.emplace_back(static_cast<std::size_t>(shape.layer_norm ? batch : 0));
    widest = std::max(widest, n);
  }
  for (Buffer<T>* buffer : {&z_, &stream_, &signals_[0], &signals_[1]})
    buffer->resize(static_cast<std::size_t>(batch * widest));
}

template <class T>
const T* TrainPass<T>::forward(const T* inputs, const DropoutAtStep& dropout) {
  inputs_ = inputs;
  for (Index l = 0; l < shape_.layers(); ++l) {
    z_.swap(stream_);
    multiply_forward(layers_[static_cast<std::size_t>(l)], input_of(l), batch_, parallel_, z_.data(),
                     [&](Index first, Index count) { finish_forward(l, first, count, dropout); });
    if (shape_.layer_norm && l < shape_.depth()) normalise(l, dropout);
  }
  return z_.data();
}

/// Bias, residual stream and, without LayerNorm, features on units [first, first + count).
template <class T>
void TrainPass<T>::finish_forward(Index l, Index first, Index count, const DropoutAtStep& dropout) {
  const TrainLayer<T>& layer = layers_[static_cast<std::size_t>(l)];
  const T multiplier = static_cast<T>(layer.bias_multiplier);
  const T* b = layer.biases.theta + first;
  for (Index slot = 0; slot < batch_; ++slot) {
    T* z = z_.data() + slot * layer.rows + first;
    if (multiplier != T(0))
      for (Index j = 0; j < count; ++j) z[j] += multiplier * b[j];
    if (shape_.is_residual(l)) {
      const T* below = stream_.data() + slot * layer.rows + first;
      for (Index j = 0; j < count; ++j) z[j] += below[j];
    }
    if (l < shape_.depth() && !shape_.layer_norm) activate(l, slot, first, count, z, dropout);
  }
}

/// Features and slopes of one slot on units [first, first + count), y their (normalised) pre-activations.
template <class T>
void TrainPass<T>::activate(Index l, Index slot, Index first, Index count, const T* y, const DropoutAtStep& dropout) {
  const Index n = shape_.fan_out(l), offset = slot * n + first;
  const float* multipliers = shape_.multipliers(l);
  T* h = h_[static_cast<std::size_t>(l)].data() + offset;
  T* slope = slope_[static_cast<std::size_t>(l)].data() + offset;
  activate_row(shape_.activation, y, multipliers ? multipliers + first : nullptr, count, h, slope);
  if (dropout.keep >= 1) return;
  const T kept = dropout.scaled ? static_cast<T>(1 / dropout.keep) : T(1);
  for (Index j = 0; j < count; ++j) {
    const bool keeps = dropout_keeps(dropout.noise, dropout.keep, l, n, slot, first + j, dropout.step);
    h[j] *= keeps ? kept : T(0);
    slope[j] *= keeps ? kept : T(0);
  }
}

/// LayerNorm needs whole rows, so it comes after all tiles.
template <class T>
void TrainPass<T>::normalise(Index l, const DropoutAtStep& dropout) {
  const auto at = static_cast<std::size_t>(l);
  const Index n = shape_.fan_out(l);
  parallel_for(batch_, parallel_, [&](Index slot) {
    T* y = normalised_[at].data() + slot * n;
    inverse_sd_[at][static_cast<std::size_t>(slot)] = normalise_row(z_.data() + slot * n, n, y);
    activate(l, slot, 0, n, y, dropout);
  });
}

template <class T>
const T* TrainPass<T>::backward(Index l, const T* dz) {
  const Index hidden = l - 1;
  signals_[0].swap(signals_[1]);
  T* g = signals_[0].data();
  const T* above = shape_.is_residual(l) ? dz : nullptr;  // the stream carries dz of layer l straight down
  multiply_backward(layers_[static_cast<std::size_t>(l)], dz, batch_, parallel_, g,
                    [&](Index first, Index count) { finish_backward(hidden, first, count, above, g); });
  if (shape_.layer_norm) through_normalisation(hidden, above, g);
  return g;
}

/// Through the activation on units [first, first + count), in place; without LayerNorm also the stream's share.
template <class T>
void TrainPass<T>::finish_backward(Index hidden, Index first, Index count, const T* above, T* g) const {
  const Index n = shape_.fan_out(hidden);
  const T* slope = slope_[static_cast<std::size_t>(hidden)].data();
  for (Index slot = 0; slot < batch_; ++slot) {
    const Index begin = slot * n + first;
    for (Index i = begin; i < begin + count; ++i) g[i] *= slope[i];
    if (above && !shape_.layer_norm)
      for (Index i = begin; i < begin + count; ++i) g[i] += above[i];
  }
}

/// Whole rows, in place; then the stream's share.
template <class T>
void TrainPass<T>::through_normalisation(Index hidden, const T* above, T* g) const {
  const auto at = static_cast<std::size_t>(hidden);
  const Index n = shape_.fan_out(hidden);
  parallel_for(batch_, parallel_, [&](Index slot) {
    T* row = g + slot * n;
    normalise_row_backward(normalised_[at].data() + slot * n, inverse_sd_[at][static_cast<std::size_t>(slot)], n, row);
    if (above)
      for (Index j = 0; j < n; ++j) row[j] += above[slot * n + j];
  });
}

template class TrainPass<float>;
template class TrainPass<double>;

}  // namespace widelab::cpu
