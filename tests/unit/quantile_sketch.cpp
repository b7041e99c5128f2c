// The quantile sketch against sorted samples.
#include "host/estimators/quantile_sketch.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "widelab/base/errors.hpp"
#include "widelab/rng/normal.hpp"

namespace {

using namespace widelab;
using estimators::QuantileSketch;

/// Both signs, 12 decades, and some exact zeros.
std::vector<double> wide_sample(std::uint32_t count) {
  std::vector<double> out;
  for (std::uint32_t i = 0; i < count; ++i) {
    const double g = normal_at({5, 0, Stream::test_only, 0}, i, 0), h = normal_at({5, 0, Stream::test_only, 0}, i, 1);
    out.push_back(i % 17 == 0 ? 0.0 : (h > 0 ? 1 : -1) * std::pow(10.0, 3 * g));
  }
  return out;
}

QuantileSketch sketch_of(const std::vector<double>& values) {
  QuantileSketch sketch;
  for (const double x : values) sketch.add(x);
  return sketch;
}

void expect_same(const QuantileSketch& a, const QuantileSketch& b) {
  const QuantileSketch::State x = a.state(), y = b.state();
  EXPECT_EQ(x.buckets, y.buckets);
  EXPECT_EQ(x.counts, y.counts);
  EXPECT_EQ(x.smallest, y.smallest);
  EXPECT_EQ(x.largest, y.largest);
}

TEST(QuantileSketch, EveryOrderStatisticIsWithinTheStatedError) {
  std::vector<double> values = wide_sample(5000);
  const QuantileSketch sketch = sketch_of(values);
  std::ranges::sort(values);
  for (std::size_t k = 0; k < values.size(); ++k) {
    const double answer = sketch.order_statistic(static_cast<std::int64_t>(k + 1));
    // log and exp of an argument near 700 err by some 1e-13.
    ASSERT_LE(std::abs(answer - values[k]), QuantileSketch::kRelativeError * (1 + 1e-9) * std::abs(values[k])) << k;
  }
  EXPECT_EQ(sketch.smallest(), values.front());
  EXPECT_EQ(sketch.largest(), values.back());
  EXPECT_EQ(sketch.count(), 5000);
}

TEST(QuantileSketch, ExtremeNumbersHaveBuckets) {
  const double tiny = std::numeric_limits<double>::min(), huge = std::numeric_limits<double>::max();
  const QuantileSketch sketch = sketch_of({huge, -tiny, tiny, -huge, tiny / 4});
  EXPECT_EQ(sketch.order_statistic(1), -huge);
  EXPECT_NEAR(sketch.order_statistic(2) / -tiny, 1, 0.0051);
  EXPECT_EQ(sketch.order_statistic(3), 0);
  EXPECT_NEAR(sketch.order_statistic(4) / tiny, 1, 0.0051);
  EXPECT_NEAR(sketch.order_statistic(5) / huge, 1, 0.0051);
}

TEST(QuantileSketch, OrderAndMergingChangeNothing) {
  std::vector<double> values = wide_sample(1000);
  const QuantileSketch forward = sketch_of(values);
  QuantileSketch first = sketch_of({values.begin(), values.begin() + 333});
  first.merge(sketch_of({values.begin() + 333, values.end()}));
  first.merge(QuantileSketch{});
  expect_same(first, forward);
  QuantileSketch empty;
  empty.merge(forward);
  expect_same(empty, forward);
  std::ranges::reverse(values);
  expect_same(sketch_of(values), forward);
}

TEST(QuantileSketch, AStateGoesOnAsIfNothingHadHappened) {
  const std::vector<double> values = wide_sample(1000);
  QuantileSketch resumed = QuantileSketch::from_state(sketch_of({values.begin(), values.begin() + 400}).state());
  for (auto x = values.begin() + 400; x != values.end(); ++x) resumed.add(*x);
  expect_same(resumed, sketch_of(values));
  EXPECT_THROW(QuantileSketch::from_state({{3, 2}, {1, 1}, 0, 1}), ContractError);
  EXPECT_THROW(QuantileSketch::from_state({{3}, {0}, 0, 1}), ContractError);
}

TEST(QuantileSketch, QuantilesOfAHandfulAreTheOrderStatistics) {
  const QuantileSketch sketch = sketch_of({1, 2, 3, 4});
  EXPECT_NEAR(sketch.quantile(0.5).value, 2, 0.01);
  EXPECT_NEAR(sketch.quantile(0.51).value, 3, 0.015);
  EXPECT_EQ(sketch.quantile(0).value, 1);
  EXPECT_EQ(sketch.quantile(1).value, 4);
  EXPECT_EQ(sketch.quantile(0.5).count, 4);
  EXPECT_TRUE(std::isnan(QuantileSketch{}.quantile(0.5).value));
  // Four draws cannot bound the first percentile from below: (99/100)^4 = 0.96 of samples lie above it altogether.
  EXPECT_TRUE(std::isnan(sketch.quantile(0.01).se));
  EXPECT_EQ(sketch.interval(0.01, 0.9).lo, -std::numeric_limits<double>::infinity());
  EXPECT_THROW(sketch.order_statistic(5), ContractError);
  QuantileSketch one;
  EXPECT_THROW(one.add(std::nan("")), ContractError);
}

/// K ~ Bin(10, 1/2): P(K <= 1) = 11/1024, P(K <= 2) = 56/1024.
TEST(QuantileSketch, IntervalsOfTheMedianOfTenAreTheBinomialOnes) {
  QuantileSketch sketch;
  for (int i = 1; i <= 10; ++i) sketch.add(i);
  // P(K < 2) = 11/1024 <= 5 %, P(K < 3) = 56/1024 > 5 %: the interval is x_(2) .. x_(9).
  const QuantileSketch::Interval ninety = sketch.interval(0.5, 0.9);
  EXPECT_NEAR(ninety.lo, 2, 0.021);
  EXPECT_LE(ninety.lo, 2);
  EXPECT_NEAR(ninety.hi, 9, 0.091);
  EXPECT_GE(ninety.hi, 9);
  // P(K < 3) = 56/1024 <= 10 %: x_(3) .. x_(8) at 80 %.
  EXPECT_NEAR(sketch.interval(0.5, 0.8).lo, 3, 0.031);
  EXPECT_NEAR(sketch.interval(0.5, 0.8).hi, 8, 0.081);
}

}  // namespace
