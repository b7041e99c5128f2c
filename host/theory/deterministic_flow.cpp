// Gradient flow through the deterministic equivalent: exp(-t C) is a contour integral of resolvents, whose equivalents
// are those of ridge = n y at complex y.
#include <array>
#include <cmath>
#include <complex>
#include <numbers>
#include <optional>

#include "host/theory/equivalent_terms.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::theory {
namespace {

using Complex = std::complex<double>;

constexpr int kNodes = 32;  // error 2.85^-32 (Weideman and Trefethen 2007); more nodes amplify rounding

/// A node in the upper half plane and its weight in (1 / 2 pi i) int e^(t y) f(y) dy / y.
struct Node {
  Complex y, weight;
};

/// y t = q (0.1309 - 0.1194 u^2 + 0.25 i u) at the midpoints of q intervals; the lower half is the mirror image.
std::array<Node, kNodes / 2> upper_nodes(double time) {
  std::array<Node, kNodes / 2> nodes;
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    const double u = (2.0 * static_cast<double>(k) + 1.0) * std::numbers::pi / kNodes;
    const Complex scaled = double{kNodes} * Complex(0.1309 - 0.1194 * u * u, 0.25 * u);
    const Complex derivative = double{kNodes} * Complex(-0.2388 * u, 0.25);
    nodes[k].y = scaled / time;
    nodes[k].weight = std::exp(scaled) * derivative / (scaled * Complex(0, kNodes));
  }
  return nodes;
}

/// The fixed point nu (1 - D1/n) (1 - D1/p) = y at one complex y.
class ComplexFixedPoint {
 public:
  explicit ComplexFixedPoint(const FeatureRegression& problem)
      : problem_(problem), rank_(spectrum_rank(problem.spectrum)) {}

  /// Follows the solution along the ray from large |y|, where nu = y + trace (1/n + 1/p), to y; nothing if it is lost.
  std::optional<FixedPoint<Complex>> at(Complex y) const {
    const double level = problem_.spectrum.trace() * (1 / problem_.examples + 1 / problem_.features);
    const Complex direction = y / std::abs(y);
    double radius = std::max(50 * level, std::abs(y));
    std::optional<Step> here = newton(direction * radius, direction * radius + level);
    double stride = std::numbers::ln2;
    while (here && radius > std::abs(y)) {
      const double log_gap = std::log(radius / std::abs(y)), step = std::min(stride, log_gap);
      const double next = step == log_gap ? std::abs(y) : radius * std::exp(-step);
      const std::optional<Step> there = newton(direction * next, here->nu * std::exp(-step * here->log_slope));
      if (there) {
        here = there;
        radius = next;
        stride = std::min(1.5 * step, kLongestStride);
      } else {
        stride = 0.5 * step;
        if (stride < kShortestStride) here.reset();
      }
    }
    if (!here) return std::nullopt;
    return point(y, here->nu);
  }

 private:
  static constexpr double kLongestStride = 1.5, kShortestStride = 1e-4;

  struct Step {
    Complex nu, log_slope;  ///< d log nu / d log y
  };

  /// Newton's method in log nu; nothing where it leaves its basin or the half plane of y, in which nu stays.
  std::optional<Step> newton(Complex y, Complex nu) const {
    const double n = problem_.examples, p = problem_.features;
    for (int iteration = 0; iteration < 12; ++iteration) {
      const SpectrumSums<Complex> sums = spectrum_sums(problem_.spectrum, nu);
      const Complex a = sums.deficit(n, rank_) / n;
      const Complex b = std::isinf(p) ? Complex(1) : sums.deficit(p, rank_) / p;
      const Complex derivative = a * b + nu * sums.slope * (b / n + (std::isinf(p) ? Complex(0) : a / p));
      const Complex step = (y - nu * a * b) / (nu * derivative);
      if (!(std::abs(step) < 0.7)) return std::nullopt;
      nu *= std::exp(step);
      if (std::abs(step) < 1e-9) {  // converges quadratically
        if (nu.imag() * y.imag() < 0) return std::nullopt;
        return Step{nu, y / (nu * derivative)};
      }
    }
    return std::nullopt;
  }

  /// n - D1 and p - D1 from their product n p y / nu and their difference: the root nearer to what the sums say.
  FixedPoint<Complex> point(Complex y, Complex nu) const {
    const double n = problem_.examples, p = problem_.features;
    if (std::isinf(p)) return {nu, n * (y / nu), {}};
    const double distance = std::abs(n - p);
    const Complex product = n * p * (y / nu), root = std::sqrt(distance * distance + 4.0 * product);
    const Complex rough = spectrum_sums(problem_.spectrum, nu).deficit(std::min(n, p), rank_);
    Complex small = 2.0 * product / (distance + root);
    const Complex other = -0.5 * (distance + root);
    if (std::abs(rough - other) < std::abs(rough - small)) small = other;
    return n <= p ? FixedPoint<Complex>{nu, small, small + distance} : FixedPoint<Complex>{nu, small + distance, small};
  }

  const FeatureRegression& problem_;
  double rank_;
};

FixedPoint<Complex> conjugate(const FixedPoint<Complex>& point) {
  return {std::conj(point.nu), std::conj(point.alpha), std::conj(point.beta)};
}

/// Twice the real part of `weight` times each term of the risk at the pair of fixed points.
void add_pair(const FeatureRegression& problem, const FixedPoint<Complex>& i, const FixedPoint<Complex>& j,
              Complex weight, FlowRisk& risk) {
  const double n = problem.examples;
  const auto terms = equivalent_terms(problem.spectrum, i, j, std::isinf(problem.features));
  const Complex scaled = 2.0 * weight / terms.margin, data_scaled = 2.0 * weight / terms.data_margin;
  risk.signal += (scaled * n * (terms.missed + terms.drawn)).real();
  risk.noise += (scaled * problem.noise_variance * (terms.df2 + terms.delta * terms.kappa)).real();
  risk.ensemble_signal += (data_scaled * n * terms.missed).real();
  risk.ensemble_noise += (data_scaled * problem.noise_variance * terms.df2).real();
}

}  // namespace

FlowRisk gradient_flow_risk(const FeatureRegression& problem, double time) {
  require_feature_regression(problem);
  if (problem.ridge != 0) throw RecipeError("ridge = " + shown(problem.ridge) + ": gradient flow needs ridge = 0");
  if (!(time >= 0)) throw RecipeError("time = " + shown(time) + ": must be at least 0, or inf");
  if (time == 0) return {problem.spectrum.target_power(), 0, problem.spectrum.target_power(), 0};
  if (std::isinf(time)) {
    const RegressionRisk end = regression_risk(problem);
    return {end.bias, end.variance, end.terms.bias2 + end.terms.data, end.terms.data_noise};
  }
  const auto nodes = upper_nodes(time);
  const ComplexFixedPoint fixed_point(problem);
  std::array<FixedPoint<Complex>, kNodes / 2> points;
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    const std::optional<FixedPoint<Complex>> point = fixed_point.at(nodes[k].y);
    if (!point)
      throw RecipeError(
          "time = " + shown(time) + " with n = " + shown(problem.examples) + " and p = " + shown(problem.features) +
          ": the fixed point cannot be followed to that time in double precision; give a shorter time, inf for "
          "the end, or p other than n");
    points[k] = *point;
  }
  FlowRisk risk;
  for (std::size_t i = 0; i < nodes.size(); ++i)
    for (std::size_t j = 0; j < nodes.size(); ++j) {
      add_pair(problem, points[i], points[j], nodes[i].weight * nodes[j].weight, risk);
      add_pair(problem, points[i], conjugate(points[j]), nodes[i].weight * std::conj(nodes[j].weight), risk);
    }
  return risk;
}

}  // namespace widelab::theory
