#include "host/theory/sgd_quadratic.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "widelab/base/contract.hpp"

namespace widelab::theory {
namespace {

double momentum_of(const QuadraticMode& mode) { return step_form(mode.training).momentum; }

/// q = 1 - s of Nesterov's rule.
struct NesterovProcess {
  double mu, q, variance, difference;  // g_0, g_0 - g_1
};

NesterovProcess nesterov_process(const QuadraticMode& mode) {
  const double mu = momentum_of(mode), s = mode.step(), q = 1.0 - s, eta = mode.training.effective_rate();
  const double g0 = eta * eta * mode.gradient_noise * (1.0 + mu * q) / ((1.0 - mu * q) * s * (1.0 + q + 2.0 * mu * q));
  return {mu, q, g0, g0 * s / (1.0 + mu * q)};
}

void require_stable(const LinearTraining& training, double curvature) {
  const double s = training.effective_rate() * curvature;
  if (s > 0.0 && s < training.stability_limit()) return;
  throw RecipeError("learning_rate = " + std::to_string(training.learning_rate) + " at curvature " +
                    std::to_string(curvature) + ": no stationary law; " +
                    (s > 0.0 ? "the learning rate must be below " +
                                   std::to_string(training.stability_limit() / (training.curvature * curvature))
                             : std::string("the curvature, weight decay included, must be positive")));
}

/// The second moment Q(n) that n steps add, and F^n - I, by doubling: Q(2 n) = Q(n) + F^n Q(n) F^nT.
struct Growth {
  Matrix2 first{0, 0, 0, 0}, second{0, 0, 0, 0}, noise{0, 0, 0, 0};
};

Matrix2 carried(const Matrix2& first, const Matrix2& moments, const Matrix2& second) {
  return multiply(multiply(add(kIdentity2, first), moments), transpose(add(kIdentity2, second)));
}

Growth then(const Growth& now, const Growth& later) {
  const auto joined = [](const Matrix2& a, const Matrix2& b) { return add(add(a, b), multiply(b, a)); };
  return {joined(now.first, later.first), joined(now.second, later.second),
          add(later.noise, carried(later.first, now.noise, later.second))};
}

Growth grown(Growth one, Index steps) {
  WIDELAB_REQUIRE(steps >= 0, "a number of steps is negative");
  Growth total;
  for (; steps > 0; steps /= 2) {
    if (steps % 2 == 1) total = then(total, one);
    one = then(one, one);
  }
  return total;
}

Matrix2 scaled(const Matrix2& a, double factor) { return add({0, 0, 0, 0}, a, factor); }

}  // namespace

bool QuadraticMode::stable() const { return step() > 0.0 && step() < training.stability_limit(); }

ModeMoments stationary_mode(const QuadraticMode& mode) {
  require_stable(mode.training, mode.curvature);
  if (mode.training.rule == LinearRule::nesterov) {
    const NesterovProcess p = nesterov_process(mode);
    return {p.variance + 2.0 * p.mu * (1.0 + p.mu) * p.difference, (1.0 + 2.0 * p.mu) * p.difference,
            2.0 * p.difference};
  }
  const double mu = momentum_of(mode), s = mode.step();
  const double variance = mode.training.effective_rate() * mode.gradient_noise * (1.0 + mu) /
                          (mode.curvature * (1.0 - mu) * (2.0 * (1.0 + mu) - s));
  const double velocity = 2.0 * s * variance / (1.0 + mu);
  return {variance, 0.5 * velocity, velocity};
}

double nesterov_iterate_variance(const QuadraticMode& mode) {
  WIDELAB_REQUIRE(mode.training.rule == LinearRule::nesterov, "the rule has no iterate besides its parameter");
  require_stable(mode.training, mode.curvature);
  return nesterov_process(mode).variance;
}

std::vector<double> autocorrelation(const QuadraticMode& mode, Index lags) {
  WIDELAB_REQUIRE(lags >= 0, "a number of lags is negative");
  require_stable(mode.training, mode.curvature);
  const double mu = momentum_of(mode), s = mode.step();
  const bool nesterov = mode.training.rule == LinearRule::nesterov;
  // x_k = first x_{k-1} + second x_{k-2} + noise
  const double first = nesterov ? (1.0 - s) * (1.0 + mu) : 1.0 + mu - s, second = -mu * (nesterov ? 1.0 - s : 1.0);
  std::vector<double> rho{1.0, first / (1.0 - second)};
  while (static_cast<Index>(rho.size()) < lags + 2)
    rho.push_back(first * rho[rho.size() - 1] + second * rho[rho.size() - 2]);
  std::vector<double> result;
  for (std::size_t k = 0; k <= static_cast<std::size_t>(lags); ++k) {
    if (!nesterov) {
      result.push_back(rho[k]);
      continue;
    }
    // theta_k = (1 + mu) w_k - mu w_{k-1}
    const double before = rho[k == 0 ? 1 : k - 1];
    result.push_back(((1.0 + mu) * (1.0 + mu) + mu * mu) * rho[k] - mu * (1.0 + mu) * (before + rho[k + 1]));
  }
  const double variance = result.front();
  for (double& value : result) value /= variance;
  return result;
}

double mode_excess_loss(const QuadraticMode& mode) { return 0.5 * mode.curvature * stationary_mode(mode).parameter; }

ModeMoments mode_after(const QuadraticMode& mode, const ModeMoments& start, Index steps) {
  const StepForm form = step_form(mode.training);
  const double eta = mode.training.effective_rate();
  const Matrix2 one = mode_increment(form, mode.step());
  const Growth all = grown({one, one, scaled(noise_gain(form), eta * eta * mode.gradient_noise)}, steps);
  const Matrix2 end =
      add(all.noise, carried(all.first, {start.parameter, start.cross, start.cross, start.velocity}, all.second));
  return {end[0], end[1], end[3]};
}

QuadraticSgd::QuadraticSgd(MatrixView<const double> curvature, const LinearTraining& training)
    : basis_(curvature), training_(training), form_(step_form(training)) {
  const double largest = std::max(std::abs(basis_.values().front()), std::abs(basis_.values().back()));
  const double rounding = static_cast<double>(basis_.dim()) * std::numeric_limits<double>::epsilon() * largest;
  for (const double h : basis_.values()) flat_.push_back(std::abs(h) <= rounding);
}

bool QuadraticSgd::stable() const {
  for (Index i = 0; i < basis_.dim(); ++i)
    if (!flat(i) && !QuadraticMode{training_, curvature(i), 0.0}.stable()) return false;
  return true;
}

StateCovariance QuadraticSgd::stationary(MatrixView<const double> noise) const {
  const Index d = basis_.dim();
  const double eta = training_.effective_rate();
  const std::vector<double> c = basis_.into(noise);
  const double rounding = 1e-10 * *std::max_element(c.begin(), c.end());
  for (Index i = 0; i < d; ++i)
    if (!flat(i) || c[static_cast<std::size_t>(i * d + i)] > rounding) require_stable(training_, curvature(i));
  StateCovariance modes = StateCovariance::zero(d);
  for (Index i = 0; i < d; ++i)
    for (Index j = i; j < d; ++j) {
      if (flat(i) || flat(j)) continue;
      const Matrix2 first = mode_increment(form_, eta * curvature(i)),
                    second = mode_increment(form_, eta * curvature(j));
      const double strength = eta * eta * c[static_cast<std::size_t>(i * d + j)];
      modes.set_pair(i, j, scaled(pair_fixed_point(first, second, noise_gain(form_)), strength));
    }
  return out_of_modes(modes);
}

StateCovariance QuadraticSgd::after(const StateCovariance& start, MatrixView<const double> noise, Index steps) const {
  const Index d = basis_.dim();
  const double eta = training_.effective_rate();
  const std::vector<double> c = basis_.into(noise);
  StateCovariance modes = into_modes(start);
  for (Index i = 0; i < d; ++i)
    for (Index j = i; j < d; ++j) {
      const Growth all = grown({mode_increment(form_, eta * curvature(i)), mode_increment(form_, eta * curvature(j)),
                                scaled(noise_gain(form_), eta * eta * c[static_cast<std::size_t>(i * d + j)])},
                               steps);
      modes.set_pair(i, j, add(all.noise, carried(all.first, modes.pair(i, j), all.second)));
    }
  return out_of_modes(modes);
}

// E[z_{t+k} z_t^T] = F^k E[z z^T]; of it the block (e, e): (F^k)_ee E[e_i e_j] + (F^k)_eu E[u_i e_j].
std::vector<double> QuadraticSgd::autocovariance(const StateCovariance& moments, Index lag) const {
  const Index d = basis_.dim();
  const StateCovariance modes = into_modes(moments);
  std::vector<double> lagged(static_cast<std::size_t>(d * d));
  for (Index i = 0; i < d; ++i) {
    const double s = training_.effective_rate() * curvature(i);
    const Matrix2 power = add(kIdentity2, power_increment(mode_increment(form_, s), lag));
    for (Index j = 0; j < d; ++j) {
      const Matrix2 pair = modes.pair(i, j);
      lagged[static_cast<std::size_t>(i * d + j)] = power[0] * pair[0] + power[1] * pair[2];
    }
  }
  return basis_.out_of(lagged);
}

double QuadraticSgd::excess_loss(const StateCovariance& moments) const {
  const Index d = basis_.dim();
  const std::vector<double> modes = basis_.into(matrix_view(moments.parameter.data(), d, d));
  double sum = 0.0;
  for (Index i = 0; i < d; ++i) sum += 0.5 * curvature(i) * modes[static_cast<std::size_t>(i * d + i)];
  return sum;
}

StateCovariance QuadraticSgd::into_modes(const StateCovariance& moments) const {
  const Index d = basis_.dim();
  WIDELAB_REQUIRE(moments.dim == d, "moments and curvature have different dimensions");
  const auto rotated = [&](const std::vector<double>& matrix) { return basis_.into(matrix_view(matrix.data(), d, d)); };
  return {d, rotated(moments.parameter), rotated(moments.cross), rotated(moments.velocity)};
}

StateCovariance QuadraticSgd::out_of_modes(const StateCovariance& modes) const {
  return {modes.dim, basis_.out_of(modes.parameter), basis_.out_of(modes.cross), basis_.out_of(modes.velocity)};
}

}  // namespace widelab::theory
