#include "kernels/cuda/gemm/train_gemm_window.hpp"

namespace widelab::cuda {

/// y = m x op(W_t): the product with W_0, that with V_0, and, `met` being the factors that x meets, (x met^T) added.
template <class T>
void SlotWindow<T>::multiply(Index layer, const GemmShape& product, T* x, BatchedMatrix<T> met, BatchedMatrix<T> added,
                             T* y) {
  const LazyLayer<T>& lazy = layer_at(layer);
  const BatchedMatrix<T> in = rows(x, product.inner), out = rows(y, product.cols);
  gemm(context_, product, state_.slots, lazy.multiplier, in, lazy.weights, T(0), out);
  if (made_ == 0) return;  // W_t is W_0
  const Index stride = WindowBuffers<T>::projection_stride(needs_);
  const BatchedMatrix<T> projection{at_.projection, stride, needs_.batch * stride};
  CombineTask<T> task;
  task.slots = state_.slots;
  task.batch = needs_.batch;
  task.units = product.cols;
  task.shares = shares(layer);
  task.terms = terms();
  task.made = made_;
  task.y = y;
  task.projection = at_.projection;
  task.projection_stride = stride;
  if (lazy.velocity.data) {
    gemm(context_, product, state_.slots, lazy.multiplier, in, lazy.velocity, T(0),
         rows(at_.from_velocity, product.cols));
    task.from_velocity = at_.from_velocity;
  }
  gemm(context_, {needs_.batch, rank(), product.inner, Op::plain, Op::transposed}, state_.slots, lazy.multiplier, in,
       met, T(0), projection);
  combine_products(context_, task);
  gemm(context_, {needs_.batch, product.cols, rank()}, state_.slots, lazy.multiplier, projection, added, T(1), out);
}

template <class T>
void SlotWindow<T>::multiply_forward(Index layer, T* x, T* y) {
  const Index fan_out = layer_at(layer).rows, fan_in = layer_at(layer).cols;
  multiply(layer, {needs_.batch, fan_out, fan_in, Op::plain, Op::transposed}, x, factors(at_.features, layer, fan_in),
           factors(at_.signals, layer, fan_out), y);
}

template <class T>
void SlotWindow<T>::multiply_backward(Index layer, T* x, T* y) {
  const Index fan_out = layer_at(layer).rows, fan_in = layer_at(layer).cols;
  multiply(layer, {needs_.batch, fan_in, fan_out}, x, factors(at_.signals, layer, fan_out),
           factors(at_.features, layer, fan_in), y);
}

template <class T>
void SlotWindow<T>::push(Index layer, const T* delta, const T* h) {
  const LazyLayer<T>& lazy = layer_at(layer);
  const BatchedMatrix<T> signals = factors(at_.signals, layer, lazy.rows),
                         features = factors(at_.features, layer, lazy.cols);
  FactorTask<T> task;
  task.slots = state_.slots;
  task.batch = needs_.batch;
  task.rows = lazy.rows;
  task.cols = lazy.cols;
  task.delta = delta;
  task.h = h;
  task.signals = signals.data + rank() * lazy.rows;
  task.features = features.data + rank() * lazy.cols;
  task.signal_stride = signals.slot_stride;
  task.feature_stride = features.slot_stride;
  store_factors(context_, task);
  move_shares(context_, ShareTask{state_, rule_.update, lazy.rate, shares(layer), terms(), made_});
}

template <class T>
void SlotWindow<T>::end_step() {
  if (!needs_.lazy.empty() && ++made_ == needs_.window) merge();
}

/// c += sum_s q_s G_s, or r_s G_s, in one product over all steps. `scaled` may be the signals themselves.
template <class T>
void SlotWindow<T>::add_gradients(Index layer, bool to_velocity, BatchedMatrix<T> c, T* scaled) {
  const LazyLayer<T>& lazy = layer_at(layer);
  BatchedMatrix<T> signals = factors(at_.signals, layer, lazy.rows);
  ScaleTask<T> task;
  task.slots = state_.slots;
  task.made = made_;
  task.step_size = needs_.batch * lazy.rows;
  task.shares = shares(layer);
  task.terms = terms();
  task.of_velocity = to_velocity;
  task.factor = static_cast<double>(lazy.multiplier);
  task.signals = signals.data;
  task.scaled = scaled;
  task.stride = signals.slot_stride;
  scale_signals(context_, task);
  signals.data = scaled;
  gemm(context_, {lazy.rows, lazy.cols, rank(), Op::transposed, Op::plain}, state_.slots, T(1), signals,
       factors(at_.features, layer, lazy.cols), T(1), c);
}

template <class T>
void SlotWindow<T>::merge() {
  if (made_ == 0) return;
  for (const Index layer : needs_.lazy) {
    const LazyLayer<T>& lazy = layer_at(layer);
    StartTask<T> task;
    task.slots = state_.slots;
    task.size = lazy.rows * lazy.cols;
    task.shares = shares(layer);
    task.terms = terms();
    task.weights = lazy.weights.data;
    task.weight_stride = lazy.weights.slot_stride;
    task.velocity = lazy.velocity.data;
    task.velocity_stride = lazy.velocity.slot_stride;
    merge_starts(context_, task);
    // The weights come last: the signals are scaled where they stand.
    if (lazy.velocity.data) add_gradients(layer, true, lazy.velocity, at_.scaled);
    add_gradients(layer, false, lazy.weights, at_.signals[static_cast<std::size_t>(layer)]);
  }
  made_ = 0;
}

template class SlotWindow<float>;
template class SlotWindow<double>;

}  // namespace widelab::cuda
