// Symmetric matrices on the device in fp64, row-major, lower triangles: what cuBLAS and cuSOLVER make of them. Blocks
// of vectors hold one vector a row.
#pragma once

#include <cusolverDn.h>

#include <vector>

#include "kernels/cuda/support/blas.hpp"
#include "kernels/cuda/support/context.hpp"
#include "kernels/cuda/support/device_array.hpp"
#include "widelab/base/types.hpp"

namespace widelab::cuda {

/// A matrix in device memory, rows `stride` apart, as it lies or transposed.
struct Operand {
  const double* data = nullptr;
  Index stride = 0;
  Op op = Op::plain;
};

inline Operand transposed(Operand a) { return {a.data, a.stride, a.op == Op::plain ? Op::transposed : Op::plain}; }

/// Factorisations, with their workspace in the library. Everything is enqueued on the context's stream; cholesky waits.
class DenseSolver {
 public:
  explicit DenseSolver(Context& context);
  ~DenseSolver();
  DenseSolver(const DenseSolver&) = delete;
  DenseSolver& operator=(const DenseSolver&) = delete;

  /// Bytes of device memory that the library asks for.
  double cholesky_bytes(Index order);
  double eigenvector_bytes(Index order);

  /// Lower triangle of c (order x order) = alpha a a^T + beta c, a being order x inner; a^T a, inner x order, if
  /// transposed.
  void syrk(Index order, Index inner, double alpha, Operand a, double beta, double* c, Index stride);

  /// Cholesky factor L of a (lower triangle, in place). Returns `order`, or fewer: the order of the largest leading
  /// block that is positive definite in fp64; `a` then holds nothing of use.
  Index cholesky(Index order, double* a, Index stride);

  /// x (rows x order) <- x op(L)^-1: every row b becomes the solution of L^T x = b (plain) or of L x = b (transposed).
  void solve_rows(Index rows, Index order, Operand l, double* x, Index stride);
  /// x (rows x order) <- x op(L), L the lower triangle of l.
  void multiply_rows(Index rows, Index order, Operand l, double* x, Index stride);

  /// Eigenvalues, ascending, of a (order x order, contiguous, lower triangle), whose rows become the eigenvectors. The
  /// library's status goes to *info, in device memory.
  void eigenvectors(Index order, double* a, double* values, int* info);

 private:
  struct Bytes {
    std::size_t device = 0, host = 0;
  };
  Bytes cholesky_workspace(Index order, Index stride);
  Bytes eigenvector_workspace(Index order);
  void make_room(const Bytes& bytes);

  Context& context_;
  cusolverDnParams_t parameters_ = nullptr;
  DeviceArray<int> info_;
  DeviceArray<unsigned char> device_workspace_;
  std::vector<unsigned char> host_workspace_;
};

}  // namespace widelab::cuda
