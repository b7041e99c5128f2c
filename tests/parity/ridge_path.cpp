// The prefix solvers against singular values of every feature matrix alone, at awkward sizes, for every method.
#include "widelab/ops/ridge_path.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "kernels/cpu/buffer.hpp"
#include "tests/support/nan_memory.hpp"
#include "tests/support/ridge_comparison.hpp"

namespace widelab {
namespace {

using test::distance;
using test::flow;
using test::ridge;
using test::ridge_tolerance;
using test::RidgeCase;
using test::RidgeResult;

void expect_parity(const RidgeCase& c, const std::string& label) { test::expect_parity(c, c.on_cpu(), label); }

TEST(RidgePath, WorkingMemoryIsNotZeroByChance) {
  const cpu::Buffer<double> memory(100000);
  EXPECT_TRUE(std::all_of(memory.begin(), memory.end(), [](double x) { return std::isnan(x); }));
}

TEST(RidgePath, EqualsSingularValuesAtAwkwardSizes) {
  for (const Index n : {1, 2, 7, 31})
    for (const Index targets : {1, 3})
      for (const double value : {0.3, 1e-4}) {
        std::vector<Index> near{n, n + 1};
        for (Index s = 3; s < n; s += 7) near.push_back(s);
        expect_parity(test::awkward_case(n, targets, {ridge(value), ridge(10 * value)}, near),
                      "n=" + std::to_string(n) + " R=" + std::to_string(targets) + " ridge=" + std::to_string(value));
      }
}

TEST(RidgePath, EveryMethodEqualsSingularValues) {
  for (const RidgeCase& c : test::method_cases()) {
    for (const RidgeReport& report : c.on_cpu().reports) EXPECT_EQ(report.method, c.method);
    expect_parity(c, ridge_method_name(*c.method));
  }
}

TEST(RidgePath, EveryKindOfFeatures) {
  for (const auto& [kind, c] : test::feature_cases()) expect_parity(c, kind);
}

TEST(RidgePath, LeastNormOfFullRank) {
  const RidgeCase c = test::least_norm_case();
  expect_parity(c, "least norm");
  for (const RidgeReport& report : c.on_cpu().reports) EXPECT_NE(report.method, RidgeMethod::spectral);
}

TEST(RidgePath, LeastNormOfDeficientRankDropsRounding) {
  const RidgeCase c = test::rank_three_case();
  expect_parity(c, "rank 3");
  const RidgeResult r = c.on_cpu();
  for (std::size_t s = 0; s < c.sizes.size(); ++s) {
    EXPECT_EQ(r.reports[s].rank, std::min<Index>(3, c.sizes[s]));
    EXPECT_EQ(r.reports[s].method, c.sizes[s] > 3 ? RidgeMethod::spectral : RidgeMethod::primal_prefix);
  }
}

TEST(RidgePath, FlowAtManyTimes) { expect_parity(test::flow_case(), "flow"); }

TEST(RidgePath, AcrossTilesAndPanels) {
  // Two tiles of a factor, two of a Gram matrix and of a panel, on each side of n = N.
  RidgeCase c;
  c.kind = FeatureKind::given;
  c.examples = 130;
  c.tests = 1;
  c.sizes = {100, 130, 300, 530};
  c.filters = {ridge(1.0)};
  expect_parity(c, "wide");
  c.examples = 530;
  c.sizes = {3, 65};
  expect_parity(c, "tall");
}

TEST(RidgePath, TinyRidgeNearTheThresholdIsSolvedSizeBySize) {
  RidgeCase c;
  c.kind = FeatureKind::given;
  c.examples = 40;
  c.inputs = test::normals<double>(40, 44, 11);
  // The last example nearly repeats the first one: the base at 41 columns has condition beyond 1e9.
  for (Index j = 0; j < 44; ++j)
    c.inputs[static_cast<std::size_t>(39 * 44 + j)] = c.inputs[static_cast<std::size_t>(j)] * (1 + (j == 5 ? 1e-4 : 0));
  c.sizes = {41, 42, 43, 44};
  c.filters = {ridge(1e-10)};
  const RidgeResult r = c.on_cpu(), exact = c.by_reference();
  for (std::size_t s = 0; s < c.sizes.size(); ++s) {
    EXPECT_EQ(r.reports[s].method, RidgeMethod::dual);
    EXPECT_LT(distance(r.predictions, exact.predictions, s, 4, 1.0),
              100 * exact.reports[s].condition * std::numeric_limits<double>::epsilon());
  }
}

TEST(RidgePath, ReportsAreNearTheExactExtremes) {
  const RidgeCase c = test::extremes_case(50);
  const RidgeResult r = c.on_cpu();
  test::expect_near_extremes(c, r);
  for (std::size_t s = 0; s < c.sizes.size(); ++s) {
    EXPECT_EQ(r.reports[s].rank, std::min<Index>(50, c.sizes[s]));
    EXPECT_EQ(r.reports[s].jitter, 0.0);
  }
}

/// Whether predictions of `other` pass for those of `c`.
bool passes(const RidgeCase& c, const RidgeCase& other) {
  const RidgeResult fast = other.on_cpu(), slow = c.by_reference();
  for (std::size_t k = 0; k < slow.reports.size(); ++k)
    if (distance(fast.predictions, slow.predictions, k, slow.reports.size(), 1e-3) >=
        ridge_tolerance(c.length(), c.filters[0], slow.reports[k]))
      return false;
  return true;
}

TEST(RidgePath, PlantedFaultsAreFound) {
  RidgeCase c;
  c.examples = 20;
  c.dimension = 4;
  c.sizes = {10, 30, 60};
  c.filters = {ridge(0.5)};
  EXPECT_TRUE(passes(c, c));
  RidgeCase mean_convention = c;  // the ridge of a loss that is a mean over examples
  mean_convention.filters = {ridge(0.5 * 20)};
  EXPECT_FALSE(passes(c, mean_convention));
  RidgeCase per_feature = c;
  per_feature.filters = {ridge(0.5 / 10)};
  EXPECT_FALSE(passes(c, per_feature));
  RidgeCase one_column_less = c;
  one_column_less.sizes = {9, 29, 59};
  EXPECT_FALSE(passes(c, one_column_less));
  RidgeCase stale = c;  // what lies beyond the base is that of another draw
  stale.ids = {{7, 1}};
  EXPECT_FALSE(passes(c, stale));
}

TEST(RidgePath, RefusesWhatItCannotSolve) {
  RidgeCase c;
  const auto refused = [](const RidgeCase& bad) {
    EXPECT_THROW(bad.on_cpu(), RecipeError);
    EXPECT_THROW(bad.by_reference(), RecipeError);
  };
  RidgeCase bad = c;
  bad.filters = {ridge(-1e-9)};
  refused(bad);
  bad.filters = {ridge(std::nan(""))};
  refused(bad);
  bad = c;
  bad.sizes = {3, 3};
  refused(bad);
  bad.sizes = {0, 3};
  refused(bad);
  bad = c;
  bad.method = RidgeMethod::dual;
  bad.filters = {ridge(0)};
  EXPECT_THROW(bad.on_cpu(), PlanError);
  bad.filters = {flow(1)};
  EXPECT_THROW(bad.on_cpu(), PlanError);
  bad = c;
  bad.limits.workspace_bytes = 100;
  EXPECT_THROW(bad.on_cpu(), PlanError);
}

}  // namespace
}  // namespace widelab
