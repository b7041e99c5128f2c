#include "host/estimators/heavy_tail.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "widelab/base/contract.hpp"

namespace widelab::estimators {
namespace {

MomentReliability judge(double effective, double count) {
  const double variance = std::max(1.0 / effective - 1.0 / count, 0.0);
  return {effective >= std::max(std::sqrt(count), kLeastEffectiveCount), effective, std::sqrt(variance)};
}

}  // namespace

MomentReliability plain_moment_reliability(double mean_x2, double mean_x4, double count) {
  WIDELAB_REQUIRE(count >= 1, "count = " + std::to_string(count) + ", allowed: 1 or more");
  WIDELAB_REQUIRE(mean_x2 >= 0 && mean_x4 >= 0.999999 * mean_x2 * mean_x2,
                  "means of X^2 and X^4 violate E[X^4] >= E[X^2]^2: they are not moments of one sample");
  if (mean_x4 == 0) return judge(count, count);  // every replicate is zero, and so is the moment
  return judge(count * mean_x2 * mean_x2 / mean_x4, count);
}

MomentReliability lognormal_moment_reliability(double log_variance, double count) {
  WIDELAB_REQUIRE(count >= 1, "count = " + std::to_string(count) + ", allowed: 1 or more");
  WIDELAB_REQUIRE(log_variance >= 0, "log_variance = " + std::to_string(log_variance) + ", allowed: 0 or more");
  return judge(count * std::exp(-4.0 * log_variance), count);
}

TailShare tail_share_of_squares(std::span<const double> sample) {
  WIDELAB_REQUIRE(!sample.empty(), "the tail of an empty sample was asked for");
  std::vector<double> squares;
  squares.reserve(sample.size());
  for (const double x : sample) squares.push_back(x * x);
  std::sort(squares.begin(), squares.end(), std::greater<>());
  const double total = std::accumulate(squares.rbegin(), squares.rend(), 0.0);  // small terms first
  WIDELAB_REQUIRE(std::isfinite(total), "the tail of a sample with NaN or Inf was asked for");
  if (total == 0) return {};
  const auto top = static_cast<std::ptrdiff_t>(std::max<std::size_t>(1, sample.size() / 100));
  return {squares.front() / total, std::accumulate(squares.begin(), squares.begin() + top, 0.0) / total};
}

}  // namespace widelab::estimators
