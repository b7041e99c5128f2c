// Discrete-time Langevin dynamics on a quadratic potential U = h theta^2 / 2: exact at every step size.
#pragma once

#include <vector>

#include "widelab/base/view.hpp"

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

/// The same for d parameters with curvature H (d x d, symmetric) and gradient noise V (d x d): the S of S = A S A + 2 r
/// T + r^2 V, A = 1 - r H, r = eta (sgld: eta / 2); without gradient noise T [H (1 - r H / 2)]^-1. d x d. Throws
/// RecipeError if a direction is not stable.
std::vector<double> langevin_covariance(MatrixView<const double> curvature, MatrixView<const double> gradient_noise,
                                        double learning_rate, double temperature, bool sgld);

}  // namespace widelab::theory
