// Quantiles of a stream in bounded memory: logarithmic buckets with exact counts.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "host/estimators/estimate.hpp"

namespace widelab::estimators {

/// DDSketch (Masson, Rim, Lee 2019, Proc. VLDB Endow. 12, 2195) without collapsing: a positive x falls into bucket
/// i = ceil(log x / log gamma), gamma = (1 + a) / (1 - a), which answers 2 gamma^i / (gamma + 1), within the relative
/// error a = 1/2 % of every x in it; negative numbers have buckets of their own, and 0 one (with all |x| below the
/// smallest normal number). Counts are exact, so the sketch does not depend on the order of the numbers, and two
/// sketches add up to the sketch of all. Smallest and largest number are kept exactly.
class QuantileSketch {
 public:
  static constexpr double kRelativeError = 0.005;

  /// Numbers lo <= x <= hi that hold the quantile; infinite where the sample does not bound it.
  struct Interval {
    double lo = 0, hi = 0;
  };

  /// Everything, for a checkpoint.
  struct State {
    std::vector<std::int64_t> buckets;  ///< increasing: position of each filled bucket on the real line
    std::vector<std::int64_t> counts;
    double smallest = 0, largest = 0;
  };

  QuantileSketch() = default;
  /// Errors: ContractError where buckets do not increase or a count is not positive.
  static QuantileSketch from_state(const State& state);
  State state() const;

  /// Errors: ContractError for a number that is not finite.
  void add(double x);
  void merge(const QuantileSketch& other);

  std::int64_t count() const { return count_; }
  double smallest() const { return smallest_; }
  double largest() const { return largest_; }

  /// The k-th smallest number, k = 1 .. count, to the relative error, exactly for k = 1 and k = count. Errors:
  /// ContractError for another k.
  double order_statistic(std::int64_t k) const;

  /// x_(k), k = max(1, ceil(q n)), 0 <= q <= 1: the inverse of the empirical distribution function. `se`: half the
  /// width of interval(q, 68.27 %); NaN where that is infinite. `value` is NaN without numbers.
  Estimate quantile(double q) const;

  /// The order statistics x_(lo), x_(hi + 1) with P(K < lo) and P(K > hi) at most (1 - confidence)/2 each, K ~ Bin(n,
  /// q) the number of draws below the quantile (David and Nagaraja, Order Statistics, 2003, section 7.1), widened by
  /// the relative error. Holds the quantile with at least that probability for any continuous law. Needs independent
  /// draws.
  Interval interval(double q, double confidence) const;

 private:
  std::map<std::int32_t, std::int64_t> counts_;  ///< bucket -> numbers in it; 0: zero, below: negative
  std::int64_t count_ = 0;
  double smallest_ = 0, largest_ = 0;
};

}  // namespace widelab::estimators
