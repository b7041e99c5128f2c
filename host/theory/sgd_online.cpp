#include "host/theory/sgd_online.hpp"

#include <algorithm>
#include <boost/math/quadrature/tanh_sinh.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "host/theory/eigenbasis.hpp"
#include "host/theory/root_between.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::theory {
namespace {

constexpr int kRootBits = 50;

double batch_size(Index batch) {
  if (batch < 1) throw RecipeError("batch = " + std::to_string(batch) + ": must be at least 1");
  return static_cast<double>(batch);
}

/// k of the stationary law.
double feedback(const std::vector<double>& h, double eta, double b) {
  double k = 0.0;
  for (const double variance : h) k += eta * variance / (b * (2.0 - eta * variance * (1.0 + 1.0 / b)));
  return k;
}

double largest_variance(const std::vector<double>& h) {
  for (const double variance : h)
    if (!(variance >= 0.0 && std::isfinite(variance)))
      throw RecipeError("h = " + std::to_string(variance) + ": variances of inputs must be finite and 0 or larger");
  const double largest = h.empty() ? 0.0 : *std::max_element(h.begin(), h.end());
  if (largest == 0.0) throw RecipeError("h: at least one input must have a positive variance");
  return largest;
}

/// (g^(alpha/2) - 1) / alpha times a density, from log g and the density's logarithm, kept finite: only its sign
/// matters where it is huge.
double weighted_growth(double log_growth, double log_density, double alpha) {
  constexpr double kLargestLog = 600.0;
  const double exponent = 0.5 * alpha * log_growth;
  if (exponent < 1.0) return std::expm1(exponent) / alpha * std::exp(log_density);
  return (std::exp(std::min(exponent + log_density, kLargestLog)) - std::exp(log_density)) / alpha;
}

/// log of the density of the chi law with n degrees of freedom.
double log_chi_density(double r, double n) {
  const double power = n == 1.0 ? 0.0 : (n - 1.0) * std::log(r);
  return power - 0.5 * r * r - (0.5 * n - 1.0) * std::log(2.0) - std::lgamma(0.5 * n);
}

/// (E g^(alpha/2) - 1) / alpha: E log g / 2 at alpha = 0, and increasing.
class MeanGrowth {
 public:
  MeanGrowth(double step, double batch, double dimension) : b_(batch), across_(dimension - 1.0), rate_(step / batch) {}

  double operator()(double alpha) {
    const double zero = std::sqrt(1.0 / rate_);  // 1 - rate r^2 = 0
    const double end = std::sqrt(b_) + std::sqrt(2.0 * alpha) + kReach;
    const double below = std::min(zero, end);
    double sum = outer_.integrate([&](double y) { return along(zero - below + y, below - y, alpha); }, 0.0, below);
    if (end > zero) sum += outer_.integrate([&](double y) { return along(-y, zero + y, alpha); }, 0.0, end - zero);
    return sum;
  }

 private:
  static constexpr double kReach = 12.0;  // e^(-72) is left of a normal law

  /// Integrand at r, `gap` before the zero of 1 - rate r^2.
  double along(double gap, double r, double alpha) {
    const double first = rate_ * gap * (2.0 * r + gap), log_density = log_chi_density(r, b_);
    if (across_ == 0.0) return weighted_growth(2.0 * std::log(std::abs(first)), log_density, alpha);
    const double end = std::sqrt(across_) + std::sqrt(2.0 * alpha) + kReach;
    return inner_.integrate(
        [&](double rho) {
          const double second = rate_ * r * rho;
          return weighted_growth(2.0 * std::log(std::hypot(first, second)), log_density + log_chi_density(rho, across_),
                                 alpha);
        },
        0.0, end);
  }

  double b_, across_, rate_;
  boost::math::quadrature::tanh_sinh<double> outer_, inner_;
};

}  // namespace

OnlineLaw online_stationary(const OnlineRegression& problem) {
  const double b = batch_size(problem.batch), eta = problem.learning_rate;
  const double critical = online_critical_rate(problem.input_variances, problem.batch);
  if (!(eta > 0.0 && eta < critical))
    throw RecipeError("learning_rate = " + std::to_string(eta) + ": must be positive and below the critical " +
                      std::to_string(critical) + ", where the second moments diverge");
  const double k = feedback(problem.input_variances, eta, b), loss = problem.label_noise * k / (1.0 - k);
  OnlineLaw law;
  law.excess_loss = 0.5 * loss;
  for (const double h : problem.input_variances)
    law.variances.push_back(eta * (problem.label_noise + loss) / (b * (2.0 - eta * h * (1.0 + 1.0 / b))));
  return law;
}

std::vector<double> online_after(const OnlineRegression& problem, const std::vector<double>& variances) {
  const std::vector<double>& h = problem.input_variances;
  const double eta = problem.learning_rate, b = batch_size(problem.batch);
  const double loss = std::inner_product(h.begin(), h.end(), variances.begin(), 0.0);
  std::vector<double> out;
  for (std::size_t i = 0; i < h.size(); ++i)
    out.push_back(std::pow(1.0 - eta * h[i], 2) * variances[i] +
                  eta * eta / b * h[i] * (h[i] * variances[i] + problem.label_noise + loss));
  return out;
}

double online_mean_square_radius(const OnlineRegression& problem) {
  const std::vector<double>& h = problem.input_variances;
  const double eta = problem.learning_rate, b = batch_size(problem.batch);
  const std::size_t d = h.size();
  std::vector<double> map(d * d);
  for (std::size_t i = 0; i < d; ++i) {
    for (std::size_t j = 0; j < d; ++j) map[i * d + j] = eta * eta / b * h[i] * h[j];
    map[i * d + i] += std::pow(1.0 - eta * h[i], 2) + std::pow(eta * h[i], 2) / b;
  }
  return Eigenbasis(matrix_view<const double>(map.data(), static_cast<Index>(d), static_cast<Index>(d)))
      .values()
      .back();
}

double online_critical_rate(const std::vector<double>& input_variances, Index batch) {
  const double b = batch_size(batch), h = largest_variance(input_variances);
  const double pole = 2.0 / (h * (1.0 + 1.0 / b));  // k is infinite there
  // 1 - k = 1 at 0; multiplied with the distance to the pole it stays finite
  const auto distance = [&](double eta) { return (1.0 - feedback(input_variances, eta, b)) * (1.0 - eta / pole); };
  return root_between(distance, 0.0, pole * (1.0 - 1e-15), kRootBits);
}

double kesten_exponent(const KestenProblem& problem) {
  const double b = batch_size(problem.batch), step = problem.learning_rate * problem.input_variance;
  if (problem.dimension < 1)
    throw RecipeError("dimension = " + std::to_string(problem.dimension) + ": must be at least 1");
  if (!(step > 0.0 && std::isfinite(step)))
    throw RecipeError("learning_rate x input_variance = " + std::to_string(step) + ": must be a positive number");
  MeanGrowth growth(step, b, static_cast<double>(problem.dimension));
  double low = 1e-6, high = 1.0;
  if (growth(low) >= 0.0)
    throw RecipeError("learning_rate = " + std::to_string(problem.learning_rate) +
                      ": steps multiply the distance by more than 1 in the geometric mean, so that there is no "
                      "stationary law; give a smaller learning rate");
  while (growth(high) <= 0.0) {
    low = high;
    high *= 2.0;
    if (high > 2.0 * kLargestTailExponent)
      throw RecipeError("learning_rate = " + std::to_string(problem.learning_rate) + ": the tail exponent is beyond " +
                        std::to_string(kLargestTailExponent) +
                        ", a tail that nothing can see; give a larger learning rate or a smaller batch");
  }
  return root_between(growth, low, high, kRootBits);
}

double kesten_exponent_of(const std::vector<double>& factors) {
  double largest = 0, log_mean = 0;
  for (const double factor : factors) {
    largest = std::max(largest, std::abs(factor));
    log_mean += std::log(std::abs(factor)) / static_cast<double>(factors.size());
  }
  if (factors.empty() || !(log_mean < 0))
    throw RecipeError("factors: their geometric mean must be below 1 for a stationary law, it is " +
                      std::to_string(std::exp(log_mean)) + "; give a smaller learning rate");
  if (largest <= 1) return std::numeric_limits<double>::infinity();
  // Sum of |g|^alpha - 1, each term without cancellation; negative at first and convex.
  const auto growth = [&](double alpha) {
    double sum = 0;
    for (const double factor : factors) sum += std::expm1(alpha * std::log(std::abs(factor)));
    return sum;
  };
  double high = 1;
  while (growth(high) <= 0) high *= 2;
  double low = high / 2;
  while (growth(low) >= 0) low /= 2;
  return root_between(growth, low, high, kRootBits);
}

}  // namespace widelab::theory
