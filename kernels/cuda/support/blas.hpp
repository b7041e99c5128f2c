// Batched matrix products, row-major, on a context's stream.
#pragma once

#include "kernels/cuda/support/context.hpp"
#include "widelab/base/types.hpp"

namespace widelab::cuda {

/// A matrix for each slot of a batch: row r of slot s starts at data + s * slot_stride + r * stride. slot_stride 0 =
/// the same matrix for all.
template <class T>
struct BatchedMatrix {
  T* data = nullptr;
  Index stride = 0;
  Index slot_stride = 0;

  operator BatchedMatrix<const T>() const { return {data, stride, slot_stride}; }
};

enum class Op { plain, transposed };

struct GemmShape {
  Index rows, cols, inner;
  Op op_a = Op::plain, op_b = Op::plain;
};

/// c (rows x cols) = alpha op(a) op(b) + beta c in each of `slots` slots. fp32 is plain fp32 arithmetic: no TF32, no
/// emulation. cuBLAS chooses its algorithm by the arguments, so equal shapes, strides and slots give equal bits;
/// callers keep `slots` independent of the size of the ensemble.
void gemm(Context& context, const GemmShape& shape, Index slots, float alpha, BatchedMatrix<const float> a,
          BatchedMatrix<const float> b, float beta, BatchedMatrix<float> c);
void gemm(Context& context, const GemmShape& shape, Index slots, double alpha, BatchedMatrix<const double> a,
          BatchedMatrix<const double> b, double beta, BatchedMatrix<double> c);

}  // namespace widelab::cuda
