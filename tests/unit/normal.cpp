// The portable normals: accuracy of each part, extreme words, addressing, and the bits of a fixed batch.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>

#include "tests/support/normal_checksum.hpp"
#include "widelab/rng/normal.hpp"

namespace {

using namespace widelab;

constexpr double kHalfUlp = 0x1p-24;  // relative rounding error of one fp32 operation
constexpr double kTwoPi = 6.283185307179586476925;
constexpr StreamId kStream{31415, 9, Stream::test_only, 0};

/// The uniform that the radius is a function of, after its one rounding.
double rounded_uniform(std::uint32_t w) {
  return static_cast<double>(std::fma(static_cast<float>(w), 0x1p-32f, 0x1p-33f));
}

double exact_radius(std::uint32_t w) {
  const double u = rounded_uniform(w);
  return u < 1.0 ? std::sqrt(-2.0 * std::log(u)) : 0.0;
}

TEST(Normal, IntegerConversionIsCorrectlyRounded) {
  for (std::uint32_t k = 0; k < 1000000; ++k) {
    const std::uint32_t w = random_block(kStream, 0, k).w[0];
    ASSERT_EQ(box_muller::to_float(w), static_cast<float>(w)) << w;
  }
  for (const std::uint32_t w :
       {0u, 1u, 0xFFFFu, 0x10000u, 0x1000001u, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFF7Fu, 0xFFFFFF80u, 0xFFFFFFFFu})
    EXPECT_EQ(box_muller::to_float(w), static_cast<float>(w)) << w;
}

// The logarithm's last sum and its polynomial err by about 2 ulp, the square root halves that and adds half an ulp;
// cosine and sine err by 1 ulp and carry the two roundings of their angle; the product adds half an ulp. Together
// below 8 half-ulps.
TEST(Normal, EqualsDoublePrecisionBoxMullerOfTheSameWords) {
  double worst = 0;
  for (std::uint32_t k = 0; k < 1000000; ++k) {
    const PhiloxBlock block = random_block(kStream, 1, k);
    const Draw4 draw = normal4(block);
    for (int pair = 0; pair < 2; ++pair) {
      const double r = exact_radius(block.w[2 * pair]),
                   angle = kTwoPi * 0x1p-32 * static_cast<double>(block.w[2 * pair + 1]);
      const double expected[2] = {r * std::cos(angle), r * std::sin(angle)};
      for (int i = 0; i < 2; ++i)
        worst =
            std::max(worst, std::abs(static_cast<double>(draw.v[2 * pair + i]) - expected[i]) / std::abs(expected[i]));
    }
  }
  EXPECT_LT(worst, 8 * kHalfUlp);
}

TEST(Normal, RadiusIsRightAtTheEndsOfTheRange) {
  // u = 2^-33 gives the largest radius, sqrt(66 log 2) = 6.7638; u rounds to 1 from w = 2^32 - 128 on.
  EXPECT_NEAR(static_cast<double>(box_muller::radius(0)), std::sqrt(66 * std::log(2.0)), 6.8 * 4 * kHalfUlp);
  EXPECT_EQ(box_muller::radius(0xFFFFFFFFu), 0.0f);
  for (std::uint32_t w = 0; w < 4096; ++w) {
    for (const std::uint32_t word : {w, 0xFFFFFFFFu - w, 0x80000000u - 2048 + w, 0xB504F333u - 2048 + w}) {
      const double exact = exact_radius(word);
      ASSERT_NEAR(static_cast<double>(box_muller::radius(word)), exact, 4 * kHalfUlp * exact) << word;
    }
  }
}

TEST(Normal, DirectionIsRightInEveryQuadrant) {
  float c, s;
  for (std::uint32_t quarter = 0; quarter < 4; ++quarter) {
    box_muller::unit_circle(quarter << 30, c, s);
    EXPECT_EQ(c, quarter == 0 ? 1.0f : quarter == 2 ? -1.0f : 0.0f);
    EXPECT_EQ(s, quarter == 1 ? 1.0f : quarter == 3 ? -1.0f : 0.0f);
  }
  for (std::uint32_t k = 0; k < 400000; ++k) {
    const std::uint32_t w = k < 200000 ? random_block(kStream, 2, k).w[0] : (k % 8 << 29) - 12500 + k / 8 % 25000;
    box_muller::unit_circle(w, c, s);
    const double angle = kTwoPi * 0x1p-32 * static_cast<double>(w);
    ASSERT_NEAR(static_cast<double>(c), std::cos(angle), 4 * kHalfUlp) << w;
    ASSERT_NEAR(static_cast<double>(s), std::sin(angle), 4 * kHalfUlp) << w;
  }
}

TEST(Normal, DrawsAreAddressedByRowAndColumn) {
  for (std::uint32_t row : {0u, 5u, 0xFFFFFFFFu})
    for (std::uint32_t col = 0; col < 9; ++col)
      EXPECT_EQ(normal_at(kStream, row, col), normal4(random_block(kStream, row, col / 4)).v[col % 4]);
}

TEST(Normal, TenMillionDrawsHaveTheRecordedBits) {
  using namespace support;
  EXPECT_EQ(normal_checksum(kNormalBatchStream, kNormalBatchRows, kNormalBatchCols), kNormalBatchChecksum);
}

TEST(Normal, ChecksumSeesOneChangedBitAndTheOrder) {
  using namespace support;
  float draws[4] = {1.0f, -2.0f, 3.0f, 0.5f};
  const std::uint64_t before = checksum(draws, 4);
  EXPECT_EQ(checksum(draws + 1, 3, checksum(draws, 1)), before);
  std::swap(draws[0], draws[1]);
  EXPECT_NE(checksum(draws, 4), before);
  std::swap(draws[0], draws[1]);
  draws[3] = std::nextafter(0.5f, 1.0f);
  EXPECT_NE(checksum(draws, 4), before);
}

}  // namespace
