#include "host/estimators/power_fit.hpp"

#include <lapacke.h>

#include <algorithm>
#include <array>
#include <boost/math/distributions/chi_squared.hpp>
#include <cmath>
#include <limits>
#include <utility>

#include "widelab/base/contract.hpp"

namespace widelab::estimators {
namespace {

/// The data in units where it is well conditioned: x = n / n0 with n0 the geometric mean of the widths, v = y / se.
struct ScaledCurve {
  double n0 = 1;
  double c_max = 1;  // bound of c = b / n0
  std::vector<double> log_x, inverse_x, v, inverse_se;

  /// x^-p / se at all widths.
  std::vector<double> base(double p) const {
    std::vector<double> out(v.size());
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = std::exp(-p * log_x[i]) * inverse_se[i];
    return out;
  }
};

/// Best y = a x^-p (1 + c / x) at given p.
struct LinearPart {
  double a = 0, c = 0, chi2 = std::numeric_limits<double>::infinity();
};

ScaledCurve scale(const WidthCurve& curve) {
  ScaledCurve out;
  double log_n0 = 0;
  for (const double n : curve.n) log_n0 += std::log(n) / static_cast<double>(curve.n.size());
  out.n0 = std::exp(log_n0);
  out.c_max = curve.n.front() / out.n0;
  for (std::size_t i = 0; i < curve.n.size(); ++i) {
    out.log_x.push_back(std::log(curve.n[i]) - log_n0);
    out.inverse_x.push_back(out.n0 / curve.n[i]);
    out.inverse_se.push_back(1 / curve.se[i]);
    out.v.push_back(curve.y[i] / curve.se[i]);
  }
  return out;
}

/// The best a for x^-p (1 + c / x) at given base = x^-p / se and c.
LinearPart solve_amplitude(const ScaledCurve& s, const std::vector<double>& base, double c) {
  double ff = 0, fv = 0;
  for (std::size_t i = 0; i < s.v.size(); ++i) {
    const double f = base[i] * (1 + c * s.inverse_x[i]);
    ff += f * f;
    fv += f * s.v[i];
  }
  LinearPart out{fv / ff, c, 0};
  for (std::size_t i = 0; i < s.v.size(); ++i) {
    const double residual = s.v[i] - out.a * base[i] * (1 + c * s.inverse_x[i]);
    out.chi2 += residual * residual;
  }
  return out;
}

/// Least squares in the span of f = base = x^-p / se and g = f / x by one Gram-Schmidt step, with |c| <= c_max. For
/// either sign of a the admissible set is convex, so a solution outside is replaced by the better of c = +-c_max.
LinearPart solve_at(const ScaledCurve& s, const std::vector<double>& base, bool correction) {
  if (!correction) return solve_amplitude(s, base, 0);
  double ff = 0, fg = 0, fv = 0;
  for (std::size_t i = 0; i < s.v.size(); ++i) {
    const double f = base[i];
    ff += f * f;
    fg += f * f * s.inverse_x[i];
    fv += f * s.v[i];
  }
  double hh = 0, hv = 0;  // h = g less its part along f
  for (std::size_t i = 0; i < s.v.size(); ++i) {
    const double h = base[i] * (s.inverse_x[i] - fg / ff);
    hh += h * h;
    hv += h * s.v[i];
  }
  const double along_g = hv / hh, a = (fv - along_g * fg) / ff;
  if (std::abs(along_g) <= s.c_max * std::abs(a)) return solve_amplitude(s, base, along_g / a);
  const LinearPart low = solve_amplitude(s, base, -s.c_max), high = solve_amplitude(s, base, s.c_max);
  return low.chi2 < high.chi2 ? low : high;
}

/// Finds the exponent in [p_min, p_max] with the least chi^2 for data at the same widths with the same errors.
class ExponentSearch {
 public:
  ExponentSearch(const ScaledCurve& widths, const PowerFitOptions& options) : options_(options) {
    const auto steps = std::max(1, static_cast<int>(std::ceil((options.p_max - options.p_min) * 20)));
    step_ = (options.p_max - options.p_min) / steps;
    for (int k = 0; k <= steps; ++k) grid_.push_back(widths.base(options.p_min + k * step_));
  }

  double operator()(const ScaledCurve& s) const {
    std::size_t best = 0;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t k = 0; k < grid_.size(); ++k) {
      const double chi2 = solve_at(s, grid_[k], options_.correction).chi2;
      if (chi2 < least) {
        least = chi2;
        best = k;
      }
    }
    const double centre = options_.p_min + static_cast<double>(best) * step_;
    return golden_section(s, std::max(centre - step_, options_.p_min), std::min(centre + step_, options_.p_max));
  }

 private:
  double golden_section(const ScaledCurve& s, double lo, double hi) const {
    constexpr double kGolden = 0.61803398874989484820;
    const auto chi2 = [&](double p) { return solve_at(s, s.base(p), options_.correction).chi2; };
    double a = hi - kGolden * (hi - lo), b = lo + kGolden * (hi - lo), at_a = chi2(a), at_b = chi2(b);
    while (hi - lo > 1e-9) {
      if (at_a <= at_b) {
        hi = std::exchange(b, a);
        at_b = at_a;
        at_a = chi2(a = hi - kGolden * (hi - lo));
      } else {
        lo = std::exchange(a, b);
        at_a = at_b;
        at_b = chi2(b = lo + kGolden * (hi - lo));
      }
    }
    return 0.5 * (lo + hi);
  }

  PowerFitOptions options_;
  double step_ = 0;
  std::vector<std::vector<double>> grid_;  // x^-p / se at each exponent of the grid
};

std::string defect(const WidthCurve& curve, const PowerFitOptions& options) {
  const std::size_t count = curve.n.size(), parameters = options.correction ? 3 : 2;
  if (curve.y.size() != count || curve.se.size() != count) return "no fit: n, y and se have different lengths";
  if (count < parameters) {
    return "no fit: " + std::to_string(count) + " widths for " + std::to_string(parameters) +
           " parameters; add widths" + (options.correction && count == 2 ? ", or fix b = 0" : "");
  }
  double chi2_of_zero = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const bool sound = std::isfinite(curve.n[i]) && std::isfinite(curve.y[i]) && std::isfinite(curve.se[i]);
    if (!sound || curve.n[i] <= 0 || curve.se[i] <= 0) {
      return "no fit: at width " + std::to_string(curve.n[i]) + " a number is not finite, or se is not above 0";
    }
    if (i > 0 && curve.n[i] <= curve.n[i - 1]) return "no fit: the widths do not ascend";
    chi2_of_zero += curve.y[i] / curve.se[i] * (curve.y[i] / curve.se[i]);
  }
  const boost::math::chi_squared law(static_cast<double>(count));
  if (chi2_of_zero < boost::math::quantile(law, 0.95)) {
    return "no fit: the values cannot be told from zero (chi^2 of zero " + std::to_string(chi2_of_zero) + " at " +
           std::to_string(count) + " widths); add replicates";
  }
  return {};
}

/// Standard errors from the inverse of J^T J, J the weighted derivatives by (log a, p, c), carried to (A, p, b) with
/// log A = log a + p log n0 and b = c n0. False where the matrix is singular.
bool standard_errors(const ScaledCurve& s, const LinearPart& at, bool correction, PowerFit& fit) {
  const std::size_t size = correction ? 3 : 2;
  std::array<double, 9> matrix{};
  const std::vector<double> bases = s.base(fit.exponent);
  for (std::size_t i = 0; i < s.v.size(); ++i) {
    const double base = at.a * bases[i], model = base * (1 + at.c * s.inverse_x[i]);
    const std::array<double, 3> row{model, -model * s.log_x[i], base * s.inverse_x[i]};
    for (std::size_t j = 0; j < size; ++j) {
      for (std::size_t k = 0; k < size; ++k) matrix[j * size + k] += row[j] * row[k];
    }
  }
  const auto order = static_cast<lapack_int>(size);
  if (LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', order, matrix.data(), order) != 0) return false;
  if (LAPACKE_dpotri(LAPACK_ROW_MAJOR, 'L', order, matrix.data(), order) != 0) return false;
  const auto covariance = [&](std::size_t j, std::size_t k) { return matrix[j * size + k]; };  // lower part: j >= k
  const double log_n0 = std::log(s.n0);
  const double log_a = covariance(0, 0) + 2 * log_n0 * covariance(1, 0) + log_n0 * log_n0 * covariance(1, 1);
  fit.amplitude_se = std::abs(fit.amplitude) * std::sqrt(std::max(log_a, 0.0));
  fit.exponent_se = std::sqrt(covariance(1, 1));
  if (correction) fit.correction_se = std::sqrt(covariance(2, 2)) * s.n0;
  return std::isfinite(fit.amplitude_se) && std::isfinite(fit.exponent_se);
}

bool at_edge(double p, const PowerFitOptions& options) { return p < options.p_min + 1e-6 || p > options.p_max - 1e-6; }

}  // namespace

double PowerFit::operator()(double n) const { return amplitude * std::pow(n, -exponent) * (1 + correction / n); }

PowerFit fit_power(const WidthCurve& curve, const PowerFitOptions& options) {
  WIDELAB_REQUIRE(options.p_min < options.p_max, "a fit's p_min must lie below its p_max");
  PowerFit fit;
  fit.status = defect(curve, options);
  if (!fit.ok()) return fit;
  const ScaledCurve s = scale(curve);
  fit.exponent = ExponentSearch(s, options)(s);
  const LinearPart at = solve_at(s, s.base(fit.exponent), options.correction);
  fit.amplitude = at.a * std::pow(s.n0, fit.exponent);
  fit.correction = at.c * s.n0;
  fit.chi2 = at.chi2;
  fit.dof = static_cast<Index>(curve.n.size()) - (options.correction ? 3 : 2);
  if (at_edge(fit.exponent, options)) {
    fit.status = "no fit: the exponent lies at the edge of [" + std::to_string(options.p_min) + ", " +
                 std::to_string(options.p_max) + "]";
  } else if (std::abs(at.c) >= s.c_max * (1 - 1e-9)) {
    fit.status = "no fit: the correction b lies at its bound, the smallest width " + std::to_string(curve.n.front()) +
                 "; leave out the smallest widths, add replicates, or fix b = 0";
  } else if (!standard_errors(s, at, options.correction, fit)) {
    fit.status = "no fit: the widths do not determine all parameters; add widths, or fix b = 0";
  } else if (fit.dof > 0) {
    const boost::math::chi_squared law(static_cast<double>(fit.dof));
    fit.chi2_p = boost::math::cdf(boost::math::complement(law, fit.chi2));
  }
  return fit;
}

std::vector<LocalSlope> local_slopes(const WidthCurve& curve) {
  WIDELAB_REQUIRE(curve.y.size() == curve.n.size() && curve.se.size() == curve.n.size(),
                  "a width curve's n, y and se have different lengths");
  constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
  std::vector<LocalSlope> out;
  for (std::size_t i = 0; i + 1 < curve.n.size(); ++i) {
    LocalSlope slope{std::sqrt(curve.n[i] * curve.n[i + 1]), {kUndefined, kUndefined, 0}};
    const double ratio = curve.y[i + 1] / curve.y[i];
    if (std::isfinite(ratio) && ratio > 0) {
      const double octave = std::log(curve.n[i + 1] / curve.n[i]);
      slope.slope.value = std::log(ratio) / octave;
      slope.slope.se = std::hypot(curve.se[i] / curve.y[i], curve.se[i + 1] / curve.y[i + 1]) / octave;
    }
    out.push_back(slope);
  }
  return out;
}

FitInterval bootstrap_fit(const WidthCurve& curve, const Resampler& resampler, const PowerFitOptions& fit,
                          const BootstrapOptions& bootstrap) {
  WIDELAB_REQUIRE(bootstrap.level > 0 && bootstrap.level < 1, "an interval's level must lie between 0 and 1");
  const double tail = 0.5 * (1 - bootstrap.level);
  WIDELAB_REQUIRE(static_cast<double>(bootstrap.resamples) * tail >= 20,
                  "resamples = " + std::to_string(bootstrap.resamples) + ", too few for level " +
                      std::to_string(bootstrap.level) + "; allowed: 40 / (1 - level) or more");
  FitInterval out;
  out.level = bootstrap.level;
  out.resamples = bootstrap.resamples;
  out.status = fit_power(curve, fit).status;
  if (!out.ok()) return out;
  ScaledCurve s = scale(curve);
  const ExponentSearch search(s, fit);
  std::vector<double> exponents, corrections, y(curve.n.size());
  for (Index b = 0; b < bootstrap.resamples; ++b) {
    resampler(b, y);
    for (std::size_t i = 0; i < y.size(); ++i) s.v[i] = y[i] * s.inverse_se[i];
    exponents.push_back(search(s));
    corrections.push_back(solve_at(s, s.base(exponents.back()), fit.correction).c * s.n0);
  }
  const auto quantile = [](std::vector<double>& sample, double q) {
    const auto at = static_cast<std::ptrdiff_t>(std::lround(q * static_cast<double>(sample.size() - 1)));
    std::nth_element(sample.begin(), sample.begin() + at, sample.end());
    return sample[static_cast<std::size_t>(at)];
  };
  out.exponent_lo = quantile(exponents, tail);
  out.exponent_hi = quantile(exponents, 1 - tail);
  out.correction_lo = quantile(corrections, tail);
  out.correction_hi = quantile(corrections, 1 - tail);
  return out;
}

double log_slope(const std::vector<double>& x, const std::vector<double>& y) {
  double n = 0, mx = 0, my = 0, xx = 0, xy = 0;
  const auto counts = [&](std::size_t i) { return x[i] > 0 && y[i] > 0 && std::isfinite(x[i]) && std::isfinite(y[i]); };
  for (std::size_t i = 0; i < x.size(); ++i)
    if (counts(i)) mx += std::log(x[i]), my += std::log(y[i]), ++n;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (counts(i)) {
      const double dx = std::log(x[i]) - mx / n;
      xx += dx * dx;
      xy += dx * (std::log(y[i]) - my / n);
    }
  return n >= 3 && xx > 0 ? xy / xx : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace widelab::estimators
