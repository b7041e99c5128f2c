#include "host/estimators/zero_limit_fit.hpp"

#include <lapacke.h>

#include <algorithm>
#include <boost/math/distributions/chi_squared.hpp>
#include <cmath>
#include <set>

#include "widelab/base/contract.hpp"

namespace widelab::estimators {
namespace {

/// Usable points, steps in units of the largest one.
struct ScaledCurve {
  std::vector<double> x, v, weight;  // v = y / se, weight = 1 / se
  double unit = 0;
};

ScaledCurve usable(const StepCurve& curve) {
  ScaledCurve out;
  for (std::size_t k = 0; k < curve.x.size(); ++k) {
    WIDELAB_REQUIRE(curve.x[k] > 0, "steps are positive");
    if (!std::isfinite(curve.y[k]) || !std::isfinite(curve.se[k]) || !(curve.se[k] > 0)) continue;
    out.x.push_back(curve.x[k]);
    out.v.push_back(curve.y[k] / curve.se[k]);
    out.weight.push_back(1 / curve.se[k]);
    out.unit = std::max(out.unit, curve.x[k]);
  }
  for (double& x : out.x) x /= out.unit;
  return out;
}

}  // namespace

ZeroLimit fit_zero_limit(const StepCurve& curve, int degree) {
  WIDELAB_REQUIRE(degree == 1 || degree == 2, "a polynomial of degree 1 or 2");
  WIDELAB_REQUIRE(curve.y.size() == curve.x.size() && curve.se.size() == curve.x.size(), "sizes differ");
  const ScaledCurve s = usable(curve);
  const lapack_int order = degree + 1;
  const auto size = static_cast<std::size_t>(order);
  ZeroLimit out;
  if (std::set<double>(s.x.begin(), s.x.end()).size() < size) {
    out.status = std::to_string(s.x.size()) + " usable step sizes: a polynomial of degree " + std::to_string(degree) +
                 " needs " + std::to_string(order) + " different ones";
    return out;
  }
  // F^T W F, row-major, and F^T W y; its inverse is the covariance of the coefficients.
  std::vector<double> normal(size * size, 0.0), right(size, 0.0);
  for (std::size_t k = 0; k < s.x.size(); ++k)
    for (std::size_t i = 0; i < size; ++i) {
      const double f = std::pow(s.x[k], i) * s.weight[k];
      right[i] += f * s.v[k];
      for (std::size_t j = 0; j < size; ++j) normal[i * size + j] += f * std::pow(s.x[k], j) * s.weight[k];
    }
  if (LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'U', order, normal.data(), order) != 0 ||
      LAPACKE_dpotri(LAPACK_ROW_MAJOR, 'U', order, normal.data(), order) != 0) {
    out.status = "step sizes too close to each other";
    return out;
  }
  std::vector<double> c(size, 0.0);
  const auto covariance = [&](std::size_t i, std::size_t j) { return normal[std::min(i, j) * size + std::max(i, j)]; };
  for (std::size_t i = 0; i < size; ++i)
    for (std::size_t j = 0; j < size; ++j) c[i] += covariance(i, j) * right[j];
  for (std::size_t k = 0; k < s.x.size(); ++k) {
    double fitted = 0;
    for (std::size_t i = 0; i < size; ++i) fitted += c[i] * std::pow(s.x[k], i);
    const double residual = s.v[k] - fitted * s.weight[k];
    out.chi2 += residual * residual;
  }
  const auto count = static_cast<double>(s.x.size());
  out.limit = {c[0], std::sqrt(covariance(0, 0)), count};
  out.slope = {c[1] / s.unit, std::sqrt(covariance(1, 1)) / s.unit, count};
  out.dof = static_cast<Index>(s.x.size()) - order;
  if (out.dof > 0)
    out.chi2_p =
        boost::math::cdf(boost::math::complement(boost::math::chi_squared(static_cast<double>(out.dof)), out.chi2));
  return out;
}

}  // namespace widelab::estimators
