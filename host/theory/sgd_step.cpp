#include "host/theory/sgd_step.hpp"

#include <lapacke.h>

#include <cmath>
#include <string>

#include "widelab/base/contract.hpp"

namespace widelab::theory {

StepForm step_form(const LinearTraining& training) {
  if (training.rule == LinearRule::gradient_flow)
    throw RecipeError(
        "rule: gradient flow has no steps and so no noise of steps; use gradient descent, heavy ball or "
        "Nesterov's momentum");
  const double rate = training.effective_rate(), mu = training.momentum;
  if (!(rate > 0.0 && std::isfinite(rate)))
    throw RecipeError("learning_rate = " + std::to_string(training.learning_rate) + ": must be a positive number");
  if (training.rule == LinearRule::gradient_descent) return {1.0, 0.0, 0.0};
  if (!(mu >= 0.0 && mu < 1.0))
    throw RecipeError("momentum = " + std::to_string(mu) +
                      ": must be at least 0 and below 1; outside, the velocity has no stationary law");
  if (training.rule == LinearRule::heavy_ball) return {1.0, mu, mu};
  return {1.0 + mu, mu * mu, mu};
}

Matrix2 multiply(const Matrix2& a, const Matrix2& b) {
  return {a[0] * b[0] + a[1] * b[2], a[0] * b[1] + a[1] * b[3], a[2] * b[0] + a[3] * b[2], a[2] * b[1] + a[3] * b[3]};
}

Matrix2 transpose(const Matrix2& a) { return {a[0], a[2], a[1], a[3]}; }

Matrix2 add(const Matrix2& a, const Matrix2& b, double factor) {
  return {a[0] + factor * b[0], a[1] + factor * b[1], a[2] + factor * b[2], a[3] + factor * b[3]};
}

Matrix2 mode_increment(const StepForm& form, double s) {
  return {-form.parameter_gain * s, form.velocity_gain, -s, form.momentum - 1.0};
}

// (I + A)(I + B) - I = A + B + A B: squares for the binary digits of n.
Matrix2 power_increment(const Matrix2& increment, Index n) {
  WIDELAB_REQUIRE(n >= 0, "a number of steps is negative");
  Matrix2 power{0.0, 0.0, 0.0, 0.0}, square = increment;
  for (; n > 0; n /= 2) {
    if (n % 2 == 1) power = add(add(power, square), multiply(power, square));
    square = add(add(square, square), multiply(square, square));
  }
  return power;
}

Matrix2 noise_gain(const StepForm& form) {
  const double p = form.parameter_gain;
  return {p * p, p, p, 1.0};
}

// vec: (growth - F_i (x) F_j) S = Q with F (x) F - 1 = D_i (x) 1 + 1 (x) D_j + D_i (x) D_j.
Matrix2 pair_fixed_point(const Matrix2& first, const Matrix2& second, const Matrix2& noise, double growth) {
  std::array<double, 16> system{};
  for (std::size_t a = 0; a < 2; ++a)
    for (std::size_t b = 0; b < 2; ++b)
      for (std::size_t c = 0; c < 2; ++c)
        for (std::size_t d = 0; d < 2; ++d) {
          const double ac = a == c ? 1.0 : 0.0, bd = b == d ? 1.0 : 0.0;
          const double left = first[2 * a + c], right = second[2 * b + d];
          system[4 * (2 * a + b) + 2 * c + d] = (growth - 1.0) * ac * bd - (left * bd + ac * right + left * right);
        }
  Matrix2 solution = noise;
  std::array<lapack_int, 4> pivots{};
  const lapack_int info = LAPACKE_dgesv(LAPACK_ROW_MAJOR, 4, 1, system.data(), 4, pivots.data(), solution.data(), 1);
  WIDELAB_REQUIRE(info == 0, "the second moments of two modes have no fixed point");
  return solution;
}

StateCovariance StateCovariance::zero(Index dim) {
  const std::vector<double> none(static_cast<std::size_t>(dim * dim));
  return {dim, none, none, none};
}

Matrix2 StateCovariance::pair(Index i, Index j) const {
  const auto at = static_cast<std::size_t>(i * dim + j), mirrored = static_cast<std::size_t>(j * dim + i);
  return {parameter[at], cross[at], cross[mirrored], velocity[at]};
}

void StateCovariance::set_pair(Index i, Index j, const Matrix2& block) {
  const auto at = static_cast<std::size_t>(i * dim + j), mirrored = static_cast<std::size_t>(j * dim + i);
  parameter[at] = parameter[mirrored] = block[0];
  cross[at] = block[1];
  cross[mirrored] = block[2];
  velocity[at] = velocity[mirrored] = block[3];
}

double StateCovariance::trace() const {
  double sum = 0.0;
  for (Index i = 0; i < dim; ++i) sum += parameter[static_cast<std::size_t>(i * dim + i)];
  return sum;
}

}  // namespace widelab::theory
