// What a filter makes of one eigenvalue.
#pragma once

#include <cmath>

#include "widelab/plan/ridge_plan.hpp"

namespace widelab::reference {

/// g(mu) in a = g(Z^T Z) Z^T y: 1/(mu + ridge), or (1 - e^{-t mu})/mu, whose limit at mu = 0 is t. `kept`: whether mu
/// is a direction rather than rounding, which matters at ridge 0 alone.
inline double spectral_filter(const SpectralFilter& filter, double mu, bool kept) {
  if (filter.kind == SpectralFilter::Kind::flow) return mu > 0 ? -std::expm1(-filter.value * mu) / mu : filter.value;
  if (filter.value == 0) return kept ? 1 / mu : 0.0;
  return 1 / (mu + filter.value);
}

}  // namespace widelab::reference
