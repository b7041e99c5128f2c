#include "host/data/index_targets.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "host/data/orthogonal_polynomials.hpp"
#include "host/data/spec_checks.hpp"
#include "widelab/math/gaussian_moments.hpp"

namespace widelab::data {

namespace {

bool on_sphere(const DataSpec& spec) {
  if (!spec.preprocessing.empty()) return spec.preprocessing.back() == "sphere";
  return spec.law == "sphere";
}

// Degree of a link that is a polynomial.
std::optional<int> polynomial_degree(const Activation& link) {
  return visit(link, [](const auto& phi) -> std::optional<int> {
    using Link = std::decay_t<decltype(phi)>;
    if constexpr (std::is_same_v<Link, Identity>) return 1;
    if constexpr (std::is_same_v<Link, Quadratic>) return 2;
    if constexpr (std::is_same_v<Link, HermiteSeries>) return static_cast<int>(phi.degree);
    return std::nullopt;
  });
}

std::size_t longest_row(const std::vector<std::vector<double>>& rows) {
  std::size_t longest = 0;
  for (const auto& row : rows) longest = std::max(longest, row.size());
  return longest;
}

// Independent projections: terms of degree k >= 1 in different directions are orthogonal, constants add up.
std::vector<double> gaussian_power(const std::vector<std::vector<double>>& rows) {
  std::vector<double> power(longest_row(rows), 0.0);
  double constant = 0.0;
  for (const auto& row : rows) {
    if (!row.empty()) constant += row[0];
    for (std::size_t k = 1; k < row.size(); ++k) power[k] += row[k] * row[k];
  }
  if (!power.empty()) power[0] = constant * constant;
  return power;
}

// Funk and Hecke: E[P_k(<u,x>) P_k(<v,x>)] = P_k(sqrt(d) <u,v>) / P_k(sqrt(d)) for unit u, v; here <u,v> is 0 or 1.
std::vector<double> sphere_power(const std::vector<std::vector<double>>& rows, Index dimension) {
  const GegenbauerRecurrence b{dimension};
  std::vector<double> power(longest_row(rows), 0.0);
  for (std::size_t k = 0; k < power.size(); ++k) {
    const double orthogonal =
        polynomial_value(b, k, 0.0) / polynomial_value(b, k, std::sqrt(static_cast<double>(dimension)));
    double sum = 0.0, squares = 0.0;
    for (const auto& row : rows) {
      if (k >= row.size()) continue;
      sum += row[k];
      squares += row[k] * row[k];
    }
    power[k] = squares + orthogonal * (sum * sum - squares);
  }
  return power;
}

}  // namespace

InputLaw input_law(const DataSpec& spec) {
  const bool isotropic = spec.law == "sphere" || (spec.law == "gaussian" && spec.spectrum == "isotropic");
  if (!spec.preprocessing.empty())
    return isotropic && spec.preprocessing == std::vector<std::string>{"sphere"} ? InputLaw::sphere : InputLaw::unknown;
  if (spec.law == "sphere") return InputLaw::sphere;
  if (spec.law == "gaussian") return InputLaw::gaussian;
  if (spec.law == "hypercube") return InputLaw::hypercube;
  if (spec.law == "mixture") return InputLaw::mixture;
  return InputLaw::unknown;
}

Index directions_per_output(const TargetSpec& target) {
  return target.kind == "multi-index" ? static_cast<Index>(target.coefficients.size()) : 1;
}

void require_index_target(const DataSpec& spec, Index dimension) {
  const TargetSpec& target = spec.target;
  require_in_range("data.target.outputs", target.outputs, Index{1}, Index{1} << 20);
  if (target.kind == "linear" || target.kind == "single-index") return;
  if (target.coefficients.empty() || target.coefficients.front().empty())
    throw RecipeError("data.target.coefficients is empty; give the coefficients of degree 0, 1, 2, ...");
  if (target.kind != "multi-index" && target.coefficients.size() != 1)
    throw RecipeError("data.target.coefficients has " + std::to_string(target.coefficients.size()) +
                      " rows; the kind \"" + target.kind + "\" takes one, \"multi-index\" one for each direction");
  for (const auto& row : target.coefficients)
    for (const double c : row)
      if (!std::isfinite(c)) throw RecipeError("data.target.coefficients has an entry that is not a finite number");
  if (target.kind != "gegenbauer") return;
  require_in_range("data.dimension (of a Gegenbauer target)", dimension, Index{2}, Index{1} << 31);
  if (!on_sphere(spec))
    throw RecipeError("data.target.kind = \"gegenbauer\" needs inputs on the sphere: use the law \"sphere\", or make "
                      "\"sphere\" the last step of data.preprocessing");
}

double index_value(const TargetSpec& target, Index direction, double t, Index dimension) {
  if (target.kind == "linear") return t;
  if (target.kind == "single-index") return visit(target.link, [t](const auto& phi) { return phi.value(t); });
  const std::vector<double>& row = target.coefficients[static_cast<std::size_t>(direction)];
  if (target.kind == "gegenbauer") return polynomial_series(GegenbauerRecurrence{dimension}, row, t);
  return polynomial_series(HermiteRecurrence{}, row, t);
}

std::optional<std::vector<double>> index_power(const DataSpec& spec, InputLaw law, int max_degree) {
  const TargetSpec& target = spec.target;
  std::vector<std::vector<double>> rows = target.coefficients;
  if (target.kind == "single-index") {
    const std::optional<int> degree = polynomial_degree(target.link);
    if (!degree && law != InputLaw::gaussian) return std::nullopt;
    rows = {hermite_coefficients(target.link, 1.0, degree.value_or(max_degree))};
  }
  if (law == InputLaw::gaussian && target.kind != "gegenbauer") return gaussian_power(rows);
  if (law != InputLaw::sphere || spec.dimension < 2) return std::nullopt;
  if (target.kind != "gegenbauer")
    for (auto& row : rows) row = hermite_to_gegenbauer(row, spec.dimension);
  return sphere_power(rows, spec.dimension);
}

}  // namespace widelab::data
