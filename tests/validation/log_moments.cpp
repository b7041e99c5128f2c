// Deep ReLU networks where L/n is 1/2 and more: log-moments of the forward kernel G against their exact law, and the
// plain second moment, which no feasible ensemble can estimate there. Each test holds all its |z| below the Sidak
// threshold of kFamily; faulty networks are judged by the same function at the same number of networks and must fail.
#include <gtest/gtest.h>

#include <limits>

#include "host/estimators/heavy_tail.hpp"
#include "tests/validation/deep_relu_draws.hpp"

namespace widelab {
namespace {

using test::Fault;
using test::KernelMethod;
using test::kFamily;
using test::Pair;

constexpr Index kNetworks = 16000;
constexpr Pair kBeyond[] = {{8, 16}, {12, 12}, {16, 16}};
constexpr Index kEnsembles = 2 * std::size(kBeyond);  // explicit weights and the law-exact sampler

/// The larger |z| of mean and variance of log G over living networks; infinite where their number is not binomial.
double log_moments_z(Pair pair, KernelMethod method, Fault fault = Fault::none) {
  const test::LogScores z = test::log_scores(test::draw(pair, kNetworks, false, method, fault), pair);
  const double rate = kFamily / 3 / static_cast<double>(kEnsembles);
  const auto [least, most] = estimators::binomial_acceptance(kNetworks, test::forward_law(pair).alive, rate);
  std::printf("  (%ld, %ld): z of E log G %.2f, of Var log G %.2f; alive %ld in [%ld, %ld]\n",
              static_cast<long>(pair.depth), static_cast<long>(pair.width), z.mean, z.variance,
              static_cast<long>(z.alive), static_cast<long>(least), static_cast<long>(most));
  return z.alive < least || z.alive > most ? std::numeric_limits<double>::infinity() : z.largest();
}

/// Three statistics an ensemble, the number of living networks among them, share kFamily.
const double kLogLimit = estimators::z_threshold(2 * kFamily / 3, 2 * kEnsembles);

TEST(DeepReluBeyond, LogMomentsAgreeBeyondTheReachOfPlainMoments) {
  for (const Pair pair : kBeyond) {
    EXPECT_LT(log_moments_z(pair, KernelMethod::weights), kLogLimit);
    EXPECT_LT(log_moments_z(pair, KernelMethod::law_exact), kLogLimit);
  }
}

TEST(DeepReluBeyond, LogMomentsRejectSigmaWOffByTwoPercentAndAReusedStream) {
  for (const Pair pair : kBeyond) {
    EXPECT_GT(log_moments_z(pair, KernelMethod::law_exact, Fault::sigma_w), kLogLimit);
    EXPECT_GT(log_moments_z(pair, KernelMethod::weights, Fault::reused_stream), kLogLimit);
  }
}

TEST(DeepReluBeyond, PlainSecondMomentFallsShortExactlyWhereTheCriterionSaysSo) {
  constexpr Index kBatches = 100, kEach = 400;
  const auto reliable = [](Pair pair) {
    return estimators::lognormal_moment_is_reliable(std::log(test::ntk_law(pair).ratio()), kEach);
  };
  EXPECT_TRUE(reliable({1, 16}));
  EXPECT_FALSE(test::judge_batches({1, 16}, kBatches, kEach).falls_short);
  EXPECT_FALSE(reliable({16, 16}));
  EXPECT_TRUE(test::judge_batches({16, 16}, kBatches, kEach).falls_short);
}

}  // namespace
}  // namespace widelab
