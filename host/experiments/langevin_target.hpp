// Which law do Langevin dynamics sample? The rule of training read as a posterior, and settings under which it is none
// refused.
//
// With every step's gradient that of U = (kappa / 2) sum_i (f(x_i) - y_i)^2 + (lambda / 2) |theta|^2, on average over
// batches, the law for small steps is e^{-U / T}: a likelihood of noise variance s2 = T / kappa and the prior N(0, T /
// lambda) of every trained parameter. train.loss = "half-squared" with train.reduction = "dataset-sum" (or "sum" and
// all examples) gives kappa = 1; lambda = T then makes the prior N(0, 1). Learning rates that differ between layers are
// a metric of the dynamics and do not change the law.
#pragma once

#include "host/experiments/training_cell.hpp"

namespace widelab::experiments {

struct GibbsTarget {
  double curvature = 1;     ///< kappa
  double temperature = 1;   ///< T
  double weight_decay = 1;  ///< lambda
  bool readout_alone = false;

  double noise_variance() const { return temperature / curvature; }
  double prior_variance() const { return temperature / weight_decay; }
};

/// The key `chain.prior`.
io::KeySpec prior_key();

/// The law that `cell` samples. With chain.prior = "initial-law" the weight decay follows from it, and is set in
/// `cell`: lambda = T / std^2, so that networks are drawn from the prior. Throws RecipeError for a rule that has no
/// such law for small steps (optimisers without a temperature, T or lambda = 0, other losses, dropout, label noise,
/// schedules, decoupled decay, sampling by epochs, rates of each network's own), a network that is trained in part,
/// and, where all layers are trained, a parametrisation whose prior has no limit of infinite width.
GibbsTarget gibbs_target(const io::Recipe& recipe, TrainingCell& cell);

/// The network as drawn under the prior of the target.
Network prior_network(const Network& network, const GibbsTarget& target);

}  // namespace widelab::experiments
