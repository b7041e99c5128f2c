// Panels of a member's feature matrix, made when they are needed: weights are held, features are not.
#pragma once

#include "kernels/cpu/buffer.hpp"
#include "widelab/ops/ridge_path.hpp"

namespace widelab::cpu {

/// Features of the training or the test inputs of one member. Panels are transposed: one column of Z a row.
class FeaturePanels {
 public:
  /// Draws the weights of all units of problem.sizes.
  FeaturePanels(const RidgePathProblem& problem, Index member, bool parallel);

  /// out[c, i] = Z(first_row + i, first_column + c), i < rows, c < columns; tiles in parallel.
  void train(Index first_row, Index rows, Index first_column, Index columns, double* out, Index stride) const {
    fill(inputs_, first_row, rows, first_column, columns, out, stride);
  }
  /// The same of the test inputs.
  void test(Index first_row, Index rows, Index first_column, Index columns, double* out, Index stride) const {
    fill(test_inputs_, first_row, rows, first_column, columns, out, stride);
  }

 private:
  void fill(const double* x, Index first_row, Index rows, Index first_column, Index columns, double* out,
            Index stride) const;
  void fill_given(const double* x, Index rows, Index first_column, Index columns, double* out, Index stride) const;
  void fill_random(const double* x, Index rows, Index first_unit, Index units, double* out, Index stride) const;
  void fill_tangent(const double* x, Index rows, Index first_column, Index columns, double* out, Index stride) const;

  const FeatureSource& source_;
  bool parallel_;
  const double *inputs_, *test_inputs_;
  Buffer<double> weights_;  ///< units x d, with scale and length
};

}  // namespace widelab::cpu
