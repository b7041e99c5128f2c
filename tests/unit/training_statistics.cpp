// What is kept of an ensemble in training, on numbers worked out by hand.
#include "host/estimators/training_statistics.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "host/io/array_checksum.hpp"
#include "widelab/base/errors.hpp"

namespace {

using namespace widelab;
using namespace widelab::estimators;

const std::vector<Index> kObserved{0, 10};

std::vector<ObservedQuantity> quantities() {
  return {{"pair", 2, Keep::samples, 2, {}}, {"one", 1, Keep::quantiles, 4, {1, 1}}};
}

/// Time by time: pair, one. Replicate 1 diverges after step 0.
TrainingStatistics three_replicates() {
  TrainingStatistics statistics(quantities(), kObserved);
  const std::vector<std::vector<double>> values{{1, 2, 3, 4, 5, 6}, {9, 9, 9, NAN, NAN, NAN}, {3, 2, 5, 8, 5, -6}};
  const std::vector<widelab::MemberStatus> status{
      {}, {TrainStatus::diverged, 4, INFINITY}, {TrainStatus::converged, 10, 0.5}};
  for (std::uint32_t r = 0; r < 3; ++r) statistics.add({r, status[r], values[r]});
  return statistics;
}

io::ArrayFile file_of(const TrainingStatistics& statistics) { return {{}, statistics.state()}; }

TEST(TrainingStatistics, AveragesAreOverMembersThatDidNotDiverge) {
  const TrainingStatistics statistics = three_replicates();
  EXPECT_EQ(statistics.replicates(), 3);
  EXPECT_EQ(statistics.diverged(), 1);
  EXPECT_EQ(statistics.converged(), 1);
  EXPECT_EQ(statistics.status_step(), (std::vector<std::int64_t>{0, 4, 10}));
  const std::vector<Estimate> pair = statistics.moments(statistics.find("pair")).estimate(Statistic::mean);
  ASSERT_EQ(pair.size(), 4u);
  const std::vector<double> means{2, 2, 6, 5}, errors{1, 0, 2, 0};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_DOUBLE_EQ(pair[i].value, means[i]);
    EXPECT_DOUBLE_EQ(pair[i].se, errors[i]);
    EXPECT_EQ(pair[i].count, 2);
  }
  EXPECT_DOUBLE_EQ(statistics.moments(1).estimate(Statistic::mean)[0].value, 4);
}

TEST(TrainingStatistics, SamplesAreOfAllMembersAndSketchesOfTheHealthyOnes) {
  const TrainingStatistics statistics = three_replicates();
  const std::vector<double>& samples = statistics.samples(0);
  ASSERT_EQ(samples.size(), 12u);
  EXPECT_EQ(samples[4], 9);
  EXPECT_TRUE(std::isnan(samples[6]));
  EXPECT_EQ(samples[10], 8);
  EXPECT_EQ(statistics.sketch(1, 1, 0).count(), 2);
  EXPECT_EQ(statistics.sketch(1, 1, 0).smallest(), -6);
  EXPECT_THROW(statistics.sketch(0, 0, 0), ContractError);
  EXPECT_THROW(statistics.find("none"), ContractError);
}

TEST(TrainingStatistics, AStateComesBackBitForBit) {
  const TrainingStatistics whole = three_replicates();
  TrainingStatistics resumed(quantities(), kObserved);
  resumed.restore(file_of(TrainingStatistics(quantities(), kObserved)));
  EXPECT_EQ(resumed.replicates(), 0);
  resumed.restore(file_of(whole));
  EXPECT_EQ(io::checksum(file_of(resumed)), io::checksum(file_of(whole)));
}

TEST(TrainingStatistics, StatesOfOtherRecipesAreRefusedAndChangeNothing) {
  const io::ArrayFile file = file_of(three_replicates());
  const auto refuse = [&](std::vector<ObservedQuantity> other, std::vector<Index> observed) {
    TrainingStatistics statistics(std::move(other), std::move(observed));
    EXPECT_THROW(statistics.restore(file), DataError);
    EXPECT_EQ(statistics.replicates(), 0);
  };
  refuse(quantities(), {0, 11});
  auto other = quantities();
  other[0].entries = 3;
  refuse(other, kObserved);
  other = quantities();
  other[1].shift = {1, 2};
  refuse(other, kObserved);
  other = quantities();
  other[1].keep = Keep::samples;
  refuse(other, kObserved);
}

TEST(TrainingStatistics, WaysToKeepHaveNames) {
  EXPECT_EQ(parse_keep("observe.keep", "quantiles"), Keep::quantiles);
  EXPECT_THROW(parse_keep("observe.keep", "all"), RecipeError);
}

}  // namespace
