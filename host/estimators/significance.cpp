#include "host/estimators/significance.hpp"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "widelab/base/contract.hpp"

namespace widelab::estimators {
namespace {

std::vector<double> sorted(std::span<const double> sample) {
  WIDELAB_REQUIRE(!sample.empty(), "a Kolmogorov-Smirnov test was given an empty sample");
  std::vector<double> out(sample.begin(), sample.end());
  for (const double x : out) WIDELAB_REQUIRE(std::isfinite(x), "a Kolmogorov-Smirnov sample holds NaN or Inf");
  std::sort(out.begin(), out.end());
  return out;
}

KsResult with_p(double distance, double effective) {
  const double root = std::sqrt(effective);
  return {distance, kolmogorov_tail((root + 0.12 + 0.11 / root) * distance)};
}

}  // namespace

double z_score(double mean, double se, double theory, double theory_error) {
  const double difference = mean - theory, error = std::hypot(se, theory_error);
  if (error == 0) return difference == 0 ? 0.0 : std::copysign(std::numeric_limits<double>::infinity(), difference);
  return difference / error;
}

double two_sided_p(double z) { return std::erfc(std::abs(z) / std::sqrt(2.0)); }

double z_threshold(double alpha, Index tests) {
  WIDELAB_REQUIRE(alpha > 0 && alpha < 1, "alpha = " + std::to_string(alpha) + ", allowed: between 0 and 1");
  WIDELAB_REQUIRE(tests >= 1, "tests = " + std::to_string(tests) + ", allowed: 1 or more");
  const double each = -std::expm1(std::log1p(-alpha) / static_cast<double>(tests));  // 1 - (1 - alpha)^(1/tests)
  return boost::math::quantile(boost::math::complement(boost::math::normal(), 0.5 * each));
}

std::pair<Index, Index> binomial_acceptance(Index trials, double probability, double alpha) {
  WIDELAB_REQUIRE(trials >= 1, "trials = " + std::to_string(trials) + ", allowed: 1 or more");
  WIDELAB_REQUIRE(probability >= 0 && probability <= 1 && alpha > 0 && alpha < 1,
                  "probability must be in [0, 1] and alpha between 0 and 1");
  const boost::math::binomial law(static_cast<double>(trials), probability);
  const auto below = [&](Index k) { return k <= 0 ? 0.0 : boost::math::cdf(law, static_cast<double>(k - 1)); };
  const auto above = [&](Index k) {
    return k >= trials ? 0.0 : boost::math::cdf(boost::math::complement(law, static_cast<double>(k)));
  };
  const double centre = static_cast<double>(trials) * probability;
  Index lo = static_cast<Index>(centre), hi = lo;
  while (below(lo) > 0.5 * alpha) --lo;
  while (above(hi) > 0.5 * alpha) ++hi;
  return {lo, hi};
}

double kolmogorov_tail(double lambda) {
  if (lambda <= 0) return 1.0;
  constexpr double kPi = 3.14159265358979323846;
  double sum = 0;
  if (lambda < 1.0) {  // the theta-function's other expansion, which converges fast here
    for (int k = 1; k <= 19; k += 2) sum += std::exp(-k * k * kPi * kPi / (8 * lambda * lambda));
    return 1.0 - std::sqrt(2 * kPi) / lambda * sum;
  }
  for (int k = 1; k <= 20; ++k) sum += (k % 2 ? 2.0 : -2.0) * std::exp(-2.0 * k * k * lambda * lambda);
  return sum;
}

KsResult ks_two_sample(std::span<const double> a, std::span<const double> b) {
  const std::vector<double> x = sorted(a), y = sorted(b);
  const double n = static_cast<double>(x.size()), m = static_cast<double>(y.size());
  double distance = 0;
  std::size_t i = 0, j = 0;
  while (i < x.size() && j < y.size()) {
    const double at = std::min(x[i], y[j]);
    while (i < x.size() && x[i] == at) ++i;
    while (j < y.size() && y[j] == at) ++j;
    distance = std::max(distance, std::abs(static_cast<double>(i) / n - static_cast<double>(j) / m));
  }
  return with_p(distance, n * m / (n + m));
}

KsResult ks_one_sample(std::span<const double> sample, const std::function<double(double)>& cdf) {
  const std::vector<double> x = sorted(sample);
  const double n = static_cast<double>(x.size());
  double distance = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double f = cdf(x[i]), k = static_cast<double>(i);
    distance = std::max({distance, f - k / n, (k + 1) / n - f});
  }
  return with_p(distance, n);
}

}  // namespace widelab::estimators
