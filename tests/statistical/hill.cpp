// Tail exponents from the largest values: exact on Pareto samples, with errors that cover, and a planted fault.
#include "host/estimators/hill.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "widelab/rng/distributions.hpp"

namespace widelab::estimators {
namespace {

/// rows x columns of x = u^(-1 / alpha).
std::vector<double> pareto(double alpha, std::uint32_t rows, std::uint32_t columns, std::uint64_t seed) {
  std::vector<double> out;
  const StreamId id{seed, 0, Stream::test_only, 0};
  for (std::uint32_t r = 0; r < rows; ++r)
    for (std::uint32_t c = 0; c < columns; ++c)
      out.push_back(std::pow(uniform53(random_block(id, c, r), 0), -1 / alpha));
  return out;
}

TEST(Hill, IsTheInverseMeanExcessOfLogarithms) {
  // ln(8 / 2), ln(4 / 2) over the threshold 2: 2 / (3 ln 2).
  EXPECT_DOUBLE_EQ(hill_exponent({1, 8, 0.5, 4, 2}, 2), 2 / (3 * std::log(2.0)));
  EXPECT_TRUE(std::isnan(hill_exponent({1, 2}, 2)));
  EXPECT_TRUE(std::isnan(hill_exponent({1, 0, 0}, 1)));
}

TEST(Hill, ErrorsCoverTheExponentOfAParetoLaw) {
  int covered = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const Estimate seen = tail_exponent(pareto(2.9, 400, 20, seed), 20, 0.05);
    // 400 kept of 8000: the error of Hill's estimate is alpha / sqrt(kept).
    EXPECT_NEAR(seen.se / (2.9 / 20), 1, 0.3);
    covered += std::fabs(seen.value - 2.9) < 2 * seen.se ? 1 : 0;
  }
  EXPECT_GE(covered, 33);  // of 40 at 95 %: fewer with probability 1.4e-3
  // The planted fault: another exponent.
  const Estimate other = tail_exponent(pareto(2.0, 400, 20, 7), 20, 0.05);
  EXPECT_GT(std::fabs(other.value - 2.9), 4 * other.se);
}

TEST(Hill, RowsThatAreNotFiniteAreLeftOut) {
  std::vector<double> values = pareto(2, 100, 10, 3);
  const Estimate clean = tail_exponent({values.begin() + 10, values.end()}, 10, 0.1);
  values[4] = std::nan("");
  EXPECT_EQ(tail_exponent(values, 10, 0.1).value, clean.value);
  EXPECT_EQ(tail_exponent(values, 10, 0.1).count, 99);
}

}  // namespace
}  // namespace widelab::estimators
