// The lazy low-rank window of a batch of members on the device: within it nothing of the size of the weights is written
// (kernels/shared/window_coefficients.hpp).
#pragma once

#include <vector>

#include "kernels/cuda/gemm/slot_buffers.hpp"
#include "kernels/cuda/gemm/window_kernels.hpp"
#include "kernels/cuda/support/blas.hpp"

namespace widelab::cuda {

/// One lazily trained layer with rows x cols weights, m its forward multiplier.
template <class T>
struct LazyLayer {
  Index rows = 0, cols = 0;
  T multiplier = 1;
  double rate = 0;                     ///< relative learning rate
  BatchedMatrix<T> weights, velocity;  ///< velocity.data: null without momentum
};

/// A batched product has one factor for all members, but coefficients differ from member to member: they lie on the
/// device, are moved there by a kernel, and come in by elementwise passes over arrays of a batch's size. How many steps
/// the window holds is known to the host, since the rank of the products, so their shape, depends on it.
template <class T>
class SlotWindow {
 public:
  SlotWindow(Context& context, const TrainRule& rule, const SlotNeeds& needs, const SlotState& state,
             const WindowBuffers<T>& buffers)
      : context_(context), rule_(rule), needs_(needs), state_(state), at_(buffers), layers_(buffers.signals.size()) {}

  void add(Index layer, const LazyLayer<T>& lazy) { layers_[static_cast<std::size_t>(layer)] = lazy; }

  /// y (slots x B x rows) = m x W_t^T, x: slots x B x cols.
  void multiply_forward(Index layer, T* x, T* y);
  /// y (slots x B x cols) = m x W_t, x: slots x B x rows.
  void multiply_backward(Index layer, T* x, T* y);
  /// Makes the layer's step with gradient m delta^T h: factors are stored, coefficients move. Zeros where no member
  /// runs.
  void push(Index layer, const T* delta, const T* h);
  /// After all layers' updates. A window that is full is merged.
  void end_step();
  /// Writes W_t and V_t of all layers; the window begins anew.
  void merge();

 private:
  const LazyLayer<T>& layer_at(Index layer) const { return layers_[static_cast<std::size_t>(layer)]; }
  WindowShare* shares(Index layer) const { return at_.shares[static_cast<std::size_t>(layer)]; }
  Index terms() const { return WindowBuffers<T>::terms(needs_); }
  Index rank() const { return made_ * needs_.batch; }
  BatchedMatrix<T> rows(T* data, Index units) const { return {data, units, needs_.batch * units}; }
  BatchedMatrix<T> factors(const std::vector<T*>& of, Index layer, Index units) const {
    return {of[static_cast<std::size_t>(layer)], units, WindowBuffers<T>::factor_stride(needs_, units)};
  }
  void multiply(Index layer, const GemmShape& product, T* x, BatchedMatrix<T> met, BatchedMatrix<T> added, T* y);
  void add_gradients(Index layer, bool to_velocity, BatchedMatrix<T> c, T* scaled);

  Context& context_;
  const TrainRule& rule_;
  const SlotNeeds& needs_;
  const SlotState& state_;
  const WindowBuffers<T>& at_;
  std::vector<LazyLayer<T>> layers_;  ///< by layer; of lazy ones alone something is asked
  Index made_ = 0;                    ///< steps in the window
};

extern template class SlotWindow<float>;
extern template class SlotWindow<double>;

}  // namespace widelab::cuda
