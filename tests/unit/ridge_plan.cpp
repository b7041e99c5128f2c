// Which factorisation serves which sizes: known layouts, and least operations against every other split.
#include "widelab/plan/ridge_plan.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace widelab {
namespace {

SpectralFilter ridge(double value) { return {SpectralFilter::Kind::ridge, value}; }

RidgeWorkload workload(Index n, std::vector<Index> sizes) {
  RidgeWorkload w;
  w.examples = n;
  w.dimension = 10;
  w.sizes = std::move(sizes);
  w.filters = {ridge(1)};
  return w;
}

/// Operations of the segments between `first` and the last size, the Gram matrix carried from base to base.
double operations(const RidgeWorkload& w, const std::vector<std::size_t>& bases, std::size_t last) {
  double sum = 0;
  for (std::size_t k = 0; k < bases.size(); ++k) {
    const std::size_t end = k + 1 < bases.size() ? bases[k + 1] : last;
    const double n = static_cast<double>(w.examples);
    const double m = static_cast<double>(w.columns(end - 1) - w.columns(bases[k]));
    sum += n * n * n / 3 + n * n * m + n * m * m + m * m * m / 3;
    if (k > 0) sum += n * n * static_cast<double>(w.columns(bases[k]) - w.columns(bases[k - 1]));
  }
  return sum;
}

TEST(RidgePlan, PrefixUpToTheThresholdAndSchurComplementsBeyond) {
  std::vector<Index> sizes;
  for (Index s = 1; s <= 50; ++s) sizes.push_back(160 * s);
  const RidgePlan plan = make_ridge_plan(workload(4000, sizes), {});
  ASSERT_EQ(plan.segments.size(), 3u);
  EXPECT_EQ(plan.segments[0].method, RidgeMethod::primal_prefix);
  EXPECT_EQ(plan.segments[0].last, 25u);
  EXPECT_EQ(plan.segments[1].method, RidgeMethod::schur_prefix);
  EXPECT_EQ(sizes[plan.segments[2].first], 5120);  // the first at 1.25 n or beyond
  EXPECT_EQ(plan.segments[2].last, 50u);
  // Six times n^3, where solving each size alone takes more than fifty.
  EXPECT_LT(plan.flops, 6 * 64e9);
  EXPECT_GT(plan.flops, 4 * 64e9);
}

TEST(RidgePlan, BasesAreThoseOfLeastOperations) {
  const RidgeWorkload w = workload(100, {130, 170, 220, 400, 420, 900, 2000});
  const RidgePlan plan = make_ridge_plan(w, {});
  std::vector<std::size_t> chosen;
  for (const RidgeSegment& s : plan.segments) chosen.push_back(s.first);
  const double best = operations(w, chosen, 7);
  for (unsigned mask = 0; mask < 64; ++mask) {
    std::vector<std::size_t> bases{0};
    for (std::size_t k = 0; k < 6; ++k)
      if (mask >> k & 1u) bases.push_back(k + 1);
    EXPECT_GE(operations(w, bases, 7), best * (1 - 1e-12));
  }
}

TEST(RidgePlan, ASingleSizeIsASingleFactor) {
  const RidgePlan below = make_ridge_plan(workload(50, {20}), {}), beyond = make_ridge_plan(workload(50, {51}), {});
  ASSERT_EQ(below.segments.size(), 1u);
  EXPECT_EQ(below.segments[0].method, RidgeMethod::primal_prefix);
  EXPECT_NEAR(below.flops, 50 * 400 + 8000.0 / 3, 1e-6);
  ASSERT_EQ(beyond.segments.size(), 1u);
  EXPECT_EQ(beyond.segments[0].method, RidgeMethod::dual);
  EXPECT_NEAR(beyond.flops, 2500 * 51 + 125000.0 / 3, 1e-6);
}

TEST(RidgePlan, ColumnsCountNotUnits) {
  RidgeWorkload w = workload(50, {10, 20});
  w.columns_per_unit = 5;  // 50 and 100 columns
  const RidgePlan plan = make_ridge_plan(w, {});
  EXPECT_EQ(plan.segments[0].last, 1u);
  EXPECT_EQ(plan.segments[1].method, RidgeMethod::dual);
}

TEST(RidgePlan, FlowsAndManyRidgesTakeEigenvectors) {
  RidgeWorkload w = workload(50, {25, 50, 100});
  w.filters.push_back({SpectralFilter::Kind::flow, 1.0});
  RidgePlan plan = make_ridge_plan(w, {});
  ASSERT_EQ(plan.segments.size(), 2u);  // in the space of features, and in that of examples
  EXPECT_EQ(plan.segments[0].last, 2u);
  for (const RidgeSegment& s : plan.segments) EXPECT_EQ(s.method, RidgeMethod::spectral);
  // Of one size, about fifty ridges are worth an eigendecomposition.
  for (const std::size_t count : {20, 45, 60, 200}) {
    w = workload(50, {50});
    w.filters.assign(count, ridge(1));
    plan = make_ridge_plan(w, {});
    EXPECT_EQ(plan.segments[0].method, count < 50 ? RidgeMethod::primal_prefix : RidgeMethod::spectral) << count;
  }
}

TEST(RidgePlan, AMemoryLimitShortensWhatABaseServes) {
  RidgeWorkload w = workload(100, {130, 140, 150, 200, 300, 400});
  const double most = make_ridge_plan(w, {}).bytes_per_member;
  w.method = RidgeMethod::dual;
  const double least = make_ridge_plan(w, {}).bytes_per_member;
  w.method.reset();
  ASSERT_LT(least, most);
  for (double limit = least; limit < most; limit *= 1.01) {
    const RidgePlan plan = make_ridge_plan(w, {limit, 1});
    EXPECT_LE(plan.bytes_per_member, limit);
    std::size_t next = 0;
    for (const RidgeSegment& s : plan.segments) {
      EXPECT_EQ(s.first, next);
      next = s.last;
    }
    EXPECT_EQ(next, 6u);
  }
  EXPECT_THROW(make_ridge_plan(w, {least * 0.5, 1}), PlanError);
}

TEST(RidgePlan, ManyMembersTakeAWorkerEach) {
  RidgeWorkload w = workload(20, {10, 30});
  w.members = 100;
  EXPECT_TRUE(make_ridge_plan(w, {0, 4}).members_in_parallel);
  EXPECT_EQ(make_ridge_plan(w, {0, 4}).members_at_once, 4);
  EXPECT_FALSE(make_ridge_plan(w, {0, 1}).members_in_parallel);
  const double one = make_ridge_plan(w, {0, 1}).bytes_per_member;
  EXPECT_FALSE(make_ridge_plan(w, {one * 3, 4}).members_in_parallel);
  w.members = 3;
  EXPECT_FALSE(make_ridge_plan(w, {0, 4}).members_in_parallel);
}

TEST(RidgePlan, WhatIsAskedForIsDoneOrRefused) {
  RidgeWorkload w = workload(20, {10, 30});
  for (const RidgeMethod method :
       {RidgeMethod::primal_prefix, RidgeMethod::dual, RidgeMethod::schur_prefix, RidgeMethod::spectral}) {
    w.method = method;
    w.filters = {ridge(0.1)};
    for (const RidgeSegment& s : make_ridge_plan(w, {}).segments) EXPECT_EQ(s.method, method);
    w.filters = {ridge(0)};
    if (method == RidgeMethod::spectral)
      EXPECT_NO_THROW(make_ridge_plan(w, {}));
    else
      EXPECT_THROW(make_ridge_plan(w, {}), PlanError);
  }
}

}  // namespace
}  // namespace widelab
