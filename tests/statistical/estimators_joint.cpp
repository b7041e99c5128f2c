// Joint tests over correlated, skewed entries, and fits over widths: p-values uniform when the prediction is right,
// faults found when it is not. False-alarm rate of each check: kFalseAlarm.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "host/estimators/grouped_moments.hpp"
#include "host/estimators/joint_test.hpp"
#include "host/estimators/power_fit.hpp"
#include "host/estimators/significance.hpp"
#include "widelab/rng/distributions.hpp"
#include "widelab/rng/normal.hpp"

namespace {

using namespace widelab;
using namespace widelab::estimators;

constexpr double kFalseAlarm = 1e-4;
constexpr std::uint32_t kEntries = 40, kReplicates = 512, kTrials = 400;

double unit_exponential(std::uint64_t trial, std::uint32_t replicate, std::uint32_t which) {
  return -std::log(uniform53_at({trial + 100, 0, Stream::test_only, 0}, replicate, which));
}

/// One replicate: two skewed common factors and a skewed part of each entry's own; all means are 1.
std::vector<double> correlated_row(std::uint64_t trial, std::uint32_t replicate) {
  const double f = unit_exponential(trial, replicate, 0) - 1, g = unit_exponential(trial, replicate, 1) - 1;
  std::vector<double> row;
  for (std::uint32_t e = 0; e < kEntries; ++e) {
    const double own = unit_exponential(trial, replicate, 2 + e) - 1;
    row.push_back(1 + f + std::cos(0.3 * e) * g + 0.3 * own);
  }
  return row;
}

/// `reuse` networks share one set of draws: the planted fault.
GroupSample one_trial(std::uint64_t trial, std::uint32_t reuse = 1) {
  GroupedMoments moments(std::vector<double>(kEntries, 1.0), 1);
  for (std::uint32_t r = 0; r < kReplicates; ++r) moments.add(r, correlated_row(trial, r / reuse));
  return moments.group_sample(Statistic::mean);
}

struct PValues {
  std::vector<double> maximum, chi2, naive;
};

PValues p_values(std::uint32_t reuse, std::uint32_t trials) {
  PValues out;
  const std::vector<double> truth(kEntries, 1.0);
  for (std::uint32_t t = 0; t < trials; ++t) {
    const JointVerdict v = joint_test(one_trial(t, reuse), truth, {.resamples = 400, .key = t});
    out.maximum.push_back(v.max_z_p);
    out.chi2.push_back(v.chi2_p);
    out.naive.push_back(-std::expm1(kEntries * std::log1p(-two_sided_p(v.max_z))));  // as if entries were independent
  }
  return out;
}

bool is_uniform(const char* name, const std::vector<double>& p) {
  const KsResult ks = ks_one_sample(p, [](double x) { return x; });
  if (ks.p < kFalseAlarm) std::printf("%s: KS distance from uniform %.3f, p %.2g\n", name, ks.statistic, ks.p);
  return ks.p >= kFalseAlarm;
}

TEST(JointTest, PValuesOfARightPredictionAreUniform) {
  const PValues p = p_values(1, kTrials);
  EXPECT_TRUE(is_uniform("max|z|", p.maximum));
  EXPECT_TRUE(is_uniform("chi2", p.chi2));
  EXPECT_FALSE(is_uniform("naive", p.naive));  // the same |z| judged as independent entries: the check has power
  const auto [lo, hi] = binomial_acceptance(kTrials, 0.05, kFalseAlarm);
  for (const auto* sample : {&p.maximum, &p.chi2}) {
    const Index rejected = std::count_if(sample->begin(), sample->end(), [](double x) { return x <= 0.05; });
    EXPECT_GE(rejected, lo);
    EXPECT_LE(rejected, hi);
  }
}

TEST(JointTest, PValuesAreNotUniformWhenNetworksShareDrawsAcrossGroups) {
  const PValues p = p_values(2, 200);
  EXPECT_FALSE(is_uniform("max|z|, shared draws", p.maximum));
  EXPECT_FALSE(is_uniform("chi2, shared draws", p.chi2));
}

TEST(JointTest, AShiftOfFourErrorsIsFound) {
  Index by_maximum = 0, by_chi2 = 0, alone = 0;
  constexpr Index kShiftTrials = 60;
  for (std::uint32_t t = 0; t < kShiftTrials; ++t) {
    const GroupSample sample = one_trial(t);
    const std::vector<double> se = group_standard_errors(sample);
    std::vector<double> all(kEntries, 1.0), one(kEntries, 1.0);
    for (std::size_t e = 0; e < kEntries; ++e) all[e] += 4 * se[e];
    one[20] += 8 * se[20];
    const JointOptions options{.resamples = 400, .key = t};
    const JointVerdict shifted = joint_test(sample, all, options), single = joint_test(sample, one, options);
    by_maximum += shifted.max_z_p < 0.05 ? 1 : 0;
    by_chi2 += shifted.chi2_p < 0.05 ? 1 : 0;
    alone += single.consistent(0.05) ? 0 : 1;
  }
  // Every |z| is then N(4, 1) or so against a 95 % point of 2.9: at least 80 % are found.
  EXPECT_GE(by_maximum, binomial_acceptance(kShiftTrials, 0.8, kFalseAlarm).first);
  EXPECT_GE(by_chi2, binomial_acceptance(kShiftTrials, 0.8, kFalseAlarm).first);
  EXPECT_GE(alone, binomial_acceptance(kShiftTrials, 0.99, kFalseAlarm).first);
}

TEST(JointTest, IsAFunctionOfItsInputsAndUnits) {
  const GroupSample sample = one_trial(3);
  GroupSample scaled = sample;
  std::vector<double> truth(kEntries, 1.0), scaled_truth(kEntries);
  for (std::size_t e = 0; e < kEntries; ++e) scaled_truth[e] = std::ldexp(1.0, static_cast<int>(e % 7));
  for (std::size_t i = 0; i < scaled.values.size(); ++i) scaled.values[i] *= scaled_truth[i % kEntries];
  const JointVerdict a = joint_test(sample, truth), again = joint_test(sample, truth),
                     b = joint_test(scaled, scaled_truth);
  EXPECT_EQ(a.max_z_p, again.max_z_p);
  EXPECT_EQ(a.chi2_p, again.chi2_p);
  EXPECT_EQ(a.max_z_p, b.max_z_p);
  EXPECT_NEAR(a.chi2_p, b.chi2_p, 1e-9);
}

/// A curve 3 n^-1 (1 + 10/n) with relative error 1 % at each width, from 32 groups of networks a width.
struct NoisyCurve {
  WidthCurve curve;
  std::vector<GroupSample> groups;
};

NoisyCurve noisy_curve(std::uint32_t trial, double curvature, double noise_factor = 1) {
  constexpr Index kGroups = 32;
  NoisyCurve out;
  for (double n = 64; n <= 2048; n *= 2) {
    const double truth = 3 / n * (1 + curvature / n);
    GroupSample sample{kGroups, 1, {}, std::vector<double>(kGroups, 1.0)};
    for (std::uint32_t g = 0; g < kGroups; ++g) {
      const double z = normal_at({trial + 5000, static_cast<std::uint32_t>(n), Stream::test_only, 0}, 0, g);
      sample.values.push_back(truth * (1 + 0.01 * noise_factor * std::sqrt(static_cast<double>(kGroups)) * z));
    }
    out.curve.n.push_back(n);
    out.curve.y.push_back(weighted_mean(sample)[0]);
    out.curve.se.push_back(0.01 * truth);
    out.groups.push_back(sample);
  }
  return out;
}

struct FitCoverage {
  Index fits = 0, p_hits = 0, b_hits = 0, interval_hits = 0;
  std::vector<double> chi2_p;
};

FitCoverage fit_coverage(std::uint32_t trials, double curvature, bool correction, double noise_factor = 1) {
  FitCoverage out;
  for (std::uint32_t t = 0; t < trials; ++t) {
    const NoisyCurve noisy = noisy_curve(t, curvature, noise_factor);
    const PowerFitOptions options{.correction = correction};
    const PowerFit fit = fit_power(noisy.curve, options);
    if (!fit.ok()) continue;
    ++out.fits;
    out.chi2_p.push_back(fit.chi2_p);
    out.p_hits += std::abs(fit.exponent - 1) < 1.96 * fit.exponent_se ? 1 : 0;
    out.b_hits += std::abs(fit.correction - curvature) < 1.96 * fit.correction_se ? 1 : 0;
    const BootstrapOptions bootstrap{.resamples = 800, .key = t};
    const FitInterval interval =
        bootstrap_fit(noisy.curve, group_resampler(noisy.curve, noisy.groups, bootstrap), options, bootstrap);
    out.interval_hits += interval.exponent_lo < 1 && 1 < interval.exponent_hi ? 1 : 0;
  }
  return out;
}

bool within_binomial(const char* name, Index hits, Index trials) {
  const auto [lo, hi] = binomial_acceptance(trials, 0.95, kFalseAlarm);
  if (hits < lo || hits > hi) std::printf("%s: %ld of %ld\n", name, static_cast<long>(hits), static_cast<long>(trials));
  return lo <= hits && hits <= hi;
}

TEST(PowerFit, ExponentAndCorrectionAreInTheirErrorBarsAndBootstrapIntervals) {
  const FitCoverage c = fit_coverage(200, 10, true);
  EXPECT_EQ(c.fits, 200);
  EXPECT_TRUE(within_binomial("p", c.p_hits, c.fits));
  EXPECT_TRUE(within_binomial("b", c.b_hits, c.fits));
  EXPECT_TRUE(within_binomial("bootstrap", c.interval_hits, c.fits));
  EXPECT_TRUE(is_uniform("chi2 of the fit", c.chi2_p));
}

TEST(PowerFit, LeavingOutACorrectionThatIsThereIsRejected) {
  const FitCoverage c = fit_coverage(60, 10, false);
  EXPECT_FALSE(within_binomial("p without b", c.p_hits, c.fits));
  EXPECT_FALSE(within_binomial("bootstrap without b", c.interval_hits, c.fits));
}

TEST(PowerFit, ErrorsHalfTheirSizeAreRejectedByChi2AndSeenByTheBootstrap) {
  const FitCoverage c = fit_coverage(100, 0, false, 2);  // twice the noise that the error bars admit
  EXPECT_FALSE(is_uniform("chi2, errors halved", c.chi2_p));
  EXPECT_FALSE(within_binomial("p, errors halved", c.p_hits, c.fits));
  EXPECT_TRUE(within_binomial("bootstrap, errors halved", c.interval_hits, c.fits));  // it takes them from the groups
}

}  // namespace
