// Ridge paths that every device is tried on, and how far a fast path may be from singular values of every matrix alone.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/ridge_case.hpp"

namespace widelab::test {

/// How far rounding may move a solution: a Gram matrix carries `length` roundings, and what is solved with it as many
/// times its condition; a flow for the time t amplifies an eigenvalue's error by at most 1 + t times the largest.
/// `base`: condition of the matrix that was factored, where it is another than that of the solution.
inline double ridge_tolerance(double length, const SpectralFilter& filter, const RidgeReport& exact, double base = 1) {
  const double condition = std::max(base, exact.condition);
  const double amplification = filter.kind == SpectralFilter::Kind::flow
                                   ? std::min(condition, 1 + filter.value * exact.condition * exact.smallest)
                                   : condition;
  return 16 * length * amplification * std::numeric_limits<double>::epsilon();
}

/// Worst condition of a member's path at one filter: what methods with a common base stand on.
inline double base_condition(const RidgeResult& exact, std::size_t member, std::size_t f, std::size_t sizes,
                             std::size_t filters) {
  double worst = 1;
  for (std::size_t s = 0; s < sizes; ++s)
    worst = std::max(worst, exact.reports[(member * sizes + s) * filters + f].condition);
  return worst;
}

/// `distance` of the numbers of case k.
inline double distance(const std::vector<double>& a, const std::vector<double>& b, std::size_t k, std::size_t cases,
                       double scale) {
  return distance(part(a, k, cases), part(b, k, cases), scale);
}

/// Every number of `fast`, a solution of the case `c`, against the oracle's.
template <class Case>
void expect_parity(const Case& c, const RidgeResult& fast, const std::string& label) {
  const RidgeResult slow = c.by_reference();
  const std::size_t sizes = c.sizes.size(), filters = c.filters.size(), cases = slow.reports.size();
  for (std::size_t k = 0; k < cases; ++k) {
    const std::size_t f = k % filters;
    const RidgeReport &report = fast.reports[k], &exact = slow.reports[k];
    const bool shares = report.method != RidgeMethod::spectral;
    const double base = shares ? base_condition(slow, k / filters / sizes, f, sizes, filters) : 1.0;
    const double limit = ridge_tolerance(c.length(), c.filters[f], exact, base);
    const std::string where = label + ", size " + std::to_string(c.sizes[k / filters % sizes]) + ", filter " +
                              std::to_string(f) + ", " + ridge_method_name(report.method);
    ASSERT_LT(limit, 1e-3) << where << ": too ill-conditioned to be a test";
    EXPECT_LT(distance(fast.coefficients, slow.coefficients, k, cases, 1e-300), limit) << where;
    EXPECT_LT(distance(fast.predictions, slow.predictions, k, cases, 1e-3), limit) << where;
    EXPECT_LT(distance(fast.norms, slow.norms, k, cases, 1e-300), 2 * limit) << where;
    // Residuals are judged beside the targets, of which they are what is left.
    EXPECT_LT(distance(fast.residuals, slow.residuals, k, cases, static_cast<double>(c.examples)), 2 * limit) << where;
    EXPECT_EQ(report.rank, exact.rank) << where;
    EXPECT_EQ(report.jitter, 0.0) << where;
  }
}

/// A report's smallest eigenvalue lies above the exact one, its condition below, both within a small factor.
inline void expect_near_extremes(const RidgeCase& c, const RidgeResult& fast) {
  const RidgeResult exact = c.by_reference();
  for (std::size_t s = 0; s < c.sizes.size(); ++s) {
    EXPECT_GE(fast.reports[s].smallest, exact.reports[s].smallest * (1 - 1e-6)) << s;
    EXPECT_LE(fast.reports[s].smallest, exact.reports[s].smallest * 4) << s;
    EXPECT_LE(fast.reports[s].condition, exact.reports[s].condition * (1 + 1e-6)) << s;
    EXPECT_GE(fast.reports[s].condition, exact.reports[s].condition / 6) << s;
  }
}

/// Bit by bit; reports are not looked at.
inline bool same(const RidgeResult& a, const RidgeResult& b) {
  return a.coefficients == b.coefficients && a.predictions == b.predictions && a.residuals == b.residuals &&
         a.norms == b.norms;
}

/// Two members of n examples in five dimensions; sizes on both sides of n, and `more`.
inline RidgeCase awkward_case(Index n, Index targets, std::vector<SpectralFilter> filters,
                              const std::vector<Index>& more = {}) {
  RidgeCase c;
  c.examples = n;
  c.targets = targets;
  c.members = 2;
  c.dimension = 5;
  c.filters = std::move(filters);
  c.sizes = {1, 2, n + 2, 2 * n + 3, 3 * n + 4, 97};
  c.sizes.insert(c.sizes.end(), more.begin(), more.end());
  std::sort(c.sizes.begin(), c.sizes.end());
  c.sizes.erase(std::unique(c.sizes.begin(), c.sizes.end()), c.sizes.end());
  return c;
}

/// Two ridges, all sizes by the one method.
inline std::vector<RidgeCase> method_cases() {
  std::vector<RidgeCase> cases;
  for (const RidgeMethod method :
       {RidgeMethod::primal_prefix, RidgeMethod::dual, RidgeMethod::schur_prefix, RidgeMethod::spectral}) {
    RidgeCase c;
    c.examples = 23;
    c.dimension = 6;
    c.targets = 2;
    c.sizes = {1, 5, 22, 23, 24, 47};
    c.filters = {ridge(1e-3), ridge(2.0)};
    c.method = method;
    cases.push_back(c);
  }
  return cases;
}

/// Every kind of features by name, on common and on own inputs, with normal weights and with weights on the sphere.
inline std::vector<std::pair<std::string, RidgeCase>> feature_cases() {
  std::vector<std::pair<std::string, RidgeCase>> cases;
  for (const bool shared : {true, false})
    for (const bool sphere : {true, false}) {
      RidgeCase c;
      c.members = 3;
      c.shared = shared;
      c.sphere = sphere;
      c.scale = 0.5;
      c.activation = Tanh{};
      cases.emplace_back("random", c);
      c.kind = FeatureKind::tangent;
      c.examples = 17;
      c.sizes = {1, 2, 5, 6, 7, 11};
      cases.emplace_back("tangent", c);
      c.kind = FeatureKind::given;
      c.sizes = {1, 16, 17, 20, 40};
      cases.emplace_back("given", c);
    }
  return cases;
}

inline RidgeCase least_norm_case() {
  RidgeCase c;
  c.kind = FeatureKind::given;
  c.examples = 29;
  c.sizes = {1, 13, 24, 35, 37, 41, 60};
  c.filters = {ridge(0)};
  return c;
}

/// Least norm of identity features of 3 inputs: rank 3, whatever the number of units.
inline RidgeCase rank_three_case() {
  RidgeCase c;
  c.activation = Identity{};
  c.examples = 11;
  c.sizes = {1, 2, 3, 4, 10, 11, 12, 30};
  c.filters = {ridge(0)};
  return c;
}

inline RidgeCase flow_case() {
  RidgeCase c;
  c.kind = FeatureKind::given;
  c.examples = 13;
  c.targets = 2;
  c.sizes = {1, 9, 17, 31};
  c.filters = {flow(0), flow(0.01), flow(1), flow(1e6), ridge(0.2), ridge(0)};
  return c;
}

/// Sizes far from n and near it, at a small ridge.
inline RidgeCase extremes_case(Index n) {
  RidgeCase c;
  c.examples = n;
  c.dimension = 10;
  c.sizes = {10, n - 5, n, n + 5, n + 30, 4 * n};
  c.filters = {ridge(1e-2)};
  return c;
}

/// Kernels of full rank, every third leading block.
inline std::vector<KernelCase> leading_block_cases() {
  std::vector<KernelCase> cases;
  for (const Index n : {1, 2, 17, 53})
    for (const bool shared : {true, false}) {
      KernelCase c;
      c.examples = n;
      c.rank = 2 * n + 3;
      c.shared_kernels = c.shared_cross = shared;
      c.sizes = {1};
      for (Index s = 2; s <= n; s += 3) c.sizes.push_back(s);
      c.filters = {ridge(0), ridge(1e-3), ridge(4.0)};
      cases.push_back(c);
    }
  return cases;
}

inline KernelCase kernel_flow_case() {
  KernelCase c;
  c.filters = {flow(0), flow(0.3), ridge(0.5), flow(1e6)};
  return c;
}

inline KernelCase deficient_kernel_case() {
  KernelCase c;
  c.rank = 6;
  c.filters = {ridge(0), ridge(0.01)};
  c.sizes = {2, 5, 7, 12};
  return c;
}

}  // namespace widelab::test
