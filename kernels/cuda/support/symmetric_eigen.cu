#include "kernels/cuda/support/blas.hpp"
#include "kernels/cuda/support/errors.hpp"
#include "kernels/cuda/support/row_tiling.cuh"
#include "kernels/cuda/support/symmetric_eigen.hpp"
#include "widelab/ops/law_exact_ntk.hpp"

namespace widelab::cuda {
namespace {

__global__ void __launch_bounds__(kThreads) find_not_finite_kernel(RowTiling tiling, const double* gram, int* flag) {
  for_each_element(tiling, [&](Index row, Index column) {
    // Any thread that writes writes the same value.
    if (!isfinite(gram[row * tiling.columns + column])) *flag = 1;
  });
}

/// Row k of `vectors` is eigenvector k: scaled by sqrt(lambda_k), or by 1 / lambda_k; dropped directions by 0.
__global__ void __launch_bounds__(kThreads)
    scale_vectors_kernel(RowTiling tiling, const double* vectors, const double* values, double tolerance, bool inverse,
                         double* scaled) {
  for_each_element(tiling, [&](Index k, Index i) {
    const double value = values[k];
    const bool kept = value > tolerance * values[tiling.rows - 1];
    const double factor = !kept ? 0.0 : inverse ? 1.0 / value : sqrt(value);
    scaled[k * tiling.columns + i] = factor * vectors[k * tiling.columns + i];
  });
}

__global__ void __launch_bounds__(kThreads) clear_dead_kernel(RowTiling tiling, const double* gram, double* root) {
  for_each_element(tiling, [&](Index i, Index k) {
    if (gram[i * tiling.columns + i] == 0.0 || gram[k * tiling.columns + k] == 0.0) root[i * tiling.columns + k] = 0.0;
  });
}

}  // namespace

GramFunctions::GramFunctions(Context& context, Index largest_order)
    : context_(context),
      solver_(context),
      vectors_(context, "eigenvectors", largest_order * largest_order),
      scaled_(context, "scaled eigenvectors", largest_order * largest_order),
      values_(context, "eigenvalues", largest_order),
      flags_(context, "eigensolver flags", 2) {}

void GramFunctions::recompose(Index order, bool inverse, double* out) {
  const RowTiling tiling = row_tiling(order, order);
  launch(context_, "scale_vectors_kernel", tiling.grid(), scale_vectors_kernel, tiling, vectors_.data(), values_.data(),
         law_exact_rank_tolerance(order), inverse, scaled_.data());
  gemm(context_, {order, order, order, Op::transposed, Op::plain}, 1, 1.0, {vectors_.data(), order, 0},
       {scaled_.data(), order, 0}, 0.0, {out, order, 0});
}

void GramFunctions::evaluate(const double* gram, Index order, double* root, double* pseudo_inverse) {
  const RowTiling tiling = row_tiling(order, order);
  int flags[2] = {0, 0};
  WIDELAB_CUDA(cudaMemsetAsync(flags_.data(), 0, sizeof flags, context_.stream));
  launch(context_, "find_not_finite_kernel", tiling.grid(), find_not_finite_kernel, tiling, gram, flags_.data() + 1);
  flags_.download(flags);
  if (flags[1]) {
    // All bits set is a NaN.
    const std::size_t bytes = static_cast<std::size_t>(order * order) * sizeof(double);
    WIDELAB_CUDA(cudaMemsetAsync(root, 0xFF, bytes, context_.stream));
    if (pseudo_inverse) WIDELAB_CUDA(cudaMemsetAsync(pseudo_inverse, 0xFF, bytes, context_.stream));
    return;
  }
  WIDELAB_CUDA(cudaMemcpyAsync(vectors_.data(), gram, static_cast<std::size_t>(order * order) * sizeof(double),
                               cudaMemcpyDeviceToDevice, context_.stream));
  solver_.eigenvectors(order, vectors_.data(), values_.data(), flags_.data());
  recompose(order, false, root);
  launch(context_, "clear_dead_kernel", tiling.grid(), clear_dead_kernel, tiling, gram, root);
  if (pseudo_inverse) recompose(order, true, pseudo_inverse);
  flags_.download(flags);
  if (flags[0] != 0)
    throw CudaError("cuSOLVER's eigendecomposition did not converge (info = " + std::to_string(flags[0]) + ", order " +
                    std::to_string(order) + "): run with --device cpu to get a result");
}

}  // namespace widelab::cuda
