// Where the second moments of SGD on linear regression stay bounded.
#include <algorithm>
#include <cmath>

#include "host/theory/root_between.hpp"
#include "host/theory/sgd_regression.hpp"

namespace widelab::theory {
namespace {

constexpr int kRootBits = 40;  // the gain is good to about 1e-12

double trace(const std::vector<double>& matrix, std::size_t d) {
  double sum = 0.0;
  for (std::size_t i = 0; i < d; ++i) sum += matrix[i * d + i];
  return sum;
}

/// Of the sign of gain - 1, and nearly linear in the distance from a pole of the gain: quick for root finders.
double beyond_one(double gain) { return (gain - 1.0) / (gain + 1.0); }

}  // namespace

RegressionNoise::Matrix RegressionNoise::response(double rate, double growth) const {
  const Index d = quadratic_.basis().dim();
  const StepForm form = step_form(sgd_.training);
  Matrix out(static_cast<std::size_t>(d * d));
  for (Index i = 0; i < d; ++i)
    for (Index j = i; j < d; ++j) {
      if (quadratic_.flat(i) || quadratic_.flat(j)) continue;
      const Matrix2 first = mode_increment(form, rate * quadratic_.curvature(i));
      const Matrix2 second = mode_increment(form, rate * quadratic_.curvature(j));
      const double value = rate * rate * pair_fixed_point(first, second, noise_gain(form), growth)[0];
      out[static_cast<std::size_t>(i * d + j)] = out[static_cast<std::size_t>(j * d + i)] = value;
    }
  return out;
}

/// Spectral radius of S -> response . (C(S) - C(0)), by powers: the map is positive, so its largest eigenvalue is.
double RegressionNoise::gain(double rate, double growth) const {
  const auto d = static_cast<std::size_t>(quadratic_.basis().dim());
  const Matrix k = response(rate, growth);
  Matrix second(d * d);
  for (std::size_t i = 0; i < d; ++i) second[i * d + i] = 1.0 / static_cast<double>(d);
  constexpr int kMostPowers = 20000, kQuietPowers = 3;
  double radius = 0.0;
  for (int power = 0, quiet = 0; power < kMostPowers && quiet < kQuietPowers; ++power) {
    second = growing_noise(second);
    for (std::size_t e = 0; e < second.size(); ++e) second[e] *= k[e];
    const double next = trace(second, d);
    if (!(next > 0.0)) return 0.0;
    for (double& entry : second) entry /= next;
    quiet = std::abs(next - radius) <= 1e-13 * next ? quiet + 1 : 0;
    radius = next;
  }
  return radius;
}

/// Largest |eigenvalue| of the modes' F.
double RegressionNoise::mean_radius() const {
  const StepForm form = step_form(sgd_.training);
  double radius = 0.0;
  for (Index i = 0; i < quadratic_.basis().dim(); ++i) {
    if (quadratic_.flat(i)) continue;
    const Matrix2 f = add(kIdentity2, mode_increment(form, effective_rate() * quadratic_.curvature(i)));
    const double half = 0.5 * (f[0] + f[3]), determinant = f[0] * f[3] - f[1] * f[2];
    const double square = half * half - determinant;
    radius = std::max(radius, square < 0.0 ? std::sqrt(determinant) : std::abs(half) + std::sqrt(square));
  }
  return radius;
}

double RegressionNoise::mean_square_radius() const {
  const double least = mean_radius() * mean_radius();
  const auto excess = [&](double growth) { return beyond_one(gain(effective_rate(), growth)); };
  const double low = std::max(least * (1.0 + 1e-10), 1e-12);
  if (factor_ == 0.0 || excess(low) <= 0.0) return least;
  double high = 2.0 * low;
  while (excess(high) > 0.0) high *= 2.0;
  return root_between(excess, low, high, kRootBits);
}

double RegressionNoise::critical_learning_rate() const {
  const double edge = sgd_.training.stability_limit() / quadratic_.basis().values().back();  // of the mean
  const auto excess = [&](double rate) { return beyond_one(gain(rate, 1.0)); };
  const double last = edge * (1.0 - 1e-10);
  const bool noisy = factor_ > 0.0 && excess(last) > 0.0;
  return (noisy ? root_between(excess, 1e-6 * edge, last, kRootBits) : edge) / sgd_.training.curvature;
}

}  // namespace widelab::theory
