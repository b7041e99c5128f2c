// The fused engine: no bit depends on threads, on other members, on where a range of steps is cut, on the instruction
// set of the products, or on how many workers a Block has.
#include <gtest/gtest.h>

#include <barrier>
#include <thread>

#include "kernels/cpu/train_fused.hpp"
#include "kernels/shared/fused_setup.hpp"
#include "kernels/shared/train_fused.hpp"
#include "tests/support/train_comparison.hpp"

namespace widelab {
namespace {

using test::only;
using test::same_bits;
using test::ThreadCount;
using test::TrainCase;
using test::TrainState;

/// Workers of one Block, as threads that meet at a barrier; every phase by plain loops, dealt out in turn.
template <class T>
class ThreadBlock {
 public:
  using Scalar = T;
  struct Shared {
    explicit Shared(Index workers) : size(workers), meeting(static_cast<std::ptrdiff_t>(workers)) {}
    Index size;
    std::barrier<> meeting;
    T lanes[kSumLanes];
  };

  ThreadBlock(Shared& shared, Index rank) : shared_(shared), rank_(rank) {}
  Index rank() const { return rank_; }
  Index size() const { return shared_.size; }
  void sync() { shared_.meeting.arrive_and_wait(); }

  template <class F>
  void for_each(Index count, const F& f) {
    for (Index i = rank_; i < count; i += size()) f(i);
  }

  template <class F>
  T sum(Index count, const F& f) {
    sync();
    for (Index lane = rank_; lane < kSumLanes; lane += size()) {
      shared_.lanes[lane] = T(0);
      for (Index i = lane; i < count; i += kSumLanes) shared_.lanes[lane] += f(i);
    }
    sync();
    T lanes[kSumLanes];
    for (Index j = 0; j < kSumLanes; ++j) lanes[j] = shared_.lanes[j];
    for (Index half = kSumLanes / 2; half > 0; half /= 2)
      for (Index j = 0; j < half; ++j) lanes[j] += lanes[j + half];
    return lanes[0];
  }

  template <class Epilogue>
  void matmul(Index m, Index n, Index k, StridedView<const T> a, StridedView<const T> b, const Epilogue& epilogue) {
    const Index runs = ceil_div(n, 4);
    for (Index at = rank_; at < m * runs; at += size()) {
      const Index i = at / runs, first = at % runs * 4, count = std::min<Index>(4, n - first);
      T c[4];
      for (Index e = 0; e < count; ++e) {
        c[e] = T(0);
        for (Index q = 0; q < k; ++q) c[e] = std::fma(a(i, q), b(q, first + e), c[e]);
      }
      epilogue(i, first, count, static_cast<const T*>(c));
    }
  }

 private:
  Shared& shared_;
  Index rank_;
};

/// The op with Blocks of kWorkers threads.
template <class T, int kWorkers>
void train_with_workers(const TrainProblem<T>& problem) {
  const std::vector<StepFactors> factors = fused_step_factors(problem.rule, problem.steps);
  const FusedRule rule = fused_rule(problem.rule, problem.steps, factors.data());
  for (const TrainGroup<T>& group : problem.groups) {
    const FusedNetworkArrays<T> arrays(*group.network);
    const FusedNetwork<T> network = arrays.view();
    for (Index m = 0; m < group.members; ++m) {
      FusedMember<T> member = fused_member(problem, group, m);
      member.network = &network;
      member.rule = &rule;
      const FusedWorkspace layout = fused_workspace(network, member.settings.batch);
      // What is not written before it is read shows as NaN; what lies beyond the end is checked.
      constexpr std::size_t kGuard = 16;
      std::vector<T> workspace(static_cast<std::size_t>(layout.size) + kGuard, T(NAN));
      member.workspace = workspace.data();
      typename ThreadBlock<T>::Shared shared(kWorkers);
      std::vector<std::jthread> threads;
      for (Index rank = 0; rank < kWorkers; ++rank)
        threads.emplace_back([&, rank] {
          ThreadBlock<T> block(shared, rank);
          train_fused_member(block, member);
        });
      threads.clear();
      for (std::size_t i = 0; i < kGuard; ++i) EXPECT_TRUE(std::isnan(workspace[workspace.size() - 1 - i]));
    }
  }
}

template <class T, cpu::TileKind kTiles>
void train_with_tiles(const TrainProblem<T>& problem) {
  cpu::train_fused(problem, kTiles);
}

/// Every rule, loss, order, activation and structure, all with noise, dropout or labels of their own somewhere.
std::vector<TrainCase> cases() {
  std::vector<TrainCase> out;
  for (TrainCase& c : test::all_train_cases()) {
    Index widest = 0;
    for (const Index n : c.network.widths) widest = std::max(widest, n);
    if (widest < 300) out.push_back(std::move(c));
  }
  return out;
}

template <class T, int... kWorkers>
void expect_workers_change_nothing() {
  for (const TrainCase& c : cases()) {
    const TrainState<T> expected = test::trained<T>(cpu::train, c, 2);
    for (const test::TrainOp<T> op : {train_with_workers<T, kWorkers>...})
      EXPECT_TRUE(same_bits(test::trained<T>(op, c, 2), expected)) << c.name;
  }
}

TEST(TrainFused, WorkersOfABlockChangeNoBitInSinglePrecision) { expect_workers_change_nothing<float, 1, 3, 8>(); }

TEST(TrainFused, WorkersOfABlockChangeNoBitInDoublePrecision) { expect_workers_change_nothing<double, 3>(); }

template <class T, cpu::TileKind kTiles>
void expect_same_bits_with() {
  if (!cpu::can_run(kTiles)) return;
  for (const TrainCase& c : cases())
    EXPECT_TRUE(same_bits(test::trained<T>(train_with_tiles<T, kTiles>, c, 2), test::trained<T>(cpu::train, c, 2)))
        << c.name;
}

TEST(TrainFused, InstructionSetsGiveTheSameBits) {
  expect_same_bits_with<float, cpu::TileKind::plain>();
  expect_same_bits_with<double, cpu::TileKind::plain>();
  expect_same_bits_with<float, cpu::TileKind::avx2>();
  expect_same_bits_with<double, cpu::TileKind::avx2>();
  expect_same_bits_with<float, cpu::TileKind::avx512>();
  expect_same_bits_with<double, cpu::TileKind::avx512>();
}

TEST(TrainFused, ThreadsChangeNoBit) {
  for (TrainCase c : cases()) {
    c.members = 5;
    TrainState<float> alone;
    {
      const ThreadCount one(1);
      alone = test::trained<float>(cpu::train, c, 5);
    }
    for (const int threads : {2, 5}) {
      const ThreadCount several(threads);
      EXPECT_TRUE(same_bits(test::trained<float>(cpu::train, c, 5), alone)) << c.name << ", " << threads;
    }
  }
}

TEST(TrainFused, OtherMembersChangeNoBit) {
  for (TrainCase c : cases()) {
    c.members = 3;
    const TrainState<float> together = test::trained<float>(cpu::train, c, 5);
    TrainState<float> reordered = test::train_start<float>(c, {2, 0, 1});
    test::advance<float>(cpu::train, c, {0, 5}, reordered);
    TrainState<float> single = test::train_start<float>(c, {1});
    test::advance<float>(cpu::train, c, {0, 5}, single);
    EXPECT_TRUE(same_bits(only(together, 1), single)) << c.name;
    EXPECT_TRUE(same_bits(only(reordered, 2), single)) << c.name;
    EXPECT_FALSE(same_bits(only(together, 0), single)) << c.name;
  }
}

TEST(TrainFused, SegmentsChangeNoBit) {
  for (const TrainCase& c : cases()) {
    const TrainState<float> whole = test::trained<float>(cpu::train, c, 11);
    TrainState<float> cut = test::train_start<float>(c);
    for (const StepRange part : {StepRange{0, 1}, {1, 1}, {1, 6}, {6, 11}})
      test::advance<float>(cpu::train, c, part, cut);
    EXPECT_TRUE(same_bits(cut, whole)) << c.name;
  }
}

TEST(TrainFused, GroupsWithTheirOwnWidthAndBatchDoNotMeet) {
  // Two widths in one call, members of different batch size and rate.
  const std::vector<float> x = test::normals<float>(29, 3, 1), y = test::normals<float>(29, 1, 2);
  std::vector<Network> networks;
  for (const Index n : {7, 40}) networks.push_back(test::NetworkCase{.widths = {n, n}}.network());
  const auto run = [&](const std::vector<std::pair<std::size_t, Index>>& chosen) {
    std::vector<std::vector<float>> thetas;
    std::vector<MemberSettings> settings(chosen.size());
    std::vector<MemberStatus> status(chosen.size());
    TrainProblem<float> problem;
    problem.rule.order = OrderKind::epochs;
    problem.rule.reduction = Reduction::mean;
    problem.steps = {0, 20};
    TrainData<float> data;
    data.inputs = x.data();
    data.targets = y.data();
    data.examples = 29;
    problem.datasets = {data};
    for (const auto& [network, batch] : chosen)
      thetas.push_back(test::normals<float>(1, ParamLayout(networks[network].shape).size, 5));
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      settings[i].batch = chosen[i].second;
      settings[i].learning_rate = 0.01 * static_cast<double>(chosen[i].second);
      TrainGroup<float> group;
      group.network = &networks[chosen[i].first];
      group.members = 1;
      group.settings = &settings[i];
      group.status = &status[i];
      group.parameters = thetas[i].data();
      problem.groups.push_back(group);
    }
    cpu::train(problem);
    return thetas;
  };
  const auto together = run({{0, 1}, {1, 29}, {0, 17}, {1, 5}});
  EXPECT_TRUE(same_bits(together[0], run({{0, 1}})[0]));
  EXPECT_TRUE(same_bits(together[1], run({{1, 29}})[0]));
  EXPECT_TRUE(same_bits(together[2], run({{0, 17}})[0]));
  EXPECT_TRUE(same_bits(together[3], run({{1, 5}})[0]));
}

TEST(TrainFused, ADivergingMemberLeavesTheOthersAsTheyAre) {
  TrainCase c = test::small_train_case("one of three diverges");
  c.network.activation = "relu";
  c.rule.divergence_limit = 30;
  TrainState<float> state = test::train_start<float>(c, {0, 1, 2});
  const std::size_t size = state.parameters.size() / 3;
  for (std::size_t p = size; p < 2 * size; ++p) state.parameters[p] *= 40;
  const TrainState<float> spoilt = state;
  test::advance<float>(cpu::train, c, {0, 30}, state);
  EXPECT_EQ(state.status[1].status, TrainStatus::diverged);
  EXPECT_EQ(state.status[1].step, 0);
  EXPECT_GT(state.status[1].quantity, 30);
  EXPECT_TRUE(same_bits(only(state, 1).parameters, only(spoilt, 1).parameters));
  for (const Index m : {Index(0), Index(2)}) {
    TrainState<float> single = test::train_start<float>(c, {m});
    test::advance<float>(cpu::train, c, {0, 30}, single);
    EXPECT_EQ(single.status[0].status, TrainStatus::running);
    EXPECT_TRUE(same_bits(only(state, static_cast<std::size_t>(m)), single));
  }
  test::advance<float>(cpu::train, c, {30, 31}, state);
  EXPECT_TRUE(same_bits(only(state, 1).parameters, only(spoilt, 1).parameters));
}

TEST(TrainFused, NotANumberIsSaidToBeOne) {
  TrainCase c = test::small_train_case("NaN");
  TrainState<double> state = test::train_start<double>(c, {0});
  state.parameters[0] = NAN;
  test::advance<double>(cpu::train, c, {3, 5}, state);
  EXPECT_EQ(state.status[0].status, TrainStatus::diverged);
  EXPECT_EQ(state.status[0].step, 3);
  EXPECT_TRUE(std::isnan(state.status[0].quantity));
}

}  // namespace
}  // namespace widelab
