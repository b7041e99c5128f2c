// Learning curves from one Cholesky factor against singular values of every leading block alone.
#include "widelab/ops/kernel_ridge_path.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/support/nan_memory.hpp"
#include "tests/support/ridge_comparison.hpp"

namespace widelab {
namespace {

using test::distance;
using test::KernelCase;
using test::ridge;
using test::RidgeResult;

bool passes(const KernelCase& c, const RidgeResult& fast, const RidgeResult& slow) {
  const std::size_t cases = slow.reports.size();
  bool good = true;
  for (std::size_t k = 0; k < cases; ++k) {
    const double limit = test::ridge_tolerance(c.length(), c.filters[k % c.filters.size()], slow.reports[k]);
    EXPECT_LT(limit, 1e-4) << "too ill-conditioned to be a test";
    const auto close = [&](const std::vector<double>& a, const std::vector<double>& b, double scale) {
      return distance(a, b, k, cases, scale) < limit;
    };
    good =
        good && close(fast.coefficients, slow.coefficients, 1e-300) && close(fast.predictions, slow.predictions, 1e-3);
    good = good && close(fast.norms, slow.norms, 1e-3) && close(fast.residuals, slow.residuals, 1.0);
  }
  return good;
}

void expect_parity(const KernelCase& c, const std::string& label) {
  EXPECT_TRUE(passes(c, c.on_cpu(), c.by_reference())) << label;
}

TEST(KernelRidgePath, LeadingBlocksEqualSingularValues) {
  for (const KernelCase& c : test::leading_block_cases()) {
    expect_parity(c, "n=" + std::to_string(c.examples));
    for (const RidgeReport& report : c.on_cpu().reports) EXPECT_EQ(report.method, RidgeMethod::dual);
  }
}

TEST(KernelRidgePath, FlowEqualsSingularValues) { expect_parity(test::kernel_flow_case(), "flow"); }

TEST(KernelRidgePath, DeficientRankIsSolvedByPseudoInverse) {
  const KernelCase c = test::deficient_kernel_case();
  expect_parity(c, "rank 6");
  const RidgeResult r = c.on_cpu();
  for (std::size_t s = 0; s < c.sizes.size(); ++s) {
    EXPECT_EQ(r.reports[2 * s].rank, std::min<Index>(6, c.sizes[s]));
    EXPECT_EQ(r.reports[2 * s].method, c.sizes[s] > 6 ? RidgeMethod::spectral : RidgeMethod::dual);
    EXPECT_EQ(r.reports[2 * s + 1].method, RidgeMethod::dual);
  }
}

TEST(KernelRidgePath, AcrossTiles) {
  KernelCase c;
  c.members = 1;
  c.examples = 290;
  c.rank = 700;
  c.sizes = {255, 290};
  c.filters = {ridge(0.1)};
  expect_parity(c, "two tiles");
}

TEST(KernelRidgePath, PlantedFaultsAreFound) {
  KernelCase c, other = c;
  const RidgeResult exact = c.by_reference();
  EXPECT_TRUE(passes(c, c.on_cpu(), exact));
  other.filters = {ridge(0.1 * 17), ridge(2.0 * 17)};  // of a loss that is a mean over examples
  EXPECT_FALSE(passes(c, other.on_cpu(), exact));
  other = c;
  other.sizes = {1, 2, 4, 15, 17};  // one example less
  EXPECT_FALSE(passes(c, other.on_cpu(), exact));
}

TEST(KernelRidgePath, RefusesMoreExamplesThanThereAre) {
  KernelCase c;
  c.sizes = {3, 18};
  EXPECT_THROW(c.on_cpu(), RecipeError);
  EXPECT_THROW(c.by_reference(), RecipeError);
}

}  // namespace
}  // namespace widelab
