// Effective sample size, split-R-hat, the jackknife and extrapolation to step size 0 against closed forms.
#include "host/estimators/chain_convergence.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "host/estimators/jackknife.hpp"
#include "host/estimators/zero_limit_fit.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::estimators {
namespace {

/// A stationary AR(1) process of unit variance about `mean`.
std::vector<double> autoregressive(double a, std::size_t n, std::uint32_t seed, double mean = 0) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  std::vector<double> out{normal(engine)};
  while (out.size() < n) out.push_back(a * out.back() + std::sqrt(1 - a * a) * normal(engine));
  for (double& x : out) x += mean;
  return out;
}

/// Mean over chains with its error.
Estimate mean_size(double a, std::size_t n, std::uint32_t chains) {
  std::vector<double> sizes;
  for (std::uint32_t c = 0; c < chains; ++c) sizes.push_back(effective_sample_size(autoregressive(a, n, 100 + c)));
  return jackknife(sizes, 1, [](std::span<const double> m, double) { return m[0]; });
}

// Truncation leaves a bias of the estimated tau of a few tau / n, relatively; 4 standard errors beside it.
TEST(ChainConvergence, EffectiveSizeOfAutoregressiveChainsIsTheClosedForm) {
  constexpr std::size_t n = 20000;
  for (const double a : {0.0, 0.5, 0.9}) {
    const Estimate size = mean_size(a, n, 24);
    const double tau = (1 + a) / (1 - a), exact = n / tau;
    EXPECT_NEAR(size.value, exact, 4 * size.se + 6 * tau / n * exact) << a;
    // The planted fault: draws counted as if they were independent.
    if (a > 0) {
      EXPECT_GT(std::fabs(size.value - n), 4 * size.se + 6 * tau / n * exact) << a;
    }
  }
}

TEST(ChainConvergence, AntitheticChainsAreWorthMoreThanTheirDraws) {
  const Estimate size = mean_size(-0.5, 20000, 24);
  EXPECT_NEAR(size.value, 20000 * 3.0, 4 * size.se + 1e-2 * 20000 * 3.0);
}

TEST(ChainConvergence, TheInitialMonotoneSequenceIsWhatItSays) {
  // Autocovariances 8, 3, 0, -3, .. of draws that are 1 and -1 about 2: one positive pair, tau = -1 + 2 (1 + 3/8).
  EXPECT_DOUBLE_EQ(autocorrelation_time(std::vector<double>{3, 3, 3, 1, 1, 1, 1, 3}), 1.75);
  EXPECT_DOUBLE_EQ(effective_sample_size(std::vector<double>{3, 3, 3, 1, 1, 1, 1, 3}), 8 / 1.75);
}

TEST(ChainConvergence, ChainsWithoutALawAreUndefined) {
  EXPECT_TRUE(std::isnan(effective_sample_size(std::vector<double>(10, 2.0))));
  EXPECT_TRUE(std::isnan(effective_sample_size(std::vector<double>{1, 2, NAN, 3, 4})));
  EXPECT_TRUE(std::isnan(effective_sample_size(std::vector<double>{1, 2, 3})));
  EXPECT_THROW(split_chain(std::vector<double>{1, 2, 3}), ContractError);
}

std::vector<SplitChain> splits(std::size_t chains, std::size_t n, double shift) {
  std::vector<SplitChain> out;
  for (std::size_t c = 0; c < chains; ++c)
    out.push_back(split_chain(autoregressive(0.5, n, static_cast<std::uint32_t>(c), c == 0 ? shift : 0)));
  return out;
}

TEST(ChainConvergence, SplitRhatByHand) {
  // Halves (0, 2) and (2, 4), (1, 3) and (3, 5): W = 2, means 1, 3, 2, 4, B = 2 x 5/3, R^2 = 1/2 + 5/6.
  const std::vector<std::vector<double>> chains{{0, 2, 2, 4}, {1, 3, 3, 5}, {0, 2, 2, 4}};
  const std::vector<SplitChain> two{split_chain(chains[0]), split_chain(chains[1])},
      three{split_chain(chains[0]), split_chain(chains[1]), split_chain(chains[2])};
  EXPECT_FALSE(split_rhat(two, 2).defined());
  // Means 1, 3, 2, 4, 1, 3: variance 22/15 with divisor 5.
  EXPECT_NEAR(split_rhat(three, 2).value, std::sqrt(0.5 + 22.0 / 15 / 2), 1e-14);
}

TEST(ChainConvergence, RhatSeesChainsThatDisagreeAndChainsThatDrift) {
  constexpr std::size_t n = 2000;
  // Of one law: 1 + (tau - 1) / (2 h), tau = 3.
  const Estimate fine = split_rhat(splits(16, n, 0), n / 2);
  EXPECT_NEAR(fine.value, 1 + 2 / (2.0 * n / 2), 4 * fine.se);
  EXPECT_LT(fine.value, 1.01);
  EXPECT_GT(split_rhat(splits(16, n, 2), n / 2).value, 1.05);  // the planted fault: one chain is elsewhere
  std::vector<SplitChain> drifting;
  for (std::uint32_t c = 0; c < 16; ++c) {
    std::vector<double> chain = autoregressive(0.5, n, c);
    for (std::size_t t = 0; t < n; ++t) chain[t] += 2.0 * static_cast<double>(t) / n;
    drifting.push_back(split_chain(chain));
  }
  EXPECT_GT(split_rhat(drifting, n / 2).value, 1.05);  // chains agree with each other, but halves do not
}

TEST(Jackknife, IsExactForMeansAndUnbiasedForSquares) {
  const std::vector<double> rows{1, 2, 4, 5};
  const Estimate mean = jackknife(rows, 1, [](std::span<const double> m, double) { return m[0]; });
  EXPECT_DOUBLE_EQ(mean.value, 3);
  EXPECT_NEAR(mean.se, std::sqrt(10.0 / 3 / 4), 1e-15);
  // Of m^2: m^2 - s^2 / n.
  const Estimate square = jackknife(rows, 1, [](std::span<const double> m, double) { return m[0] * m[0]; });
  EXPECT_NEAR(square.value, 9 - 10.0 / 3 / 4, 1e-13);
  EXPECT_FALSE(
      jackknife(std::vector<double>{1, 2}, 1, [](std::span<const double> m, double) { return m[0]; }).defined());
  EXPECT_THROW(jackknife(rows, 3, [](std::span<const double>, double) { return 0.0; }), ContractError);
}

TEST(ZeroLimitFit, AgreesWithPolynomialsAndTheirErrors) {
  const StepCurve line{{1, 2, 4}, {5, 7, 11}, {0.1, 0.1, 0.1}};
  const ZeroLimit fit = fit_zero_limit(line, 1);
  EXPECT_NEAR(fit.limit.value, 3, 1e-13);
  EXPECT_NEAR(fit.slope.value, 2, 1e-13);
  EXPECT_NEAR(fit.chi2, 0, 1e-18);
  // Var of the intercept = s^2 sum x^2 / (n sum x^2 - (sum x)^2).
  EXPECT_NEAR(fit.limit.se, 0.1 * std::sqrt(21.0 / (3 * 21 - 49)), 1e-14);
  const StepCurve parabola{{0.1, 0.2, 0.3, 0.5}, {1.03, 1.08, 1.15, 1.35}, {0.1, 0.2, 0.1, 0.3}};
  EXPECT_NEAR(fit_zero_limit(parabola, 2).limit.value, 1, 1e-12);
  // The planted fault: one order too few.
  EXPECT_GT(std::fabs(fit_zero_limit(parabola, 1).limit.value - 1), 0.01);
}

TEST(ZeroLimitFit, SaysWhyThereIsNone) {
  EXPECT_NE(fit_zero_limit({{1, 2}, {1, 2}, {1, 1}}, 2).status.find("2 usable"), std::string::npos);
  EXPECT_FALSE(fit_zero_limit({{1, 2, 3}, {1, NAN, 2}, {1, 1, 0}}, 1).ok());
  EXPECT_FALSE(fit_zero_limit({{1, 1}, {1, 2}, {1, 1}}, 1).ok());
  EXPECT_THROW(fit_zero_limit({{0, 1}, {1, 2}, {1, 1}}, 1), ContractError);
}

}  // namespace
}  // namespace widelab::estimators
