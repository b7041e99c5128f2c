// How fast does a quantity fall with width? Fits of y(n) = A n^-p (1 + b / n), local slopes, and intervals for p by
// bootstrap over networks.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "host/estimators/estimate.hpp"

namespace widelab::estimators {

/// y +- se measured at widths n, with independent errors; n ascending and positive, se > 0.
struct WidthCurve {
  std::vector<double> n, y, se;
};

struct PowerFitOptions {
  bool correction = true;  // fit b; otherwise b = 0
  double p_min = -4, p_max = 8;
};

/// y = A n^-p (1 + b / n). The numbers mean something only where ok().
struct PowerFit {
  double amplitude = 0, exponent = 0, correction = 0;           // A, p, b
  double amplitude_se = 0, exponent_se = 0, correction_se = 0;  // from the curvature of chi^2; 0 for a fixed b
  double chi2 = 0, chi2_p = 1;                                  // p-value 1 where nothing is left over (dof = 0)
  Index dof = 0;
  std::string status;  // why there is no fit; empty when there is one

  bool ok() const { return status.empty(); }
  double operator()(double n) const;
};

/// Weighted least squares, profiled: A and A b solve a linear problem at each p, and p minimises what is left, first on
/// a grid of step 1/20 and then by golden section. No fit, with its reason in `status`: fewer widths than parameters,
/// a number that is not finite, se <= 0, widths that do not ascend, values compatible with zero (chi^2 of y = 0 below
/// its 95 % point), an exponent at the edge of [p_min, p_max], or |b| at its bound.
///
/// |b| <= n_min, the smallest width: without a bound, b -> infinity at exponent p - 1 is the pure law n^-p once more,
/// and no exponent would be determined.
PowerFit fit_power(const WidthCurve& curve, const PowerFitOptions& options = {});

/// d log|y| / d log n between two neighbouring widths, at their geometric mean; tends to -p. A slope between values of
/// different sign, or from a value that is zero, is not defined (value.defined() is false).
struct LocalSlope {
  double n = 0;
  Estimate slope;  // count: that of neither; 0
};
std::vector<LocalSlope> local_slopes(const WidthCurve& curve);

/// One resample's curve: fills y (one value a width) for resample number b.
using Resampler = std::function<void(Index resample, std::span<double> y)>;

/// Percentile interval of p and b.
struct FitInterval {
  double exponent_lo = 0, exponent_hi = 0, correction_lo = 0, correction_hi = 0;
  double level = 0;
  Index resamples = 0;
  std::string status;

  bool ok() const { return status.empty(); }
};

struct BootstrapOptions {
  Index resamples = 1000;
  double level = 0.95;
  std::uint64_t key = 0;      // of Stream::bootstrap
  bool shared_draws = false;  // networks of all widths share draws: resample the groups of all widths together
};

/// Fits each resample with the weights of `curve`. A resample whose exponent lies at an edge counts with that edge, so
/// the interval shows it. No interval, with a status, where `curve` itself has no fit. Errors: ContractError unless
/// resamples >= 40 / (1 - level) (20 beyond each end) and 0 < level < 1.
FitInterval bootstrap_fit(const WidthCurve& curve, const Resampler& resampler, const PowerFitOptions& fit = {},
                          const BootstrapOptions& bootstrap = {});

/// Resamples whole groups of networks: per_width[i] has the groups of width i with one entry (for statistics other
/// than means: jackknife pseudo-values). Resampled deviations are widened by sqrt(G / (G - 1)), so that their variance
/// is the unbiased one, and added to curve.y. A width's draws depend on its value n, not on its place in the list.
/// Errors: ContractError unless there is one sample a width, with one entry and two groups or more, and, for shared
/// draws, as many groups everywhere.
Resampler group_resampler(const WidthCurve& curve, std::vector<GroupSample> per_width,
                          const BootstrapOptions& bootstrap = {});

/// Least-squares slope of log y over log x, over the entries where both are positive and finite; NaN with fewer than
/// three of them.
double log_slope(const std::vector<double>& x, const std::vector<double>& y);

}  // namespace widelab::estimators
