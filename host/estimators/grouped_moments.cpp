#include "host/estimators/grouped_moments.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "widelab/base/contract.hpp"

namespace widelab::estimators {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
constexpr int kMaxOrder = 4;

/// Sums over some replicates of (x - shift)^p, with their number.
struct PowerSums {
  double n = 0;
  std::array<double, kMaxOrder> s{};  // s[p - 1]
};

/// Central moments of the replicates about their own mean, and that mean minus the shift.
struct CentralMoments {
  double offset = 0, m2 = 0, m3 = 0, m4 = 0;
};

CentralMoments central_moments(const PowerSums& p) {
  const double d = p.s[0] / p.n, a2 = p.s[1] / p.n, a3 = p.s[2] / p.n, a4 = p.s[3] / p.n;
  return {d, a2 - d * d, a3 - 3 * d * a2 + 2 * d * d * d, a4 - 4 * d * a3 + 6 * d * d * a2 - 3 * d * d * d * d};
}

double k2(const CentralMoments& c, double n) { return n / (n - 1) * c.m2; }
double k3(const CentralMoments& c, double n) { return n * n / ((n - 1) * (n - 2)) * c.m3; }
double k4(const CentralMoments& c, double n) {
  return n * n * ((n + 1) * c.m4 - 3 * (n - 1) * c.m2 * c.m2) / ((n - 1) * (n - 2) * (n - 3));
}

/// E[X^p] about zero by the binomial theorem from sums about `shift`.
double raw_moment(const PowerSums& p, double shift, int power) {
  double sum = 0, binomial = 1, shift_power = 1;
  for (int j = 0; j <= power; ++j) {
    const int q = power - j;
    sum += binomial * shift_power * (q == 0 ? 1.0 : p.s[static_cast<std::size_t>(q - 1)] / p.n);
    binomial *= static_cast<double>(power - j) / (j + 1);
    shift_power *= shift;
  }
  return sum;
}

double evaluate(Statistic statistic, const PowerSums& p, double shift) {
  if (p.n < order_of(statistic)) return kUndefined;
  const CentralMoments c = central_moments(p);
  switch (statistic) {
    case Statistic::mean:
      return shift + c.offset;
    case Statistic::variance:
      return k2(c, p.n);
    case Statistic::third_cumulant:
      return k3(c, p.n);
    case Statistic::fourth_cumulant:
      return k4(c, p.n);
    case Statistic::second_moment_ratio: {
      const double mean = shift + c.offset;
      return (mean * mean + c.m2) / (mean * mean);
    }
    case Statistic::fourth_moment_ratio: {
      const double second = raw_moment(p, shift, 2);
      return raw_moment(p, shift, 4) / (second * second);
    }
    case Statistic::excess_kurtosis:
      return k4(c, p.n) / (k2(c, p.n) * k2(c, p.n));
  }
  return kUndefined;
}

/// Ratios are biased at order 1/N, which the jackknife removes; k-statistics are unbiased as they are.
bool is_ratio(Statistic statistic) {
  return statistic == Statistic::second_moment_ratio || statistic == Statistic::fourth_moment_ratio ||
         statistic == Statistic::excess_kurtosis;
}

}  // namespace

int order_of(Statistic statistic) {
  switch (statistic) {
    case Statistic::mean:
      return 1;
    case Statistic::variance:
    case Statistic::second_moment_ratio:
      return 2;
    case Statistic::third_cumulant:
      return 3;
    case Statistic::fourth_cumulant:
    case Statistic::fourth_moment_ratio:
    case Statistic::excess_kurtosis:
      return 4;
  }
  return kMaxOrder;
}

/// Whole-sample values and deleted-group values of a statistic over the non-empty groups.
struct GroupedMoments::Jackknife {
  std::vector<double> whole;    // entries
  std::vector<double> deleted;  // groups x entries
  std::vector<double> counts;   // groups
  double total = 0;

  double pseudo_value(std::size_t group, std::size_t entry) const {
    const double h = total / counts[group];
    return h * whole[entry] - (h - 1) * deleted[group * whole.size() + entry];
  }
};

GroupedMoments::GroupedMoments(std::vector<double> shift, int order, Index groups)
    : shift_(std::move(shift)), order_(order), groups_(groups) {
  WIDELAB_REQUIRE(order >= 1 && order <= kMaxOrder, "order = " + std::to_string(order) + ", allowed: 1 to 4");
  WIDELAB_REQUIRE(groups >= 2, "groups = " + std::to_string(groups) + ", allowed: 2 or more");
  WIDELAB_REQUIRE(!shift_.empty(), "shift is empty; it has one value per entry");
  for (const double s : shift_) WIDELAB_REQUIRE(std::isfinite(s), "a shift is not finite; use 0 where theory has none");
  sums_.assign(static_cast<std::size_t>(groups_ * order_) * shift_.size(), 0.0);
  counts_.assign(static_cast<std::size_t>(groups_), 0.0);
  last_.assign(static_cast<std::size_t>(groups_), -1.0);
}

GroupedMoments::State GroupedMoments::state() const {
  State out{entries(), order_, groups_, {}};
  for (const auto* part : {&shift_, &sums_, &counts_, &last_}) {
    out.values.insert(out.values.end(), part->begin(), part->end());
  }
  return out;
}

GroupedMoments GroupedMoments::from_state(const State& state) {
  WIDELAB_REQUIRE(state.entries >= 1 && state.order >= 1 && state.order <= kMaxOrder && state.groups >= 2,
                  "a saved state of moments has impossible sizes; the file is damaged or of another version");
  const Index expected = state.entries * (1 + state.groups * state.order) + 2 * state.groups;
  WIDELAB_REQUIRE(static_cast<Index>(state.values.size()) == expected,
                  "a saved state of moments has " + std::to_string(state.values.size()) + " values, expected " +
                      std::to_string(expected));
  auto at = state.values.begin();
  GroupedMoments out(std::vector<double>(at, at + state.entries), state.order, state.groups);
  at += state.entries;
  for (auto* part : {&out.sums_, &out.counts_, &out.last_}) {
    std::copy(at, at + static_cast<std::ptrdiff_t>(part->size()), part->begin());
    at += static_cast<std::ptrdiff_t>(part->size());
  }
  for (std::size_t g = 0; g < out.counts_.size(); ++g) {
    const double most = (out.last_[g] + static_cast<double>(out.groups_)) / static_cast<double>(out.groups_);
    WIDELAB_REQUIRE(out.counts_[g] >= 0 && out.counts_[g] <= most,
                    "a saved state of moments counts more replicates than it can have seen; the file is damaged");
  }
  return out;
}

void GroupedMoments::add(std::int64_t replicate, std::span<const double> values) {
  WIDELAB_REQUIRE(values.size() == shift_.size(), "replicate " + std::to_string(replicate) + " has " +
                                                      std::to_string(values.size()) + " values, expected " +
                                                      std::to_string(shift_.size()));
  WIDELAB_REQUIRE(replicate >= 0, "replicate = " + std::to_string(replicate) + ", allowed: 0 or more");
  const auto group = static_cast<std::size_t>(replicate % groups_);
  WIDELAB_REQUIRE(static_cast<double>(replicate) > last_[group],
                  "replicate " + std::to_string(replicate) + " was added already or comes out of order in its group");
  bool finite = true;
  for (const double v : values) finite = finite && std::isfinite(v);
  WIDELAB_REQUIRE(finite, "replicate " + std::to_string(replicate) +
                              " has a value that is not finite; leave a diverged member out and report its status");
  const std::size_t entry_count = shift_.size();
  double* base = sums_.data() + group * static_cast<std::size_t>(order_) * entry_count;
  for (std::size_t e = 0; e < entry_count; ++e) {
    const double x = values[e] - shift_[e];
    double power = x;
    for (std::size_t p = 0; p < static_cast<std::size_t>(order_); ++p, power *= x) base[p * entry_count + e] += power;
  }
  counts_[group] += 1;
  last_[group] = static_cast<double>(replicate);
}

double GroupedMoments::count() const { return std::accumulate(counts_.begin(), counts_.end(), 0.0); }

const double* GroupedMoments::sums(Index group, int power) const {
  return sums_.data() + (group * order_ + power - 1) * entries();
}

std::vector<double> GroupedMoments::totals() const {
  const std::size_t length = static_cast<std::size_t>(order_) * shift_.size();
  std::vector<double> out(length, 0.0);
  for (Index g = 0; g < groups_; ++g) {
    const double* row = sums(g, 1);
    for (std::size_t i = 0; i < length; ++i) out[i] += row[i];
  }
  return out;
}

GroupedMoments::Jackknife GroupedMoments::deleted_group_values(Statistic statistic) const {
  WIDELAB_REQUIRE(order_of(statistic) <= order_, "the statistic needs powers up to " +
                                                     std::to_string(order_of(statistic)) + ", kept are " +
                                                     std::to_string(order_));
  const std::vector<double> total = totals();
  const std::size_t entry_count = shift_.size();
  Jackknife out;
  out.total = count();
  out.whole.resize(entry_count);
  const auto value_without = [&](std::size_t entry, Index group) {  // group < 0: the whole sample
    PowerSums p;
    p.n = out.total - (group < 0 ? 0.0 : counts_[static_cast<std::size_t>(group)]);
    for (int q = 1; q <= order_; ++q) {
      const auto slot = static_cast<std::size_t>(q - 1);
      p.s[slot] = total[slot * entry_count + entry] - (group < 0 ? 0.0 : sums(group, q)[entry]);
    }
    return evaluate(statistic, p, shift_[entry]);
  };
  for (std::size_t e = 0; e < entry_count; ++e) out.whole[e] = value_without(e, -1);
  for (Index g = 0; g < groups_; ++g) {
    const double n = counts_[static_cast<std::size_t>(g)];
    if (n == 0) continue;
    out.counts.push_back(n);
    for (std::size_t e = 0; e < entry_count; ++e) out.deleted.push_back(value_without(e, g));
  }
  return out;
}

std::vector<Estimate> GroupedMoments::mean_estimates() const {
  const std::vector<double> total = totals();
  const double n = count();
  std::vector<Estimate> out(shift_.size(), Estimate{kUndefined, kUndefined, n});
  if (n == 0) return out;
  for (std::size_t e = 0; e < shift_.size(); ++e) out[e].value = shift_[e] + total[e] / n;
  if (n < 2) return out;
  if (order_ == 1) {
    const GroupSample sample = group_sample(Statistic::mean);
    if (sample.groups < 2) return out;
    const std::vector<double> se = group_standard_errors(sample);
    for (std::size_t e = 0; e < out.size(); ++e) out[e].se = se[e];
    return out;
  }
  for (std::size_t e = 0; e < shift_.size(); ++e) {
    const double offset = total[e] / n;
    const double variance = n / (n - 1) * (total[shift_.size() + e] / n - offset * offset);
    out[e].se = std::sqrt(std::max(variance, 0.0) / n);
  }
  return out;
}

std::vector<Estimate> GroupedMoments::estimate(Statistic statistic) const {
  if (statistic == Statistic::mean) return mean_estimates();
  const Jackknife jackknife = deleted_group_values(statistic);
  const std::size_t group_count = jackknife.counts.size();
  const double g = static_cast<double>(group_count);
  std::vector<Estimate> out(shift_.size());
  for (std::size_t e = 0; e < out.size(); ++e) {
    out[e] = {jackknife.whole[e], kUndefined, jackknife.total};
    if (group_count < 2) continue;
    // T_J = sum_g (n_g / N) pseudo-value_g; variance = (1/G) sum_g (pseudo-value_g - T_J)^2 / (h_g - 1).
    double corrected = 0;
    for (std::size_t k = 0; k < group_count; ++k) {
      corrected += jackknife.counts[k] / jackknife.total * jackknife.pseudo_value(k, e);
    }
    double variance = 0;
    for (std::size_t k = 0; k < group_count; ++k) {
      const double deviation = jackknife.pseudo_value(k, e) - corrected;
      variance += deviation * deviation / (jackknife.total / jackknife.counts[k] - 1) / g;
    }
    out[e].se = std::sqrt(variance);
    if (is_ratio(statistic) && std::isfinite(corrected)) out[e].value = corrected;
  }
  return out;
}

GroupSample GroupedMoments::group_sample(Statistic statistic) const {
  GroupSample out;
  out.entries = entries();
  if (statistic == Statistic::mean) {
    for (Index g = 0; g < groups_; ++g) {
      const double n = counts_[static_cast<std::size_t>(g)];
      if (n == 0) continue;
      const double* row = sums(g, 1);
      for (std::size_t e = 0; e < shift_.size(); ++e) out.values.push_back(shift_[e] + row[e] / n);
      out.counts.push_back(n);
    }
    out.groups = static_cast<Index>(out.counts.size());
    return out;
  }
  const Jackknife jackknife = deleted_group_values(statistic);
  out.groups = static_cast<Index>(jackknife.counts.size());
  out.counts = jackknife.counts;
  out.values.reserve(jackknife.deleted.size());
  for (std::size_t g = 0; g < jackknife.counts.size(); ++g) {
    for (std::size_t e = 0; e < shift_.size(); ++e) {
      const double value = jackknife.pseudo_value(g, e);
      WIDELAB_REQUIRE(std::isfinite(value), "a pseudo-value is undefined: too few replicates (" +
                                                std::to_string(jackknife.total) + ") for this statistic");
      out.values.push_back(value);
    }
  }
  return out;
}

std::vector<double> GroupedMoments::raw_moments() const {
  const std::vector<double> total = totals();
  const double n = count();
  WIDELAB_REQUIRE(n > 0, "moments of no replicate were asked for");
  std::vector<double> out;
  out.reserve(total.size());
  for (std::size_t e = 0; e < shift_.size(); ++e) {
    PowerSums p;
    p.n = n;
    for (std::size_t q = 0; q < static_cast<std::size_t>(order_); ++q) p.s[q] = total[q * shift_.size() + e];
    for (int q = 1; q <= order_; ++q) out.push_back(raw_moment(p, shift_[e], q));
  }
  return out;
}

}  // namespace widelab::estimators
