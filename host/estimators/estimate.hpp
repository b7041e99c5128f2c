// What an estimator hands out: a number, its standard error and the number of independent replicates behind it; and
// the same estimate seen group by group, which is what joint tests and bootstraps over networks need.
#pragma once

#include <cmath>
#include <vector>

#include "widelab/base/types.hpp"

namespace widelab::estimators {

/// A number with its error bar. `value` or `se` is NaN only where too few replicates define it; see `defined`.
struct Estimate {
  double value = 0;
  double se = 0;     // standard error, unit of value
  double count = 0;  // independent replicates

  bool defined() const { return std::isfinite(value) && std::isfinite(se); }
};

/// Independent groups of replicates, each with one value per entry. The estimate of an entry is the count-weighted
/// mean over groups. For means the values are group means; for other statistics, jackknife pseudo-values.
struct GroupSample {
  Index groups = 0;
  Index entries = 0;
  std::vector<double> values;  // groups x entries, row-major
  std::vector<double> counts;  // groups: replicates in each, all > 0

  double at(Index group, Index entry) const { return values[static_cast<std::size_t>(group * entries + entry)]; }
  double total_count() const;
};

/// Count-weighted mean over groups: `entries` numbers. Errors: ContractError for inconsistent sizes or no group.
std::vector<double> weighted_mean(const GroupSample& sample);

/// The factor F, groups x entries row-major, of the covariance of the weighted means: Cov = F^T F, with rows
/// F_g = sqrt(n_g / (N (G - 1))) (m_g - mean). Unbiased for independent replicates also where the counts n_g differ
/// (derived in group_sample.cpp). Errors: ContractError with fewer than two groups.
std::vector<double> covariance_factor(const GroupSample& sample);

/// F^T F: entries x entries, row-major; unit of value squared. Prefer the factor where entries > groups.
std::vector<double> covariance_of_means(const GroupSample& sample);

/// Square roots of the diagonal of covariance_of_means, in O(groups x entries).
std::vector<double> group_standard_errors(const GroupSample& sample);

/// The groups g with keep(g), in order; counts unchanged.
template <class Keep>
GroupSample select_groups(const GroupSample& sample, Keep keep) {
  GroupSample out;
  out.entries = sample.entries;
  for (Index g = 0; g < sample.groups; ++g) {
    if (!keep(g)) continue;
    const auto begin = sample.values.begin() + g * sample.entries;
    out.values.insert(out.values.end(), begin, begin + sample.entries);
    out.counts.push_back(sample.counts[static_cast<std::size_t>(g)]);
    ++out.groups;
  }
  return out;
}

}  // namespace widelab::estimators
