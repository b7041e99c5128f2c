// What a least-squares solve says of itself, and when its Cholesky factor is trusted.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "widelab/base/host_device.hpp"
#include "widelab/ops/ridge_path.hpp"

namespace widelab::least_squares {

/// Extreme eigenvalues of a positive definite matrix, or bounds of them from inside.
struct Extremes {
  double smallest = 0, largest = 0;
};

inline double condition_of(const Extremes& e) { return e.smallest > 0 ? e.largest / e.smallest : HUGE_VAL; }

/// Whether a factor with these extremes may be used at this ridge.
inline bool trusted(double ridge, const Extremes& e) {
  return ridge > 0 || e.largest <= kRidgeConditionLimit * e.smallest;
}

inline RidgeReport factor_report(RidgeMethod method, const Extremes& e, Index rank) {
  return {method, e.smallest, condition_of(e), 0.0, rank};
}

/// Condition of a dual base up to which other sizes are derived from it: their errors grow with it.
inline constexpr double kSchurBaseCondition = 1e9;

/// Steps of power iteration, and of inverse iteration, from which extremes are estimated.
inline constexpr int kPowerSteps = 4;

/// Entry k of the vector of signs that the iterations start from.
WIDELAB_HD double start_sign(Index k) {
  const auto hash = static_cast<std::uint64_t>(k + 1) * 0x9E3779B97F4A7C15ull;
  return (hash >> 40) % 2 == 0 ? 1.0 : -1.0;
}

/// What brings a vector of this squared length to length 1; 0 for one that is 0 or not finite.
WIDELAB_HD double unit_factor(double square) {
  return square > 0 && square <= 1.7976931348623157e308 ? 1 / sqrt(square) : 0.0;
}

/// Largest growth of a vector of length 1 so far, after one more step that made it this long.
WIDELAB_HD double larger_growth(double so_far, double length) {
  if (!(length <= 1.7976931348623157e308)) return HUGE_VAL;
  return so_far < length ? length : so_far;
}

/// From the growth under the matrix and under its inverse: `smallest` is never below the true one, `largest` never
/// above. An inverse that overflows gives smallest = 0.
WIDELAB_HD Extremes extremes_of_growth(double growth, double inverse_growth) {
  return {inverse_growth > 0 ? 1 / inverse_growth : 0.0, growth};
}

/// What a filter makes of an eigenvalue mu: g in a = g(Z^T Z) Z^T y, and 1 - mu g. `kept`: whether mu is a direction
/// rather than rounding, which matters at ridge 0 alone.
struct SpectralGain {
  double solution, remainder;
};

WIDELAB_HD SpectralGain spectral_gain(const SpectralFilter& filter, double mu, bool kept) {
  if (filter.kind == SpectralFilter::Kind::flow) {
    const double t = filter.value, exponent = -t * mu;
    return {mu > 0 ? -std::expm1(exponent) / mu : t, std::exp(exponent)};
  }
  if (filter.value == 0) return kept ? SpectralGain{1 / mu, 0.0} : SpectralGain{0.0, 1.0};
  return {1 / (mu + filter.value), filter.value / (mu + filter.value)};
}

/// Of a solve by eigenvectors; `values` ascending and not negative, directions up to `cut` being rounding.
inline RidgeReport spectral_report(const double* values, Index order, double cut, const SpectralFilter& filter) {
  const bool ridge_filter = filter.kind == SpectralFilter::Kind::ridge;
  const double ridge = ridge_filter ? filter.value : 0.0, *end = values + order;
  RidgeReport report{RidgeMethod::spectral, 0.0, 1.0, 0.0, order};
  const double* kept = std::upper_bound(values, end, cut);
  if (ridge_filter && ridge == 0) report.rank = end - kept;
  if (ridge > 0)
    report.smallest = *values + ridge;
  else if (kept != end)
    report.smallest = *kept;
  if (report.smallest > 0) report.condition = (values[order - 1] + ridge) / report.smallest;
  return report;
}

}  // namespace widelab::least_squares
