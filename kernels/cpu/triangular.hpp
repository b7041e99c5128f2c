// Triangular solves and Cholesky factors of one thread, by halving down to small blocks, so that nearly all of the work
// is matrix products: OpenBLAS runs its own dtrsm and dpotrf at a fraction of that rate.
#pragma once

#include "kernels/cpu/blas.hpp"
#include "widelab/base/types.hpp"

namespace widelab::cpu {

/// x (rows x order, row-major) <- x op(L)^-1: every row b becomes the solution of L^T x = b (plain) or of L x = b
/// (transposed). Only the lower triangle of l is read.
void solve_rows(Index rows, Index order, Operand<double> l, double* x, Index x_stride);

/// Cholesky factor L of a (lower triangle, in place; the rest stays as it is). Returns how many leading columns were
/// factored: `order`, or the order of the largest leading block that is positive definite in fp64.
Index cholesky(Index order, double* a, Index stride);

}  // namespace widelab::cpu
