// The law of minibatch orders, on both sides of the size where transpositions give way to Feistel rounds: exact
// probabilities, independent turns, fixed seeds. Each check is one p-value, corrected for the number of looks it takes
// (Bonferroni), and must exceed 1e-6: 40 checks raise a false alarm for one seed in 25000. Each has a faulty twin.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>
#include <vector>

#include "tests/support/chi_square.hpp"
#include "widelab/model/minibatch_order.hpp"

namespace {

using namespace widelab;
using Batch = std::vector<Index>;

constexpr double kP = 1e-6;

/// Batches of b of n examples, one a turn.
struct Source {
  Index n, b;
  std::function<Batch(Index turn)> batch;
};

const DrawId kId{20240607, 5};

Source order(OrderKind kind, Index n, Index b) {
  return {n, b, [=](Index turn) {
            const StepOrder step({kind, kId, n, b}, turn);
            Batch out;
            for (Index slot = 0; slot < b; ++slot) out.push_back(step.example(slot));
            return out;
          }};
}

/// Fault: a key serves for `turns` turns.
Source repeated_keys(const Source& healthy, Index turns) {
  return {healthy.n, healthy.b, [=](Index turn) { return healthy.batch(turn - turn % turns); }};
}

/// Fault: fewer rounds.
template <int kRounds>
Source few_rounds(Index n, Index b) {
  return {n, b, [=](Index turn) {
            const bijections::FeistelKeys keys =
                bijections::feistel_keys(kId.stream(Stream::batch_permutation), static_cast<std::uint64_t>(turn));
            Batch out;
            for (Index slot = 0; slot < b; ++slot) out.push_back(bijections::feistel<kRounds>(keys, n, slot));
            return out;
          }};
}

/// Fault: the shuffle that exchanges every place with any place, n^n equally likely paths for n! permutations.
Source naive_shuffle(Index n) {
  return {
      n, n, [=](Index turn) {
        Batch out(static_cast<std::size_t>(n));
        std::iota(out.begin(), out.end(), Index{0});
        for (Index k = 0; k < n; ++k)
          std::swap(
              out[static_cast<std::size_t>(k)],
              out[static_cast<std::size_t>(uniform_index_at(
                  {77, 0, Stream::test_only, 0}, static_cast<std::uint32_t>(turn), static_cast<std::uint32_t>(k), n))]);
        return out;
      }};
}

/// Fault: odd epochs are the epoch before them, rotated by one place.
Source rotated_epochs(const Source& healthy) {
  return {healthy.n, healthy.b, [healthy](Index turn) {
            Batch out = healthy.batch(turn - turn % 2);
            if (turn % 2) std::rotate(out.begin(), out.begin() + 1, out.end());
            return out;
          }};
}

/// Each slot holds each example with probability 1 / N.
double marginal_p(const Source& source, Index turns) {
  std::vector<std::vector<double>> counts(static_cast<std::size_t>(source.b),
                                          std::vector<double>(static_cast<std::size_t>(source.n), 0.0));
  for (Index t = 0; t < turns; ++t) {
    const Batch held = source.batch(t);
    for (std::size_t slot = 0; slot < held.size(); ++slot) counts[slot][static_cast<std::size_t>(held[slot])] += 1;
  }
  double least = 1;
  for (const std::vector<double>& slot : counts) least = std::min(least, support::chi_square_uniform_p(slot));
  return least * static_cast<double>(source.b);
}

/// Cell probabilities of two different examples, each seen through `bins` bins of i -> i bins / N.
std::vector<double> pair_probabilities(Index n, Index bins) {
  std::vector<double> size(static_cast<std::size_t>(bins), 0.0), out;
  for (Index i = 0; i < n; ++i) size[static_cast<std::size_t>(i * bins / n)] += 1;
  const double total = static_cast<double>(n) * static_cast<double>(n - 1);
  for (std::size_t a = 0; a < size.size(); ++a)
    for (std::size_t b = 0; b < size.size(); ++b) out.push_back(size[a] * (size[b] - (a == b ? 1 : 0)) / total);
  return out;
}

/// Slots (0, 1), (0, B - 1) and (B / 2 - 1, B / 2) hold two different examples, all ordered pairs equally likely.
double pair_p(const Source& source, Index turns, Index bins) {
  const std::vector<std::pair<Index, Index>> slots{{0, 1}, {0, source.b - 1}, {source.b / 2 - 1, source.b / 2}};
  std::vector<std::vector<double>> counts(slots.size(), std::vector<double>(static_cast<std::size_t>(bins * bins)));
  for (Index t = 0; t < turns; ++t) {
    const Batch held = source.batch(t);
    for (std::size_t k = 0; k < slots.size(); ++k) {
      const Index a = held[static_cast<std::size_t>(slots[k].first)],
                  b = held[static_cast<std::size_t>(slots[k].second)];
      counts[k][static_cast<std::size_t>((a * bins / source.n) * bins + b * bins / source.n)] += 1;
    }
  }
  const std::vector<double> probabilities = pair_probabilities(source.n, bins);
  double least = 1;
  for (const std::vector<double>& c : counts) least = std::min(least, support::chi_square_p(c, probabilities));
  return least * static_cast<double>(slots.size());
}

/// Two given examples share a batch with probability B (B - 1) / (N (N - 1)): the worst pair.
double together_p(const Source& source, Index turns) {
  const double n = static_cast<double>(source.n), b = static_cast<double>(source.b);
  const double p = b * (b - 1) / (n * (n - 1)), m = static_cast<double>(turns);
  std::vector<double> counts(static_cast<std::size_t>(source.n * source.n), 0.0);
  for (Index t = 0; t < turns; ++t) {
    const Batch held = source.batch(t);
    for (const Index i : held)
      for (const Index j : held)
        if (i < j) counts[static_cast<std::size_t>(i * source.n + j)] += 1;
  }
  double worst = 0;
  for (Index i = 0; i < source.n; ++i)
    for (Index j = i + 1; j < source.n; ++j)
      worst = std::max(worst, std::abs(counts[static_cast<std::size_t>(i * source.n + j)] - m * p));
  return support::normal_two_sided_p(worst / std::sqrt(m * p * (1 - p))) * n * (n - 1) / 2;
}

/// Rank of a permutation of n <= 6 objects among all (Lehmer 1960).
std::size_t rank(const Batch& permutation) {
  std::size_t out = 0;
  for (std::size_t i = 0; i < permutation.size(); ++i) {
    std::size_t smaller = 0;
    for (std::size_t j = i + 1; j < permutation.size(); ++j) smaller += permutation[j] < permutation[i];
    out = out * (permutation.size() - i) + smaller;
  }
  return out;
}

double permutations_p(const Source& source, Index turns) {
  std::size_t count = 1;
  for (Index k = 2; k <= source.n; ++k) count *= static_cast<std::size_t>(k);
  std::vector<double> counts(count, 0.0);
  for (Index t = 0; t < turns; ++t) counts[rank(source.batch(t))] += 1;
  return support::chi_square_uniform_p(counts);
}

/// Turns (2 q, 2 q + 1), then (2 q + 1, 2 q + 2): the places that a permutation moves to in the next are uniform, and
/// so are what slot 0 holds in both.
double successive_p(const Source& source, Index pairs) {
  const bool small = source.n <= 6;
  double least = 1;
  for (const Index offset : {0, 1}) {
    std::vector<double> relative(720, 0.0), first(static_cast<std::size_t>(source.n * source.n), 0.0);
    for (Index q = 0; q < pairs; ++q) {
      const Batch one = source.batch(2 * q + offset), next = source.batch(2 * q + 1 + offset);
      first[static_cast<std::size_t>(one[0] * source.n + next[0])] += 1;
      if (!small) continue;
      Batch moved(one.size());
      for (std::size_t slot = 0; slot < one.size(); ++slot) moved[static_cast<std::size_t>(one[slot])] = next[slot];
      relative[rank(moved)] += 1;
    }
    least = std::min(least, support::chi_square_uniform_p(first));
    if (small) least = std::min(least, support::chi_square_uniform_p(relative));
  }
  return least * 4;
}

/// Permutations of 128 = 2^7 examples: the exclusive or of what slots 0 .. 3 hold vanishes with probability 1 / 125,
/// since three of them leave 125 numbers for the fourth. A Feistel network with too few rounds does it more often.
double exclusive_or_p(const Source& source, Index turns) {
  double zeros = 0;
  const double m = static_cast<double>(turns), p = 1.0 / 125;
  for (Index t = 0; t < turns; ++t) {
    const Batch held = source.batch(t);
    zeros += (held[0] ^ held[1] ^ held[2] ^ held[3]) == 0;
  }
  return support::normal_two_sided_p((zeros - m * p) / std::sqrt(m * p * (1 - p)));
}

TEST(MinibatchOrderLaw, EachSlotHoldsEachExampleEquallyOften) {
  for (const OrderKind kind : {OrderKind::iid, OrderKind::fresh})
    for (const Index n : {5, 64, 65, 128, 1000})
      EXPECT_GT(marginal_p(order(kind, n, 4), 100000), kP) << static_cast<int>(kind) << ", N = " << n;
  for (const Index n : {64, 65})
    EXPECT_LT(marginal_p(repeated_keys(order(OrderKind::fresh, n, 4), 4), 100000), kP) << "N = " << n;
}

TEST(MinibatchOrderLaw, PlacesInAnEpochAreUniform) {
  EXPECT_GT(marginal_p(order(OrderKind::epochs, 40, 40), 20000), kP);
  EXPECT_GT(marginal_p(order(OrderKind::epochs, 100, 100), 20000), kP);
  EXPECT_LT(marginal_p(repeated_keys(order(OrderKind::epochs, 100, 100), 2), 20000), kP);
  EXPECT_LT(marginal_p(few_rounds<2>(100, 100), 20000), kP);
}

TEST(MinibatchOrderLaw, OrderedPairsAreUniform) {
  for (const Index n : {20, 64, 65, 100, 128, 129})
    EXPECT_GT(pair_p(order(OrderKind::fresh, n, 8), 150000, std::min<Index>(n, 65)), kP) << "N = " << n;
  for (const Index n : {1000, 60000}) EXPECT_GT(pair_p(order(OrderKind::fresh, n, 8), 150000, 25), kP) << "N = " << n;
  for (const Index n : {65, 128, 1000}) EXPECT_LT(pair_p(few_rounds<2>(n, 8), 150000, 25), kP) << "N = " << n;
}

TEST(MinibatchOrderLaw, PairsShareABatchAsOftenAsTheyShould) {
  for (const Index n : {20, 64, 65, 100})
    EXPECT_GT(together_p(order(OrderKind::fresh, n, 8), 100000), kP) << "N = " << n;
  EXPECT_LT(together_p(order(OrderKind::iid, 20, 8), 100000), kP);  // with replacement they do not
  for (const Index n : {65, 100}) EXPECT_LT(together_p(few_rounds<2>(n, 8), 100000), kP) << "N = " << n;
}

TEST(MinibatchOrderLaw, AllPermutationsOfFourAreEquallyLikely) {
  EXPECT_GT(permutations_p(order(OrderKind::epochs, 4, 4), 300000), kP);
  EXPECT_GT(permutations_p(order(OrderKind::epochs, 6, 6), 300000), kP);
  EXPECT_LT(permutations_p(naive_shuffle(4), 300000), kP);
}

TEST(MinibatchOrderLaw, SuccessiveEpochsAreIndependent) {
  EXPECT_GT(successive_p(order(OrderKind::epochs, 6, 6), 100000), kP);
  EXPECT_GT(successive_p(order(OrderKind::fresh, 65, 2), 100000), kP);
  for (const Index n : {6, 65}) {
    const Source healthy = order(OrderKind::fresh, n, 6);
    EXPECT_LT(successive_p(repeated_keys(healthy, 2), 100000), kP) << "N = " << n;
    EXPECT_LT(successive_p(rotated_epochs(healthy), 100000), kP) << "N = " << n;
  }
}

TEST(MinibatchOrderLaw, RoundsLeaveNoTraceInExclusiveOrs) {
  EXPECT_GT(exclusive_or_p(order(OrderKind::fresh, 128, 4), 1000000), kP);
  EXPECT_LT(exclusive_or_p(few_rounds<2>(128, 4), 1000000), kP);
}

}  // namespace
