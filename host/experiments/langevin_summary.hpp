// The rows of a finished cell of `langevin` as estimates: posterior moments, ratios to the Gibbs law, and what the
// chains say of themselves.
#pragma once

#include <vector>

#include "host/estimators/estimate.hpp"
#include "host/experiments/langevin_prediction.hpp"

namespace widelab::experiments {

/// Errors are over chains, of means directly and of everything else by the jackknife.
class LangevinChains {
 public:
  LangevinChains(const LangevinCell& cell, const LangevinPrediction& predicted, const Samples& samples);

  estimators::Estimate mean(Index quantity) const;
  /// Pooled variance of a draw: mean square over chains and draws less the squared mean.
  estimators::Estimate variance(Index quantity) const;

  /// (m.mu) / (mu.mu) over all points, m the measured means and mu those of the Gibbs law.
  estimators::Estimate mean_projection() const;
  /// Sum of the variances at all points over that of the Gibbs law.
  estimators::Estimate variance_ratio() const;
  /// Mean loss over that of the Gibbs law.
  estimators::Estimate loss_ratio() const;

  /// log of n Var(a chain's mean) / Var(draw), which needs no autocorrelations because chains are independent. The
  /// logarithm of a variance is nearly normal with an error that does not depend on its value.
  estimators::Estimate log_autocorrelation_time(Index quantity) const;
  /// Mean over chains of Geyer's effective sample size.
  estimators::Estimate effective_size(Index quantity) const;
  estimators::Estimate rhat(Index quantity) const;

  /// A chain's mean of f - mu and of (f - mu)^2 at every point, for joint tests against 0 and the variances.
  estimators::GroupSample about_gibbs_mean() const;

 private:
  double number(Index chain, Index quantity, ChainNumber which) const {
    return samples_.at(chains_[static_cast<std::size_t>(chain)], cell_.column(quantity, which));
  }
  double reference(Index quantity) const;
  double chain_mean(Index chain, Index quantity) const;
  /// Mean square about `reference`.
  double chain_square(Index chain, Index quantity) const;

  const LangevinCell& cell_;
  const LangevinPrediction& predicted_;
  const Samples& samples_;
  std::vector<Index> chains_;  ///< that did not diverge
};

}  // namespace widelab::experiments
