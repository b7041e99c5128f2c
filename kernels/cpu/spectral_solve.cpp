#include "kernels/cpu/spectral_solve.hpp"

#include <algorithm>

#include "kernels/cpu/blas.hpp"
#include "kernels/shared/ridge_diagnosis.hpp"

namespace widelab::cpu {
SpectralSolve::SpectralSolve(Index order, Buffer<double> gram, const double* right, Index count, Index stride,
                             double tolerance)
    : order_(order),
      count_(count),
      values_(static_cast<std::size_t>(order)),
      vectors_(static_cast<std::size_t>(order * order)),
      along_(static_cast<std::size_t>(count * order)) {
  eigenvectors(order, gram.data(), values_.data(), vectors_.data());
  for (double& mu : values_) mu = std::max(mu, 0.0);
  cut_ = tolerance * values_.back();
  gemm(count, order, order, 1.0, {right, stride}, {vectors_.data(), order, Op::transposed}, 0.0, along_.data(), order);
}

void SpectralSolve::combine(const Buffer<double>& along, double* out, Index stride) const {
  gemm(count_, order_, order_, 1.0, {along.data(), order_}, {vectors_.data(), order_}, 0.0, out, stride);
}

void SpectralSolve::apply(const SpectralFilter& filter, double* solution, double* remainder, Index stride) const {
  Buffer<double> scaled(along_), left(along_);
  for (Index r = 0; r < count_; ++r)
    for (Index k = 0; k < order_; ++k) {
      const double mu = values_[static_cast<std::size_t>(k)];
      const least_squares::SpectralGain g = least_squares::spectral_gain(filter, mu, mu > cut_);
      scaled[static_cast<std::size_t>(r * order_ + k)] *= g.solution;
      left[static_cast<std::size_t>(r * order_ + k)] *= g.remainder;
    }
  combine(scaled, solution, stride);
  if (remainder) combine(left, remainder, stride);
}

RidgeReport SpectralSolve::report(const SpectralFilter& filter) const {
  return least_squares::spectral_report(values_.data(), order_, cut_, filter);
}

}  // namespace widelab::cpu
