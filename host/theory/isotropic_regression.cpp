#include "host/theory/isotropic_regression.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>

#include "widelab/base/errors.hpp"

namespace widelab::theory {
namespace {

using std::numbers::pi;

void require_at_least_zero(double value, const char* name) {
  if (value >= 0 && std::isfinite(value)) return;
  throw RecipeError(std::string(name) + " = " + std::to_string(value) + ": must be a finite number of at least 0");
}

void require_valid(const IsotropicRegression& problem) {
  if (!(problem.aspect > 0 && std::isfinite(problem.aspect)))
    throw RecipeError("aspect p / n = " + std::to_string(problem.aspect) + ": must be positive and finite");
  require_at_least_zero(problem.signal, "signal |beta|^2");
  require_at_least_zero(problem.noise_variance, "noise variance");
}

/// x = ridge m(-ridge) solves gamma x^2 + (1 - gamma + ridge) x = ridge; `root` is the square root of the discriminant.
struct FixedPoint {
  double x, root;
};

FixedPoint fixed_point(double aspect, double ridge) {
  const double b = 1 - aspect + ridge, root = std::sqrt(b * b + 4 * aspect * ridge);
  return {b > 0 ? 2 * ridge / (b + root) : (root - b) / (2 * aspect), root};
}

}  // namespace

double isotropic_stieltjes(double aspect, double ridge) {
  require_valid({aspect, 0, 0});
  require_at_least_zero(ridge, "ridge");
  if (ridge > 0) return fixed_point(aspect, ridge).x / ridge;
  return aspect < 1 ? 1 / (1 - aspect) : std::numeric_limits<double>::infinity();
}

IsotropicRisk isotropic_risk(const IsotropicRegression& problem, double ridge) {
  require_valid(problem);
  require_at_least_zero(ridge, "ridge");
  const double gamma = problem.aspect;
  const FixedPoint at = fixed_point(gamma, ridge);
  if (at.root == 0)
    throw RecipeError("ridge = 0 at aspect p / n = 1: the risk is infinite; use a ridge above 0 or another aspect");
  // -dm/d ridge = m (gamma m + 1) / root, and gamma x + 1 - gamma = (1 - x) / m: no difference of large numbers is left
  return {problem.signal * at.x * (gamma * at.x + ridge) / at.root,
          problem.noise_variance * gamma * (1 - at.x) / at.root};
}

double isotropic_best_ridge(const IsotropicRegression& problem) {
  require_valid(problem);
  if (problem.signal == 0) throw RecipeError("signal |beta|^2 = 0: the best ridge is infinite; give a signal above 0");
  return problem.noise_variance * problem.aspect / problem.signal;
}

IsotropicRisk isotropic_finite_risk(Index examples, Index dimension, double signal, double noise_variance) {
  if (examples < 1 || dimension < 1)
    throw RecipeError("examples = " + std::to_string(examples) + ", dimension = " + std::to_string(dimension) +
                      ": both must be at least 1");
  const auto n = static_cast<double>(examples), p = static_cast<double>(dimension);
  require_valid({p / n, signal, noise_variance});
  if (std::abs(n - p) <= 1)
    throw RecipeError("examples = " + std::to_string(examples) + ", dimension = " + std::to_string(dimension) +
                      ": the mean risk of the interpolator is infinite where they differ by 1 or less; use sizes "
                      "further apart, a ridge, or medians");
  if (p < n) return {0, noise_variance * p / (n - p - 1)};
  return {signal * (1 - n / p), noise_variance * n / (p - n - 1)};
}

IsotropicRisk isotropic_flow_risk(const IsotropicRegression& problem, double time) {
  require_valid(problem);
  if (time == std::numeric_limits<double>::infinity()) return isotropic_risk(problem, 0);
  if (!(time >= 0 && time <= 1e10))
    throw RecipeError("time = " + std::to_string(time) + ": must lie in [0, 1e10], or be infinite");
  // Eigenvalues s = least + width (1 + cos phi) have the density width^2 sin^2 phi / (2 pi gamma s) in phi on [0, pi];
  // (1 - e^(-st)) / s is entire, so the midpoint rule converges like exp(-nodes^2 / (4 t width)).
  const double gamma = problem.aspect, width = 2 * std::sqrt(gamma);
  const double least = (1 - std::sqrt(gamma)) * (1 - std::sqrt(gamma));
  const int nodes = 64 + static_cast<int>(16 * std::sqrt(time * width));
  double learned = 0, fitted_noise = 0;
  for (int i = 0; i < nodes; ++i) {
    const double phi = pi * (i + 0.5) / nodes, cosine = std::cos(0.5 * phi);
    const double s = least + 2 * width * cosine * cosine, weight = width * width * std::sin(phi) * std::sin(phi);
    const double once = -std::expm1(-s * time) / s;
    learned += weight * (-std::expm1(-2 * s * time) / s);
    fitted_noise += weight * once * once;
  }
  const double scale = 1 / (2 * gamma * nodes);  // pi / nodes a node
  return {problem.signal * std::max(0.0, 1 - scale * learned), problem.noise_variance * gamma * scale * fitted_noise};
}

}  // namespace widelab::theory
