#include "kernels/cuda/ridge/spectral_solve.hpp"

#include <string>

#include "kernels/cuda/ridge/row_kernels.hpp"
#include "kernels/cuda/support/errors.hpp"
#include "kernels/shared/ridge_diagnosis.hpp"

namespace widelab::cuda {

void SpectralSolve::decompose(Index order, double* matrix, const double* right, Index count, Index stride,
                              double tolerance) {
  order_ = order;
  count_ = count;
  vectors_ = matrix;
  solver_.eigenvectors(order, matrix, values_, status_);
  int status = 0;
  copy_to_host(context_, &status, status_, sizeof status);
  if (status != 0)
    throw CudaError("cuSOLVER's eigendecomposition did not converge (info = " + std::to_string(status) + ", order " +
                    std::to_string(order) + "): run with --device cpu to get a result");
  host_values_.resize(static_cast<std::size_t>(order));
  copy_to_host(context_, host_values_.data(), values_, host_values_.size() * sizeof(double));
  for (double& mu : host_values_) mu = std::max(mu, 0.0);
  cut_ = tolerance * host_values_.back();
  gemm(context_, {count, order, order, Op::plain, Op::transposed}, 1, 1.0, {right, stride, 0}, {vectors_, order, 0},
       0.0, {along_, order, 0});
}

void SpectralSolve::combine(const double* along, double* out, Index stride) {
  gemm(context_, {count_, order_, order_}, 1, 1.0, {along, order_, 0}, {vectors_, order_, 0}, 0.0, {out, stride, 0});
}

void SpectralSolve::apply(const SpectralFilter& filter, double* solution, double* remainder, Index stride) {
  scale_along(context_, filter, count_, order_, values_, cut_, along_, scaled_, remainder ? left_ : nullptr);
  combine(scaled_, solution, stride);
  if (remainder) combine(left_, remainder, stride);
}

RidgeReport SpectralSolve::report(const SpectralFilter& filter) const {
  return least_squares::spectral_report(host_values_.data(), order_, cut_, filter);
}

}  // namespace widelab::cuda
