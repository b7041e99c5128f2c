// Deep ReLU networks at one input against their exact laws at finite width: absolute E[Theta] and E[Theta^2] at eight
// pairs (L, n) with L/n <= 1/4, from explicit weights and from the law-exact sampler, with and without trained biases
// that start at zero. Each test holds all its |z| below the Sidak threshold of kFamily. A faulty network is judged by
// the same function at the same number of networks and must fail.
#include <gtest/gtest.h>

#include "tests/validation/deep_relu_draws.hpp"

namespace widelab {
namespace {

using test::Fault;
using test::KernelMethod;
using test::kFamily;
using test::Pair;

constexpr Index kNetworks = 20000;
constexpr Pair kPairs[] = {{1, 4}, {1, 16}, {2, 8}, {2, 32}, {3, 16}, {4, 16}, {4, 32}, {6, 24}};
constexpr Index kStatistics = 2 * std::size(kPairs);

/// The larger |z| of E[Theta] and E[Theta^2] against the exact law of the network without a fault.
double moments_z(Pair pair, bool biases, KernelMethod method, Fault fault = Fault::none) {
  const test::Samples samples = test::draw(pair, kNetworks, biases, method, fault);
  const test::MomentScores z = test::moment_scores(samples, pair, biases);
  std::printf("  (%ld, %ld) biases %d: z of E Theta %.2f, of E Theta^2 %.2f\n", static_cast<long>(pair.depth),
              static_cast<long>(pair.width), biases ? 1 : 0, z.first, z.second);
  return z.largest();
}

const double kLimit = estimators::z_threshold(kFamily, kStatistics);

void expect_exact_moments(KernelMethod method, bool biases) {
  for (const Pair pair : kPairs) EXPECT_LT(moments_z(pair, biases, method), kLimit);
}

TEST(DeepRelu, ExplicitWeightsHaveTheExactMoments) { expect_exact_moments(KernelMethod::weights, false); }

TEST(DeepRelu, ExplicitWeightsWithTrainedBiasesHaveTheExactMoments) {
  expect_exact_moments(KernelMethod::weights, true);
}

TEST(DeepRelu, LawExactSamplerHasTheExactMoments) { expect_exact_moments(KernelMethod::law_exact, false); }

TEST(DeepRelu, LawExactSamplerWithTrainedBiasesHasTheExactMoments) {
  expect_exact_moments(KernelMethod::law_exact, true);
}

TEST(DeepRelu, SigmaWOffByTwoPercentIsRejectedAtEveryPair) {
  for (const Pair pair : kPairs) EXPECT_GT(moments_z(pair, false, KernelMethod::weights, Fault::sigma_w), kLimit);
}

TEST(DeepRelu, BiasCountedTwiceIsRejectedAtEveryPair) {
  for (const Pair pair : kPairs) EXPECT_GT(moments_z(pair, true, KernelMethod::law_exact, Fault::bias_twice), kLimit);
}

TEST(DeepRelu, ReusedStreamIsRejectedAtEveryPairWithTwoSquareLayers) {
  // With one square layer only the readout repeats it, which these two moments hardly see: printed, not judged.
  for (const Pair pair : kPairs) {
    if (pair.depth < 2) continue;
    const double z = moments_z(pair, false, KernelMethod::weights, Fault::reused_stream);
    if (pair.depth > 2) {
      EXPECT_GT(z, kLimit);
    }
  }
}

}  // namespace
}  // namespace widelab
