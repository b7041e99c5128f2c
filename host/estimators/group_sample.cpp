// Means over groups of replicates and the covariance of those means.
//
// Replicates have covariance S, group g has n_g of them, N = sum n_g. With m = sum (n_g / N) m_g,
//   E sum_g (n_g / N) (m_g - m)(m_g - m)^T = sum_g (n_g / N) S / n_g - S / N = (G - 1) S / N,
// so dividing by G - 1 gives an unbiased estimate of Cov(m) = S / N.
#include <numeric>

#include "host/estimators/estimate.hpp"
#include "widelab/base/contract.hpp"

namespace widelab::estimators {

double GroupSample::total_count() const { return std::accumulate(counts.begin(), counts.end(), 0.0); }

std::vector<double> weighted_mean(const GroupSample& sample) {
  WIDELAB_REQUIRE(sample.groups >= 1, "a group sample has no group");
  WIDELAB_REQUIRE(sample.values.size() == static_cast<std::size_t>(sample.groups * sample.entries) &&
                      sample.counts.size() == static_cast<std::size_t>(sample.groups),
                  "a group sample's values or counts do not match groups x entries");
  const double total = sample.total_count();
  std::vector<double> mean(static_cast<std::size_t>(sample.entries), 0.0);
  for (Index g = 0; g < sample.groups; ++g) {
    const double weight = sample.counts[static_cast<std::size_t>(g)] / total;
    const double* row = sample.values.data() + g * sample.entries;
    for (std::size_t e = 0; e < mean.size(); ++e) mean[e] += weight * row[e];
  }
  return mean;
}

std::vector<double> covariance_factor(const GroupSample& sample) {
  const std::vector<double> mean = weighted_mean(sample);
  WIDELAB_REQUIRE(sample.groups >= 2, "a covariance over groups needs at least two groups");
  const double scale = 1.0 / (sample.total_count() * static_cast<double>(sample.groups - 1));
  std::vector<double> factor(sample.values.size());
  for (Index g = 0; g < sample.groups; ++g) {
    const double weight = std::sqrt(sample.counts[static_cast<std::size_t>(g)] * scale);
    const double* row = sample.values.data() + g * sample.entries;
    double* out = factor.data() + g * sample.entries;
    for (std::size_t e = 0; e < mean.size(); ++e) out[e] = weight * (row[e] - mean[e]);
  }
  return factor;
}

std::vector<double> covariance_of_means(const GroupSample& sample) {
  const std::vector<double> factor = covariance_factor(sample);
  const auto entries = static_cast<std::size_t>(sample.entries);
  std::vector<double> covariance(entries * entries, 0.0);
  for (Index g = 0; g < sample.groups; ++g) {
    const double* row = factor.data() + g * sample.entries;
    for (std::size_t i = 0; i < entries; ++i) {
      for (std::size_t j = 0; j < entries; ++j) covariance[i * entries + j] += row[i] * row[j];
    }
  }
  return covariance;
}

std::vector<double> group_standard_errors(const GroupSample& sample) {
  const std::vector<double> factor = covariance_factor(sample);
  std::vector<double> se(static_cast<std::size_t>(sample.entries), 0.0);
  for (Index g = 0; g < sample.groups; ++g) {
    const double* row = factor.data() + g * sample.entries;
    for (std::size_t e = 0; e < se.size(); ++e) se[e] += row[e] * row[e];
  }
  for (double& s : se) s = std::sqrt(s);
  return se;
}

}  // namespace widelab::estimators
