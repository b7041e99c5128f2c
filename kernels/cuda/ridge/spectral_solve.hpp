// Filters of a positive semi-definite matrix on the device, by its eigenvectors.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/cuda/support/blas.hpp"
#include "kernels/cuda/support/dense_solver.hpp"
#include "widelab/ops/ridge_path.hpp"

namespace widelab::cuda {

/// Eigenvectors of one matrix after the other, and right-hand sides in their basis.
class SpectralSolve {
 public:
  SpectralSolve(Context& context, DenseSolver& solver) : context_(context), solver_(solver) {}

  /// For matrices up to `order` with `count` right-hand sides.
  template <class Memory>
  void take_buffers(Memory& memory, Index order, Index count) {
    values_ = memory.template take<double>(order, "eigenvalues");
    along_ = memory.template take<double>(count * order, "targets along eigenvectors");
    scaled_ = memory.template take<double>(count * order, "filtered targets");
    left_ = memory.template take<double>(count * order, "what a filter leaves");
    status_ = memory.template take<int>(1, "status of the eigensolver");
  }

  /// `matrix` (order x order, contiguous, lower triangle) is overwritten and must stay until the last apply; `right`:
  /// count x order, rows `stride` apart. Eigenvalues at most `tolerance` times the largest count as rounding. CudaError
  /// where the library finds no eigenvectors. Waits.
  void decompose(Index order, double* matrix, const double* right, Index count, Index stride, double tolerance);

  /// Rows g(mu) right, g as in op ridge_path, and, if wanted, rows (1 - mu g(mu)) right. Both count x order, rows
  /// `stride` apart.
  void apply(const SpectralFilter& filter, double* solution, double* remainder, Index stride);

  RidgeReport report(const SpectralFilter& filter) const;

 private:
  void combine(const double* along, double* out, Index stride);

  Context& context_;
  DenseSolver& solver_;
  Index order_ = 0, count_ = 0;
  double cut_ = 0;
  std::vector<double> host_values_;  ///< ascending, negative ones as 0
  const double* vectors_ = nullptr;  ///< rows
  double *values_ = nullptr, *along_ = nullptr, *scaled_ = nullptr, *left_ = nullptr;
  int* status_ = nullptr;
};

}  // namespace widelab::cuda
