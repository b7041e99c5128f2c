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

/// Makes OpenBLAS, MKL or BLIS, whichever is loaded, run one thread a call. Call it at the entry of an op.
void use_single_threaded_blas();

}  // namespace widelab::cpu
