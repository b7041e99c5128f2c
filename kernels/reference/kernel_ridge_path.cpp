#include "widelab/ops/kernel_ridge_path.hpp"

#include <vector>

#include "kernels/reference/jacobi_svd.hpp"
#include "kernels/reference/spectral_filter.hpp"
#include "widelab/ops/ridge_checks.hpp"

namespace widelab::reference {
namespace {

using Rows = std::vector<std::vector<double>>;

/// The leading block of a member's kernel, from its lower triangle.
Rows leading_block(const KernelRidgePathProblem& problem, Index member, Index order) {
  const double* k = problem.kernels + (problem.shared_kernels ? 0 : member * problem.examples * problem.examples);
  Rows block(static_cast<std::size_t>(order), std::vector<double>(static_cast<std::size_t>(order)));
  for (Index i = 0; i < order; ++i)
    for (Index j = 0; j < order; ++j)
      block[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)] =
          i >= j ? k[i * problem.examples + j] : k[j * problem.examples + i];
  return block;
}

double target(const KernelRidgePathProblem& problem, Index member, Index i, Index r) {
  return problem.targets[(member * problem.examples + i) * problem.targets_per_example + r];
}

/// alpha (R x order) and its report. A singular value of a positive semi-definite matrix is an eigenvalue, and its
/// right vector the eigenvector.
Rows solve(const KernelRidgePathProblem& problem, Index member, const SingularValues& svd, const SpectralFilter& filter,
           RidgeReport& report) {
  const std::size_t order = svd.values.size();
  const double largest = svd.values.front();
  const double cut = ridge_rank_tolerance(static_cast<Index>(order), static_cast<Index>(order)) * largest;
  const double ridge = filter.kind == SpectralFilter::Kind::ridge ? filter.value : 0.0;
  Rows alpha(static_cast<std::size_t>(problem.targets_per_example), std::vector<double>(order, 0.0));
  const bool drops = filter.kind == SpectralFilter::Kind::ridge && ridge == 0;
  report = {RidgeMethod::spectral, 0.0, 1.0, 0.0, 0};
  for (std::size_t k = 0; k < order; ++k) {
    const double mu = svd.values[k];
    const bool kept = mu > cut;
    if (kept || !drops) ++report.rank;
    if (kept || ridge > 0) report.smallest = mu + ridge;
    for (Index r = 0; r < problem.targets_per_example; ++r) {
      double along = 0;
      for (std::size_t i = 0; i < order; ++i)
        along += svd.right[k][i] * target(problem, member, static_cast<Index>(i), r);
      for (std::size_t i = 0; i < order; ++i)
        alpha[static_cast<std::size_t>(r)][i] += spectral_filter(filter, mu, kept) * along * svd.right[k][i];
    }
  }
  if (report.smallest > 0) report.condition = (largest + ridge) / report.smallest;
  return alpha;
}

double dot(const std::vector<double>& x, const double* y) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

void write(const KernelRidgePathProblem& problem, Index member, Index at, const Rows& k, const Rows& alpha) {
  const Index targets = problem.targets_per_example, n = problem.examples, order = static_cast<Index>(k.size());
  const double* cross =
      problem.cross + (problem.cross && !problem.shared_cross ? member * problem.test_examples * n : 0);
  Rows fitted(alpha.size(), std::vector<double>(k.size()));
  for (std::size_t r = 0; r < alpha.size(); ++r)
    for (std::size_t i = 0; i < k.size(); ++i) fitted[r][i] = dot(alpha[r], k[i].data());
  for (Index r = 0; r < targets; ++r) {
    const auto& a = alpha[static_cast<std::size_t>(r)];
    for (Index i = 0; problem.coefficients && i < n; ++i)
      problem.coefficients[(at * targets + r) * n + i] = i < order ? a[static_cast<std::size_t>(i)] : 0.0;
    for (Index i = 0; problem.predictions && i < problem.test_examples; ++i)
      problem.predictions[(at * problem.test_examples + i) * targets + r] = dot(a, cross + i * n);
    for (Index q = 0; q < targets; ++q) {
      const auto& other = fitted[static_cast<std::size_t>(q)];
      double residual = 0;
      for (Index i = 0; i < order; ++i)
        residual += (target(problem, member, i, r) - fitted[static_cast<std::size_t>(r)][static_cast<std::size_t>(i)]) *
                    (target(problem, member, i, q) - other[static_cast<std::size_t>(i)]);
      if (problem.residuals) problem.residuals[(at * targets + r) * targets + q] = residual;
      if (problem.norms) problem.norms[(at * targets + r) * targets + q] = dot(a, other.data());
    }
  }
}

}  // namespace

void kernel_ridge_path(const KernelRidgePathProblem& problem) {
  check_kernel_ridge_path(problem);
  Index at = 0;
  for (Index m = 0; m < problem.members; ++m)
    for (const Index order : problem.sizes) {
      const Rows k = leading_block(problem, m, order);
      const SingularValues svd = jacobi_svd(k, order);
      for (const SpectralFilter& filter : problem.filters) {
        RidgeReport report;
        write(problem, m, at, k, solve(problem, m, svd, filter, report));
        if (problem.reports) problem.reports[at] = report;
        ++at;
      }
    }
}

}  // namespace widelab::reference
