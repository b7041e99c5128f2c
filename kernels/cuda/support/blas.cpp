#include "kernels/cuda/support/blas.hpp"

#include "kernels/cuda/support/errors.hpp"

namespace widelab::cuda {
namespace {

cublasOperation_t flag(Op op) { return op == Op::plain ? CUBLAS_OP_N : CUBLAS_OP_T; }

}  // namespace

// cuBLAS is column-major: a row-major product is the product of the transposes in reverse order.

void gemm(Context& context, const GemmShape& s, Index slots, float alpha, BatchedMatrix<const float> a,
          BatchedMatrix<const float> b, float beta, BatchedMatrix<float> c) {
  WIDELAB_CUDA(cublasSetMathMode(context.blas, CUBLAS_PEDANTIC_MATH));
  WIDELAB_CUDA(cublasSgemmStridedBatched_64(context.blas, flag(s.op_b), flag(s.op_a), s.cols, s.rows, s.inner, &alpha,
                                            b.data, b.stride, b.slot_stride, a.data, a.stride, a.slot_stride, &beta,
                                            c.data, c.stride, c.slot_stride, slots));
}

void gemm(Context& context, const GemmShape& s, Index slots, double alpha, BatchedMatrix<const double> a,
          BatchedMatrix<const double> b, double beta, BatchedMatrix<double> c) {
  // The default mode keeps IEEE fp64 and, unlike the pedantic one, the fp64 matrix units.
  WIDELAB_CUDA(cublasSetMathMode(context.blas, CUBLAS_DEFAULT_MATH));
  WIDELAB_CUDA(cublasDgemmStridedBatched_64(context.blas, flag(s.op_b), flag(s.op_a), s.cols, s.rows, s.inner, &alpha,
                                            b.data, b.stride, b.slot_stride, a.data, a.stride, a.slot_stride, &beta,
                                            c.data, c.stride, c.slot_stride, slots));
}

}  // namespace widelab::cuda
