// Filters of a positive semi-definite matrix by its eigenvectors.
#pragma once

#include <vector>

#include "kernels/cpu/buffer.hpp"
#include "widelab/ops/ridge_path.hpp"

namespace widelab::cpu {

/// Eigenvectors of one matrix, and right-hand sides in their basis.
class SpectralSolve {
 public:
  /// `gram` (order x order, lower triangle) is overwritten; `right`: count x order, rows `stride` apart. Eigenvalues at
  /// most `tolerance` times the largest count as rounding.
  SpectralSolve(Index order, Buffer<double> gram, const double* right, Index count, Index stride, double tolerance);

  /// Rows g(mu) right, g as in op ridge_path, and, if wanted, rows (1 - mu g(mu)) right. Both count x order, rows
  /// `stride` apart.
  void apply(const SpectralFilter& filter, double* solution, double* remainder, Index stride) const;

  RidgeReport report(const SpectralFilter& filter) const;

 private:
  void combine(const Buffer<double>& along, double* out, Index stride) const;

  Index order_, count_;
  double cut_ = 0;
  Buffer<double> values_, vectors_;  ///< eigenvectors are rows
  Buffer<double> along_;             ///< count x order
};

}  // namespace widelab::cpu
