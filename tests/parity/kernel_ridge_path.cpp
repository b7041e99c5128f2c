// Learning curves from one Cholesky factor against singular values of every leading block alone.
#include "widelab/ops/kernel_ridge_path.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "tests/support/ridge_case.hpp"

namespace widelab {
namespace {

using test::flow;
using test::ridge;
using test::RidgeResult;

constexpr double kEps = std::numeric_limits<double>::epsilon();

/// K = X X^T of normal X, n x `rank`, over the rank; the cross kernel belongs to other rows of the same law.
struct KernelCase {
  Index members = 2, examples = 17, rank = 40, targets = 2, tests = 3;
  std::vector<Index> sizes{1, 2, 5, 16, 17};
  std::vector<SpectralFilter> filters{ridge(0.1), ridge(2.0)};
  bool shared_cross = true, shared_kernels = false;

  template <class Op>
  RidgeResult solve(Op op) const {
    const Index copies = shared_kernels ? 1 : members;
    std::vector<double> k;
    for (Index m = 0; m < copies; ++m) {
      const std::vector<double> x = test::normals<double>(examples, rank, static_cast<std::uint64_t>(20 + m));
      for (Index i = 0; i < examples; ++i)
        for (Index j = 0; j < examples; ++j) {
          double sum = 0;
          for (Index c = 0; c < rank; ++c)
            sum += x[static_cast<std::size_t>(i * rank + c)] * x[static_cast<std::size_t>(j * rank + c)];
          k.push_back(j > i ? -77.0 : sum / static_cast<double>(rank));  // the upper triangle is not read
        }
    }
    const std::vector<double> y = test::normals<double>(members * examples, targets, 12);
    const std::vector<double> cross = test::normals<double>((shared_cross ? 1 : members) * tests, examples, 13);
    KernelRidgePathProblem p;
    p.members = members;
    p.examples = examples;
    p.targets_per_example = targets;
    p.kernels = k.data();
    p.shared_kernels = shared_kernels;
    p.targets = y.data();
    p.sizes = sizes;
    p.filters = filters;
    p.cross = cross.data();
    p.shared_cross = shared_cross;
    p.test_examples = tests;
    RidgeResult out = test::outputs_of(p, examples);
    op(p);
    return out;
  }
  RidgeResult on_cpu() const {
    return solve([](const KernelRidgePathProblem& p) { cpu::kernel_ridge_path(p); });
  }
  RidgeResult by_reference() const {
    return solve([](const KernelRidgePathProblem& p) { reference::kernel_ridge_path(p); });
  }
};

double distance(const std::vector<double>& a, const std::vector<double>& b, double scale) {
  double worst = 0;
  for (const double v : b) scale = std::max(scale, std::abs(v));
  for (std::size_t k = 0; k < a.size(); ++k)
    worst = std::isfinite(a[k]) ? std::max(worst, std::abs(a[k] - b[k])) : INFINITY;
  return worst / scale;
}

/// n roundings times the condition; a flow amplifies an eigenvalue's error by at most 1 + t times the largest.
double tolerance(const KernelCase& c, std::size_t k, const RidgeResult& exact) {
  const RidgeReport& report = exact.reports[k];
  const SpectralFilter& filter = c.filters[k % c.filters.size()];
  const bool is_flow = filter.kind == SpectralFilter::Kind::flow;
  const double flowed = 1 + filter.value * report.condition * report.smallest;
  return 16 * static_cast<double>(c.examples) * kEps *
         (is_flow ? std::min(report.condition, flowed) : report.condition);
}

bool passes(const KernelCase& c, const RidgeResult& fast, const RidgeResult& slow) {
  const std::size_t cases = slow.reports.size();
  bool good = true;
  for (std::size_t k = 0; k < cases; ++k) {
    const double limit = tolerance(c, k, slow);
    EXPECT_LT(limit, 1e-4) << "too ill-conditioned to be a test";
    const auto close = [&](const std::vector<double>& a, const std::vector<double>& b, double scale) {
      return distance(test::part(a, k, cases), test::part(b, k, cases), scale) < limit;
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
  for (const Index n : {1, 2, 17, 53})
    for (const bool shared : {true, false}) {
      KernelCase c;
      c.examples = n;
      c.rank = 2 * n + 3;
      c.shared_cross = shared;
      c.shared_kernels = shared;
      c.sizes = {1};
      for (Index s = 2; s <= n; s += 3) c.sizes.push_back(s);
      c.filters = {ridge(0), ridge(1e-3), ridge(4.0)};
      expect_parity(c, "n=" + std::to_string(n));
      for (const RidgeReport& report : c.on_cpu().reports) EXPECT_EQ(report.method, RidgeMethod::dual);
    }
}

TEST(KernelRidgePath, FlowEqualsSingularValues) {
  KernelCase c;
  c.filters = {flow(0), flow(0.3), ridge(0.5), flow(1e6)};
  expect_parity(c, "flow");
}

TEST(KernelRidgePath, DeficientRankIsSolvedByPseudoInverse) {
  KernelCase c;
  c.rank = 6;
  c.filters = {ridge(0), ridge(0.01)};
  c.sizes = {2, 5, 7, 12};
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
