// Kolmogorov-Smirnov tests, with the asymptotic law of the statistic (Stephens 1970 correction; conservative with
// ties).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace widelab::support {

/// P(sup |B| > lambda) for a Brownian bridge B (Kolmogorov 1933).
inline double kolmogorov_tail(double lambda) {
  if (lambda < 0.2) return 1.0;
  double sum = 0;
  for (int k = 1; k <= 100; ++k) sum += (k % 2 ? 2.0 : -2.0) * std::exp(-2.0 * k * k * lambda * lambda);
  return std::clamp(sum, 0.0, 1.0);
}

inline double ks_p_value(double distance, double effective_count) {
  const double root = std::sqrt(effective_count);
  return kolmogorov_tail((root + 0.12 + 0.11 / root) * distance);
}

/// Probability of two samples of one law being at least this far apart.
inline double ks_two_sample(std::vector<double> a, std::vector<double> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  const double na = static_cast<double>(a.size()), nb = static_cast<double>(b.size());
  double distance = 0;
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const double at = std::min(a[i], b[j]);
    while (i < a.size() && a[i] <= at) ++i;
    while (j < b.size() && b[j] <= at) ++j;
    distance = std::max(distance, std::abs(static_cast<double>(i) / na - static_cast<double>(j) / nb));
  }
  return ks_p_value(distance, na * nb / (na + nb));
}

/// Probability of a sample of the law with distribution function `cdf` being at least this far from it.
template <class Cdf>
double ks_one_sample(std::vector<double> a, Cdf&& cdf) {
  std::sort(a.begin(), a.end());
  const double n = static_cast<double>(a.size());
  double distance = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double f = cdf(a[i]);
    distance = std::max({distance, f - static_cast<double>(i) / n, static_cast<double>(i + 1) / n - f});
  }
  return ks_p_value(distance, n);
}

}  // namespace widelab::support
