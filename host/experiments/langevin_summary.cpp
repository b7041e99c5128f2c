#include "host/experiments/langevin_summary.hpp"

#include <cmath>

#include "host/estimators/chain_convergence.hpp"
#include "host/estimators/jackknife.hpp"

namespace widelab::experiments {

using estimators::Estimate;

LangevinChains::LangevinChains(const LangevinCell& cell, const LangevinPrediction& predicted, const Samples& samples)
    : cell_(cell), predicted_(predicted), samples_(samples) {
  for (Index r = 0; r < samples.replicates; ++r)
    if (std::isfinite(samples.at(r, cell.column(0, ChainNumber::first_mean)))) chains_.push_back(r);
}

double LangevinChains::reference(Index quantity) const {
  if (quantity < cell_.points()) return predicted_.gibbs.mean[static_cast<std::size_t>(quantity)];
  return quantity == cell_.loss() ? predicted_.gibbs.loss : predicted_.gibbs.virial;
}

double LangevinChains::chain_mean(Index chain, Index quantity) const {
  return (number(chain, quantity, ChainNumber::first_mean) + number(chain, quantity, ChainNumber::second_mean)) / 2;
}

double LangevinChains::chain_square(Index chain, Index quantity) const {
  const auto h = static_cast<double>(cell_.half());
  const double a = number(chain, quantity, ChainNumber::first_mean) - reference(quantity),
               b = number(chain, quantity, ChainNumber::second_mean) - reference(quantity);
  return (a * a + b * b) / 2 + (h - 1) / h *
                                   (number(chain, quantity, ChainNumber::first_variance) +
                                    number(chain, quantity, ChainNumber::second_variance)) /
                                   2;
}

Estimate LangevinChains::mean(Index quantity) const {
  Samples one{static_cast<Index>(chains_.size()), 1, {}};
  for (Index c = 0; c < one.replicates; ++c) one.values.push_back(chain_mean(c, quantity));
  return one.mean(0);
}

Estimate LangevinChains::variance(Index quantity) const {
  std::vector<double> rows;
  for (Index c = 0; c < static_cast<Index>(chains_.size()); ++c)
    rows.insert(rows.end(), {chain_mean(c, quantity) - reference(quantity), chain_square(c, quantity)});
  return estimators::jackknife(rows, 2, [](std::span<const double> m, double) { return m[1] - m[0] * m[0]; });
}

Estimate LangevinChains::mean_projection() const {
  double norm = 0;
  for (const double mu : predicted_.gibbs.mean) norm += mu * mu;
  Samples one{static_cast<Index>(chains_.size()), 1, {}};
  for (Index c = 0; c < one.replicates; ++c) {
    double sum = 0;
    for (Index p = 0; p < cell_.points(); ++p) sum += chain_mean(c, p) * reference(p);
    one.values.push_back(sum / norm);
  }
  return one.mean(0);
}

Estimate LangevinChains::variance_ratio() const {
  double whole = 0;
  for (const double variance : predicted_.gibbs.variance) whole += variance;
  std::vector<double> rows;
  const Index points = cell_.points();
  for (Index c = 0; c < static_cast<Index>(chains_.size()); ++c) {
    double square = 0;
    for (Index p = 0; p < points; ++p) {
      rows.push_back(chain_mean(c, p) - reference(p));
      square += chain_square(c, p);
    }
    rows.push_back(square);
  }
  return estimators::jackknife(rows, points + 1, [whole](std::span<const double> m, double) {
    double centred = m.back();
    for (const double shift : m.first(m.size() - 1)) centred -= shift * shift;
    return centred / whole;
  });
}

Estimate LangevinChains::loss_ratio() const {
  Estimate out = mean(cell_.loss());
  out.value /= predicted_.gibbs.loss;
  out.se /= predicted_.gibbs.loss;
  return out;
}

Estimate LangevinChains::log_autocorrelation_time(Index quantity) const {
  std::vector<double> rows;
  for (Index c = 0; c < static_cast<Index>(chains_.size()); ++c) {
    const double shift = chain_mean(c, quantity) - reference(quantity);
    rows.insert(rows.end(), {shift, shift * shift, chain_square(c, quantity)});
  }
  const auto draws = 2 * static_cast<double>(cell_.half());
  return estimators::jackknife(rows, 3, [draws](std::span<const double> m, double count) {
    const double of_mean = count / (count - 1) * (m[1] - m[0] * m[0]);
    // The pooled mean takes a chain's share of the variance out of the draws.
    return std::log(draws * of_mean / (m[2] - m[0] * m[0] + of_mean / count));
  });
}

Estimate LangevinChains::effective_size(Index quantity) const {
  Samples one{static_cast<Index>(chains_.size()), 1, {}};
  for (Index c = 0; c < one.replicates; ++c) one.values.push_back(number(c, quantity, ChainNumber::effective_size));
  return one.mean(0);
}

Estimate LangevinChains::rhat(Index quantity) const {
  std::vector<estimators::SplitChain> split;
  for (Index c = 0; c < static_cast<Index>(chains_.size()); ++c)
    split.push_back({number(c, quantity, ChainNumber::first_mean), number(c, quantity, ChainNumber::second_mean),
                     number(c, quantity, ChainNumber::first_variance),
                     number(c, quantity, ChainNumber::second_variance)});
  return estimators::split_rhat(split, cell_.half());
}

estimators::GroupSample LangevinChains::about_gibbs_mean() const {
  estimators::GroupSample out;
  out.groups = static_cast<Index>(chains_.size());
  out.entries = 2 * cell_.points();
  out.counts.assign(chains_.size(), 1.0);
  for (Index c = 0; c < out.groups; ++c) {
    for (Index p = 0; p < cell_.points(); ++p) out.values.push_back(chain_mean(c, p) - reference(p));
    for (Index p = 0; p < cell_.points(); ++p) out.values.push_back(chain_square(c, p));
  }
  return out;
}

}  // namespace widelab::experiments
