// Do the sketch's intervals hold the true quantile as often as the binomial law says? Some ten checks at a false-alarm
// rate of 1e-4 each.
#include "host/estimators/quantile_sketch.hpp"

#include <gtest/gtest.h>

#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <cstdio>
#include <functional>

#include "host/estimators/significance.hpp"
#include "widelab/rng/normal.hpp"

namespace {

using namespace widelab;
using namespace widelab::estimators;

constexpr double kFalseAlarm = 1e-4;
constexpr std::uint32_t kTrials = 4000, kDraws = 400;

QuantileSketch trial_sketch(std::uint32_t trial, std::uint32_t repeats) {
  QuantileSketch sketch;
  for (std::uint32_t i = 0; i < kDraws; ++i) sketch.add(normal_at({31, 0, Stream::test_only, 0}, trial, i / repeats));
  return sketch;
}

/// P(lo <= K <= hi), K ~ Bin(n, q): what the order statistics x_(lo), x_(hi + 1) hold of a continuous law.
double exact_coverage(double q, double confidence) {
  const auto [lo, hi] = binomial_acceptance(kDraws, q, 1 - confidence);
  const boost::math::binomial law(kDraws, q);
  return boost::math::cdf(law, static_cast<double>(hi)) -
         (lo > 0 ? boost::math::cdf(law, static_cast<double>(lo - 1)) : 0.0);
}

using Interval = std::function<QuantileSketch::Interval(const QuantileSketch& sketch)>;

/// Buckets move an end of the interval outwards by at most 1 % of it. The chance that the quantile x falls between is
/// that width times the density of the order statistic there, n phi(x) times the binomial probability of its rank.
double allowance(double q, double confidence) {
  const auto [lo, hi] = binomial_acceptance(kDraws, q, 1 - confidence);
  const boost::math::binomial law(kDraws, q);
  const boost::math::normal normal;
  const double x = boost::math::quantile(normal, q), density = kDraws * boost::math::pdf(normal, x);
  const double ranks = boost::math::pdf(law, static_cast<double>(lo)) + boost::math::pdf(law, static_cast<double>(hi));
  return 2 * QuantileSketch::kRelativeError * std::abs(x) * density * ranks;
}

bool coverage_is_honest(double q, double confidence, const Interval& interval, std::uint32_t repeats = 1) {
  const double truth = boost::math::quantile(boost::math::normal(), q);
  Index hits = 0;
  for (std::uint32_t t = 0; t < kTrials; ++t) {
    const QuantileSketch::Interval found = interval(trial_sketch(t, repeats));
    hits += found.lo <= truth && truth <= found.hi ? 1 : 0;
  }
  const double exact = exact_coverage(q, confidence), most = std::min(1.0, exact + allowance(q, confidence));
  const Index lo = binomial_acceptance(kTrials, exact, 2 * kFalseAlarm).first;
  const Index hi = most < 1 ? binomial_acceptance(kTrials, most, 2 * kFalseAlarm).second : Index{kTrials};
  if (hits < lo || hits > hi)
    std::printf("q %.2f, confidence %.2f: %.4f held, %.4f .. %.4f expected\n", q, confidence,
                static_cast<double>(hits) / kTrials, exact, most);
  return lo <= hits && hits <= hi;
}

TEST(QuantileCoverage, IntervalsHoldTheTruthAsOftenAsTheBinomialLawSays) {
  for (const double q : {0.1, 0.5, 0.9})
    for (const double confidence : {0.6827, 0.95})
      EXPECT_TRUE(coverage_is_honest(q, confidence,
                                     [&](const QuantileSketch& sketch) { return sketch.interval(q, confidence); }))
          << q << " " << confidence;
}

TEST(QuantileCoverage, AnIntervalOfTheWrongQuantileIsRejected) {
  EXPECT_FALSE(coverage_is_honest(0.5, 0.95, [](const QuantileSketch& sketch) { return sketch.interval(0.54, 0.95); }));
}

TEST(QuantileCoverage, AnIntervalThatForgetsTheTailsIsRejected) {
  EXPECT_FALSE(coverage_is_honest(0.5, 0.95, [](const QuantileSketch& sketch) { return sketch.interval(0.5, 0.8); }));
}

TEST(QuantileCoverage, AnIntervalThatIsTooLongIsRejected) {
  EXPECT_FALSE(coverage_is_honest(0.5, 0.95, [](const QuantileSketch& sketch) { return sketch.interval(0.5, 0.98); }));
}

TEST(QuantileCoverage, NetworksThatShareTheirDrawsAreRejected) {
  EXPECT_FALSE(coverage_is_honest(
      0.5, 0.95, [](const QuantileSketch& sketch) { return sketch.interval(0.5, 0.95); }, 2));
}

/// The standard error of the median of n normals is sqrt(pi / 2 n) to 1/n; whole ranks make it longer.
TEST(QuantileCoverage, TheStandardErrorIsThatOfTheOrderStatistic) {
  const double expected = std::sqrt(3.14159265358979 / (2 * kDraws));
  double mean = 0;
  constexpr std::uint32_t kSome = 200;
  for (std::uint32_t t = 0; t < kSome; ++t) mean += trial_sketch(t, 1).quantile(0.5).se / kSome;
  EXPECT_GT(mean, expected);
  // At most two ranks more at each end, 1 / (n phi(0)) = 2.5 / n apart.
  EXPECT_LT(mean, expected + 2 * 2.5066 / kDraws);
}

}  // namespace
