// Both ridge paths on the device against singular values of every matrix alone, and bits that must not depend on who is
// solved beside.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "tests/gpu/device_ops.hpp"
#include "tests/support/ridge_case.hpp"

namespace widelab {
namespace {

using test::flow;
using test::KernelCase;
using test::ridge;
using test::RidgeCase;
using test::RidgeResult;

RidgeResult on_device(const RidgeCase& c) {
  return c.solve([](const RidgePathProblem& p) { test::device().ridge_path(p); });
}

/// Of case k of several.
double distance(const std::vector<double>& a, const std::vector<double>& b, std::size_t k, std::size_t cases,
                double scale) {
  return test::distance(test::part(a, k, cases), test::part(b, k, cases), scale);
}

/// `length` roundings of a Gram matrix times the worst condition of the path, on which sizes may have a common base; a
/// flow amplifies an eigenvalue's error by at most 1 + t times the largest eigenvalue.
void expect_equal(const RidgeResult& fast, const RidgeResult& slow, const std::vector<SpectralFilter>& filters,
                  double length, double targets_scale, const std::string& label) {
  const std::size_t cases = slow.reports.size();
  for (std::size_t k = 0; k < cases; ++k) {
    const std::size_t f = k % filters.size();
    const bool is_flow = filters[f].kind == SpectralFilter::Kind::flow;
    const RidgeReport& report = slow.reports[k];
    double amplification = report.condition;
    if (is_flow)
      amplification = std::min(amplification, 1 + filters[f].value * report.condition * report.smallest);
    else if (fast.reports[k].method != RidgeMethod::spectral)
      for (std::size_t other = f; other < cases; other += filters.size())
        amplification = std::max(amplification, slow.reports[other].condition);
    const double limit = 16 * length * std::numeric_limits<double>::epsilon() * amplification;
    const std::string where = label + ", case " + std::to_string(k) + ", " + ridge_method_name(fast.reports[k].method);
    ASSERT_LT(limit, 1e-3) << where << ": too ill-conditioned to be a test";
    EXPECT_LT(distance(fast.coefficients, slow.coefficients, k, cases, 1e-300), limit) << where;
    EXPECT_LT(distance(fast.predictions, slow.predictions, k, cases, 1e-3), limit) << where;
    EXPECT_LT(distance(fast.norms, slow.norms, k, cases, 1e-3), 2 * limit) << where;
    EXPECT_LT(distance(fast.residuals, slow.residuals, k, cases, targets_scale), 2 * limit) << where;
    EXPECT_EQ(fast.reports[k].rank, report.rank) << where;
    EXPECT_EQ(fast.reports[k].jitter, 0.0) << where;
  }
}

void expect_parity(const RidgeCase& c, const std::string& label) {
  const Index per_unit = c.kind == FeatureKind::tangent ? c.dimension : 1;
  expect_equal(on_device(c), c.by_reference(), c.filters, static_cast<double>(c.examples + c.sizes.back() * per_unit),
               static_cast<double>(c.examples), label);
}

TEST(DeviceRidgePath, EqualsSingularValuesAtAwkwardSizes) {
  for (const Index n : {1, 2, 7, 31})
    for (const Index targets : {1, 3}) {
      RidgeCase c;
      c.examples = n;
      c.targets = targets;
      c.members = 2;
      c.dimension = 5;
      c.filters = {ridge(0.3), ridge(1e-4)};
      c.sizes = {1, 2, n + 2, 2 * n + 3, 3 * n + 4, 97};
      std::sort(c.sizes.begin(), c.sizes.end());
      c.sizes.erase(std::unique(c.sizes.begin(), c.sizes.end()), c.sizes.end());
      expect_parity(c, "n=" + std::to_string(n) + " R=" + std::to_string(targets));
    }
}

TEST(DeviceRidgePath, EveryMethodEqualsSingularValues) {
  for (const RidgeMethod method :
       {RidgeMethod::primal_prefix, RidgeMethod::dual, RidgeMethod::schur_prefix, RidgeMethod::spectral}) {
    RidgeCase c;
    c.examples = 23;
    c.dimension = 6;
    c.targets = 2;
    c.sizes = {1, 5, 22, 23, 24, 47};
    c.filters = {ridge(1e-3), ridge(2.0)};
    c.method = method;
    for (const RidgeReport& report : on_device(c).reports) EXPECT_EQ(report.method, method);
    expect_parity(c, ridge_method_name(method));
  }
}

TEST(DeviceRidgePath, EveryKindOfFeatures) {
  for (const bool shared : {true, false})
    for (const bool sphere : {true, false}) {
      RidgeCase c;
      c.members = 3;
      c.shared = shared;
      c.sphere = sphere;
      c.scale = 0.5;
      c.activation = Tanh{};
      expect_parity(c, "random");
      c.kind = FeatureKind::tangent;
      c.examples = 17;
      c.sizes = {1, 2, 5, 6, 7, 11};
      expect_parity(c, "tangent");
      c.kind = FeatureKind::given;
      c.sizes = {1, 16, 17, 20, 40};
      expect_parity(c, "given");
    }
}

TEST(DeviceRidgePath, LeastNormOfFullAndOfDeficientRank) {
  RidgeCase c;
  c.kind = FeatureKind::given;
  c.examples = 29;
  c.sizes = {1, 13, 24, 35, 37, 41, 60};
  c.filters = {ridge(0)};
  expect_parity(c, "full rank");
  // Identity features of 3 inputs: rank 3, whatever the number of units.
  RidgeCase thin;
  thin.activation = Identity{};
  thin.examples = 11;
  thin.sizes = {1, 2, 3, 4, 10, 11, 12, 30};
  thin.filters = {ridge(0)};
  expect_parity(thin, "rank 3");
}

TEST(DeviceRidgePath, FlowAtManyTimes) {
  RidgeCase c;
  c.kind = FeatureKind::given;
  c.examples = 13;
  c.targets = 2;
  c.sizes = {1, 9, 17, 31};
  c.filters = {flow(0), flow(0.01), flow(1), flow(1e6), ridge(0.2), ridge(0)};
  expect_parity(c, "flow");
}

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
    RidgeCase c;
    c.examples = examples;
    c.dimension = 10;
    c.sizes = {10, examples - 5, examples, examples + 5, examples + 30, 4 * examples};
    c.filters = {ridge(1e-2)};
    const RidgeResult r = on_device(c), exact = c.by_reference();
    for (std::size_t s = 0; s < c.sizes.size(); ++s) {
      EXPECT_GE(r.reports[s].smallest, exact.reports[s].smallest * (1 - 1e-6)) << s;
      EXPECT_LE(r.reports[s].smallest, exact.reports[s].smallest * 4) << s;
      EXPECT_LE(r.reports[s].condition, exact.reports[s].condition * (1 + 1e-6)) << s;
      EXPECT_GE(r.reports[s].condition, exact.reports[s].condition / 6) << s;
    }
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
  for (std::size_t k = 0; k < 3; ++k) EXPECT_GT(distance(fast.predictions, slow.predictions, k, 3, 1e-3), 1e-3);
}

bool same(const RidgeResult& a, const RidgeResult& b) {
  return a.coefficients == b.coefficients && a.predictions == b.predictions && a.residuals == b.residuals &&
         a.norms == b.norms;
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

void expect_parity(const KernelCase& c, const std::string& label) {
  expect_equal(on_device(c), c.by_reference(), c.filters, static_cast<double>(c.examples),
               static_cast<double>(c.examples), label);
}

TEST(DeviceKernelRidgePath, EqualsSingularValuesOfLeadingBlocks) {
  for (const Index n : {1, 2, 17, 53})
    for (const bool shared : {true, false}) {
      KernelCase c;
      c.examples = n;
      c.rank = 2 * n + 3;
      c.shared_kernels = c.shared_cross = shared;
      c.sizes = {1};
      for (Index s = 2; s <= n; s += 3) c.sizes.push_back(s);
      c.filters = {ridge(0), ridge(1e-3), ridge(4.0)};
      expect_parity(c, "n=" + std::to_string(n));
    }
}

TEST(DeviceKernelRidgePath, FlowAndDeficientRank) {
  KernelCase c;
  c.filters = {flow(0), flow(0.3), ridge(0.5), flow(1e6)};
  expect_parity(c, "flow");
  c.rank = 6;
  c.filters = {ridge(0), ridge(0.01)};
  c.sizes = {2, 5, 7, 12};
  expect_parity(c, "rank 6");
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
