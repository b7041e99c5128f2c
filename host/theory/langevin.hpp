// Discrete-time Langevin dynamics on a quadratic potential U = h theta^2 / 2: exact at every step size.
#pragma once

#include "widelab/base/types.hpp"

namespace widelab::theory {

/// The update rules of math/update_rules.hpp:
///   langevin   theta -= eta g - sqrt(2 eta T) xi           (unadjusted Langevin algorithm)
///   sgld       theta -= (eta/2) g - sqrt(eta T) xi         (Welling and Teh 2011)
/// both with the Gibbs law e^{-U/T}, variance T / h, for eta -> 0. g = h theta + noise of variance V.
struct LangevinQuadratic {
  bool sgld = false;
  double curvature = 1.0;       ///< h > 0, coupled weight decay included
  double learning_rate = 0.1;   ///< eta > 0
  double temperature = 1.0;     ///< T >= 0
  double gradient_noise = 0.0;  ///< V >= 0, the same everywhere; 0 for full batches

  /// a = 1 - eta h (sgld: 1 - eta h / 2): the autocorrelation at lag k is a^k.
  double decay() const;
  bool stable() const;  ///< |a| < 1
};

/// (2 eta T + eta^2 V) / (1 - a^2), = T / (h (1 - eta h / 2)) for V = 0; sgld: (eta T + eta^2 V / 4) / (1 - a^2),
/// = T / (h (1 - eta h / 4)). Fixed point of S = a^2 S + noise (derived here). Throws RecipeError if not stable.
double langevin_variance(const LangevinQuadratic& problem);

/// Variance after t steps from `initial`: S_inf + a^{2t} (initial - S_inf); stable or not. t may be infinite if stable.
double langevin_variance_at(const LangevinQuadratic& problem, double initial, double t);

}  // namespace widelab::theory
