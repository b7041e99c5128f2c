// The CPU kernel ops against the reference: structured kernels against explicit Jacobians, stored against drawn
// weights, tiles against whole.
#include <gtest/gtest.h>

#include "tests/support/nan_memory.hpp"
#include "tests/support/random_problem.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/ops/forward.hpp"
#include "widelab/ops/init.hpp"
#include "widelab/ops/nngp.hpp"
#include "widelab/ops/ntk.hpp"
#include "widelab/plan/storage_plan.hpp"

namespace widelab {
namespace {

constexpr Index kMembers = 3;

/// Kernels and outputs of a few members on N1 (and, if cols > 0, N2) random inputs.
template <class T>
struct Kernels {
  std::vector<double> ntk, nngp;
  std::vector<T> outputs;
};

template <class T>
using NtkOp = void (*)(const NtkProblem<T>&);

template <class T>
Kernels<T> run(NtkOp<T> op, const Network& network, Index rows, Index cols, NtkBlocks blocks, DeviceLimits limits = {},
               const T* stored = nullptr) {
  const std::vector<DrawId> ids = test::draw_ids(kMembers);
  const std::vector<T> x1 = test::normals<T>(rows, network.shape.input_dim, 1),
                       x2 = test::normals<T>(cols, network.shape.input_dim, 2);
  NtkProblem<T> problem;
  problem.network = &network;
  problem.weights = {kMembers, ids.data(), stored};
  problem.x1 = matrix_view(x1.data(), rows, network.shape.input_dim);
  if (cols > 0) problem.x2 = matrix_view(x2.data(), cols, network.shape.input_dim);
  problem.blocks = blocks;
  problem.limits = limits;
  Kernels<T> out;
  out.ntk.assign(static_cast<std::size_t>(kMembers * problem.entries()), NAN);
  out.nngp.assign(static_cast<std::size_t>(kMembers * problem.rows() * problem.cols()), NAN);
  out.outputs.assign(static_cast<std::size_t>(kMembers * rows * network.shape.outputs), NAN);
  problem.ntk = out.ntk.data();
  problem.nngp = out.nngp.data();
  problem.outputs = out.outputs.data();
  op(problem);
  return out;
}

/// Rounding of sums of k products: sqrt(k) eps, times a constant for the depth of the chain of layers.
double tolerance(const Network& network, double eps) {
  double longest = static_cast<double>(network.shape.input_dim);
  for (const Index n : network.shape.widths) longest = std::max(longest, static_cast<double>(n));
  return 40 * static_cast<double>(network.shape.layers()) * std::sqrt(longest) * eps;
}

TEST(Ntk, StructuredEqualsJacobianContraction) {
  for (const test::NetworkCase& c : test::network_cases()) {
    const Network network = c.network();
    for (const NtkBlocks blocks : {NtkBlocks::full, NtkBlocks::trace, NtkBlocks::diagonal})
      for (const auto& [rows, cols] : {std::pair<Index, Index>{5, 0}, {1, 0}, {3, 4}}) {
        const auto fast = run<double>(cpu::ntk, network, rows, cols, blocks);
        const auto exact = run<double>(reference::ntk, network, rows, cols, blocks);
        EXPECT_LT(test::relative_distance(fast.ntk, exact.ntk), 1e-12) << c.name << ", " << rows << " x " << cols;
        EXPECT_LT(test::relative_distance(fast.nngp, exact.nngp), 1e-12) << c.name;
        EXPECT_LT(test::relative_distance(fast.outputs, exact.outputs), 1e-12) << c.name;
      }
  }
}

TEST(Ntk, SinglePrecisionIsWithinItsRounding) {
  for (const test::NetworkCase& c : test::network_cases()) {
    const Network network = c.network();
    const auto fast = run<float>(cpu::ntk, network, 5, 0, NtkBlocks::full);
    const auto exact = run<double>(reference::ntk, network, 5, 0, NtkBlocks::full);
    EXPECT_LT(test::relative_distance(fast.ntk, exact.ntk), tolerance(network, 0x1p-24)) << c.name;
    EXPECT_LT(test::relative_distance(fast.nngp, exact.nngp), tolerance(network, 0x1p-24)) << c.name;
  }
}

TEST(Ntk, ManyInputsFillSeveralBlocks) {
  const Network network = test::NetworkCase{.activation = "erf", .outputs = 3}.network();
  for (const NtkBlocks blocks : {NtkBlocks::full, NtkBlocks::trace, NtkBlocks::diagonal})
    for (const auto& [rows, cols] : {std::pair<Index, Index>{157, 0}, {131, 150}}) {
      const auto fast = run<double>(cpu::ntk, network, rows, cols, blocks);
      const auto exact = run<double>(reference::ntk, network, rows, cols, blocks);
      EXPECT_LT(test::relative_distance(fast.ntk, exact.ntk), 1e-12);
    }
}

TEST(Ntk, VeryManyInputsFillTallBlocks) {
  const Network network = test::NetworkCase{.activation = "erf", .widths = {9}, .outputs = 2}.network();
  for (const NtkBlocks blocks : {NtkBlocks::full, NtkBlocks::trace, NtkBlocks::diagonal})
    for (const auto& [rows, cols] : {std::pair<Index, Index>{1100, 0}, {1030, 70}, {70, 1030}}) {
      const auto fast = run<double>(cpu::ntk, network, rows, cols, blocks);
      const auto exact = run<double>(reference::ntk, network, rows, cols, blocks);
      EXPECT_LT(test::relative_distance(fast.ntk, exact.ntk), 1e-12) << rows << " x " << cols;
      EXPECT_LT(test::relative_distance(fast.nngp, exact.nngp), 1e-12) << rows << " x " << cols;
    }
}

TEST(Ntk, ATooSmallMistakeIsSeen) {
  // The fault that the tolerance has to see: one bias counted twice in one layer's kernel.
  Network network = test::NetworkCase{.activation = "erf"}.network();
  const auto exact = run<double>(reference::ntk, network, 5, 0, NtkBlocks::trace);
  network.layers[1].bias_rate = 2.0;
  EXPECT_GT(test::relative_distance(run<double>(cpu::ntk, network, 5, 0, NtkBlocks::trace).ntk, exact.ntk), 1e-6);
}

TEST(Ntk, WorkspaceLimitsChangeTilesNotResults) {
  const Network network =
      test::NetworkCase{.activation = "tanh", .widths = {1500, 1500}, .input_dim = 4, .outputs = 2}.network();
  const auto whole = run<double>(cpu::ntk, network, 37, 0, NtkBlocks::full);
  KernelWorkload work;
  work.members = kMembers;
  work.rows = 37;
  work.scalar_bytes = 8;
  const double all = make_storage_plan(network.shape, work, {0, 2}).total_bytes;
  bool tiled = false, regenerated = false;
  for (double bytes = all; bytes > 3e5; bytes *= 0.6) {
    StoragePlan plan;
    try {
      plan = make_storage_plan(network.shape, work, {bytes, 2});
    } catch (const PlanError&) {
      break;
    }
    EXPECT_LE(plan.total_bytes, bytes);
    tiled = tiled || plan.input_tile < 37;
    regenerated = regenerated || !plan.hold_weights;
    const auto limited = run<double>(cpu::ntk, network, 37, 0, NtkBlocks::full, {bytes, 2});
    EXPECT_LT(test::relative_distance(limited.ntk, whole.ntk), 1e-13) << plan.reason;
  }
  EXPECT_TRUE(tiled);
  EXPECT_TRUE(regenerated);
}

TEST(Ntk, RefusesWorkThatFitsNowhere) {
  const Network network = test::NetworkCase{.widths = {600, 600}}.network();
  EXPECT_THROW(run<double>(cpu::ntk, network, 37, 0, NtkBlocks::trace, {1000.0, 2}), PlanError);
}

TEST(Init, StoredWeightsGiveTheSameBitsAsDrawnOnes) {
  for (const test::NetworkCase& c : test::network_cases()) {
    const Network network = c.network();
    const std::vector<DrawId> ids = test::draw_ids(kMembers);
    std::vector<float> stored(static_cast<std::size_t>(kMembers * ParamLayout(network.shape).size));
    cpu::init(InitProblem<float>{&network, ids.data(), kMembers, stored.data()});
    const auto drawn = run<float>(cpu::ntk, network, 5, 0, NtkBlocks::trace),
               given = run<float>(cpu::ntk, network, 5, 0, NtkBlocks::trace, {}, stored.data());
    EXPECT_EQ(drawn.ntk, given.ntk) << c.name;
    EXPECT_EQ(drawn.outputs, given.outputs) << c.name;
  }
}

TEST(Init, EqualsTheReference) {
  for (const InitKind law : {InitKind::normal, InitKind::uniform, InitKind::rademacher, InitKind::orthogonal}) {
    const Network network = test::NetworkCase{.widths = {13, 7, 19}, .law = law}.network();
    const std::vector<DrawId> ids = test::draw_ids(kMembers);
    std::vector<double> fast(static_cast<std::size_t>(kMembers * ParamLayout(network.shape).size)), exact(fast.size());
    cpu::init(InitProblem<double>{&network, ids.data(), kMembers, fast.data()});
    reference::init(InitProblem<double>{&network, ids.data(), kMembers, exact.data()});
    if (law == InitKind::orthogonal)
      EXPECT_LT(test::relative_distance(fast, exact), 1e-13);
    else
      EXPECT_EQ(fast, exact);
  }
}

TEST(Forward, EqualsTheReference) {
  for (const test::NetworkCase& c : test::network_cases()) {
    const Network network = c.network();
    const std::vector<DrawId> ids = test::draw_ids(kMembers);
    const std::vector<double> x = test::normals<double>(11, network.shape.input_dim, 3);
    std::vector<double> fast(static_cast<std::size_t>(kMembers * 11 * network.shape.outputs), NAN),
        exact(fast.size(), NAN);
    ForwardProblem<double> problem{
        &network, {kMembers, ids.data(), nullptr}, matrix_view(x.data(), 11, network.shape.input_dim), fast.data(), {}};
    cpu::forward(problem);
    problem.outputs = exact.data();
    reference::forward(problem);
    EXPECT_LT(test::relative_distance(fast, exact), 1e-12) << c.name;
  }
}

TEST(Nngp, EqualsTheReference) {
  for (const test::NetworkCase& c : test::network_cases()) {
    const Network network = c.network();
    const std::vector<DrawId> ids = test::draw_ids(kMembers);
    const std::vector<double> x = test::normals<double>(6, network.shape.input_dim, 3),
                              y = test::normals<double>(4, network.shape.input_dim, 4);
    std::vector<double> fast(static_cast<std::size_t>(kMembers * 24), NAN), exact(fast.size(), NAN);
    NngpProblem<double> problem{&network,
                                {kMembers, ids.data(), nullptr},
                                matrix_view(x.data(), 6, network.shape.input_dim),
                                matrix_view(y.data(), 4, network.shape.input_dim),
                                fast.data(),
                                {}};
    cpu::nngp(problem);
    problem.nngp = exact.data();
    reference::nngp(problem);
    EXPECT_LT(test::relative_distance(fast, exact), 1e-12) << c.name;
  }
}

}  // namespace
}  // namespace widelab
