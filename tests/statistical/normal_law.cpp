// The law of the portable normals: moments, distribution function, tails, independence of neighbours and of streams.
// Seeds are fixed; 32 z-scores at |z| < 5 and a p-value above 1e-5 raise a false alarm for one seed in 30000.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/kolmogorov_smirnov.hpp"
#include "widelab/rng/normal.hpp"

namespace {

using namespace widelab;

constexpr double kZ = 5.0, kP = 1e-5;
constexpr std::size_t kCount = 20000000;

/// `count` draws of rows of 1000 columns.
std::vector<float> sample(const StreamId& id, std::size_t count) {
  std::vector<float> out(count);
  for (std::size_t k = 0; k < count; k += 4) {
    const Draw4 four =
        normal4(random_block(id, static_cast<std::uint32_t>(k / 1000), static_cast<std::uint32_t>(k % 1000 / 4)));
    for (std::size_t i = 0; i < 4; ++i) out[k + i] = four.v[i];
  }
  return out;
}

const std::vector<float>& large_sample() {
  static const std::vector<float> draws = sample({2718281828, 1, Stream::test_only, 0}, kCount);
  return draws;
}

/// z-scores of E z^k, k = 1 .. 8: E z^k = (k-1)!! for even k, Var = (2k-1)!! - (E z^k)^2.
std::array<double, 8> moment_z(const std::vector<float>& draws, double scale = 1.0, double shift = 0.0) {
  std::array<double, 8> sum{}, z{};
  for (const float draw : draws) {
    const double x = scale * static_cast<double>(draw) + shift;
    double power = 1;
    for (double& s : sum) s += power *= x;
  }
  constexpr std::array<double, 9> double_factorial{1, 1, 3, 15, 105, 945, 10395, 135135, 2027025};  // (2k-1)!!
  for (std::size_t k = 1; k <= 8; ++k) {
    const double mean = k % 2 ? 0.0 : double_factorial[k / 2], n = static_cast<double>(draws.size());
    z[k - 1] = (sum[k - 1] / n - mean) * std::sqrt(n / (double_factorial[k] - mean * mean));
  }
  return z;
}

double largest(const std::array<double, 8>& z) {
  double worst = 0;
  for (const double v : z) worst = std::max(worst, std::abs(v));
  return worst;
}

TEST(NormalLaw, EightMomentsAgree) {
  const std::array<double, 8> z = moment_z(large_sample());
  for (std::size_t k = 0; k < 8; ++k) EXPECT_LT(std::abs(z[k]), kZ) << "moment " << k + 1;
}

TEST(NormalLaw, MomentsRejectPlantedScaleAndShift) {
  EXPECT_GT(largest(moment_z(large_sample(), 1.002)), kZ);
  EXPECT_GT(largest(moment_z(large_sample(), 1.0, 0.002)), kZ);
}

std::vector<double> widened(std::size_t count, double scale) {
  std::vector<double> out(count);
  for (std::size_t k = 0; k < count; ++k) out[k] = scale * static_cast<double>(large_sample()[k]);
  return out;
}

double phi(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

TEST(NormalLaw, DistributionFunctionAgrees) { EXPECT_GT(support::ks_one_sample(widened(4000000, 1.0), phi), kP); }

TEST(NormalLaw, DistributionFunctionRejectsAPlantedHalfPercentOfScale) {
  EXPECT_LT(support::ks_one_sample(widened(4000000, 1.005), phi), kP);
}

/// Root of the likelihood ratio of a Poisson count, signed: close to N(0,1) for expectations from a few on.
double poisson_z(double count, double expected) {
  const double deviance = 2 * ((count > 0 ? count * std::log(count / expected) : 0.0) - (count - expected));
  return (count < expected ? -1 : 1) * std::sqrt(std::max(0.0, deviance));
}

double tail_z(double threshold, double scale) {
  double count = 0;
  for (const float draw : large_sample()) count += std::abs(scale * static_cast<double>(draw)) > threshold;
  return poisson_z(count, static_cast<double>(kCount) * std::erfc(threshold / std::sqrt(2.0)));
}

TEST(NormalLaw, TailsHaveTheirCounts) {
  for (const double threshold : {3.0, 4.0, 4.5, 5.0}) EXPECT_LT(std::abs(tail_z(threshold, 1.0)), kZ) << threshold;
  EXPECT_GT(std::abs(tail_z(4.0, 1.05)), kZ);  // the planted fault: a tail as of a scale 5 % too large
}

/// z-score of the correlation of g(draws[k]) and g(other[k + lag]); g is centred.
double correlation_z(const std::vector<float>& a, const std::vector<float>& b, std::size_t lag,
                     const std::function<double(double)>& g, double variance) {
  double sum = 0;
  const std::size_t count = a.size() - lag;
  for (std::size_t k = 0; k < count; ++k) sum += g(static_cast<double>(a[k])) * g(static_cast<double>(b[k + lag]));
  return sum / (variance * std::sqrt(static_cast<double>(count)));
}

double linear(double x) { return x; }
double square(double x) { return x * x - 1; }

TEST(NormalLaw, NeighboursAreIndependent) {
  const std::vector<float> draws(large_sample().begin(), large_sample().begin() + 4000000);
  // Lags 1 to 4 lie within a block and between blocks, 1000 between rows.
  for (const std::size_t lag : {1u, 2u, 3u, 4u, 1000u}) {
    EXPECT_LT(std::abs(correlation_z(draws, draws, lag, linear, 1)), kZ) << lag;
    EXPECT_LT(std::abs(correlation_z(draws, draws, lag, square, 2)), kZ) << lag;
  }
}

TEST(NormalLaw, StreamsLayersReplicatesAndKeysAreIndependent) {
  const StreamId base{17, 3, Stream::weights, 2};
  std::vector<std::pair<std::string, StreamId>> others{
      {"stream", base}, {"layer", base}, {"replicate", base}, {"key", base}, {"high key", base}};
  others[0].second.stream = Stream::biases;
  others[1].second.layer = 3;
  others[2].second.replicate = 4;
  others[3].second.key = 18;
  others[4].second.key = 17 | (1ull << 32);
  const std::vector<float> draws = sample(base, 1000000);
  for (const auto& [what, id] : others) {
    const std::vector<float> other = sample(id, 1000000);
    EXPECT_LT(std::abs(correlation_z(draws, other, 0, linear, 1)), kZ) << what;
    EXPECT_LT(std::abs(correlation_z(draws, other, 0, square, 2)), kZ) << what;
  }
  // The planted fault: one draw in a hundred shared between two streams.
  std::vector<float> shared = sample(others[0].second, 1000000);
  for (std::size_t k = 0; k < shared.size(); k += 100) shared[k] = draws[k];
  EXPECT_GT(correlation_z(draws, shared, 0, linear, 1), kZ);
}

}  // namespace
