#include "host/experiments/width_fits.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "host/estimators/power_fit.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
// Deviations that theory gives an exponent: mean squares and signed projections fall as 1/n.
constexpr Index kFitted[] = {1, 2, 5, 6};
constexpr std::size_t kFitNumbers = 9;

}  // namespace

/// The cells along the width axis at fixed other coordinates.
struct WidthFits::Curve {
  std::size_t outer = 0;          // position among the other axes
  estimators::WidthCurve points;  // widths at or above fit.min_width
  std::vector<estimators::GroupSample> groups;
  std::vector<std::size_t> positions;  // of the points, in the grid
};

std::vector<io::KeySpec> width_fit_keys() {
  io::KeySpec least, correction, resamples;
  least.path = "fit.min_width";
  least.type = io::KeyType::integer;
  least.default_value = "64";
  least.minimum = 1;
  least.doc = "Narrower networks are left out of the fits of A n^-p (1 + b/n).";
  correction.path = "fit.correction";
  correction.type = io::KeyType::boolean;
  correction.default_value = "true";
  correction.doc = "Fit b; false: a pure power law.";
  resamples.path = "fit.resamples";
  resamples.type = io::KeyType::integer;
  resamples.default_value = "1000";
  resamples.minimum = 800;
  resamples.maximum = 1e6;
  resamples.doc = "Bootstrap resamples over networks for the 95 % interval of p.";
  return {least, correction, resamples};
}

WidthFits::WidthFits(const RunSetup& setup, const CellGrid& grid) : setup_(setup), grid_(grid) {
  for (std::size_t a = 0; a < setup.sweep.axes.size(); ++a)
    if (setup.sweep.full_product && setup.sweep.axes[a].key == "model.width") {
      width_axis_ = a;
      active_ = true;
    }
  samples_.assign(estimators::kNetworkScalarCount, std::vector<estimators::GroupSample>(grid.size()));
  values_.assign(estimators::kNetworkScalarCount, std::vector<estimators::Estimate>(grid.size(), {kNaN, kNaN, 0}));
}

void WidthFits::add(std::size_t cell, const estimators::KernelStatistics& statistics) {
  if (!active_) return;
  const auto means = statistics.scalars().estimate(estimators::Statistic::mean);
  const estimators::GroupSample all = statistics.scalars().group_sample(estimators::Statistic::mean);
  for (const Index s : kFitted) {
    estimators::GroupSample one;
    one.groups = all.groups;
    one.entries = 1;
    one.counts = all.counts;
    for (Index g = 0; g < all.groups; ++g) one.values.push_back(all.at(g, s));
    samples_[static_cast<std::size_t>(s)][grid_.position(cell)] = std::move(one);
    values_[static_cast<std::size_t>(s)][grid_.position(cell)] = means[static_cast<std::size_t>(s)];
  }
}

std::vector<WidthFits::Curve> WidthFits::curves(Index scalar) const {
  const std::vector<std::size_t> shape = grid_.shape();
  const auto& widths = std::get<std::vector<double>>(grid_.axes()[width_axis_].values);
  std::size_t stride = 1;
  for (std::size_t a = width_axis_ + 1; a < shape.size(); ++a) stride *= shape[a];
  const double least = static_cast<double>(setup_.recipe->integer("fit.min_width"));
  std::vector<std::size_t> order(widths.size());
  for (std::size_t w = 0; w < order.size(); ++w) order[w] = w;
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return widths[a] < widths[b]; });
  std::vector<Curve> out;
  for (std::size_t outer = 0; outer < grid_.size() / widths.size(); ++outer) {
    Curve curve;
    curve.outer = outer;
    for (const std::size_t w : order) {
      const std::size_t position = (outer / stride) * stride * widths.size() + w * stride + outer % stride;
      const estimators::Estimate& value = values_[static_cast<std::size_t>(scalar)][position];
      if (widths[w] < least || !value.defined() || value.se <= 0) continue;
      curve.points.n.push_back(widths[w]);
      curve.points.y.push_back(value.value);
      curve.points.se.push_back(value.se);
      curve.groups.push_back(samples_[static_cast<std::size_t>(scalar)][position]);
      curve.positions.push_back(position);
    }
    out.push_back(std::move(curve));
  }
  return out;
}

void WidthFits::write(io::Result& result) const {
  if (!active_) return;
  std::vector<std::string> outer_dims;
  std::vector<std::size_t> outer_shape;
  for (std::size_t a = 0; a < grid_.axes().size(); ++a)
    if (a != width_axis_) {
      outer_dims.push_back(grid_.axes()[a].name);
      outer_shape.push_back(grid_.shape()[a]);
    }
  io::Axis numbers;
  numbers.name = "fit_number";
  numbers.units = "1";
  numbers.description = "A n^-p (1 + b/n): numbers of a fit; p_low and p_high bound the 95 % interval";
  numbers.values =
      std::vector<std::string>{"A", "p", "p_low", "p_high", "b", "b_low", "b_high", "chi2_per_dof", "chi2_p"};
  result.axes.push_back(numbers);
  for (const Index scalar : kFitted) {
    const std::string name = estimators::kNetworkScalars[scalar];
    std::vector<double> fitted, slope(grid_.size(), kNaN), slope_se(grid_.size(), kNaN);
    std::string reasons;
    for (const Curve& curve : curves(scalar)) {
      const std::vector<estimators::LocalSlope> slopes = estimators::local_slopes(curve.points);
      for (std::size_t w = 0; w < slopes.size(); ++w) {
        slope[curve.positions[w]] = slopes[w].slope.value;
        slope_se[curve.positions[w]] = slopes[w].slope.se;
      }
      estimators::PowerFitOptions options;
      options.correction = setup_.recipe->flag("fit.correction");
      estimators::BootstrapOptions bootstrap;
      bootstrap.resamples = setup_.recipe->integer("fit.resamples");
      bootstrap.key = role_key(setup_.seed, "bootstrap", name);
      bootstrap.shared_draws = !setup_.recipe->texts("seeds.shared").empty();
      const estimators::PowerFit fit = estimators::fit_power(curve.points, options);
      if (!fit.ok()) {
        reasons += (reasons.empty() ? "" : "; ") + fit.status;
        fitted.insert(fitted.end(), kFitNumbers, kNaN);
        continue;
      }
      const auto interval = estimators::bootstrap_fit(
          curve.points, estimators::group_resampler(curve.points, curve.groups, bootstrap), options, bootstrap);
      const double chi2 = fit.dof > 0 ? fit.chi2 / static_cast<double>(fit.dof) : kNaN;
      fitted.insert(fitted.end(), {fit.amplitude, fit.exponent, interval.exponent_lo, interval.exponent_hi,
                                   fit.correction, interval.correction_lo, interval.correction_hi, chi2, fit.chi2_p});
    }
    io::NamedArray array;
    array.name = name + "_fit";
    array.units = "1";
    array.description = "fit of " + name + " over width";
    array.dims = outer_dims;
    array.dims.push_back("fit_number");
    array.shape = outer_shape;
    array.shape.push_back(kFitNumbers);
    array.values = std::move(fitted);
    if (!reasons.empty()) array.attributes.emplace_back("no_fit", reasons);
    result.extras.push_back(std::move(array));
    const std::string what = "d log|" + name + "| / d log n from this width to the next";
    result.extras.push_back(cell_array(grid_, name + "_local_slope", what, std::move(slope)));
    result.extras.push_back(
        cell_array(grid_, name + "_local_slope_se", what + ", standard error", std::move(slope_se)));
  }
}

}  // namespace widelab::experiments
