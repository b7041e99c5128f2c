// Do estimates have the truth in their error bars as often as they say? Independent trials stand side by side as the
// entries of one GroupedMoments. Each acceptance region is that of a binomial count or a z-score at kFalseAlarm = 1e-4
// (some 20 checks: one false alarm in 500 seeds), and each kind of check rejects an estimator with a planted fault.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <cstdio>
#include <functional>
#include <vector>

#include "host/estimators/grouped_moments.hpp"
#include "host/estimators/heavy_tail.hpp"
#include "host/estimators/significance.hpp"
#include "widelab/rng/distributions.hpp"
#include "widelab/rng/normal.hpp"

namespace {

using namespace widelab;
using namespace widelab::estimators;

constexpr double kFalseAlarm = 1e-4;
using Draw = std::function<double(std::uint32_t replicate, std::uint32_t trial)>;

double standard_normal(std::uint32_t replicate, std::uint32_t trial) {
  return normal_at({21, 0, Stream::test_only, 0}, replicate, trial);
}

/// Gamma of integer shape and unit scale: cumulants shape (k - 1)!.
Draw gamma_draw(std::uint32_t shape) {
  return [shape](std::uint32_t replicate, std::uint32_t trial) {
    double product = 1;
    for (std::uint32_t k = 0; k < shape; ++k) {
      product *= uniform53_at({22, 0, Stream::test_only, 0}, replicate, trial * shape + k);
    }
    return -std::log(product);
  };
}

GroupedMoments sample_trials(const Draw& draw, std::uint32_t replicates, std::uint32_t trials, double shift = 0) {
  GroupedMoments out(std::vector<double>(trials, shift));
  std::vector<double> row(trials);
  for (std::uint32_t r = 0; r < replicates; ++r) {
    for (std::uint32_t t = 0; t < trials; ++t) row[t] = draw(r, t);
    out.add(r, row);
  }
  return out;
}

/// Are as many trials as announced within the two-sided 95 % interval of Student's t with `dof` degrees of freedom?
bool coverage_is_honest(const std::vector<Estimate>& estimates, double truth, double dof, double se_factor = 1) {
  const double bound = boost::math::quantile(boost::math::students_t(dof), 0.975);
  Index hits = 0;
  for (const Estimate& e : estimates) hits += std::abs(e.value - truth) < bound * e.se * se_factor ? 1 : 0;
  const auto [lo, hi] = binomial_acceptance(static_cast<Index>(estimates.size()), 0.95, kFalseAlarm);
  if (hits < lo || hits > hi) {
    std::printf("coverage %.4f of %zu trials\n", static_cast<double>(hits) / static_cast<double>(estimates.size()),
                estimates.size());
  }
  return lo <= hits && hits <= hi;
}

/// z of the trials' average against the truth, with the trials' own scatter as the error.
double bias_z(const std::vector<double>& values, double truth) {
  const GroupedMoments all = [&] {
    GroupedMoments m({truth}, 2);
    for (std::size_t i = 0; i < values.size(); ++i) m.add(static_cast<std::int64_t>(i), {&values[i], 1});
    return m;
  }();
  const Estimate mean = all.estimate(Statistic::mean)[0];
  return z_score(mean.value, mean.se, truth);
}

std::vector<double> values_of(const std::vector<Estimate>& estimates) {
  std::vector<double> out;
  for (const Estimate& e : estimates) out.push_back(e.value);
  return out;
}

constexpr double kJackknifeDof = GroupedMoments::kDefaultGroups - 1;

TEST(Coverage, NormalMomentsAreInTheirErrorBars) {
  const GroupedMoments m = sample_trials(standard_normal, 1024, 3000);
  EXPECT_TRUE(coverage_is_honest(m.estimate(Statistic::mean), 0, 1023));
  EXPECT_TRUE(coverage_is_honest(m.estimate(Statistic::variance), 1, kJackknifeDof));
  EXPECT_TRUE(coverage_is_honest(m.estimate(Statistic::third_cumulant), 0, kJackknifeDof));
}

TEST(Coverage, FourthMomentsAreInTheirErrorBarsOnceReplicatesAreMany) {
  const GroupedMoments many = sample_trials(standard_normal, 16384, 1000);
  EXPECT_TRUE(coverage_is_honest(many.estimate(Statistic::fourth_cumulant), 0, kJackknifeDof));
  EXPECT_TRUE(coverage_is_honest(many.estimate(Statistic::fourth_moment_ratio), 3, kJackknifeDof));
  EXPECT_TRUE(coverage_is_honest(many.estimate(Statistic::excess_kurtosis), 0, kJackknifeDof));
  // The limit that the header states: at few replicates of a skewed variable the error bar is too short.
  const GroupedMoments few = sample_trials(gamma_draw(4), 1024, 1000, 4);
  EXPECT_FALSE(coverage_is_honest(few.estimate(Statistic::fourth_cumulant), 24, kJackknifeDof));
}

TEST(Coverage, SkewedMomentsAreInTheirErrorBars) {
  const GroupedMoments m = sample_trials(gamma_draw(4), 4096, 1500, 4);
  EXPECT_TRUE(coverage_is_honest(m.estimate(Statistic::mean), 4, 4095));
  EXPECT_TRUE(coverage_is_honest(m.estimate(Statistic::variance), 4, kJackknifeDof));
  EXPECT_TRUE(coverage_is_honest(m.estimate(Statistic::second_moment_ratio), 1.25, kJackknifeDof));
}

TEST(Coverage, FewReplicatesMakeGroupsOfOne) {
  const GroupedMoments m = sample_trials(standard_normal, 40, 3000);  // fewer than 64 groups
  EXPECT_TRUE(coverage_is_honest(m.estimate(Statistic::mean), 0, 39));
  const GroupedMoments uneven = sample_trials(standard_normal, 1000, 3000);  // 1000 = 15 * 64 + 40: unequal groups
  EXPECT_TRUE(coverage_is_honest(uneven.estimate(Statistic::variance), 1, kJackknifeDof));
}

TEST(Coverage, RejectsAnErrorBarThatForgetsItsGroups) {
  const GroupedMoments m = sample_trials(standard_normal, 256, 1000);
  EXPECT_FALSE(coverage_is_honest(m.estimate(Statistic::mean), 0, 255, std::sqrt(256.0)));  // s in place of s/sqrt(n)
  EXPECT_FALSE(coverage_is_honest(m.estimate(Statistic::variance), 1, kJackknifeDof, 1 / std::sqrt(2.0)));
}

TEST(Coverage, RejectsNetworksThatShareTheirDraws) {
  const Draw reused = [](std::uint32_t r, std::uint32_t t) { return standard_normal(r / 2, t); };
  const GroupedMoments m = sample_trials(reused, 1024, 1000);
  EXPECT_FALSE(coverage_is_honest(m.estimate(Statistic::mean), 0, 1023));
  EXPECT_FALSE(coverage_is_honest(m.estimate(Statistic::variance), 1, kJackknifeDof));
}

TEST(Unbiasedness, KStatisticsOfEightReplicatesAverageToTheTruth) {
  const GroupedMoments m = sample_trials(gamma_draw(4), 8, 40000, 4);
  const double limit = z_threshold(kFalseAlarm);
  EXPECT_LT(std::abs(bias_z(values_of(m.estimate(Statistic::mean)), 4)), limit);
  EXPECT_LT(std::abs(bias_z(values_of(m.estimate(Statistic::variance)), 4)), limit);
  EXPECT_LT(std::abs(bias_z(values_of(m.estimate(Statistic::third_cumulant)), 8)), limit);
  EXPECT_LT(std::abs(bias_z(values_of(m.estimate(Statistic::fourth_cumulant)), 24)), limit);
}

TEST(Unbiasedness, RejectsMomentsNormalisedByTheFullCount) {
  const GroupedMoments m = sample_trials(gamma_draw(4), 8, 40000, 4);
  const double limit = z_threshold(kFalseAlarm);
  std::vector<double> second = values_of(m.estimate(Statistic::variance));
  for (double& v : second) v *= 7.0 / 8;  // 1/n in place of 1/(n - 1)
  EXPECT_GT(std::abs(bias_z(second, 4)), limit);
  std::vector<double> third = values_of(m.estimate(Statistic::third_cumulant));
  for (double& v : third) v *= 7.0 * 6 / 64;
  EXPECT_GT(std::abs(bias_z(third, 8)), limit);
}

TEST(Unbiasedness, TheJackknifeRemovesTheBiasOfARatioAndWithoutItTheBiasShows) {
  const GroupedMoments m = sample_trials(gamma_draw(4), 64, 20000, 4);
  const double limit = z_threshold(kFalseAlarm);
  EXPECT_LT(std::abs(bias_z(values_of(m.estimate(Statistic::second_moment_ratio)), 1.25)), limit);
  std::vector<double> plain;
  const std::vector<double> raw = m.raw_moments();
  for (std::size_t i = 0; i < raw.size(); i += 4) plain.push_back(raw[i + 1] / (raw[i] * raw[i]));
  EXPECT_GT(std::abs(bias_z(plain, 1.25)), limit);
}

/// Log-normal of log-variance s2 and median 1.
Draw lognormal_draw(double s2) {
  return [s = std::sqrt(s2)](std::uint32_t r, std::uint32_t t) { return std::exp(s * standard_normal(r, t)); };
}

double reliable_share(const GroupedMoments& m) {
  const std::vector<double> raw = m.raw_moments();
  double reliable = 0;
  for (std::size_t i = 0; i < raw.size(); i += 4) {
    reliable += plain_moment_is_reliable(raw[i + 1], raw[i + 3], m.count()) ? 1 : 0;
  }
  return reliable / static_cast<double>(m.entries());
}

TEST(HeavyTail, WhereTheDiagnosticTrustsAPlainRatioItsErrorBarHolds) {
  constexpr double kLogVariance = 0.1;
  const GroupedMoments m = sample_trials(lognormal_draw(kLogVariance), 4096, 1000, 1);
  EXPECT_TRUE(lognormal_moment_is_reliable(kLogVariance, 4096));
  EXPECT_EQ(reliable_share(m), 1);
  EXPECT_TRUE(coverage_is_honest(m.estimate(Statistic::second_moment_ratio), std::exp(kLogVariance), kJackknifeDof));
}

TEST(HeavyTail, WhereItDoesNotThePlainRatioIsFarTooLowAndLogMomentsAreRight) {
  // Above log(4096)/8 = 1.04 and log(4096)/2 = 4.2: of E[X^2], normals up to sqrt(2 log 4096) = 4.1 reach a share
  // Phi(4.1 - 2 sqrt 6) = 0.2.
  constexpr double kLogVariance = 6;
  const GroupedMoments plain = sample_trials(lognormal_draw(kLogVariance), 4096, 1000, 1);
  EXPECT_FALSE(lognormal_moment_is_reliable(kLogVariance, 4096));
  EXPECT_LT(reliable_share(plain), 0.01);
  std::vector<Estimate> ratios = plain.estimate(Statistic::second_moment_ratio);
  EXPECT_FALSE(coverage_is_honest(ratios, std::exp(kLogVariance), kJackknifeDof));
  std::nth_element(ratios.begin(), ratios.begin() + 500, ratios.end(),
                   [](const Estimate& a, const Estimate& b) { return a.value < b.value; });
  EXPECT_LT(ratios[500].value, 0.5 * std::exp(kLogVariance));
  const Draw logarithm = [](std::uint32_t r, std::uint32_t t) {
    return std::sqrt(kLogVariance) * standard_normal(r, t);
  };
  const GroupedMoments logs = sample_trials(logarithm, 4096, 1000);
  EXPECT_TRUE(coverage_is_honest(logs.estimate(Statistic::variance), kLogVariance, kJackknifeDof));
}

TEST(KolmogorovSmirnov, PValuesAreUniformAndAShiftIsSeen) {
  std::vector<double> null_p, shifted_p;
  for (std::uint32_t t = 0; t < 600; ++t) {
    std::vector<double> a, b, c;
    for (std::uint32_t r = 0; r < 300; ++r) {
      a.push_back(standard_normal(r, t));
      b.push_back(standard_normal(r + 1000, t));
      c.push_back(b.back() + 0.5);
    }
    null_p.push_back(ks_two_sample(a, b).p);
    shifted_p.push_back(ks_two_sample(a, c).p);
  }
  // D takes values in steps of 1/300, so p is uniform only up to steps of .06: the upper tail is held, not the law.
  const Index small = std::count_if(null_p.begin(), null_p.end(), [](double p) { return p < 0.1; });
  EXPECT_LE(small, binomial_acceptance(600, 0.1, kFalseAlarm).second);
  EXPECT_GE(small, binomial_acceptance(600, 0.06, kFalseAlarm).first);
  // The shift moves the distribution functions apart by .20 +- .04 against a 5 % point of .11: at least 95 % are found.
  const Index found = std::count_if(shifted_p.begin(), shifted_p.end(), [](double p) { return p < 0.05; });
  EXPECT_GE(found, binomial_acceptance(600, 0.95, kFalseAlarm).first);
}

}  // namespace
