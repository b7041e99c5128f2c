// The prefix solvers against singular values of every feature matrix alone, at awkward sizes, for every method.
#include "widelab/ops/ridge_path.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "tests/support/ridge_case.hpp"

namespace widelab {
namespace {

using test::distance;
using test::flow;
using test::ridge;
using test::RidgeCase;
using test::RidgeResult;

constexpr double kEps = std::numeric_limits<double>::epsilon();

/// How far rounding may move a solution: a Gram matrix carries `length` roundings, and what is solved with it as many
/// times its condition; a flow for the time t amplifies an eigenvalue's error by at most 1 + t times the largest.
/// `base`: condition of the matrix that was factored, where it is another than that of the solution.
double tolerance(const RidgeCase& c, const SpectralFilter& filter, const RidgeReport& exact, double base) {
  const double length =
      static_cast<double>(c.examples + c.sizes.back() * (c.kind == FeatureKind::tangent ? c.dimension : 1));
  const double condition = std::max(base, exact.condition);
  const double amplification = filter.kind == SpectralFilter::Kind::flow
                                   ? std::min(condition, 1 + filter.value * exact.condition * exact.smallest)
                                   : condition;
  return 16 * length * amplification * kEps;
}

/// Condition of the first size's Gram matrix plus ridge: what methods with a common base stand on.
double base_condition(const RidgeResult& exact, std::size_t member, std::size_t f, std::size_t sizes,
                      std::size_t filters) {
  double worst = 1;
  for (std::size_t s = 0; s < sizes; ++s)
    worst = std::max(worst, exact.reports[(member * sizes + s) * filters + f].condition);
  return worst;
}

void expect_parity(const RidgeCase& c, const std::string& label) {
  const RidgeResult fast = c.on_cpu(), slow = c.by_reference();
  const std::size_t sizes = c.sizes.size(), filters = c.filters.size(), cases = slow.reports.size();
  for (std::size_t k = 0; k < cases; ++k) {
    const std::size_t f = k % filters;
    const bool shares = fast.reports[k].method != RidgeMethod::spectral;
    const double base = shares ? base_condition(slow, k / filters / sizes, f, sizes, filters) : 1.0;
    const double limit = tolerance(c, c.filters[f], slow.reports[k], base);
    const std::string where = label + ", units " + std::to_string(c.sizes[k / filters % sizes]) + ", filter " +
                              std::to_string(f) + ", " + ridge_method_name(fast.reports[k].method);
    ASSERT_LT(limit, 1e-3) << where << ": too ill-conditioned to be a test";
    EXPECT_LT(distance(test::part(fast.coefficients, k, cases), test::part(slow.coefficients, k, cases), 1e-300), limit)
        << where;
    EXPECT_LT(distance(test::part(fast.predictions, k, cases), test::part(slow.predictions, k, cases), 1e-3), limit)
        << where;
    EXPECT_LT(distance(test::part(fast.norms, k, cases), test::part(slow.norms, k, cases), 1e-300), 2 * limit) << where;
    // Residuals are judged beside the targets, of which they are what is left.
    EXPECT_LT(distance(test::part(fast.residuals, k, cases), test::part(slow.residuals, k, cases),
                       static_cast<double>(c.examples)),
              2 * limit)
        << where;
  }
}

TEST(RidgePath, EqualsSingularValuesAtAwkwardSizes) {
  for (const Index n : {1, 2, 7, 31})
    for (const Index targets : {1, 3})
      for (const double value : {0.3, 1e-4}) {
        RidgeCase c;
        c.examples = n;
        c.targets = targets;
        c.members = 2;
        c.dimension = 5;
        c.filters = {ridge(value), ridge(10 * value)};
        c.sizes = {1, 2, n + 2, 2 * n + 3, 3 * n + 4, 97};
        for (Index s = 3; s < n; s += 7) c.sizes.push_back(s);
        for (const Index s : {n, n + 1}) c.sizes.push_back(s);
        std::sort(c.sizes.begin(), c.sizes.end());
        c.sizes.erase(std::unique(c.sizes.begin(), c.sizes.end()), c.sizes.end());
        expect_parity(c,
                      "n=" + std::to_string(n) + " R=" + std::to_string(targets) + " ridge=" + std::to_string(value));
      }
}

TEST(RidgePath, EveryMethodEqualsSingularValues) {
  for (const RidgeMethod method :
       {RidgeMethod::primal_prefix, RidgeMethod::dual, RidgeMethod::schur_prefix, RidgeMethod::spectral}) {
    RidgeCase c;
    c.examples = 23;
    c.dimension = 6;
    c.targets = 2;
    c.sizes = {1, 5, 22, 23, 24, 47};
    c.filters = {ridge(1e-3), ridge(2.0)};
    c.method = method;
    const RidgeResult r = c.on_cpu();
    for (const RidgeReport& report : r.reports) EXPECT_EQ(report.method, method);
    expect_parity(c, ridge_method_name(method));
  }
}

TEST(RidgePath, EveryKindOfFeatures) {
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

TEST(RidgePath, LeastNormOfFullRank) {
  RidgeCase c;
  c.kind = FeatureKind::given;
  c.examples = 29;
  c.sizes = {1, 13, 24, 35, 37, 41, 60};
  c.filters = {ridge(0)};
  expect_parity(c, "least norm");
  for (const RidgeReport& report : c.on_cpu().reports) EXPECT_NE(report.method, RidgeMethod::spectral);
}

TEST(RidgePath, LeastNormOfDeficientRankDropsRounding) {
  // Identity features of 3 inputs: rank 3, whatever the number of units.
  RidgeCase c;
  c.activation = Identity{};
  c.examples = 11;
  c.sizes = {1, 2, 3, 4, 10, 11, 12, 30};
  c.filters = {ridge(0)};
  expect_parity(c, "rank 3");
  const RidgeResult r = c.on_cpu();
  for (std::size_t s = 0; s < c.sizes.size(); ++s) {
    EXPECT_EQ(r.reports[s].rank, std::min<Index>(3, c.sizes[s]));
    EXPECT_EQ(r.reports[s].method, c.sizes[s] > 3 ? RidgeMethod::spectral : RidgeMethod::primal_prefix);
  }
}

TEST(RidgePath, FlowAtManyTimes) {
  RidgeCase c;
  c.examples = 13;
  c.targets = 2;
  c.sizes = {1, 9, 17, 31};
  c.filters = {flow(0), flow(0.01), flow(1), flow(1e6), ridge(0.2), ridge(0)};
  c.kind = FeatureKind::given;
  expect_parity(c, "flow");
}

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
    EXPECT_LT(distance(test::part(r.predictions, s, 4), test::part(exact.predictions, s, 4), 1.0),
              100 * exact.reports[s].condition * kEps);
  }
}

TEST(RidgePath, ReportsAreNearTheExactExtremes) {
  RidgeCase c;
  c.examples = 50;
  c.dimension = 10;
  c.sizes = {10, 45, 50, 55, 80, 200};
  c.filters = {ridge(1e-2)};
  const RidgeResult r = c.on_cpu(), exact = c.by_reference();
  for (std::size_t s = 0; s < c.sizes.size(); ++s) {
    EXPECT_GE(r.reports[s].smallest, exact.reports[s].smallest * (1 - 1e-6));
    EXPECT_LE(r.reports[s].smallest, exact.reports[s].smallest * 4);
    EXPECT_LE(r.reports[s].condition, exact.reports[s].condition * (1 + 1e-6));
    EXPECT_GE(r.reports[s].condition, exact.reports[s].condition / 6);
    EXPECT_EQ(r.reports[s].rank, std::min<Index>(50, c.sizes[s]));
    EXPECT_EQ(r.reports[s].jitter, 0.0);
  }
}

/// Whether predictions of `other` pass for those of `c`.
bool passes(const RidgeCase& c, const RidgeCase& other) {
  const RidgeResult fast = other.on_cpu(), slow = c.by_reference();
  for (std::size_t k = 0; k < slow.reports.size(); ++k)
    if (distance(test::part(fast.predictions, k, slow.reports.size()),
                 test::part(slow.predictions, k, slow.reports.size()),
                 1e-3) >= tolerance(c, c.filters[0], slow.reports[k], slow.reports[k].condition))
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
