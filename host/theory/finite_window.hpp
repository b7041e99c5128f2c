// What the variance inside a window of W steps is expected to be, for processes of known autocovariance: a direction
// that is not in equilibrium within the window shows less than its stationary variance.
#pragma once

#include <vector>

#include "widelab/base/types.hpp"

namespace widelab::theory {

/// Expected variance (1/W) sum (x_k - fit_k)^2 of a window, after its mean, or its least-squares line, is taken away.
struct WindowVariance {
  double centred = 0.0, detrended = 0.0;
};

/// Stationary process with autocovariances g_0, g_1, .., at least W of them (lags beyond the window do not count), W >=
/// 2:
///   centred   = g_0 - (1/W) [g_0 + 2 sum_{0<k<W} (1 - k/W) g_k],
///   detrended = centred - [r_0 g_0 + 2 sum r_k g_k] / (W r_0), r_k = sum_i u_i u_{i+k} for the centred times u_i,
///   r_k = n (n^2 - 1) / 12 - n k^2 / 4, n = W - k. Derived here.
WindowVariance window_variance(const std::vector<double>& autocovariance, Index window);
/// g_k = a^k: an autoregressive process of order 1 and unit variance; a = 1 - eta h for SGD.
WindowVariance ar1_window_variance(double decay, Index window);

/// Random walk x_k, k = 0 .. W - 1, of unit step variance: (W^2 - 1) / (6 W) and (W^2 - 4) / (15 W).
WindowVariance walk_window_variance(Index window);
/// The bridge of one epoch of W steps, Cov of its steps (W / (W - 1)) (delta - 1/W): (W + 1) / 12 and (W^2 - 4) /
/// (15 (W - 1)). Once its line is taken away a walk and a bridge look alike.
WindowVariance bridge_window_variance(Index window);

}  // namespace widelab::theory
