// The lazy low-rank window: within it the weights of a layer are a combination of what they and their velocity were at
// its beginning, plus the factors of the steps since; nothing of the size of the weights is written until its end.
#pragma once

#include <vector>

#include "kernels/cpu/buffer.hpp"
#include "kernels/cpu/train_gemm_update.hpp"

namespace widelab::cpu {

/// Whether a layer's rows x cols weights are trained lazily: where a full window's rank, steps x batch, is at most
/// rows cols / (rows + cols), the factors add at most half of the arithmetic of the forward and backward products.
/// Heavy ball multiplies by V_0 as well, which doubles those products: a gain in memory traffic alone.
constexpr bool window_pays(Index rows, Index cols, Index batch, Index steps) {
  return steps > 1 && steps * batch * (rows + cols) <= rows * cols;
}

/// One layer: W_t = c W_0 + e V_0 + sum_s q_s G_s and V_t = c' W_0 + e' V_0 + sum_s r_s G_s, G_s = m delta_s^T a_s the
/// gradient of step s (delta: batch x rows, a: batch x cols), for sgd and heavy ball, decay included. A linear rule
/// acts on each coefficient pair as on a parameter and its velocity; derived in update_rules.hpp's terms.
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
  struct Share {
    double weight, velocity;  ///< coefficient in W_t, in V_t
  };

  Index rank() const { return static_cast<Index>(steps_.size()) * batch_; }
  void project(const T* x, const Buffer<T>& factors, Index width, bool parallel);
  void merge_rows(Index row, Index count);
  void add_factors(const std::vector<double>& shares, Index row, Index count, T* c) const;
  void restart();

  ParameterBlock<T> weights_;
  Index rows_, cols_, batch_;
  double multiplier_;
  Share start_weights_, start_velocity_;  ///< (c, c'), (e, e')
  std::vector<Share> steps_;              ///< (q_s, r_s)
  Buffer<T> deltas_, inputs_;             ///< rank x rows, rank x cols
  Buffer<T> projection_;                  ///< batch x rank
};

}  // namespace widelab::cpu
