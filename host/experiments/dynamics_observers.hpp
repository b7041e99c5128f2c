// Observers of ntk-dynamics: a network beside the infinite ensemble, beside its linearisation with the infinite-width
// kernel, and beside its linearisation with its own kernel at the start.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/engine/training_job.hpp"
#include "host/experiments/dynamics_prediction.hpp"

namespace widelab::experiments {

/// What all observers of a cell refer to.
struct DynamicsScene {
  DynamicsPrediction prediction;
  std::vector<Index> probes;  ///< points whose mean and covariance are looked at
  LossKind loss = LossKind::half_squared;
  Reduction reduction = Reduction::sum;
  double zero_loss = 0;        ///< objective below which the training loss counts as zero
  double kernel_rounding = 0;  ///< of empirical kernels: OwnLinearisation
  Index pairs() const {
    const auto p = static_cast<Index>(probes.size());
    return p * (p + 1) / 2;
  }
};

/// f_t - m_t at the probes (probes x k), m_t the mean of the infinite ensemble: name "centred".
/// f_t - f_lin (probes x k), f_lin the linearisation with the infinite-width kernel: name "shift".
/// Pairs p <= q of probes, means over outputs: (f - m)_p (f - m)_q minus the covariance of the infinite ensemble: name
/// "products"; minus (f_lin - m)_p (f_lin - m)_q instead: name "product_shift".
/// Numbers of a whole network, path_scalars(): name "network".
std::vector<std::shared_ptr<const engine::Observer>> dynamics_observers(
    const std::shared_ptr<const DynamicsScene>& scene);

/// Entries of "network", in order:
///   train_loss            the objective on the training set
///   test_loss             mean loss of a test example
///   path_limit_train, _test   mean of (f - f_lin)^2 over the set's entries / residual_scale, infinite-width kernel
///   path_own_train, _test     the same with the network's own kernel at the start; one output only
///   kernel_change         |Theta_t - Theta_0|_F^2 / |Theta_0|_F^2 on all points, means over outputs
///   least_eigenvalue      of Theta_t on the training set
///   zero_loss             1 if the objective is below the scene's zero_loss
///   zero_loss_linearised  the same of its linearisation with the infinite-width kernel
///   decay_rate            -log(|f_t(X) - y| / |f_0(X) - y|) / t, 0 at t = 0
///   decay_rate_linearised the same of that linearisation
/// Those of the test set are left out without test examples.
std::vector<std::string> path_scalars(const DynamicsScene& scene);

}  // namespace widelab::experiments
