// Op `kernel_ridge_path`: kernel ridge regression for whole learning curves in the number of examples, in the ridge and
// in time, over an ensemble of kernel matrices. In fp64.
#pragma once

#include <string>
#include <vector>

#include "widelab/base/errors.hpp"
#include "widelab/base/types.hpp"
#include "widelab/ops/ridge_path.hpp"
#include "widelab/plan/device_limits.hpp"

namespace widelab {

/// For every member, every n' of `sizes` and every filter, from the leading n' examples alone:
///   ridge value   alpha = (K + ridge)^-1 y      minimises |y - K alpha|^2 + ridge alpha^T K alpha (sum convention;
///                                               0 = pseudo-inverse, directions below ridge_rank_tolerance dropped)
///   flow value t  alpha = K^-1 (1 - e^{-t K}) y   gradient flow of (1/2) |y - f|^2 in function space from f = 0
/// K is symmetric and positive semi-definite: only its lower triangle is read. The leading blocks of one Cholesky
/// factor of K + ridge are the factors of all n'. Layouts are row-major, in the order of the extents given.
struct KernelRidgePathProblem {
  Index members = 0, examples = 0, targets_per_example = 1;  ///< E, n, R
  const double* kernels = nullptr;                           ///< members x n x n, or n x n if `shared_kernels`
  bool shared_kernels = false;
  const double* targets = nullptr;  ///< members x n x R
  std::vector<Index> sizes;         ///< numbers of leading examples, ascending, from 1 to n
  std::vector<SpectralFilter> filters;
  const double* cross = nullptr;  ///< members x M x n, or M x n if `shared_cross`; null = no predictions
  bool shared_cross = false;
  Index test_examples = 0;  ///< M

  // Out; null = not wanted. F filters, S sizes.
  double* coefficients = nullptr;  ///< members x S x F x R x n: alpha; 0 beyond the examples of that size
  double* predictions = nullptr;   ///< members x S x F x M x R
  double* residuals = nullptr;     ///< members x S x F x R x R: inner products of y - K alpha over the n' examples
  double* norms = nullptr;         ///< members x S x F x R x R: alpha^T K alpha
  RidgeReport* reports = nullptr;  ///< members x S x F; method is `dual` or `spectral`
  DeviceLimits limits;
};

/// Workspace of a member: the factor and a copy of the kernel, and the solutions.
inline double kernel_ridge_bytes(const KernelRidgePathProblem& problem) {
  const double order = static_cast<double>(problem.sizes.back());
  const double rows = static_cast<double>(problem.sizes.size() * problem.filters.size()) *
                      static_cast<double>(problem.targets_per_example);
  return 8 * (3 * order * order + rows * (3 * order + static_cast<double>(problem.test_examples)));
}

/// Whether each worker takes a member (limits.workers of them) rather than all workers share one. PlanError where one
/// member does not fit in the limit of workspace.
inline bool kernel_ridge_members_in_parallel(const KernelRidgePathProblem& problem, const DeviceLimits& limits) {
  const double bytes = kernel_ridge_bytes(problem), room = limits.workspace_bytes > 0 ? limits.workspace_bytes : 1e300;
  if (bytes > room)
    throw PlanError("a kernel ridge path of " + std::to_string(problem.sizes.back()) + " examples needs " +
                    std::to_string(bytes * 1e-9) + " GB of workspace, more than the limit of " +
                    std::to_string(room * 1e-9) + " GB: take fewer examples or a larger memory limit");
  return limits.workers > 1 && problem.members >= limits.workers && bytes * limits.workers <= room;
}

namespace reference {
/// Each n' and each filter alone, by a singular value decomposition of the leading block.
void kernel_ridge_path(const KernelRidgePathProblem& problem);
}  // namespace reference
namespace cpu {
void kernel_ridge_path(const KernelRidgePathProblem& problem);
}
namespace cuda {
/// Kernels, targets, cross kernels and results but reports are device memory; sizes, filters and reports are the
/// host's. PlanError where a member does not fit in the workspace.
void kernel_ridge_path(Context& context, const KernelRidgePathProblem& problem);
}  // namespace cuda

}  // namespace widelab
