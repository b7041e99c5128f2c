// Minibatch orders are what they say: who is visited, how often, and that nothing depends on where one starts.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "widelab/model/minibatch_order.hpp"

namespace {

using namespace widelab;

constexpr Index kSizes[] = {1, 2, 3, 5, 31, 63, 64, 65, 66, 100, 127, 128, 129, 1000, 1023, 1024, 1025, 60000};

std::vector<Index> batch(const BatchOrder& order, Index step) {
  std::vector<Index> out;
  const StepOrder at(order, step);
  for (Index slot = 0; slot < order.batch; ++slot) out.push_back(at.example(slot));
  return out;
}

/// How often each example is held by steps first .. last - 1.
std::vector<int> visits(const BatchOrder& order, Index first, Index last) {
  std::vector<int> count(static_cast<std::size_t>(order.examples), 0);
  for (Index t = first; t < last; ++t)
    for (const Index i : batch(order, t)) ++count.at(static_cast<std::size_t>(i));
  return count;
}

bool all_equal(const std::vector<int>& count, int value) {
  for (const int c : count)
    if (c != value) return false;
  return true;
}

BatchOrder make(OrderKind kind, Index examples, Index batch_size) { return {kind, {99, 3}, examples, batch_size}; }

TEST(MinibatchOrder, AFullBatchIsAPermutationAtAnySize) {
  for (const Index n : kSizes)
    for (const OrderKind kind : {OrderKind::epochs, OrderKind::fresh, OrderKind::fixed})
      for (const Index step : {Index{0}, Index{1}, (Index{1} << 40) + 5})
        EXPECT_TRUE(all_equal(visits(make(kind, n, n), step, step + 1), 1)) << "N = " << n << ", step " << step;
}

// The check can fail: with replacement, N draws of N examples all differ with probability N! / N^N, below 1e-26 here.
TEST(MinibatchOrder, RepetitionsAreSeen) {
  EXPECT_FALSE(all_equal(visits(make(OrderKind::iid, 100, 100), 0, 1), 1));
  EXPECT_FALSE(all_equal(visits(make(OrderKind::iid, 64, 64), 0, 1), 1));
}

TEST(MinibatchOrder, AnEpochVisitsOnceAndLeavesTheRemainder) {
  for (const OrderKind kind : {OrderKind::epochs, OrderKind::fixed})
    for (const auto& [n, b] : {std::pair<Index, Index>{60, 12}, {61, 12}, {64, 64}, {65, 64}, {1000, 7}, {5, 2}}) {
      const BatchOrder order = make(kind, n, b);
      ASSERT_EQ(order.steps_per_epoch(), n / b);
      for (const Index epoch : {0, 1, 17}) {
        const std::vector<int> count = visits(order, epoch * (n / b), (epoch + 1) * (n / b));
        Index left = 0;
        for (const int c : count) {
          ASSERT_TRUE(c == 0 || c == 1) << "N = " << n << ", B = " << b;
          left += c == 0;
        }
        EXPECT_EQ(left, n % b) << "N = " << n << ", B = " << b;
      }
    }
}

TEST(MinibatchOrder, FreshBatchesHaveNoRepetition) {
  for (const auto& [n, b] : {std::pair<Index, Index>{60, 50}, {64, 64}, {65, 60}, {1000, 100}, {3, 2}})
    for (Index t = 0; t < 50; ++t) {
      const std::vector<Index> held = batch(make(OrderKind::fresh, n, b), t);
      EXPECT_EQ(std::set<Index>(held.begin(), held.end()).size(), held.size()) << "N = " << n << ", step " << t;
    }
}

TEST(MinibatchOrder, FixedKeepsTheOrderOfTheData) {
  const BatchOrder order = make(OrderKind::fixed, 7, 3);
  EXPECT_EQ(batch(order, 0), (std::vector<Index>{0, 1, 2}));
  EXPECT_EQ(batch(order, 1), (std::vector<Index>{3, 4, 5}));
  EXPECT_EQ(batch(order, 2), (std::vector<Index>{0, 1, 2}));
}

TEST(MinibatchOrder, OnlineWalksAlongTheStream) {
  BatchOrder order = make(OrderKind::online, 12, 3);
  EXPECT_EQ(batch(order, 2), (std::vector<Index>{6, 7, 8}));
  order.origin = 6;
  EXPECT_EQ(batch(order, 2), (std::vector<Index>{0, 1, 2}));
  EXPECT_EQ(batch(order, 5), (std::vector<Index>{9, 10, 11}));
}

TEST(MinibatchOrder, ATableIsRead) {
  const std::int32_t table[] = {4, 4, 0, 3, 1, 2};
  BatchOrder order = make(OrderKind::file, 5, 2);
  order.table = table;
  EXPECT_EQ(batch(order, 0), (std::vector<Index>{4, 4}));
  EXPECT_EQ(batch(order, 2), (std::vector<Index>{1, 2}));
}

TEST(MinibatchOrder, WithReplacementStaysInRangeAtAnySize) {
  for (const Index n : kSizes)
    for (Index t = 0; t < 20; ++t)
      for (const Index i : batch(make(OrderKind::iid, n, 9), t)) EXPECT_TRUE(i >= 0 && i < n);
}

TEST(MinibatchOrder, TheLargestSizesStayInRangeAndDiffer) {
  for (const Index n : {(Index{1} << 30) + 1, Index{1} << 31}) {
    const std::vector<Index> held = batch(make(OrderKind::epochs, n, 1000), 12345);
    for (const Index i : held) EXPECT_TRUE(i >= 0 && i < n);
    EXPECT_EQ(std::set<Index>(held.begin(), held.end()).size(), held.size());
  }
}

// A step built alone holds what a walk through all steps finds there, and slots may be asked in any order.
TEST(MinibatchOrder, AnyStepCanBeAskedFirst) {
  for (const OrderKind kind : {OrderKind::iid, OrderKind::fresh, OrderKind::epochs, OrderKind::fixed})
    for (const Index n : {40, 400}) {
      const BatchOrder order = make(kind, n, 7);
      std::vector<std::vector<Index>> walk;
      for (Index t = 0; t < 130; ++t) walk.push_back(batch(order, t));
      for (const Index t : {129, 57, 56, 0, 128}) {
        const StepOrder alone(order, t);
        for (Index slot = 6; slot >= 0; --slot)
          EXPECT_EQ(alone.example(slot), walk[static_cast<std::size_t>(t)][static_cast<std::size_t>(slot)]);
      }
    }
}

// All slots at once, or each of several workers its share, are what one slot after the other is.
TEST(MinibatchOrder, SlotsTogetherAreSlotsOneByOne) {
  const std::int32_t table[] = {4, 4, 0, 3, 1, 2, 0, 0, 3, 2, 2, 1, 4, 1, 0};
  for (const OrderKind kind :
       {OrderKind::iid, OrderKind::fresh, OrderKind::epochs, OrderKind::fixed, OrderKind::online, OrderKind::file})
    for (const Index n : kSizes)
      for (const Index b : {Index{1}, std::min<Index>(n, 5), std::min<Index>(n, 64)}) {
        if (kind == OrderKind::file && b > 5) continue;
        BatchOrder order = make(kind, n, b);
        order.table = table;
        for (const Index t : {0, 1, 2})
          for (const Index stride : {1, 3}) {
            std::vector<std::int32_t> rows(static_cast<std::size_t>(b), -1);
            for (Index first = 0; first < stride; ++first) StepOrder(order, t).examples(first, stride, rows.data());
            const std::vector<Index> expected = batch(order, t);
            EXPECT_TRUE(std::equal(rows.begin(), rows.end(), expected.begin(), expected.end()))
                << "N = " << n << ", B = " << b << ", step " << t << ", order " << static_cast<int>(kind);
          }
      }
}

TEST(MinibatchOrder, ChangesWithTheIdTheStepAndTheEpoch) {
  for (const OrderKind kind : {OrderKind::iid, OrderKind::fresh, OrderKind::epochs})
    for (const Index n : {40, 400}) {
      BatchOrder order = make(kind, n, 20), other = order;
      other.id.replicate += 1;
      EXPECT_NE(batch(order, 3), batch(other, 3));
      EXPECT_NE(batch(order, 3), batch(order, 4));
      EXPECT_NE(batch(order, 0), batch(order, n / 20));  // the same place of the next epoch
    }
}

// Fewer rounds are the same network with less mixing: still a bijection, no longer the same one.
TEST(MinibatchOrder, EveryNumberOfRoundsIsABijection) {
  const bijections::FeistelKeys keys = bijections::feistel_keys({5, 1, Stream::batch_permutation, 0}, 8);
  for (const Index n : {65, 100, 128, 1000}) {
    std::set<Index> two, eight;
    bool same = true;
    for (Index i = 0; i < n; ++i) {
      two.insert(bijections::feistel<2>(keys, n, i));
      eight.insert(bijections::feistel(keys, n, i));
      same = same && bijections::feistel<2>(keys, n, i) == bijections::feistel(keys, n, i);
    }
    EXPECT_EQ(static_cast<Index>(two.size()), n);
    EXPECT_EQ(static_cast<Index>(eight.size()), n);
    EXPECT_FALSE(same);
  }
}

}  // namespace
