// The fused training body as a device's block runs it, by threads of the host: one worker a thread, a barrier where the
// device has one, the device's own index maps and memory layout. The bits are those of the CPU's single worker.
#include <gtest/gtest.h>

#include <barrier>
#include <thread>

#include "kernels/cpu/train_fused.hpp"
#include "kernels/cuda/fused/fused_body.hpp"
#include "kernels/shared/fused_setup.hpp"
#include "tests/support/train_case.hpp"

namespace widelab {
namespace {

constexpr int kWorkers = 6;

struct ThreadTeam {
  std::barrier<>* meeting;
  int rank_;
  int rank() const { return rank_; }
  int size() const { return kWorkers; }
  void sync() const { meeting->arrive_and_wait(); }
};

/// A member in memory of exactly the size that the plan states, followed by a mark that nothing may overwrite.
template <class T>
void train_member(const FusedMember<T>& home, const FusedRule& rule, Index& overwritten) {
  const Index size = cuda::shared_layout(*home.network, home.settings.batch, kWorkers, moment_count(rule.update.kind),
                                         home.displacement != nullptr)
                         .size;
  constexpr Index kMark = 64;
  std::vector<T> shared(static_cast<std::size_t>(size + kMark), T(-77));
  FusedMember<T> here;
  std::barrier meeting(kWorkers);
  std::vector<std::thread> workers;
  for (int rank = 0; rank < kWorkers; ++rank)
    workers.emplace_back([&, rank] {
      cuda::train_in_shared(ThreadTeam{&meeting, rank}, home, rule, shared.data(), here);
    });
  for (std::thread& worker : workers) worker.join();
  for (Index i = size; i < size + kMark; ++i) overwritten += shared[static_cast<std::size_t>(i)] != T(-77);
}

Index overwritten = 0;

template <class T>
void train_by_team(const TrainProblem<T>& problem) {
  const std::vector<StepFactors> factors = fused_step_factors(problem.rule, problem.steps);
  const FusedRule rule = fused_rule(problem.rule, problem.steps, factors.data());
  for (const TrainGroup<T>& group : problem.groups) {
    const FusedNetworkArrays<T> arrays(*group.network);
    const FusedNetwork<T> network = arrays.view();
    for (Index m = 0; m < group.members; ++m) {
      FusedMember<T> member = fused_member(problem, group, m);
      member.network = &network;
      if (group.status[m].status == TrainStatus::running) train_member(member, rule, overwritten);
    }
  }
}

template <class T>
void train_on_cpu(const TrainProblem<T>& problem) {
  cpu::train_fused(problem);
}

template <class T>
void expect_the_same_bits(const test::TrainCase& c, Index steps) {
  const test::TrainState<T> team = test::trained<T>(train_by_team<T>, c, steps);
  const test::TrainState<T> single = test::trained<T>(train_on_cpu<T>, c, steps);
  EXPECT_EQ(team.parameters, single.parameters) << c.name;
  EXPECT_EQ(team.displacement, single.displacement) << c.name;
  EXPECT_EQ(team.moments, single.moments) << c.name;
  for (std::size_t m = 0; m < team.status.size(); ++m) {
    EXPECT_EQ(team.status[m].status, single.status[m].status) << c.name;
    EXPECT_EQ(team.status[m].step, single.status[m].step) << c.name;
  }
}

void expect_the_same_bits(const std::vector<test::TrainCase>& cases) {
  overwritten = 0;
  for (test::TrainCase c : cases) {
    // Threads that wait for each other at every phase are slow: small sizes, few steps.
    for (Index& n : c.network.widths) n = std::min<Index>(n, 37);
    c.members = 1;
    expect_the_same_bits<float>(c, 3);
    expect_the_same_bits<double>(c, 2);
  }
  EXPECT_EQ(overwritten, 0);
}

TEST(FusedTeam, EveryOptimiserHasTheBitsOfASingleWorker) { expect_the_same_bits(test::optimiser_cases()); }

TEST(FusedTeam, EveryLossHasTheBitsOfASingleWorker) { expect_the_same_bits(test::loss_cases()); }

TEST(FusedTeam, EveryOrderAndDropoutHaveTheBitsOfASingleWorker) { expect_the_same_bits(test::batch_cases()); }

TEST(FusedTeam, EveryShapeHasTheBitsOfASingleWorker) { expect_the_same_bits(test::shape_cases()); }

TEST(FusedTeam, ADivergingMemberStopsAtTheSameStep) {
  test::TrainCase c = test::small_train_case("diverges");
  c.network.activation = "relu";
  c.settings.learning_rate = 40;
  c.members = 1;
  expect_the_same_bits<float>(c, 30);
}

}  // namespace
}  // namespace widelab
