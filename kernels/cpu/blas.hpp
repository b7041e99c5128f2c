// BLAS as the CPU kernels use it: row-major, one thread a call (the kernels parallelise over members and tiles, by a
// fixed rule, so that the number of threads changes no bit).
#pragma once

#include "widelab/base/types.hpp"

namespace widelab::cpu {

/// Whether an operand enters as it lies, or transposed.
enum class Op { plain, transposed };

template <class T>
struct Operand {
  const T* data;
  Index stride;
  Op op = Op::plain;
};

/// c (rows x cols, row-major, stride c_stride) = alpha op(a) op(b) + beta c, inner dimension `inner`.
void gemm(Index rows, Index cols, Index inner, float alpha, Operand<float> a, Operand<float> b, float beta, float* c,
          Index c_stride);
void gemm(Index rows, Index cols, Index inner, double alpha, Operand<double> a, Operand<double> b, double beta,
          double* c, Index c_stride);

/// Lower triangle of c (n x n) = alpha a a^T + beta c, a being n x inner; a^T a, inner x n, if transposed.
void syrk(Index n, Index inner, double alpha, Operand<double> a, double beta, double* c, Index c_stride);

/// x (rows x order, row-major) <- x op(L), L the lower triangle of l.
void multiply_rows(Index rows, Index order, Operand<double> l, double* x, Index x_stride);

/// LAPACK's Cholesky factor L of a (lower triangle, in place; the rest stays as it is). Returns how many leading
/// columns were factored: `order`, or the order of the largest leading block that is positive definite in fp64.
Index cholesky_block(Index order, double* a, Index stride);

/// Eigenvalues, ascending, of a symmetric matrix (lower triangle), and its eigenvectors as the rows of `vectors`
/// (order x order); `a` is overwritten.
void eigenvectors(Index order, double* a, double* values, double* vectors);

/// Makes OpenBLAS, MKL or BLIS, whichever is loaded, run one thread a call. Call it at the entry of an op.
void use_single_threaded_blas();

}  // namespace widelab::cpu
