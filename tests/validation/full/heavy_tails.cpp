// Two facts that the tests of the deep ReLU laws rest on: their z-scores are normal under the truth, and the plain
// second moment of a heavy-tailed kernel falls short of its law, by less in larger ensembles. Chance fails each test in
// at most kFamily of the choices of seeds.
#include <gtest/gtest.h>

#include "host/estimators/heavy_tail.hpp"
#include "tests/validation/deep_relu_draws.hpp"

namespace widelab {
namespace {

using test::KernelMethod;
using test::kFamily;
using test::Pair;

double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }

/// z of E[Theta^2] in batches of networks that follow the law.
struct ZScores {
  std::vector<double> plain, corrected;
};

ZScores batch_scores(Pair pair, Index batches, Index networks) {
  const test::Samples samples = test::draw(pair, batches * networks, false, KernelMethod::law_exact);
  const std::vector<double> squares = test::squares(samples.ntk);
  const double exact = test::ntk_law(pair).second;
  ZScores scores;
  for (Index b = 0; b < batches; ++b) {
    const std::span<const double> batch(squares.data() + b * networks, static_cast<std::size_t>(networks));
    double mean = 0, square = 0;
    for (const double x : batch) mean += x / static_cast<double>(networks);
    for (const double x : batch) square += (x - mean) * (x - mean) / static_cast<double>(networks);
    scores.plain.push_back((mean - exact) / std::sqrt(square / static_cast<double>(networks)));
    scores.corrected.push_back(test::skew_corrected_z(batch, exact));
  }
  return scores;
}

TEST(SkewCorrectedScore, IsNormalUnderTheTruthAtTheHeaviestPair) {
  // The heaviest pair of the test of absolute moments, at its number of networks.
  const double p = estimators::ks_one_sample(batch_scores({6, 24}, 120, 20000).corrected, normal_cdf).p;
  std::printf("  Kolmogorov-Smirnov against N(0, 1): p = %.3g\n", p);
  EXPECT_GT(p, kFamily);
}

TEST(SkewCorrectedScore, DiffersFromThePlainScoreWhichTheSameTestRejectsForFewNetworks) {
  const ZScores scores = batch_scores({6, 24}, 800, 400);
  const double plain = estimators::ks_one_sample(scores.plain, normal_cdf).p;
  std::printf("  plain p = %.3g, corrected p = %.3g\n", plain,
              estimators::ks_one_sample(scores.corrected, normal_cdf).p);
  EXPECT_LT(plain, kFamily);
}

TEST(PlainSecondMoment, FallsShortAtDepthTwelveWidthSixteenAndLessSoInLargerEnsembles) {
  const test::BatchVerdict few = test::judge_batches({12, 16}, 400, 250),
                           many = test::judge_batches({12, 16}, 100, 4000);
  EXPECT_TRUE(few.falls_short);
  EXPECT_TRUE(many.falls_short);
  EXPECT_LT(few.median, many.median);
}

TEST(PlainSecondMoment, DoesNotFallShortAtDepthTwoWidthThirtyTwo) {
  EXPECT_FALSE(test::judge_batches({2, 32}, 100, 4000).falls_short);
}

/// Prints ratio and largest share of the first `networks`; whether they can carry a plain second moment.
bool carries_second_moment(Pair pair, const test::Samples& samples, Index networks) {
  const std::span<const double> theta(samples.ntk.data(), static_cast<std::size_t>(networks));
  const double mean = test::ntk_law(pair).mean;
  double second = 0, fourth = 0;
  for (const double x : theta) {
    second += std::pow(x / mean, 2) / static_cast<double>(networks);
    fourth += std::pow(x / mean, 4) / static_cast<double>(networks);
  }
  std::printf("  L %ld, n %ld, %ld networks: ratio %.4g, law %.4g, largest network %.3f of the sum\n",
              static_cast<long>(pair.depth), static_cast<long>(pair.width), static_cast<long>(networks), second,
              test::ntk_law(pair).ratio(), estimators::tail_share_of_squares(theta).largest);
  return estimators::plain_moment_is_reliable(second, fourth, static_cast<double>(networks));
}

TEST(PlainSecondMoment, IsCarriedByAFewNetworksAtDepthSixteenWidthTenOnly) {
  constexpr Index kFew = 100000, kMany = 400000;
  for (const Pair pair : {Pair{16, 10}, Pair{2, 32}}) {
    const test::Samples samples = test::draw(pair, kMany, false, KernelMethod::law_exact);
    for (const Index networks : {kFew, kMany})
      EXPECT_EQ(carries_second_moment(pair, samples, networks), pair.depth == 2);
  }
}

}  // namespace
}  // namespace widelab
