// The lazy low-rank window: while it lasts, weights and velocity of a layer are combinations of fixed terms,
//   W_t = sum_k w_k X_k,   V_t = sum_k v_k X_k,   X = (W_0, V_0, G_0, G_1, ...),
// W_0 and V_0 at its beginning, G_s = m delta_s^T a_s the gradient of its step s (delta: B x rows, a: B x cols). Under
// sgd and heavy ball, decay included, each pair (w_k, v_k) moves as a parameter and its velocity do; derived in
// update_rules.hpp's terms. Loops and products are the engines' own.
#pragma once

#include "widelab/base/types.hpp"
#include "widelab/math/update_rules.hpp"

namespace widelab {

/// Whether a layer's rows x cols weights are trained lazily: where a full window's rank, steps x batch, is at most
/// rows cols / (rows + cols), the factors add at most half of the arithmetic of the forward and backward products.
/// Heavy ball multiplies by V_0 as well, which doubles those products: a gain in memory traffic alone.
constexpr bool window_pays(Index rows, Index cols, Index batch, Index steps) {
  return steps > 1 && steps * batch * (rows + cols) <= rows * cols;
}

/// One term's coefficients in W_t and in V_t.
struct WindowShare {
  double weight = 0, velocity = 0;
};

/// Which X_k is W_0, V_0, and the gradient of the window's first step.
inline constexpr Index kTermOfWeights = 0, kTermOfVelocity = 1, kTermOfGradients = 2;

/// A term's coefficients when it comes in: W_0 and V_0 at the window's beginning, a gradient before its own step.
WIDELAB_HD WindowShare first_share(Index term) {
  return {term == kTermOfWeights ? 1.0 : 0.0, term == kTermOfVelocity ? 1.0 : 0.0};
}

/// The coefficients after a step; `gradient` is 1 for the term that is the step's own gradient, else 0.
WIDELAB_HD WindowShare moved_share(const UpdateStep<double>& step, WindowShare share, double gradient) {
  double none = 0;
  share.weight += update_increment(step, share.weight, gradient, 0.0, share.velocity, none);
  return share;
}

/// What W_0 and V_0 are replaced by at a window's end, before the gradients are added.
template <class T>
struct WindowStart {
  /// The change of W_0's coefficient, not the coefficient: near 1 it would lose the digits of a small decay.
  T change;
  T from_velocity, to_velocity, kept;

  WIDELAB_HD WindowStart(const WindowShare& weights, const WindowShare& velocity)
      : change(static_cast<T>(weights.weight - 1)),
        from_velocity(static_cast<T>(velocity.weight)),
        to_velocity(static_cast<T>(weights.velocity)),
        kept(static_cast<T>(velocity.velocity)) {}

  WIDELAB_HD T weight(T w) const { return w + change * w; }
  WIDELAB_HD T weight(T w, T v) const { return w + (change * w + from_velocity * v); }
  WIDELAB_HD T velocity(T w, T v) const { return to_velocity * w + kept * v; }
  /// Whether both stay what they are.
  WIDELAB_HD bool is_identity() const {
    return change == T(0) && from_velocity == T(0) && to_velocity == T(0) && kept == T(1);
  }
};

}  // namespace widelab
