#include "kernels/cpu/spectral_solve.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/blas.hpp"

namespace widelab::cpu {
namespace {

struct Gain {
  double solution, remainder;  ///< g and 1 - mu g
};

Gain gain(const SpectralFilter& filter, double mu, bool kept) {
  if (filter.kind == SpectralFilter::Kind::flow) {
    const double t = filter.value, exponent = -t * mu;
    return {mu > 0 ? -std::expm1(exponent) / mu : t, std::exp(exponent)};
  }
  if (filter.value == 0) return kept ? Gain{1 / mu, 0.0} : Gain{0.0, 1.0};
  return {1 / (mu + filter.value), filter.value / (mu + filter.value)};
}

}  // namespace

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
      const Gain g = gain(filter, mu, mu > cut_);
      scaled[static_cast<std::size_t>(r * order_ + k)] *= g.solution;
      left[static_cast<std::size_t>(r * order_ + k)] *= g.remainder;
    }
  combine(scaled, solution, stride);
  if (remainder) combine(left, remainder, stride);
}

RidgeReport SpectralSolve::report(const SpectralFilter& filter) const {
  const bool ridge_filter = filter.kind == SpectralFilter::Kind::ridge;
  const double ridge = ridge_filter ? filter.value : 0.0;
  RidgeReport report{RidgeMethod::spectral, 0.0, 1.0, 0.0, order_};
  const auto kept = std::upper_bound(values_.begin(), values_.end(), cut_);
  if (ridge_filter && ridge == 0) report.rank = values_.end() - kept;
  if (ridge > 0)
    report.smallest = values_.front() + ridge;
  else if (kept != values_.end())
    report.smallest = *kept;
  if (report.smallest > 0) report.condition = (values_.back() + ridge) / report.smallest;
  return report;
}

}  // namespace widelab::cpu
