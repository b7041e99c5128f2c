// How the mean square deviation of a kernel from its limit falls with width: measured curves, fits, intervals.
#pragma once

#include "host/estimators/kernel_statistics.hpp"
#include "host/estimators/power_fit.hpp"
#include "tests/validation/ensemble.hpp"

namespace widelab::test {

/// Square deviations |K - K0|^2 / |K0|^2 of the NTK and of the NNGP Gram among the scalars of KernelStatistics.
enum class Kernel : Index { ntk = 1, nngp = 5 };

/// E |K - K0|^2 / |K0|^2 over widths, and the groups of networks behind each point.
struct MeasuredCurve {
  estimators::WidthCurve points;
  std::vector<GroupSample> groups;
};

/// Both kernels over widths; K0 is the limit of `limit(width)`, networks are those of `drawn(width)`.
struct CurveSetup {
  std::function<Network(Index)> drawn, limit;
  std::vector<double> inputs;
  std::vector<Index> widths;
  Index networks = 1000;
  std::uint64_t seed = 1;
};

inline GroupSample one_entry(const GroupSample& all, Index entry) {
  GroupSample out{all.groups, 1, {}, all.counts};
  for (Index g = 0; g < all.groups; ++g) out.values.push_back(all.at(g, entry));
  return out;
}

/// [NTK, NNGP].
inline std::array<MeasuredCurve, 2> measure_curves(const CurveSetup& setup) {
  std::array<MeasuredCurve, 2> curves;
  for (const Index width : setup.widths) {
    const Ensemble ensemble{setup.drawn(width), setup.inputs, setup.networks,
                            setup.seed + static_cast<std::uint64_t>(width)};
    const Index n = ensemble.examples();
    const auto x = matrix_view<const double>(setup.inputs.data(), n, ensemble.network.shape.input_dim);
    const theory::KernelPair limit = theory::infinite_width_kernels(setup.limit(width), x);
    estimators::KernelStatistics statistics(n, limit.ntk, limit.nngp, false);
    draw(ensemble, [&](const engine::MemberKernels& m) { statistics.add(m); });
    const GroupSample means = statistics.scalars().group_sample(Statistic::mean);
    const auto estimates = statistics.scalars().estimate(Statistic::mean);
    for (const Kernel kernel : {Kernel::ntk, Kernel::nngp}) {
      MeasuredCurve& curve = curves[kernel == Kernel::ntk ? 0 : 1];
      const auto entry = static_cast<std::size_t>(kernel);
      curve.points.n.push_back(static_cast<double>(width));
      curve.points.y.push_back(estimates[entry].value);
      curve.points.se.push_back(estimates[entry].se);
      curve.groups.push_back(one_entry(means, static_cast<Index>(entry)));
    }
  }
  return curves;
}

/// Whether the curve is A n^-p (1 + b / n) at p = `exponent`: the fit's chi^2 at rate alpha / 2, and `exponent` in the
/// bootstrap interval of p at level 1 - alpha / 2. Prints fit, interval and local slopes.
inline bool falls_as_power(const MeasuredCurve& curve, double exponent, double alpha) {
  const estimators::PowerFit fit = estimators::fit_power(curve.points);
  estimators::BootstrapOptions options;
  options.level = 1 - alpha / 2;
  options.resamples = static_cast<Index>(std::ceil(80.001 / alpha));
  options.key = 31;
  const auto resampler = estimators::group_resampler(curve.points, curve.groups, options);
  const estimators::FitInterval interval = estimators::bootstrap_fit(curve.points, resampler, {}, options);
  std::printf("  p = %.3f in [%.3f, %.3f], b = %.1f, chi2 %.1f on %ld (p %.3g) %s\n   local slopes", fit.exponent,
              interval.exponent_lo, interval.exponent_hi, fit.correction, fit.chi2, static_cast<long>(fit.dof),
              fit.chi2_p, fit.status.c_str());
  for (const auto& slope : estimators::local_slopes(curve.points))
    std::printf("  %.0f: %.3f(%.0f)", slope.n, slope.slope.value, 1000 * slope.slope.se);
  std::printf("\n");
  return fit.ok() && interval.ok() && fit.chi2_p > alpha / 2 && interval.exponent_lo <= exponent &&
         exponent <= interval.exponent_hi;
}

inline bool falls_as_inverse_width(const MeasuredCurve& curve, double alpha) { return falls_as_power(curve, 1, alpha); }

}  // namespace widelab::test
