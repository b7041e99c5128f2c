// The lazy low-rank window: within it the weights of a layer are a combination of what they and their velocity were at
// its beginning, plus the factors of the steps since; nothing of the size of the weights is written until its end.
#pragma once

#include <vector>

#include "kernels/cpu/buffer.hpp"
#include "kernels/cpu/train_gemm_update.hpp"
#include "kernels/shared/window_coefficients.hpp"

namespace widelab::cpu {

/// One layer of one member. q_s below: the coefficient of G_s in W_t (kernels/shared/window_coefficients.hpp).
template <class T>
class LazyWindow {
 public:
  /// `weights` has v where the rule has it.
  LazyWindow(const ParameterBlock<T>& weights, Index rows, Index cols, Index batch, Index steps, double multiplier);

  /// What products with W_t and with its transpose share among their tiles: x F^T scaled by q_s m, F the stored a
  /// (x = h, batch x cols) or delta (x = dz, batch x rows).
  void project_inputs(const T* h, bool parallel);
  void project_signals(const T* dz, bool parallel);
  /// Columns [first, first + count) of z (batch x rows, stride rows) = m h W_t^T, after project_inputs(h).
  void multiply_forward(const T* h, Index first, Index count, T* z) const;
  /// Columns [first, first + count) of g (batch x cols, stride cols) = m dz W_t, after project_signals(dz).
  void multiply_backward(const T* dz, Index first, Index count, T* g) const;

  /// Makes the step with gradient m dz^T h: factors are stored, coefficients move.
  void push(const UpdateStep<double>& step, const T* dz, const T* h);
  /// Writes W_t and V_t; the window begins anew.
  void merge(bool parallel);

 private:
  Index steps_made() const { return static_cast<Index>(shares_.size()) - kTermOfGradients; }
  Index rank() const { return steps_made() * batch_; }
  const WindowShare& share(Index term) const { return shares_[static_cast<std::size_t>(term)]; }
  /// Of the gradient that row r of the factors belongs to.
  const WindowShare& share_of_row(Index r) const { return share(kTermOfGradients + r / batch_); }
  void project(const T* x, const Buffer<T>& factors, Index width, bool parallel);
  void merge_rows(Index row, Index count);
  void add_factors(double WindowShare::*coefficient, Index row, Index count, T* c) const;
  void restart();

  ParameterBlock<T> weights_;
  Index rows_, cols_, batch_;
  double multiplier_;
  std::vector<WindowShare> shares_;
  Buffer<T> deltas_, inputs_;  ///< rank x rows, rank x cols
  Buffer<T> projection_;       ///< batch x rank
};

}  // namespace widelab::cpu
