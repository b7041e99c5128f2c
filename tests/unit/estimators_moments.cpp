// Power sums by group: closed forms on samples small enough to check by hand, and bits that do not depend on how a
// run was cut.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "host/estimators/grouped_moments.hpp"
#include "host/estimators/heavy_tail.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/rng/normal.hpp"

namespace {

using namespace widelab;
using namespace widelab::estimators;

GroupedMoments moments_of(const std::vector<double>& sample, double shift, int order = 4, Index groups = 64) {
  GroupedMoments out({shift}, order, groups);
  for (std::size_t r = 0; r < sample.size(); ++r) out.add(static_cast<std::int64_t>(r), {&sample[r], 1});
  return out;
}

double value_of(const GroupedMoments& moments, Statistic statistic) { return moments.estimate(statistic)[0].value; }

double draw(std::uint32_t replicate, std::uint32_t entry) {
  return normal_at({11, 0, Stream::test_only, 0}, replicate, entry);
}

std::vector<double> row_of(std::uint32_t replicate, std::uint32_t entries) {
  std::vector<double> row(entries);
  for (std::uint32_t e = 0; e < entries; ++e) row[e] = std::exp(0.3 * draw(replicate, e));
  return row;
}

// {1, 2, 4, 9}: mean 4, sum of squares about it 38, of cubes 90, of fourth powers 722; Kendall and Stuart's k3 and k4.
const std::vector<double> kSample{1, 2, 4, 9};

TEST(GroupedMoments, KStatisticsHaveTheirClosedFormsWhateverTheShift) {
  for (const double shift : {0.0, 4.0, -3.0}) {
    const GroupedMoments m = moments_of(kSample, shift);
    EXPECT_NEAR(value_of(m, Statistic::mean), 4.0, 1e-13);
    EXPECT_NEAR(value_of(m, Statistic::variance), 38.0 / 3, 1e-12);
    EXPECT_NEAR(value_of(m, Statistic::third_cumulant), 4.0 * 90 / (3 * 2), 1e-11);
    // n^2 [(n + 1) m4 - 3 (n - 1) m2^2] / ((n-1)(n-2)(n-3)), m4 = 722/4, m2 = 38/4
    EXPECT_NEAR(value_of(m, Statistic::fourth_cumulant), 16.0 * (5 * 180.5 - 9 * 90.25) / 6, 1e-10);
  }
}

TEST(GroupedMoments, RawMomentsAreAboutZeroWhateverTheShift) {
  for (const double shift : {0.0, 4.0, -3.0}) {
    const std::vector<double> raw = moments_of(kSample, shift).raw_moments();
    EXPECT_NEAR(raw[0], 4.0, 1e-13);
    EXPECT_NEAR(raw[1], 102.0 / 4, 1e-12);
    EXPECT_NEAR(raw[2], 802.0 / 4, 1e-11);
    EXPECT_NEAR(raw[3], 6834.0 / 4, 1e-10);
  }
}

TEST(GroupedMoments, MeanHasTheFullSampleError) {
  const Estimate mean = moments_of(kSample, 4).estimate(Statistic::mean)[0];
  EXPECT_NEAR(mean.se, std::sqrt(38.0 / 3 / 4), 1e-14);
  EXPECT_EQ(mean.count, 4);
}

TEST(GroupedMoments, JackknifeOfTheVarianceEqualsItsLeaveOneOutSum) {
  // With one replicate a group: se^2 = (G - 1)/G sum (T_(-g) - mean)^2, written out by hand from the sample.
  std::vector<double> deleted;
  for (std::size_t skip = 0; skip < kSample.size(); ++skip) {
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < kSample.size(); ++i) {
      if (i == skip) continue;
      sum += kSample[i];
      squares += kSample[i] * kSample[i];
    }
    deleted.push_back((squares - sum * sum / 3) / 2);
  }
  const double centre = std::accumulate(deleted.begin(), deleted.end(), 0.0) / 4;
  double square = 0;
  for (const double t : deleted) square += (t - centre) * (t - centre);
  EXPECT_NEAR(moments_of(kSample, 4).estimate(Statistic::variance)[0].se, std::sqrt(0.75 * square), 1e-12);
}

TEST(GroupedMoments, PseudoValuesAverageToTheEstimateAndCarryItsError) {
  std::vector<double> sample;
  for (std::uint32_t r = 0; r < 200; ++r) sample.push_back(1 + draw(r, 0));
  const GroupedMoments m = moments_of(sample, 1.0, 4, 8);  // 25 a group: equal counts
  const GroupSample pseudo = m.group_sample(Statistic::second_moment_ratio);
  const Estimate estimate = m.estimate(Statistic::second_moment_ratio)[0];
  EXPECT_NEAR(weighted_mean(pseudo)[0], estimate.value, 1e-12);
  EXPECT_NEAR(group_standard_errors(pseudo)[0], estimate.se, 1e-12);
}

TEST(GroupedMoments, ConstantSampleHasNoSpread) {
  const GroupedMoments m = moments_of({2, 2, 2, 2, 2}, 0);
  EXPECT_EQ(m.estimate(Statistic::mean)[0].se, 0);
  EXPECT_EQ(value_of(m, Statistic::variance), 0);
  EXPECT_NEAR(value_of(m, Statistic::second_moment_ratio), 1, 1e-15);
}

TEST(GroupedMoments, TooFewReplicatesAreUndefinedRatherThanWrong) {
  EXPECT_FALSE(moments_of({}, 0).estimate(Statistic::mean)[0].defined());
  EXPECT_FALSE(moments_of({1}, 0).estimate(Statistic::mean)[0].defined());
  EXPECT_TRUE(moments_of({1, 2}, 0).estimate(Statistic::mean)[0].defined());
  EXPECT_TRUE(moments_of({1, 2}, 0, 1).estimate(Statistic::mean)[0].defined());
  EXPECT_FALSE(moments_of({1, 2}, 0).estimate(Statistic::variance)[0].defined());  // a value, but no error
  EXPECT_EQ(value_of(moments_of({1, 2}, 0), Statistic::variance), 0.5);
  EXPECT_TRUE(moments_of({1, 2, 4}, 0).estimate(Statistic::variance)[0].defined());
  EXPECT_FALSE(std::isfinite(value_of(moments_of({1, 2, 4}, 0), Statistic::fourth_cumulant)));
}

TEST(GroupedMoments, BadInputIsRefused) {
  GroupedMoments m({0, 0}, 2, 4);
  const std::vector<double> good{1, 2}, nan{1, std::numeric_limits<double>::quiet_NaN()},
      infinite{std::numeric_limits<double>::infinity(), 0}, longer{1, 2, 3};
  m.add(5, good);
  EXPECT_THROW(m.add(5, good), ContractError);   // twice
  EXPECT_THROW(m.add(1, good), ContractError);   // before its group's last
  EXPECT_THROW(m.add(-1, good), ContractError);
  EXPECT_THROW(m.add(6, nan), ContractError);
  EXPECT_THROW(m.add(6, infinite), ContractError);
  EXPECT_THROW(m.add(6, longer), ContractError);
  EXPECT_EQ(m.count(), 1);  // a refused replicate leaves no trace
  EXPECT_THROW(m.estimate(Statistic::third_cumulant), ContractError);
  EXPECT_THROW(GroupedMoments({}, 2, 4), ContractError);
  EXPECT_THROW(GroupedMoments({0}, 5, 4), ContractError);
  EXPECT_THROW(GroupedMoments({0}, 2, 1), ContractError);
  GroupedMoments::State damaged = m.state();
  damaged.values.pop_back();
  EXPECT_THROW(GroupedMoments::from_state(damaged), ContractError);
  damaged = m.state();
  damaged.values[damaged.values.size() - 8 + 1] = 7;  // group 1 cannot have seen seven replicates up to number 5
  EXPECT_THROW(GroupedMoments::from_state(damaged), ContractError);
}

TEST(GroupedMoments, SaveRestoreExtendAndBatchOrderLeaveTheBitsAlone) {
  constexpr std::uint32_t kEntries = 5, kReplicates = 301, kCut = 130;
  const std::vector<double> shift(kEntries, 1.05);
  GroupedMoments whole(shift, 4, 16), cut(shift, 4, 16), interleaved(shift, 4, 16);
  for (std::uint32_t r = 0; r < kReplicates; ++r) whole.add(r, row_of(r, kEntries));
  for (std::uint32_t r = 0; r < kCut; ++r) cut.add(r, row_of(r, kEntries));
  GroupedMoments resumed = GroupedMoments::from_state(cut.state());
  for (std::uint32_t r = kCut; r < kReplicates; ++r) resumed.add(r, row_of(r, kEntries));
  for (std::uint32_t g = 16; g-- > 0;) {  // group after group, last group first
    for (std::uint32_t r = g; r < kReplicates; r += 16) interleaved.add(r, row_of(r, kEntries));
  }
  const auto expected = whole.state().values;
  for (const GroupedMoments* other : {&resumed, &interleaved}) {
    const auto values = other->state().values;
    ASSERT_EQ(values.size(), expected.size());
    EXPECT_EQ(std::memcmp(values.data(), expected.data(), expected.size() * sizeof(double)), 0);
    for (const Statistic s : {Statistic::mean, Statistic::fourth_cumulant, Statistic::fourth_moment_ratio}) {
      for (std::uint32_t e = 0; e < kEntries; ++e) {
        EXPECT_EQ(other->estimate(s)[e].value, whole.estimate(s)[e].value);
        EXPECT_EQ(other->estimate(s)[e].se, whole.estimate(s)[e].se);
      }
    }
  }
}

TEST(GroupedMoments, AnEntryDoesNotDependOnItsNeighbours) {
  GroupedMoments wide({1, 1, 1}, 4, 8), narrow({1}, 4, 8);
  for (std::uint32_t r = 0; r < 50; ++r) {
    wide.add(r, row_of(r, 3));
    narrow.add(r, row_of(r, 1));
  }
  EXPECT_EQ(wide.estimate(Statistic::fourth_cumulant)[0].value, narrow.estimate(Statistic::fourth_cumulant)[0].value);
  EXPECT_EQ(wide.estimate(Statistic::fourth_cumulant)[0].se, narrow.estimate(Statistic::fourth_cumulant)[0].se);
}

TEST(GroupSample, CovarianceOfUnequalGroupsMatchesItsDefinition) {
  const GroupSample sample{3, 2, {1, 0, 2, 1, 4, 5}, {2, 1, 1}};
  const std::vector<double> mean = weighted_mean(sample), covariance = covariance_of_means(sample);
  EXPECT_NEAR(mean[0], 2.0, 1e-15);
  EXPECT_NEAR(mean[1], 1.5, 1e-15);
  // sum_g (n_g / N) d_g d_g' / (G - 1), d = (-1, -1.5), (0, -.5), (2, 3.5)
  EXPECT_NEAR(covariance[0], (0.5 * 1 + 0.25 * 4) / 2, 1e-15);
  EXPECT_NEAR(covariance[1], (0.5 * 1.5 + 0.25 * 7) / 2, 1e-15);
  EXPECT_EQ(covariance[1], covariance[2]);
  EXPECT_NEAR(group_standard_errors(sample)[1], std::sqrt(covariance[3]), 1e-15);
}

TEST(HeavyTail, TheoryAndPowerSumsHaveTheSameBorder) {
  for (const double count : {1e3, 1e5, 1e7}) {
    const double border = std::log(count) / 8;
    EXPECT_TRUE(lognormal_moment_is_reliable(0.99 * border, count));
    EXPECT_FALSE(lognormal_moment_is_reliable(1.01 * border, count));
    for (const double s2 : {0.9 * border, 1.1 * border}) {  // exact moments of a log-normal with median 1
      const auto measured = plain_moment_reliability(std::exp(2 * s2), std::exp(8 * s2), count);
      const auto predicted = lognormal_moment_reliability(s2, count);
      EXPECT_EQ(measured.reliable, predicted.reliable);
      EXPECT_NEAR(measured.effective_count / predicted.effective_count, 1, 1e-12);
      EXPECT_NEAR(measured.relative_se, std::sqrt(std::expm1(4 * s2) / count), 1e-12);
    }
  }
  EXPECT_FALSE(lognormal_moment_is_reliable(0.0, 20));  // too few replicates for any second moment
  EXPECT_TRUE(plain_moment_is_reliable(1, 3, 100));     // a normal variable
  EXPECT_THROW(plain_moment_is_reliable(1, 0.5, 100), ContractError);
}

TEST(HeavyTail, SharesNameTheLargestTerms) {
  std::vector<double> sample(200, 1.0);
  sample[17] = -10;
  const TailShare share = tail_share_of_squares(sample);
  EXPECT_NEAR(share.largest, 100.0 / 299, 1e-15);
  EXPECT_NEAR(share.top_percent, 101.0 / 299, 1e-15);
  EXPECT_EQ(tail_share_of_squares(std::vector<double>(3, 0.0)).largest, 0);
}

}  // namespace
