// Bits that must not depend on who runs beside, on how many threads there are, or on where weights are kept.
#include <gtest/gtest.h>
#include <omp.h>

#include "tests/support/random_problem.hpp"
#include "widelab/ops/ntk.hpp"
#include "widelab/plan/storage_plan.hpp"

namespace widelab {
namespace {

/// NTK and NNGP of the members with the given ids, one after the other.
template <class T>
std::vector<double> kernels(const Network& network, const std::vector<DrawId>& ids, DeviceLimits limits = {}) {
  const std::vector<T> x = test::normals<T>(9, network.shape.input_dim, 1);
  std::vector<double> out(ids.size() * 2 * 81);
  NtkProblem<T> problem;
  problem.network = &network;
  problem.weights = {static_cast<Index>(ids.size()), ids.data(), nullptr};
  problem.x1 = matrix_view(x.data(), 9, network.shape.input_dim);
  problem.ntk = out.data();
  problem.nngp = out.data() + ids.size() * 81;
  problem.limits = limits;
  cpu::ntk(problem);
  return out;
}

std::vector<test::NetworkCase> cases() {
  return {test::NetworkCase{.widths = {37, 41}, .outputs = 2},
          test::NetworkCase{.activation = "gelu", .widths = {1700, 1700}, .layer_norm = true, .residual = 0.5}};
}

template <class T>
void expect_same_alone_and_among_others() {
  for (const test::NetworkCase& c : cases()) {
    const Network network = c.network();
    const auto all = kernels<T>(network, test::draw_ids(7));
    const auto alone = kernels<T>(network, {test::draw_ids(7)[4]});
    EXPECT_TRUE(std::equal(alone.begin(), alone.begin() + 81, all.begin() + 4 * 81));
    EXPECT_TRUE(std::equal(alone.begin() + 81, alone.end(), all.begin() + (7 + 4) * 81));
  }
}

TEST(Invariance, AMemberIsTheSameAloneAndAmongOthers) {
  expect_same_alone_and_among_others<float>();
  expect_same_alone_and_among_others<double>();
}

TEST(Invariance, ThreadsChangeNoBit) {
  for (const test::NetworkCase& c : cases()) {
    const Network network = c.network();
    std::vector<std::vector<double>> results;
    for (const int threads : {1, 2, 3, 5})
      for (const Index members : {1, 4}) {
        omp_set_num_threads(threads);
        auto result = kernels<float>(network, test::draw_ids(members));
        result.resize(81);
        results.push_back(result);
      }
    omp_set_num_threads(omp_get_num_procs());
    for (const auto& result : results) EXPECT_EQ(result, results.front());
  }
}

TEST(Invariance, HoldingOrRegeneratingWeightsChangesNoBit) {
  const Network network = cases()[1].network();
  KernelWorkload work;
  work.members = 2;
  work.rows = 9;
  const StoragePlan held = make_storage_plan(network.shape, work, {0, 2});
  ASSERT_TRUE(held.hold_weights);
  // The first limit on the way down at which weights are drawn again.
  DeviceLimits tight{held.total_bytes, 2};
  StoragePlan drawn_again = held;
  while (drawn_again.hold_weights) {
    tight.workspace_bytes *= 0.95;
    drawn_again = make_storage_plan(network.shape, work, tight);
  }
  ASSERT_EQ(drawn_again.input_tile, 9) << drawn_again.reason;
  EXPECT_EQ(kernels<float>(network, test::draw_ids(2)), kernels<float>(network, test::draw_ids(2), tight));
}

TEST(Invariance, AnotherReplicateOrKeyIsAnotherNetwork) {
  const Network network = cases()[0].network();
  const auto one = kernels<float>(network, {{7, 0}}), replicate = kernels<float>(network, {{7, 1}}),
             key = kernels<float>(network, {{8, 0}});
  EXPECT_NE(one, replicate);
  EXPECT_NE(one, key);
}

}  // namespace
}  // namespace widelab
