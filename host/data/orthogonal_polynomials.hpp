// Orthonormal polynomials of one projection t = <u, x>, |u| = 1: Hermite for x ~ N(0, 1), Gegenbauer for x uniform on
// the sphere of radius sqrt(d).
//
// Both obey t p_k = b_{k+1} p_{k+1} + b_k p_{k-1}, p_0 = 1, with b_k^2 = k (Hermite) and
// b_k^2 = d k (k + d - 3) / ((2k + d - 2)(2k + d - 4)), b_1 = 1 (Gegenbauer of index (d - 2)/2, rescaled to
// |t| <= sqrt(d); Chihara 1978, chapter V). As d grows the second goes to the first.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "widelab/base/types.hpp"

namespace widelab::data {

/// b_k of the Hermite polynomials, k >= 1.
struct HermiteRecurrence {
  double operator()(Index k) const { return std::sqrt(static_cast<double>(k)); }
};

/// b_k of the Gegenbauer polynomials in dimension d >= 2, k >= 1.
struct GegenbauerRecurrence {
  Index dimension = 2;
  double operator()(Index k) const {
    if (k == 1) return 1.0;
    const auto d = static_cast<double>(dimension), n = static_cast<double>(k);
    return std::sqrt(d * n * (n + d - 3.0) / ((2.0 * n + d - 2.0) * (2.0 * n + d - 4.0)));
  }
};

/// sum_k coefficients[k] p_k(t).
template <class Recurrence>
double polynomial_series(const Recurrence& b, const std::vector<double>& coefficients, double t) {
  double sum = 0.0, current = 1.0, previous = 0.0;
  for (std::size_t k = 0; k < coefficients.size(); ++k) {
    sum += coefficients[k] * current;
    const auto next_degree = static_cast<Index>(k) + 1;
    const double next = (t * current - (k == 0 ? 0.0 : b(next_degree - 1)) * previous) / b(next_degree);
    previous = current;
    current = next;
  }
  return sum;
}

/// p_k(t).
template <class Recurrence>
double polynomial_value(const Recurrence& b, std::size_t k, double t) {
  std::vector<double> unit(k + 1, 0.0);
  unit[k] = 1.0;
  return polynomial_series(b, unit, t);
}

/// Gegenbauer coefficients of sum_k hermite[k] h_k(t) in dimension d >= 2. Exact: the Hermite recurrence is run with t
/// replaced by the Gegenbauer Jacobi matrix acting on coefficient vectors (derived here).
inline std::vector<double> hermite_to_gegenbauer(const std::vector<double>& hermite, Index dimension) {
  const GegenbauerRecurrence b{dimension};
  const HermiteRecurrence root;
  const std::size_t size = hermite.size();
  std::vector<double> sum(size, 0.0), current(size, 0.0), previous(size, 0.0), next(size, 0.0);
  if (size == 0) return sum;
  current[0] = 1.0;
  for (std::size_t k = 0; k < size; ++k) {
    for (std::size_t j = 0; j <= k; ++j) sum[j] += hermite[k] * current[j];
    const auto degree = static_cast<Index>(k) + 1;
    for (std::size_t j = 0; j < size; ++j) {
      double shifted = 0.0;  // row j of the Jacobi matrix times `current`
      if (j > 0) shifted += b(static_cast<Index>(j)) * current[j - 1];
      if (j + 1 < size) shifted += b(static_cast<Index>(j) + 1) * current[j + 1];
      next[j] = (shifted - (k == 0 ? 0.0 : root(degree - 1)) * previous[j]) / root(degree);
    }
    previous = current;
    current = next;
  }
  return sum;
}

}  // namespace widelab::data
