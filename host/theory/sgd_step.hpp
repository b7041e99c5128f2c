// One step of noisy gradient descent on a quadratic, as a linear map of a parameter and its velocity. What all theory
// of SGD's noise stands on.
//
// Conventions. theta is the parameter that a network holds (math/update_rules.hpp) and e = theta - theta*; u is the
// velocity in units of the parameter, minus eta times PyTorch's. The gradient is that of (curvature) x (the normalised
// loss), so that eta enters as LinearTraining::effective_rate() alone; coupled weight decay is part of the curvature h.
// With a gradient h e + xi, noise xi of variance c, and s = eta h,
//   u'     = mu u - eta (h e + xi),                                   mu = 0 without momentum
//   theta' = theta + u'                    (heavy_ball; gradient_descent with mu = 0)
//   theta' = theta + mu u' - eta (h e + xi)                           (nesterov)
// or (e', u') = F (e, u) - eta G xi, with F = [[1 - p s, q], [-s, mu]] and G = (p, 1), where p = 1, q = mu (nesterov:
// p = 1 + mu, q = mu^2). Nesterov's own iterate, w in v' = mu v - eta g(w + mu v), w' = w + v', is theta - mu u.
#pragma once

#include <array>
#include <vector>

#include "host/theory/linear_dynamics.hpp"

namespace widelab::theory {

/// p, q, mu of the map above.
struct StepForm {
  double parameter_gain = 1.0, velocity_gain = 0.0, momentum = 0.0;
};

/// Throws RecipeError for gradient flow, which has no steps, a learning rate that is not positive, or a momentum
/// outside [0, 1).
StepForm step_form(const LinearTraining& training);

/// 2 x 2, row-major; rows and columns are (parameter, velocity).
using Matrix2 = std::array<double, 4>;

Matrix2 multiply(const Matrix2& a, const Matrix2& b);
Matrix2 transpose(const Matrix2& a);
Matrix2 add(const Matrix2& a, const Matrix2& b, double factor = 1.0);  ///< a + factor b
inline constexpr Matrix2 kIdentity2{1.0, 0.0, 0.0, 1.0};

/// F - I at s = eta h: from it 1 - F F is formed without cancellation where s is small.
Matrix2 mode_increment(const StepForm& form, double s);
/// F - I, n times: F^n - I.
Matrix2 power_increment(const Matrix2& increment, Index n);

/// G G^T: what a unit variance of eta xi adds in one step to the second moment of (e, u).
Matrix2 noise_gain(const StepForm& form);

/// The S of growth S = F_i S F_j^T + Q for F_i = I + first, F_j = I + second: at growth 1 the stationary E[z_i z_j^T]
/// of two modes with noise Q. Throws ContractError if the map has the eigenvalue `growth`.
Matrix2 pair_fixed_point(const Matrix2& first, const Matrix2& second, const Matrix2& noise, double growth = 1.0);

/// Second moments of d parameters and their velocities: parameter = E[e e^T], cross = E[e u^T], velocity = E[u u^T],
/// each d x d.
struct StateCovariance {
  Index dim = 0;
  std::vector<double> parameter, cross, velocity;

  static StateCovariance zero(Index dim);
  /// The 2 x 2 block of the pair (i, j).
  Matrix2 pair(Index i, Index j) const;
  void set_pair(Index i, Index j, const Matrix2& block);
  double trace() const;  ///< of `parameter`
};

}  // namespace widelab::theory
