// Linear dynamics with Gaussian noise in the eigenbasis of a Hessian: SGD without any nonlinearity, as a null model of
// what is measured on a trajectory.
//
// Mode i: e' = e - eta (g_i + h_i e + xi), Var xi = c_i. Batches with replacement: c = C / B, steps independent; fresh
// batches: c = C (N - B) / (B (N - 1)), independent; epochs: that c, and within an epoch of M = floor(N / B) steps
//   xi_k = sqrt(c (1 + beta)) (z_k - alpha mean z),  beta = B / (N - B),  alpha = 1 - sqrt((N mod B) / N),
// which has the covariance c ((1 + beta) delta_kl - beta) of batches without replacement
// (host/theory/shuffled_modes.hpp; for N = M B an epoch's noise sums to zero). Derived here.
#pragma once

#include <functional>
#include <vector>

#include "host/theory/eigenbasis.hpp"
#include "host/theory/shuffled_modes.hpp"
#include "widelab/model/minibatch_order.hpp"
#include "widelab/rng/streams.hpp"

namespace widelab::experiments {

/// Shows the vectors of a window one after another; every call shows the same.
using Replay = std::function<void(const std::function<void(const double* vector)>& visit)>;

/// Variance of a mode `steps` steps after it was at rest, replicas' orders independent: from an epoch's boundary on for
/// order epochs. Any curvature.
double mode_variance(const theory::ShuffledMode& mode, OrderKind order, Index steps);

struct LinearNull {
  theory::LinearTraining training;                  ///< plain gradient descent
  std::vector<double> curvature, noise;             ///< h_i, C_i of one example
  const theory::Eigenbasis* noise_basis = nullptr;  ///< modes of the noise, where they are not those of H: C = V
                                                    ///< diag(noise) V^T in the eigenbasis of H. Then `before` is 0
  std::vector<double> gradient;                     ///< g_i where e = 0; empty: 0, a minimum
  Index examples = 2, batch = 1;
  OrderKind order = OrderKind::epochs;  ///< epochs, fresh or iid
  Index before = 0;                     ///< steps of noise from rest to the beginning of the window, whose first point
                                        ///< is drawn from the law they lead to; 0: e = 0
  DrawId draws;                         ///< of Gaussian noise (Stream::langevin_weights)

  theory::ShuffledMode mode(std::size_t i) const;
  /// Calls visit(e_t) for t = 0 .. steps - 1, e in the eigenbasis. Memory: an epoch of noise.
  void run(Index steps, const std::function<void(const double*)>& visit) const;
};

}  // namespace widelab::experiments
