// Dense algebra of one large symmetric matrix on all threads: BLAS calls of one thread each on tiles whose borders and
// order of accumulation depend on sizes alone, so that the number of threads changes no bit. Matrices are row-major,
// lower triangles; blocks of vectors hold one vector a row.
#pragma once

#include <functional>
#include <vector>

#include "kernels/cpu/blas.hpp"
#include "kernels/cpu/triangular.hpp"
#include "kernels/shared/ridge_diagnosis.hpp"
#include "widelab/base/types.hpp"

namespace widelab::cpu {

/// Lower triangle of c (order x order) = alpha a a^T + beta c; a^T a if a is transposed.
void tiled_syrk(Index order, Index inner, double alpha, Operand<double> a, double beta, double* c, Index stride,
                bool parallel);

/// Cholesky factor in place, by halving. Returns the order of the largest leading block that was factored.
Index tiled_cholesky(Index order, double* a, Index stride, bool parallel);

/// As solve_rows of triangular.hpp, by blocks of rows.
void tiled_solve_rows(Index rows, Index order, Operand<double> l, double* x, Index stride, bool parallel);

/// c (rows x cols) = alpha op(a) op(b) + beta c, by blocks of rows and columns.
void tiled_gemm(Index rows, Index cols, Index inner, double alpha, Operand<double> a, Operand<double> b, double beta,
                double* c, Index stride, bool parallel);

/// Rows that belong to leading blocks of different orders: row k is in use up to lengths[k / each], ascending; beyond
/// it holds 0. Blocks of neighbouring rows are worked on together, up to the longest of them.
class NestedRows {
 public:
  NestedRows(std::vector<Index> lengths, Index each, bool parallel);

  Index rows() const { return static_cast<Index>(lengths_.size()) * each_; }
  Index length(Index row) const { return lengths_[static_cast<std::size_t>(row / each_)]; }
  const std::vector<Index>& lengths() const { return lengths_; }

  /// Every row becomes the leading part of row (k mod each) of `source`, 0 beyond.
  void spread(const double* source, Index source_stride, double* x, Index stride) const;
  /// Sets what lies beyond the lengths to 0.
  void truncate(double* x, Index stride) const;
  /// x <- x op(L)^-1 and x op(L) with the leading blocks of L, truncated.
  void solve(Operand<double> l, double* x, Index stride) const;
  void multiply(Operand<double> l, double* x, Index stride) const;
  /// out (rows x cols) = alpha x b + beta out, b (longest x cols) or transposed.
  void product(double alpha, const double* x, Index stride, Operand<double> b, Index cols, double beta, double* out,
               Index out_stride) const;

 private:
  struct Block {
    Index first, rows, longest;
  };
  template <class Body>
  void for_each_block(const Body& body) const;

  std::vector<Index> lengths_;
  Index each_;
  bool parallel_;
  std::vector<Block> blocks_;
};

using least_squares::Extremes;

/// A block of rows x <- A_s x_s, or A_s^-1 x_s, for all rows s at once.
using RowOperator = std::function<void(double* x)>;

/// Of the matrix of each row, by a few steps of power and of inverse iteration from one start vector of signs;
/// `lengths[s]`: how many leading entries of row s are in use.
std::vector<Extremes> estimate_extremes(const std::vector<Index>& lengths, Index stride, const RowOperator& multiply,
                                        const RowOperator& solve);

/// The same of the leading blocks L_s L_s^T of one Cholesky factor, of orders `lengths`.
std::vector<Extremes> estimate_factor_extremes(const std::vector<Index>& lengths, Operand<double> l, bool parallel);

}  // namespace widelab::cpu
