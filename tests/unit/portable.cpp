// Accuracy of the portable fp32 functions against long double, and that vectorised loops give the scalar bits.
#include "widelab/math/portable.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "widelab/math/compensated_sum.hpp"

namespace widelab {
namespace {

constexpr long double kPi = 3.14159265358979323846264338327950288L;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Largest error of f on an even grid of [low, high], in units of the last place of the exact value.
template <class F, class Exact>
double worst_ulp(F f, Exact exact, float low, float high) {
  constexpr int kPoints = 400000;
  double worst = 0.0;
  for (int i = 0; i <= kPoints; ++i) {
    const float x = low + (high - low) * (static_cast<float>(i) / kPoints);
    const long double truth = exact(static_cast<long double>(x));
    const float size = std::fabs(static_cast<float>(truth));
    const double error = static_cast<double>(std::fabs(f(x) - truth) / (std::nextafter(size, kInfinity) - size));
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

long double normal_cdf(long double x) { return 0.5L * std::erfc(-x / std::sqrt(2.0L)); }
long double normal_density(long double x) { return std::exp(-0.5L * x * x) / std::sqrt(2.0L * kPi); }

TEST(Portable, ExpIsWithinItsBoundDownToSubnormals) {
  const auto exact = [](long double x) { return std::exp(x); };
  EXPECT_LE(worst_ulp([](float x) { return portable::exp(x); }, exact, -87.0f, 88.7f), 1.1);
  EXPECT_LE(worst_ulp([](float x) { return portable::exp(x); }, exact, -0.5f, 0.5f), 1.1);
  EXPECT_LE(worst_ulp([](float x) { return portable::exp(x); }, exact, -103.0f, -87.0f), 1.1);
}

TEST(Portable, ExpOfMinusASquareKeepsTheTail) {
  EXPECT_LE(worst_ulp([](float x) { return portable::exp_minus_square(x); },
                      [](long double x) { return std::exp(-x * x); }, -9.3f, 9.3f), 2.0);
}

TEST(Portable, TanhIsWithinTwoUlp) {
  for (const float range : {1e-3f, 1.0f, 20.0f})
    EXPECT_LE(worst_ulp([](float x) { return portable::tanh(x); }, [](long double x) { return std::tanh(x); }, -range,
                        range), 2.0);
}

TEST(Portable, ErfIsWithinTwoUlp) {
  for (const float range : {1e-3f, 1.5f, 8.0f})
    EXPECT_LE(worst_ulp([](float x) { return portable::erf(x); }, [](long double x) { return std::erf(x); }, -range,
                        range), 2.0);
}

TEST(Portable, NormalLawIsAccurateInBothTails) {
  EXPECT_LE(worst_ulp([](float x) { return portable::normal_cdf(x); }, normal_cdf, -12.9f, 8.0f), 6.0);
  EXPECT_LE(worst_ulp([](float x) { return portable::normal_density(x); }, normal_density, -12.9f, 12.9f), 3.0);
}

TEST(Portable, SinAndCosAreWithinTwoUlpUpToAHundredThousand) {
  for (const float range : {1.0f, 100.0f, 1e4f, 1e5f}) {
    EXPECT_LE(worst_ulp([](float x) { return portable::sin(x); }, [](long double x) { return std::sin(x); }, -range,
                        range), 2.0);
    EXPECT_LE(worst_ulp([](float x) { return portable::cos(x); }, [](long double x) { return std::cos(x); }, -range,
                        range), 2.0);
  }
}

TEST(Portable, SinAndCosStayBoundedForEveryFiniteArgument) {
  for (float x = 1.0f; x < 1e38f; x *= 1.37f) {
    EXPECT_LE(std::fabs(portable::sin(x)), 1.0f) << x;
    EXPECT_LE(std::fabs(portable::cos(-x)), 1.0f) << x;
  }
  EXPECT_NEAR(portable::sin(3999999.0f), std::sin(3999999.0), 1e-5);
}

TEST(Portable, SpecialValuesAreThoseOfTheLibrary) {
  EXPECT_EQ(portable::exp(0.0f), 1.0f);
  EXPECT_EQ(portable::exp(kInfinity), kInfinity);
  EXPECT_EQ(portable::exp(-kInfinity), 0.0f);
  EXPECT_EQ(portable::exp(89.0f), kInfinity);
  EXPECT_EQ(portable::exp(-200.0f), 0.0f);
  EXPECT_EQ(portable::exp_minus_square(kInfinity), 0.0f);
  EXPECT_EQ(portable::tanh(0.0f), 0.0f);
  EXPECT_EQ(portable::tanh(kInfinity), 1.0f);
  EXPECT_EQ(portable::tanh(-50.0f), -1.0f);
  EXPECT_EQ(portable::erf(-kInfinity), -1.0f);
  EXPECT_EQ(portable::normal_cdf(0.0f), 0.5f);
  EXPECT_EQ(portable::normal_cdf(kInfinity), 1.0f);
  EXPECT_EQ(portable::normal_cdf(-kInfinity), 0.0f);
  EXPECT_EQ(portable::sin(0.0f), 0.0f);
  EXPECT_EQ(portable::cos(0.0f), 1.0f);
}

TEST(Portable, NanIsNeverSwallowed) {
  EXPECT_TRUE(std::isnan(portable::exp(kNan)));
  EXPECT_TRUE(std::isnan(portable::exp_minus_square(kNan)));
  EXPECT_TRUE(std::isnan(portable::tanh(kNan)));
  EXPECT_TRUE(std::isnan(portable::erf(kNan)));
  EXPECT_TRUE(std::isnan(portable::normal_cdf(kNan)));
  EXPECT_TRUE(std::isnan(portable::sin(kNan)));
  EXPECT_TRUE(std::isnan(portable::cos(kInfinity)));
}

/// Every function of one argument, so that a difference between compilations is seen in any of them.
float all_functions(float x) {
  return portable::exp(0.1f * x) + portable::tanh(x) + portable::erf(x) + portable::sin(x) + portable::cos(x) +
         portable::normal_cdf(x) + portable::normal_density(x) + portable::exp_minus_square(x);
}

__attribute__((noinline)) void vector_loop(const float* x, float* y, int n) {
  for (int i = 0; i < n; ++i) y[i] = all_functions(x[i]);
}

__attribute__((noinline, optimize("no-tree-vectorize"))) float one(float x) { return all_functions(x); }

TEST(Portable, VectorisedLoopsGiveTheBitsOfSingleCalls) {
  std::vector<float> x, y;
  for (float v = -30.0f; v < 30.0f; v += 0.0137f) x.push_back(v);
  y.resize(x.size());
  vector_loop(x.data(), y.data(), static_cast<int>(x.size()));
  for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(portable::to_bits(y[i]), portable::to_bits(one(x[i]))) << x[i];
}

/// FNV-1a over the bits of a grid: the same number on every machine, host or device, that keeps IEEE arithmetic.
std::uint64_t fingerprint() {
  std::uint64_t hash = 1469598103934665603ull;
  for (int i = -20000; i <= 20000; ++i) {
    hash ^= static_cast<std::uint32_t>(portable::to_bits(all_functions(static_cast<float>(i) * 0x1p-10f)));
    hash *= 1099511628211ull;
  }
  return hash;
}

TEST(Portable, BitsArePinned) { EXPECT_EQ(fingerprint(), 1184944972683720317ull); }

TEST(CompensatedSum, KeepsWhatAPlainSumLoses) {
  CompensatedSum<double> sum;
  double plain = 0.0;
  for (const double term : {1.0, 1e100, 1.0, -1e100}) {
    sum(term);
    plain += term;
  }
  EXPECT_EQ(plain, 0.0);
  EXPECT_EQ(sum.value(), 2.0);
}

TEST(CompensatedSum, ErrorDoesNotGrowWithTheNumberOfTerms) {
  constexpr int kTerms = 1000000;
  CompensatedSum<double> sum;
  double plain = 0.0;
  for (int i = 0; i < kTerms; ++i) {
    sum(0.1);
    plain += 0.1;
  }
  const double exact = static_cast<double>(kTerms * static_cast<long double>(0.1));
  EXPECT_EQ(sum.value(), exact);
  EXPECT_GT(std::fabs(plain - exact), 1e-7);
}

}  // namespace
}  // namespace widelab
