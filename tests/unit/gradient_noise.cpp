// Noise statistics from Gram matrices against gradients that are written out.
#include "host/estimators/gradient_noise.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "widelab/base/errors.hpp"
#include "widelab/rng/normal.hpp"

namespace widelab::estimators {
namespace {

constexpr Index kExamples = 12, kParameters = 5;

/// N x P gradients with a mean that is not 0.
std::vector<double> gradients() {
  std::vector<double> g;
  for (std::uint32_t i = 0; i < kExamples; ++i)
    for (std::uint32_t p = 0; p < kParameters; ++p) g.push_back(0.5 + normal_at({9, 0, Stream::test_only, 0}, i, p));
  return g;
}

std::vector<double> gram_of(const std::vector<double>& g, Index n, Index parameters) {
  std::vector<double> gram;
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) {
      double sum = 0;
      for (Index p = 0; p < parameters; ++p)
        sum += g[static_cast<std::size_t>(i * parameters + p)] * g[static_cast<std::size_t>(j * parameters + p)];
      gram.push_back(sum);
    }
  return gram;
}

/// The mean of rows [first, last).
std::vector<double> mean_gradient(const std::vector<double>& g, Index first, Index last) {
  std::vector<double> mean(kParameters, 0.0);
  for (Index i = first; i < last; ++i)
    for (Index p = 0; p < kParameters; ++p)
      mean[static_cast<std::size_t>(p)] +=
          g[static_cast<std::size_t>(i * kParameters + p)] / static_cast<double>(last - first);
  return mean;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t p = 0; p < a.size(); ++p) sum += a[p] * b[p];
  return sum;
}

TEST(GradientNoise, EqualsTheCovarianceOfTheGradients) {
  const std::vector<double> g = gradients(), mean = mean_gradient(g, 0, kExamples);
  double c[kParameters][kParameters] = {}, trace = 0, square = 0;
  for (Index i = 0; i < kExamples; ++i)
    for (Index p = 0; p < kParameters; ++p)
      for (Index q = 0; q < kParameters; ++q)
        c[p][q] += (g[static_cast<std::size_t>(i * kParameters + p)] - mean[static_cast<std::size_t>(p)]) *
                   (g[static_cast<std::size_t>(i * kParameters + q)] - mean[static_cast<std::size_t>(q)]) / kExamples;
  for (Index p = 0; p < kParameters; ++p) {
    trace += c[p][p];
    for (Index q = 0; q < kParameters; ++q) square += c[p][q] * c[p][q];
  }
  const std::vector<double> gram = gram_of(g, kExamples, kParameters);
  const GradientNoise noise = gradient_noise(gram, kExamples);
  EXPECT_NEAR(noise.gradient_square, dot(mean, mean), 1e-13);
  EXPECT_NEAR(noise.trace, trace, 1e-13);
  EXPECT_NEAR(noise.trace_of_square, square, 1e-12);
  EXPECT_NEAR(noise.participation(), trace * trace / square, 1e-12);
  EXPECT_NEAR(noise.noise_scale(), trace / dot(mean, mean), 1e-12);

  // The spectrum has the same two traces and no more than P eigenvalues.
  const std::vector<double> spectrum = noise_spectrum(gram, kExamples);
  double sum = 0, squares = 0;
  for (const double value : spectrum) sum += value, squares += value * value;
  EXPECT_NEAR(sum, trace, 1e-12);
  EXPECT_NEAR(squares, square, 1e-12);
  EXPECT_GT(spectrum[kParameters - 1], 1e-3);
  EXPECT_NEAR(spectrum[kParameters], 0, 1e-13);

  // Without the centring the trace would hold the gradient's own square as well.
  EXPECT_GT(std::fabs(noise.trace + noise.gradient_square - trace), 0.1);
}

TEST(GradientNoise, KindsAndBatchesAreMeansOfTheirGradients) {
  const std::vector<double> g = gradients(), gram = gram_of(g, kExamples, kParameters);
  std::vector<bool> second(kExamples, false);
  for (std::size_t i = 8; i < kExamples; ++i) second[i] = true;
  const std::vector<double> a = mean_gradient(g, 0, 8), b = mean_gradient(g, 8, kExamples);
  const KindAlignment kinds = kind_alignment(gram, second);
  EXPECT_NEAR(kinds.cosine, dot(a, b) / std::sqrt(dot(a, a) * dot(b, b)), 1e-13);
  EXPECT_NEAR(kinds.relative_strength, 4 * std::sqrt(dot(b, b)) / (8 * std::sqrt(dot(a, a))), 1e-13);
  EXPECT_TRUE(std::isnan(kind_alignment(gram, std::vector<bool>(kExamples, false)).cosine));

  const std::vector<double> first = mean_gradient(g, 0, 5), other = mean_gradient(g, 5, 10);
  const BatchAlignment batches = batch_alignment(gram, kExamples, 5);
  EXPECT_NEAR(batches.cosine, dot(first, other) / std::sqrt(dot(first, first) * dot(other, other)), 1e-13);
  EXPECT_NEAR(batches.amplitude, (std::sqrt(dot(first, first)) + std::sqrt(dot(other, other))) / 2, 1e-13);
  EXPECT_TRUE(std::isnan(batch_alignment(gram, kExamples, 7).cosine));
}

/// |G|^2 of batches of `batch` gradients g + noise with |g|^2 = 0.2 and tr C = 5.
std::vector<double> batch_squares(Index batch, Index pairs, std::uint32_t replicate) {
  std::vector<double> out;
  const double scale = 1 / std::sqrt(static_cast<double>(batch));
  for (std::uint32_t k = 0; k < static_cast<std::uint32_t>(pairs); ++k) {
    double square = 0;
    for (std::uint32_t p = 0; p < kParameters; ++p) {
      const double value = 0.2 + scale * normal_at({31, replicate, Stream::test_only, 0}, k, p);
      square += value * value;
    }
    out.push_back(square);
  }
  return out;
}

TEST(BatchNoise, TwoBatchSizesGiveGradientAndNoise) {
  constexpr Index kPairs = 4000;
  const std::vector<double> small = batch_squares(4, kPairs, 0), large = batch_squares(64, kPairs, 1);
  const BatchNoise noise = batch_noise({4, small}, {64, large});
  EXPECT_LT(std::fabs(noise.gradient_square.value - 0.2), 4 * noise.gradient_square.se);
  EXPECT_LT(std::fabs(noise.trace.value - 5), 4 * noise.trace.se);
  EXPECT_LT(std::fabs(noise.noise_scale.value - 25), 4 * noise.noise_scale.se);
  EXPECT_LT(noise.noise_scale.se, 2);
  // The planted fault: the large batches taken for half as large. Its bias of the trace is seen.
  const BatchNoise fault = batch_noise({4, small}, {32, large});
  EXPECT_GT(std::fabs(fault.noise_scale.value - 25), 6 * fault.noise_scale.se);
  EXPECT_THROW(batch_noise({64, large}, {4, small}), ContractError);
}

}  // namespace
}  // namespace widelab::estimators
