#include "host/theory/deterministic_equivalent.hpp"

#include <algorithm>
#include <boost/math/tools/toms748_solve.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <sstream>
#include <string>

#include "host/theory/equivalent_terms.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::theory {
namespace {

/// `value` >= 0 and finite, or RecipeError.
void require_non_negative(const std::string& name, double value) {
  if (!(value >= 0) || !std::isfinite(value))
    throw RecipeError(name + " = " + shown(value) + ": must be a finite number of at least 0");
}

/// The smaller of n - D1 and p - D1 at nu > 0: their product is ridge p / nu, their difference |n - p|.
double smaller_deficit(const FeatureRegression& problem, double nu) {
  const double n = problem.examples, p = problem.features;
  if (std::isinf(p)) return problem.ridge / nu;
  const double product = problem.ridge * (p / nu), distance = std::abs(n - p);
  return product == 0 ? 0 : 2 * product / (distance + std::hypot(distance, 2 * std::sqrt(product)));
}

/// nu_2 > 0 with min(n, p) - D1(nu_2) = smaller_deficit(nu_2), which is the fixed point solved for the smaller factor:
/// it rises with nu_2 throughout and needs no case for ridge 0.
double solve_nu(const FeatureRegression& problem) {
  const FeatureSpectrum& spectrum = problem.spectrum;
  const double least = std::min(problem.examples, problem.features), rank = spectrum_rank(spectrum);
  const auto balance = [&](double log_nu) {
    const double nu = std::exp(log_nu), small = smaller_deficit(problem, nu);
    const double deficit = spectrum_sums(spectrum, nu).deficit(least, rank);
    const double scale = std::abs(deficit) + small;
    return scale == 0 ? 0 : (deficit - small) / scale;
  };
  // D1 <= trace / nu above; below, nu_2 >= ridge / n, and min(n, p) >= D1 >= what the tail and the smallest
  // eigenvalue give
  double smallest = std::numeric_limits<double>::infinity();
  for (const FeatureSpectrum::Group& group : spectrum.groups)
    if (group.eigenvalue > 0) smallest = std::min(smallest, group.eigenvalue);
  const double high =
      2 * (problem.ridge / problem.examples + spectrum.trace() * (1 / problem.examples + 1 / problem.features));
  const double low = 0.5 * std::max({problem.ridge / problem.examples, spectrum.tail_trace / least,
                                     rank > least ? smallest * (rank - least) / least : 0});
  std::uintmax_t iterations = 400;
  const auto bracket = boost::math::tools::toms748_solve(balance, std::log(low), std::log(high),
                                                         boost::math::tools::eps_tolerance<double>(), iterations);
  return std::exp(0.5 * (bracket.first + bracket.second));
}

FixedPoint<double> solve(const FeatureRegression& problem) {
  const double n = problem.examples, p = problem.features, rank = spectrum_rank(problem.spectrum);
  const bool tail = problem.spectrum.tail_trace > 0;
  if (problem.ridge == 0 && !tail && rank <= std::min(n, p)) return {0, n - rank, p - rank};  // plain least squares
  FixedPoint<double> point;
  point.nu = solve_nu(problem);
  const double small = smaller_deficit(problem, point.nu);
  point.alpha = n <= p ? small : small + (n - p);
  point.beta = n <= p ? small + (p - n) : small;
  return point;
}

/// The split of deterministic_equivalent.hpp, its differences written as products.
RiskTerms risk_terms(const EquivalentTerms<double>& terms, double n, double noise_variance) {
  const double mixed = terms.delta * terms.kappa, fraction = n / (terms.margin * terms.data_margin);
  RiskTerms split;
  split.bias2 = terms.missed;
  split.features = terms.drawn;
  split.data = terms.missed * terms.df2 / terms.data_margin;
  split.features_data = terms.drawn * (terms.df2 + mixed) / terms.margin + terms.missed * mixed * fraction;
  split.data_noise = noise_variance * terms.df2 / terms.data_margin;
  split.features_data_noise = noise_variance * mixed * fraction;
  return split;
}

}  // namespace

double FeatureSpectrum::trace() const {
  double sum = tail_trace;
  for (const Group& group : groups) sum += group.multiplicity * group.eigenvalue;
  return sum;
}

double FeatureSpectrum::target_power() const {
  double sum = tail_power;
  for (const Group& group : groups) sum += group.target_power;
  return sum;
}

std::string shown(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

double spectrum_rank(const FeatureSpectrum& spectrum) {
  double rank = 0;
  for (const FeatureSpectrum::Group& group : spectrum.groups)
    if (group.eigenvalue > 0) rank += group.multiplicity;
  return rank;
}

void require_feature_regression(const FeatureRegression& problem) {
  for (const FeatureSpectrum::Group& group : problem.spectrum.groups) {
    require_non_negative("eigenvalue", group.eigenvalue);
    require_non_negative("multiplicity", group.multiplicity);
    if (group.multiplicity == 0) throw RecipeError("multiplicity = 0: must be positive; leave the group out");
    require_non_negative("target power", group.target_power);
  }
  require_non_negative("tail_trace", problem.spectrum.tail_trace);
  require_non_negative("tail_power", problem.spectrum.tail_power);
  require_non_negative("ridge", problem.ridge);
  require_non_negative("noise", problem.noise_variance);
  if (!(problem.examples > 0) || std::isinf(problem.examples))
    throw RecipeError("n = " + shown(problem.examples) + ": the number of examples must be positive and finite");
  if (!(problem.features > 0))
    throw RecipeError("p = " + shown(problem.features) +
                      ": the number of features must be positive, or inf for kernel regression");
  if (!(problem.spectrum.trace() > 0))
    throw RecipeError("the spectrum has no positive eigenvalue and no tail: give at least one");
}

RegressionRisk regression_risk(const FeatureRegression& problem) {
  require_feature_regression(problem);
  const double n = problem.examples, p = problem.features, noise = problem.noise_variance;
  const FixedPoint<double> point = solve(problem);
  const EquivalentTerms<double> terms = equivalent_terms(problem.spectrum, point, point, std::isinf(p));
  if (terms.margin == 0)
    throw RecipeError("ridge = " + shown(problem.ridge) + " with n = " + shown(n) + " and p = " + shown(p) +
                      ": the risk is infinite where n equals p or, if smaller, the number of eigenvalues; give a "
                      "larger ridge or change n or p");
  RegressionRisk risk;
  risk.nu2 = point.nu;
  risk.nu1 = std::isinf(p) ? point.nu : point.nu * point.beta / p;
  risk.df1 = spectrum_sums(problem.spectrum, point.nu).df1;
  risk.df2 = terms.df2;
  const double n_upsilon = terms.df2 + terms.delta * terms.kappa;
  risk.upsilon = n_upsilon / n;
  risk.bias = n * (terms.missed + terms.drawn) / terms.margin;
  risk.variance = noise * n_upsilon / terms.margin;
  risk.excess = risk.bias + risk.variance;
  risk.ensemble_excess = (n * terms.missed + noise * terms.df2) / terms.data_margin;
  const double residual = point.alpha / n;  // ridge / (n nu_1), also where both are 0
  risk.train = residual * residual * (risk.excess + noise);
  // (n train + ridge |a|^2) / ridge = (noise + nu_2 B1) / nu_1, solved for |a|^2 with ridge = alpha nu_1
  const double per_feature = std::isinf(p) ? 1 : p / (point.beta + terms.delta);
  risk.norm2 = per_feature * (terms.slope * (noise + terms.missed) + terms.partly * terms.data_margin) / terms.margin;
  risk.effective_ridge = point.nu * point.alpha;
  risk.terms = risk_terms(terms, n, noise);
  return risk;
}

}  // namespace widelab::theory
