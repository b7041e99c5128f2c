// Bits of ridge paths that must not depend on who runs beside, on the number of threads, or on the memory limit; and
// what another list of sizes may change: rounding, nothing else.
#include "widelab/ops/ridge_path.hpp"

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/tiled_algebra.hpp"
#include "tests/support/nan_memory.hpp"
#include "tests/support/ridge_comparison.hpp"

namespace widelab {
namespace {

using test::ridge;
using test::RidgeCase;
using test::RidgeResult;
using test::same;

/// Primal, nested and single dual sizes, two ridges, several tiles.
RidgeCase wide_case() {
  RidgeCase c;
  c.members = 3;
  c.examples = 300;
  c.dimension = 8;
  c.targets = 2;
  c.sizes = {7, 290, 300, 310, 330, 420, 700};
  c.filters = {ridge(0.01), ridge(1.0)};
  return c;
}

TEST(RidgePathInvariance, ThreadsChangeNoBit) {
  const int threads = omp_get_max_threads();
  RidgeCase flows = wide_case();
  flows.sizes = {60, 320};
  flows.filters = {test::flow(1.0), ridge(0.1)};
  for (const RidgeCase& c : {wide_case(), flows}) {
    std::vector<RidgeResult> results;
    for (const int count : {1, 2, 5}) {
      omp_set_num_threads(count);
      results.push_back(c.on_cpu());
    }
    omp_set_num_threads(threads);
    for (const RidgeResult& r : results) EXPECT_TRUE(same(r, results.front()));
  }
}

TEST(RidgePathInvariance, AMemberIsTheSameAloneAndInAnyOrder) {
  RidgeCase all = wide_case();
  all.ids = {{7, 0}, {7, 1}, {7, 2}};
  RidgeCase reversed = all;
  reversed.ids = {{7, 2}, {7, 1}, {7, 0}};
  RidgeCase alone = all;
  alone.members = 1;
  alone.ids = {{7, 0}};
  // Targets belong to positions, so only the first and the middle member can be compared.
  const RidgeResult first = all.on_cpu(), one = alone.on_cpu(), back = reversed.on_cpu();
  const auto part = [](const std::vector<double>& x, std::size_t member) { return test::part(x, member, 3); };
  EXPECT_EQ(part(first.predictions, 0), one.predictions);
  EXPECT_EQ(part(first.coefficients, 0), one.coefficients);
  EXPECT_EQ(part(first.norms, 0), one.norms);
  EXPECT_EQ(part(first.predictions, 1), part(back.predictions, 1));
  EXPECT_NE(part(first.predictions, 0), part(back.predictions, 0));
}

TEST(RidgePathInvariance, AnotherFilterChangesNoBit) {
  RidgeCase two = wide_case(), one = two;
  one.filters = {two.filters[1]};
  const RidgeResult both = two.on_cpu(), single = one.on_cpu();
  const std::size_t cases = both.reports.size();
  for (std::size_t k = 0; k < cases / 2; ++k)
    EXPECT_EQ(test::part(both.coefficients, 2 * k + 1, cases), test::part(single.coefficients, k, cases / 2));
}

TEST(RidgePathInvariance, AnotherSizeChangesRoundingAlone) {
  RidgeCase few = wide_case(), more = few;
  few.sizes = {7, 300, 330};
  more.sizes = {7, 290, 300, 310, 330};
  few.filters = more.filters = {ridge(0.01)};
  const RidgeResult a = few.on_cpu(), b = more.on_cpu();
  const std::vector<std::size_t> where{0, 2, 4};
  for (std::size_t m = 0; m < 3; ++m)
    for (std::size_t s = 0; s < 3; ++s) {
      const std::size_t at = m * 5 + where[s];
      const std::vector<double> x = test::part(a.predictions, m * 3 + s, 9), y = test::part(b.predictions, at, 15);
      double worst = 0, size = 0;
      for (std::size_t k = 0; k < x.size(); ++k) {
        worst = std::max(worst, std::abs(x[k] - y[k]));
        size = std::max(size, std::abs(x[k]));
      }
      EXPECT_LT(worst / size, 300 * b.reports[m * 5 + 2].condition * std::numeric_limits<double>::epsilon());
    }
}

TEST(RidgePathInvariance, AMemoryLimitChangesThePlanNotTheSolution) {
  RidgeCase c = wide_case();
  c.members = 1;
  const RidgeResult free = c.on_cpu();
  // Tight enough that no base serves more than a few columns beyond it.
  c.limits.workspace_bytes =
      make_ridge_plan(
          [&] {
            RidgeWorkload w{1, c.examples, c.targets, c.tests, c.dimension, 1, c.sizes, c.filters, {}};
            w.method = RidgeMethod::dual;
            return w;
          }(),
          {})
          .bytes_per_member *
      1.02;
  const RidgeResult tight = c.on_cpu();
  EXPECT_EQ(tight.reports.back().method, RidgeMethod::dual);
  double worst = 0;
  for (std::size_t k = 0; k < free.norms.size(); ++k)
    worst = std::max(worst, std::abs(free.norms[k] - tight.norms[k]) / std::max(1.0, std::abs(free.norms[k])));
  EXPECT_LT(worst, 1e-6);
}

TEST(TiledAlgebra, TheFactorStopsAtTheFirstColumnThatIsNotPositive) {
  // The leading 70, and 300, of 333 columns are those of a positive matrix; the next pivot is -1.
  for (const Index good : {0, 1, 70, 255, 256, 300}) {
    const Index order = 333;
    std::vector<double> a(static_cast<std::size_t>(order * order), 0.01);
    for (Index k = 0; k < order; ++k) a[static_cast<std::size_t>(k * (order + 1))] = k == good ? -1.0 : 5.0;
    std::vector<double> lead = a;
    EXPECT_EQ(cpu::tiled_cholesky(order, a.data(), order, true), good);
    EXPECT_EQ(cpu::tiled_cholesky(good, lead.data(), order, false), good);
    for (Index i = 0; i < good; ++i)
      for (Index j = 0; j <= i; ++j)
        EXPECT_NEAR(a[static_cast<std::size_t>(i * order + j)], lead[static_cast<std::size_t>(i * order + j)], 1e-14);
  }
}

TEST(TiledAlgebra, SolvesInvertProducts) {
  for (const Index order : {1, 63, 64, 65, 200, 333})
    for (const Index rows : {1, 31, 65, 130})
      for (const cpu::Op op : {cpu::Op::plain, cpu::Op::transposed}) {
        std::vector<double> l = test::normals<double>(order, order, 3), x = test::normals<double>(rows, order, 4);
        for (double& v : l) v /= 2 * static_cast<double>(order);
        for (Index k = 0; k < order; ++k) l[static_cast<std::size_t>(k * (order + 1))] = 1.5;
        const std::vector<double> before = x;
        cpu::multiply_rows(rows, order, {l.data(), order, op}, x.data(), order);
        cpu::tiled_solve_rows(rows, order, {l.data(), order, op}, x.data(), order, true);
        for (std::size_t k = 0; k < x.size(); ++k) EXPECT_NEAR(x[k], before[k], 1e-12);
      }
}

}  // namespace
}  // namespace widelab
