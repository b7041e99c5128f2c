// Pearson's chi-square test of counts against exact probabilities.
#pragma once

#include <algorithm>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>
#include <cstddef>
#include <vector>

namespace widelab::support {

/// P(chi^2_dof > statistic).
inline double chi_square_tail(double statistic, double dof) {
  return boost::math::gamma_q(dof / 2, std::max(0.0, statistic) / 2);
}

/// Probability of independent draws of a law with these probabilities being at least this far from it; 0 if an
/// impossible cell was hit. Expected counts should be 5 or more.
inline double chi_square_p(const std::vector<double>& counts, const std::vector<double>& probabilities) {
  double draws = 0, statistic = 0, cells = 0;
  for (const double c : counts) draws += c;
  for (std::size_t k = 0; k < counts.size(); ++k) {
    const double expected = draws * probabilities[k];
    if (expected == 0) {
      if (counts[k] > 0) return 0;
      continue;
    }
    statistic += (counts[k] - expected) * (counts[k] - expected) / expected;
    cells += 1;
  }
  return chi_square_tail(statistic, cells - 1);
}

/// The same against equal probabilities.
inline double chi_square_uniform_p(const std::vector<double>& counts) {
  return chi_square_p(counts, std::vector<double>(counts.size(), 1.0 / static_cast<double>(counts.size())));
}

/// P(|N(0, 1)| > |z|).
inline double normal_two_sided_p(double z) { return std::erfc(std::fabs(z) / std::sqrt(2.0)); }

}  // namespace widelab::support
