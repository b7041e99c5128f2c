#include "host/estimators/quantile_sketch.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "host/estimators/significance.hpp"
#include "widelab/base/contract.hpp"

namespace widelab::estimators {
namespace {

constexpr double kA = QuantileSketch::kRelativeError;
// Added to the bucket of |x|: log(1e-308) / log(gamma) = -70860 stays positive.
constexpr std::int32_t kOffset = 1 << 20;

double log_gamma() { return std::log1p(kA) - std::log1p(-kA); }

std::int32_t bucket_of(double x) {
  const double size = std::abs(x);
  if (size < std::numeric_limits<double>::min()) return 0;
  const std::int32_t i = kOffset + static_cast<std::int32_t>(std::ceil(std::log(size) / log_gamma()));
  return x > 0 ? i : -i;
}

/// 2 gamma^i / (gamma + 1) = (1 - a) gamma^i, with the bucket's sign.
double answer_of(std::int32_t bucket) {
  if (bucket == 0) return 0;
  const double size = (1 - kA) * std::exp(static_cast<double>(std::abs(bucket) - kOffset) * log_gamma());
  return bucket > 0 ? size : -size;
}

/// The largest and the smallest number that the sketch answers by v.
double highest_behind(double v) { return v / (v > 0 ? 1 - kA : 1 + kA); }
double lowest_behind(double v) { return v / (v > 0 ? 1 + kA : 1 - kA); }

}  // namespace

QuantileSketch QuantileSketch::from_state(const State& state) {
  WIDELAB_REQUIRE(state.buckets.size() == state.counts.size(), "a saved sketch has not one count for each bucket");
  QuantileSketch out;
  for (std::size_t b = 0; b < state.buckets.size(); ++b) {
    WIDELAB_REQUIRE(b == 0 || state.buckets[b] > state.buckets[b - 1], "a saved sketch has buckets out of order");
    WIDELAB_REQUIRE(state.counts[b] > 0 && std::abs(state.buckets[b]) < 2 * kOffset,
                    "a saved sketch has an impossible bucket; the file is damaged");
    out.counts_.emplace_hint(out.counts_.end(), static_cast<std::int32_t>(state.buckets[b]), state.counts[b]);
    out.count_ += state.counts[b];
  }
  out.smallest_ = state.smallest;
  out.largest_ = state.largest;
  return out;
}

QuantileSketch::State QuantileSketch::state() const {
  State out;
  for (const auto& [bucket, count] : counts_) {
    out.buckets.push_back(bucket);
    out.counts.push_back(count);
  }
  out.smallest = smallest_;
  out.largest = largest_;
  return out;
}

void QuantileSketch::add(double x) {
  WIDELAB_REQUIRE(std::isfinite(x), "a number that is not finite has no quantile; leave a diverged member out");
  ++counts_[bucket_of(x)];
  smallest_ = count_ == 0 ? x : std::min(smallest_, x);
  largest_ = count_ == 0 ? x : std::max(largest_, x);
  ++count_;
}

void QuantileSketch::merge(const QuantileSketch& other) {
  if (other.count_ == 0) return;
  for (const auto& [bucket, count] : other.counts_) counts_[bucket] += count;
  smallest_ = count_ == 0 ? other.smallest_ : std::min(smallest_, other.smallest_);
  largest_ = count_ == 0 ? other.largest_ : std::max(largest_, other.largest_);
  count_ += other.count_;
}

double QuantileSketch::order_statistic(std::int64_t k) const {
  WIDELAB_REQUIRE(k >= 1 && k <= count_,
                  "order statistic " + std::to_string(k) + " of " + std::to_string(count_) + " numbers");
  if (k == 1) return smallest_;
  if (k == count_) return largest_;
  std::int64_t passed = 0;
  double answer = largest_;
  for (const auto& [bucket, count] : counts_) {
    passed += count;
    if (passed < k) continue;
    answer = answer_of(bucket);
    break;
  }
  return std::clamp(answer, smallest_, largest_);
}

Estimate QuantileSketch::quantile(double q) const {
  WIDELAB_REQUIRE(q >= 0 && q <= 1, "quantile " + std::to_string(q) + ", allowed: 0 to 1");
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  constexpr double kOneSigma = 0.6826894921370859;  // P(|N(0,1)| < 1)
  Estimate out{kNone, kNone, static_cast<double>(count_)};
  if (count_ == 0) return out;
  const auto k = static_cast<std::int64_t>(std::ceil(q * static_cast<double>(count_)));
  out.value = order_statistic(std::clamp<std::int64_t>(k, 1, count_));
  if (q == 0 || q == 1) return out;
  const Interval around = interval(q, kOneSigma);
  if (std::isfinite(around.hi - around.lo)) out.se = 0.5 * (around.hi - around.lo);
  return out;
}

QuantileSketch::Interval QuantileSketch::interval(double q, double confidence) const {
  WIDELAB_REQUIRE(q > 0 && q < 1 && confidence > 0 && confidence < 1, "quantile and confidence lie inside (0, 1)");
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Interval out{-kInfinity, kInfinity};
  if (count_ == 0) return out;
  const auto [lo, hi] = binomial_acceptance(count_, q, 1 - confidence);
  if (lo >= 1) out.lo = lowest_behind(order_statistic(lo));
  if (hi + 1 <= count_) out.hi = highest_behind(order_statistic(hi + 1));
  return out;
}

}  // namespace widelab::estimators
