// Both ridge paths on the device against singular values of every matrix alone, and bits that must not depend on who is
// solved beside.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tests/gpu/device_ops.hpp"
#include "tests/support/ridge_comparison.hpp"

namespace widelab {
namespace {

using test::KernelCase;
using test::ridge;
using test::RidgeCase;
using test::RidgeResult;
using test::same;

RidgeResult on_device(const RidgeCase& c) {
  return c.solve([](const RidgePathProblem& p) { test::device().ridge_path(p); });
}

void expect_parity(const RidgeCase& c, const std::string& label) { test::expect_parity(c, on_device(c), label); }

TEST(DeviceRidgePath, EqualsSingularValuesAtAwkwardSizes) {
  for (const Index n : {1, 2, 7, 31})
    for (const Index targets : {1, 3})
      expect_parity(test::awkward_case(n, targets, {ridge(0.3), ridge(1e-4)}),
                    "n=" + std::to_string(n) + " R=" + std::to_string(targets));
}

TEST(DeviceRidgePath, EveryMethodEqualsSingularValues) {
  for (const RidgeCase& c : test::method_cases()) {
    for (const RidgeReport& report : on_device(c).reports) EXPECT_EQ(report.method, c.method);
    expect_parity(c, ridge_method_name(*c.method));
  }
}

TEST(DeviceRidgePath, EveryKindOfFeatures) {
  for (const auto& [kind, c] : test::feature_cases()) expect_parity(c, kind);
}

TEST(DeviceRidgePath, LeastNormOfFullAndOfDeficientRank) {
  expect_parity(test::least_norm_case(), "full rank");
  expect_parity(test::rank_three_case(), "rank 3");
}

TEST(DeviceRidgePath, FlowAtManyTimes) { expect_parity(test::flow_case(), "flow"); }

TEST(DeviceRidgePath, AcrossPanels) {
  RidgeCase c;
  c.kind = FeatureKind::given;
  c.examples = 170;
  c.tests = 515;
  c.sizes = {100, 170, 300, 530};
  c.filters = {ridge(1.0), ridge(3.0)};
  expect_parity(c, "wide");
  c.examples = 530;
  c.tests = 1;
  c.sizes = {3, 65};
  expect_parity(c, "tall");
  RidgeCase tangent;
  tangent.kind = FeatureKind::tangent;
  tangent.dimension = 2;
  tangent.activation = Tanh{};
  tangent.examples = 20;
  tangent.sizes = {5, 270};
  tangent.filters = {ridge(0.1)};
  expect_parity(tangent, "more units than a panel of slopes");
}

TEST(DeviceRidgePath, ReportsAreNearTheExactExtremes) {
  for (const Index examples : {50, 170}) {
    const RidgeCase c = test::extremes_case(examples);
    test::expect_near_extremes(c, on_device(c));
  }
}

TEST(DeviceRidgePath, AFailedFactorIsSolvedByEigenvectors) {
  // All features are 3 and the ridge is below rounding: the second pivot is exactly 0 in either space, in a block and
  // in the library.
  for (const bool large : {false, true}) {
    RidgeCase c;
    c.kind = FeatureKind::given;
    c.examples = large ? 400 : 4;
    c.sizes = {1, 2, large ? 441 : 36};
    c.inputs.assign(static_cast<std::size_t>(c.examples * c.sizes.back()), 3.0);
    c.filters = {ridge(1e-20)};
    const RidgeResult r = on_device(c);
    EXPECT_EQ(r.reports[0].method, RidgeMethod::primal_prefix);
    EXPECT_EQ(r.reports[1].method, RidgeMethod::spectral);
    EXPECT_EQ(r.reports[2].method, RidgeMethod::spectral);
    for (const double f : r.predictions) EXPECT_TRUE(std::isfinite(f));
  }
}

TEST(DeviceRidgePath, PlantedFaultsAreFound) {
  RidgeCase c, other;
  c.examples = other.examples = 20;
  c.sizes = other.sizes = {10, 30, 60};
  other.ids = {{7, 1}};
  const RidgeResult fast = on_device(other), slow = c.by_reference();
  for (std::size_t k = 0; k < 3; ++k) EXPECT_GT(test::distance(fast.predictions, slow.predictions, k, 3, 1e-3), 1e-3);
}

/// The part of member `k` of several.
RidgeResult member(const RidgeResult& all, std::size_t k, std::size_t members) {
  return {test::part(all.coefficients, k, members),
          test::part(all.predictions, k, members),
          test::part(all.residuals, k, members),
          test::part(all.norms, k, members),
          {}};
}

TEST(DeviceRidgePath, AMemberIsTheSameAloneAndAmongOthers) {
  for (const Index examples : {24, 300}) {
    RidgeCase c;
    c.members = 3;
    c.examples = examples;
    c.dimension = 8;
    c.sizes = {7, 20, examples + 3, examples + 40, 2 * examples + 50};
    c.filters = {ridge(0.01), ridge(1.0)};
    c.inputs = test::normals<double>(examples, 8, 11);
    c.ids = test::draw_ids(3);
    const RidgeResult all = on_device(c);
    EXPECT_TRUE(same(all, on_device(c)));
    // Targets are draws of one array, so that the first member's do not depend on how many follow.
    c.members = 1;
    c.ids.resize(1);
    EXPECT_TRUE(same(member(all, 0, 3), on_device(c)));
  }
}

TEST(DeviceRidgePath, AnotherFilterChangesNoBit) {
  for (const Index examples : {24, 300}) {
    RidgeCase c;
    c.examples = examples;
    c.sizes = {7, examples + 3, examples + 40};
    c.filters = {ridge(1.0)};
    RidgeCase both = c;
    both.filters = {ridge(0.01), ridge(1.0)};
    const RidgeResult one = on_device(c), two = on_device(both);
    for (std::size_t s = 0; s < 3; ++s)
      EXPECT_EQ(test::part(one.predictions, s, 3), test::part(two.predictions, 2 * s + 1, 6)) << s;
  }
}

TEST(DeviceRidgePath, TooLittleMemoryIsAPlanError) {
  RidgeCase c;
  c.examples = 300;
  c.limits.workspace_bytes = 1e5;
  EXPECT_THROW(on_device(c), PlanError);
}

RidgeResult on_device(const KernelCase& c) {
  return c.solve([](const KernelRidgePathProblem& p) { test::device().kernel_ridge_path(p); });
}

void expect_parity(const KernelCase& c, const std::string& label) { test::expect_parity(c, on_device(c), label); }

TEST(DeviceKernelRidgePath, EqualsSingularValuesOfLeadingBlocks) {
  for (const KernelCase& c : test::leading_block_cases()) expect_parity(c, "n=" + std::to_string(c.examples));
}

TEST(DeviceKernelRidgePath, FlowAndDeficientRank) {
  expect_parity(test::kernel_flow_case(), "flow");
  expect_parity(test::deficient_kernel_case(), "rank 6");
}

TEST(DeviceKernelRidgePath, AMemberIsTheSameAloneAndAmongOthers) {
  KernelCase c;
  c.members = 3;
  const RidgeResult all = on_device(c);
  c.members = 1;
  EXPECT_TRUE(same(member(all, 0, 3), on_device(c)));
}

}  // namespace
}  // namespace widelab
