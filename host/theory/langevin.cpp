#include "host/theory/langevin.hpp"

#include <cmath>
#include <string>

#include "host/theory/sgd_quadratic.hpp"
#include "widelab/base/contract.hpp"

namespace widelab::theory {
namespace {

/// eta, or the half of it that multiplies the gradient of sgld.
double drift_rate(const LangevinQuadratic& p) { return p.sgld ? 0.5 * p.learning_rate : p.learning_rate; }

/// 1 - a^2 without cancellation.
double contraction(const LangevinQuadratic& p) {
  const double step = drift_rate(p) * p.curvature;
  return step * (2.0 - step);
}

/// Variance that one step adds: 2 drift T + drift^2 V.
double step_noise(const LangevinQuadratic& p) {
  const double rate = drift_rate(p);
  return 2.0 * rate * p.temperature + rate * rate * p.gradient_noise;
}

}  // namespace

double LangevinQuadratic::decay() const { return 1.0 - drift_rate(*this) * curvature; }
bool LangevinQuadratic::stable() const { return contraction(*this) > 0.0; }

double langevin_variance(const LangevinQuadratic& problem) {
  if (!problem.stable())
    throw RecipeError("learning_rate = " + std::to_string(problem.learning_rate) + " at curvature " +
                      std::to_string(problem.curvature) +
                      ": no stationary law; the learning rate must lie between 0 "
                      "and " +
                      std::to_string((problem.sgld ? 4.0 : 2.0) / problem.curvature));
  return step_noise(problem) / contraction(problem);
}

double langevin_variance_at(const LangevinQuadratic& problem, double initial, double t) {
  if (problem.stable() && std::isinf(t)) return langevin_variance(problem);
  const double kept = std::pow(problem.decay() * problem.decay(), t);
  if (contraction(problem) == 0.0) return initial + t * step_noise(problem);
  return kept * initial + (1.0 - kept) * (step_noise(problem) / contraction(problem));
}

// r^2 (V + 2 T / r): injected noise is gradient noise of that variance.
std::vector<double> langevin_covariance(MatrixView<const double> curvature, MatrixView<const double> gradient_noise,
                                        double learning_rate, double temperature, bool sgld) {
  const Index d = curvature.rows;
  WIDELAB_REQUIRE(gradient_noise.rows == d && gradient_noise.cols == d, "noise and curvature have different sizes");
  LinearTraining training;
  training.learning_rate = sgld ? 0.5 * learning_rate : learning_rate;
  std::vector<double> noise;
  for (Index i = 0; i < d; ++i)
    for (Index j = 0; j < d; ++j)
      noise.push_back(gradient_noise(i, j) + (i == j ? 2.0 * temperature / training.learning_rate : 0.0));
  return QuadraticSgd(curvature, training).stationary(matrix_view<const double>(noise.data(), d, d)).parameter;
}

}  // namespace widelab::theory
