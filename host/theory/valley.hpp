// The effective potential of SGD's noise in a valley: a line of minima along x whose curvature lambda(x) across varies.
// Noise across the valley is turned by the changing curvature into a drift along it.
//
// Loss (1/2) lambda(x) y^2; each step adds eta times noise of variance c_y(x) across and c_x along. With y in
// equilibrium at every x, <y^2> = eta c_y / (lambda (2 - eta lambda)), and x drifts down L_SGD with L_SGD' = lambda'
// <y^2> / 2:
//   noise ~ curvature, c_y = D lambda:  L_SGD = -(D / 2) log(1 - eta lambda / 2),
//   white noise,       c_y = D:         L_SGD = (eta D / 4) log(lambda / (2 - eta lambda)),
// up to constants, and P(x) ~ exp(-2 L_SGD / (eta c_x)). Derived here; adiabatic in y, so good to about the ratio of
// the times on which y and x relax. In continuous time white noise gives P ~ F^kappa with F = lambda^(-1/2), kappa = D
// / c_x (Yang, Tang and Tu 2023).
#pragma once

#include <functional>
#include <vector>

#include "widelab/base/types.hpp"

namespace widelab::theory {

enum class ValleyNoise { proportional, white };

struct ValleyModel {
  ValleyNoise noise = ValleyNoise::proportional;
  double learning_rate = 0.05;  ///< eta
  double across = 1.0;          ///< D
  double along = 0.02;          ///< c_x
  /// lambda(x), of period 2 pi, positive and below 2 / eta.
  std::function<double(double)> curvature;
};

/// L_SGD at curvature lambda. Throws RecipeError unless 0 < eta lambda < 2.
double valley_potential(const ValleyModel& model, double curvature);

/// A density on the circle [0, 2 pi).
struct CircleDensity {
  std::vector<double> positions, density;  ///< equidistant; sum density = points / (2 pi)
  double mean_curvature = 0.0;             ///< <lambda>
};

/// P(x) at `points` positions, normalised by the trapezoid rule (geometric convergence for analytic lambda).
CircleDensity valley_density(const ValleyModel& model, Index points);
/// The same from P ~ lambda^(-kappa / 2), kappa = D / c_x: white noise in continuous time.
CircleDensity flatness_power_density(const ValleyModel& model, Index points);

}  // namespace widelab::theory
