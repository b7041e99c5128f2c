// Fits and tests on data without noise, tail probabilities against tabulated numbers, and refusals.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "host/estimators/joint_test.hpp"
#include "host/estimators/power_fit.hpp"
#include "host/estimators/significance.hpp"
#include "host/estimators/stop_rule.hpp"
#include "widelab/base/errors.hpp"

namespace {

using namespace widelab;
using namespace widelab::estimators;

WidthCurve exact_curve(double amplitude, double p, double b, double relative_se = 0.01) {
  WidthCurve curve;
  for (double n = 64; n <= 4096; n *= 2) {
    curve.n.push_back(n);
    curve.y.push_back(amplitude * std::pow(n, -p) * (1 + b / n));
    curve.se.push_back(relative_se * std::abs(curve.y.back()));
  }
  return curve;
}

TEST(PowerFit, RecoversExactCurves) {
  for (const double p : {1.0, 0.5, 2.0, -1.0}) {
    for (const double b : {0.0, 7.5, -11.0}) {
      const PowerFit fit = fit_power(exact_curve(-3.0, p, b));
      ASSERT_TRUE(fit.ok()) << fit.status;
      EXPECT_NEAR(fit.exponent, p, 1e-8);
      EXPECT_NEAR(fit.correction, b, 1e-5);
      EXPECT_NEAR(fit.amplitude, -3.0, 1e-6);
      EXPECT_LT(fit.chi2, 1e-10);
      EXPECT_EQ(fit.dof, 4);
      EXPECT_NEAR(fit(100.0), -3.0 * std::pow(100.0, -p) * (1 + b / 100), 1e-8 * std::pow(100.0, -p));
    }
  }
}

TEST(PowerFit, WithoutCorrectionIsWeightedLinearRegressionOfTheLogarithm) {
  // For small relative errors the error of p is that of a regression of log y on log n.
  const WidthCurve curve = exact_curve(2.0, 1.0, 0.0, 1e-3);
  const PowerFit fit = fit_power(curve, {.correction = false});
  double mean = 0, spread = 0;
  for (const double n : curve.n) mean += std::log(n) / 7;
  for (const double n : curve.n) spread += (std::log(n) - mean) * (std::log(n) - mean);
  EXPECT_NEAR(fit.exponent_se, 1e-3 / std::sqrt(spread), 1e-9);
  EXPECT_NEAR(fit.amplitude_se, 2.0 * 1e-3 * std::sqrt(1.0 / 7 + mean * mean / spread), 1e-9);
  EXPECT_EQ(fit.correction, 0);
}

TEST(PowerFit, ACurveThatNeedsItsCorrectionRejectsTheFitWithoutIt) {
  const PowerFit fit = fit_power(exact_curve(1.0, 1.0, 12.0), {.correction = false});
  ASSERT_TRUE(fit.ok());
  EXPECT_LT(fit.chi2_p, 1e-6);
  EXPECT_GT(std::abs(fit.exponent - 1), 0.02);
}

TEST(PowerFit, DegenerateInputHasAReasonAndNoNan) {
  const auto reason = [](const WidthCurve& curve, const PowerFitOptions& options = {}) {
    const PowerFit fit = fit_power(curve, options);
    for (const double x : {fit.amplitude, fit.exponent, fit.correction, fit.exponent_se, fit.chi2, fit.chi2_p}) {
      EXPECT_TRUE(std::isfinite(x));
    }
    return fit.status;
  };
  EXPECT_NE(reason({}).find("0 widths"), std::string::npos);
  EXPECT_NE(reason({{64, 128}, {1, 0.5}, {.1, .1}}).find("fix b"), std::string::npos);
  EXPECT_EQ(reason({{64, 128}, {1, 0.5}, {.1, .1}}, {.correction = false}), "");
  EXPECT_NE(reason({{1, 2, 4, 8}, {1, 1, 1, 1}, {1, 1, 0, 1}}).find("se"), std::string::npos);
  EXPECT_NE(reason({{1, 2, 4, 8}, {1, std::nan(""), 1, 1}, {1, 1, 1, 1}}).find("finite"), std::string::npos);
  EXPECT_NE(reason({{1, 4, 2, 8}, {1, 1, 1, 1}, {.1, .1, .1, .1}}).find("ascend"), std::string::npos);
  EXPECT_NE(reason({{1, 2, 4, 8}, {.1, -.1, .1, -.1}, {1, 1, 1, 1}}).find("zero"), std::string::npos);
  EXPECT_NE(reason(exact_curve(1, 9.5, 0)).find("edge"), std::string::npos);
  EXPECT_NE(reason(exact_curve(1, 1, 500)).find("bound"), std::string::npos);
  EXPECT_NE(reason({{1, 2, 4}, {1, 1, 1}, {.1, .1}}).find("lengths"), std::string::npos);
}

TEST(PowerFit, LocalSlopesOfAPureLawAreItsExponent) {
  const WidthCurve curve = exact_curve(5, 1.5, 0, 0.02);
  const std::vector<LocalSlope> slopes = local_slopes(curve);
  ASSERT_EQ(slopes.size(), 6u);
  for (const LocalSlope& s : slopes) {
    EXPECT_NEAR(s.slope.value, -1.5, 1e-12);
    EXPECT_NEAR(s.slope.se, 0.02 * std::sqrt(2.0) / std::log(2.0), 1e-12);
  }
  EXPECT_NEAR(slopes[0].n, 64 * std::sqrt(2.0), 1e-9);
  EXPECT_FALSE(local_slopes({{1, 2}, {1, -1}, {.1, .1}})[0].slope.defined());
  EXPECT_FALSE(local_slopes({{1, 2}, {0, 1}, {.1, .1}})[0].slope.defined());
}

TEST(Resampling, AWidthsDrawsDoNotDependOnItsPlaceInTheList) {
  const GroupSample a{4, 1, {1, 2, 3, 4}, {5, 5, 5, 5}}, b{4, 1, {4, 1, 1, 2}, {5, 5, 5, 4}};
  const WidthCurve both{{64, 128}, {2.5, 2}, {1, 1}}, alone{{128}, {2}, {1}};
  std::vector<double> y2(2), y1(1);
  const Resampler two = group_resampler(both, {a, b}), one = group_resampler(alone, {b});
  for (Index r = 0; r < 20; ++r) {
    two(r, y2);
    one(r, y1);
    EXPECT_EQ(y2[1], y1[0]);
  }
  EXPECT_THROW(group_resampler(both, {a}), ContractError);
}

TEST(Significance, TailProbabilitiesHaveTheirTabulatedValues) {
  EXPECT_NEAR(kolmogorov_tail(1.3580986), 0.05, 1e-6);
  EXPECT_NEAR(kolmogorov_tail(1.6276236), 0.01, 1e-6);
  EXPECT_NEAR(kolmogorov_tail(0.8275736), 0.5, 1e-6);
  EXPECT_NEAR(kolmogorov_tail(0.9999999), kolmogorov_tail(1.0000001), 1e-6);
  EXPECT_NEAR(two_sided_p(1.959963984540054), 0.05, 1e-14);
  EXPECT_NEAR(z_threshold(0.05), 1.959963984540054, 1e-12);
  EXPECT_NEAR(two_sided_p(z_threshold(0.01, 1000)), -std::expm1(std::log(0.99) / 1000), 1e-17);
  EXPECT_EQ(z_score(2, 3, 1, 4), 0.2);
  EXPECT_EQ(z_score(1, 0, 1), 0);
  EXPECT_EQ(z_score(1, 0, 2), -std::numeric_limits<double>::infinity());
  const auto [lo, hi] = binomial_acceptance(10, 0.5, 0.05);  // P(<= 1) = 11/1024, P(<= 2) = 56/1024
  EXPECT_EQ(lo, 2);
  EXPECT_EQ(hi, 8);
}

TEST(Significance, KolmogorovSmirnovDistancesOfSmallSamples) {
  const std::vector<double> a{1, 2, 3, 4}, b{3, 4, 5, 6, 7};
  EXPECT_NEAR(ks_two_sample(a, b).statistic, 0.6, 1e-15);  // after 4: 1 against 2/5
  EXPECT_EQ(ks_two_sample(a, a).statistic, 0);
  EXPECT_EQ(ks_two_sample(a, a).p, 1);
  const auto uniform = [](double x) { return x; };
  EXPECT_NEAR(ks_one_sample(std::vector<double>{0.1, 0.2, 0.9}, uniform).statistic, 2.0 / 3 - 0.2, 1e-15);
  EXPECT_THROW(ks_two_sample(a, {}), ContractError);
}

TEST(StopRule, LooksAtPreSetSizesOnly) {
  const StopRule rule{0.01, 100, 1000};
  EXPECT_EQ(rule.sizes(), (std::vector<Index>{100, 200, 400, 800, 1000}));
  EXPECT_EQ(rule.next_size(0), 100);
  EXPECT_EQ(rule.next_size(100), 200);
  EXPECT_EQ(rule.next_size(150), 200);
  EXPECT_EQ(rule.next_size(1000), 1000);
  EXPECT_EQ((StopRule{0.01, 64, 64}.sizes()), (std::vector<Index>{64}));
  EXPECT_TRUE(rule.reached(std::vector<Estimate>{{1, 0.01, 9}, {-2, 0.01, 9}}));
  EXPECT_FALSE(rule.reached(std::vector<Estimate>{{1, 0.01, 9}, {1, 0.011, 9}}));
  EXPECT_FALSE(rule.reached(std::vector<Estimate>{{0, 0.0, 9}}));
  EXPECT_FALSE(rule.reached({}));
  EXPECT_THROW((StopRule{0.01, 100, 10}.sizes()), ContractError);
  EXPECT_THROW((StopRule{0, 1, 10}.validate()), ContractError);
}

TEST(JointTest, EntriesWithoutSpreadAreSettledByEquality) {
  GroupSample sample{16, 2, {}, std::vector<double>(16, 4.0)};
  for (int g = 0; g < 16; ++g) {
    sample.values.push_back(2.0);
    sample.values.push_back(std::cos(1.7 * g));
  }
  const double middle = weighted_mean(sample)[1];
  const JointVerdict right = joint_test(sample, std::vector<double>{2.0, middle});
  EXPECT_EQ(right.exact_entries, 1);
  EXPECT_TRUE(right.consistent(0.01)) << right.max_z_p << " " << right.chi2_p << " " << right.status;
  const JointVerdict wrong = joint_test(sample, std::vector<double>{2.0001, middle});
  EXPECT_FALSE(wrong.consistent(1e-9));
  EXPECT_EQ(wrong.worst_entry, 0);
  EXPECT_TRUE(joint_test(sample, std::vector<double>{2.0001, middle}, {.rounding = 1e-3}).consistent(0.01));
}

TEST(JointTest, TooFewGroupsAreSaidAndNeverConsistent) {
  const GroupSample sample{2, 1, {1, 2}, {1, 1}};
  const JointVerdict verdict = joint_test(sample, std::vector<double>{1.5});
  EXPECT_NE(verdict.status.find("2 groups"), std::string::npos);
  EXPECT_FALSE(verdict.consistent(0.05));
  EXPECT_THROW(joint_test(sample, std::vector<double>{1, 2}), ContractError);
}

}  // namespace
