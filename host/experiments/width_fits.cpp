#include "host/experiments/width_fits.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "host/estimators/power_fit.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kFitNumbers = 9;

/// One curve's numbers, A ... chi2_p; returns why there is no fit.
std::string fit_curve(const RunSetup& setup, const std::string& name, const estimators::WidthCurve& points,
                      const std::vector<estimators::GroupSample>& groups, double* out) {
  estimators::PowerFitOptions options;
  options.correction = setup.recipe->flag("fit.correction");
  estimators::BootstrapOptions bootstrap;
  bootstrap.resamples = setup.recipe->integer("fit.resamples");
  bootstrap.key = role_key(setup.seed, "bootstrap", name);
  bootstrap.shared_draws = !setup.recipe->texts("seeds.shared").empty();
  const estimators::PowerFit fit = estimators::fit_power(points, options);
  if (!fit.ok()) return fit.status;
  const auto interval =
      estimators::bootstrap_fit(points, estimators::group_resampler(points, groups, bootstrap), options, bootstrap);
  const double chi2 = fit.dof > 0 ? fit.chi2 / static_cast<double>(fit.dof) : kNaN;
  const double numbers[kFitNumbers] = {fit.amplitude,          fit.exponent,   interval.exponent_lo,
                                       interval.exponent_hi,   fit.correction, interval.correction_lo,
                                       interval.correction_hi, chi2,           fit.chi2_p};
  std::copy(numbers, numbers + kFitNumbers, out);
  return "";
}

}  // namespace

/// The cells along the width axis at fixed other coordinates.
struct WidthFits::Curve {
  std::size_t outer = 0;          // position among the other axes
  estimators::WidthCurve points;  // widths at or above fit.min_width
  std::vector<estimators::GroupSample> groups;
  std::vector<std::size_t> positions;  // of the points: slots
};

std::vector<io::KeySpec> width_fit_keys() {
  return {io::make_key("fit.min_width", io::KeyType::integer, "64",
                       "Narrower networks are left out of the fits of A n^-p (1 + b/n).", 1),
          io::make_key("fit.correction", io::KeyType::boolean, "true", "Fit b; false: a pure power law."),
          io::make_key("fit.resamples", io::KeyType::integer, "1000",
                       "Bootstrap resamples over networks for the 95 % interval of p.", 800, 1e6)};
}

std::vector<WidthLine> width_lines(const io::Sweep& sweep, const CellGrid& grid) {
  std::size_t axis = sweep.axes.size();
  for (std::size_t a = 0; a < sweep.axes.size(); ++a)
    if (sweep.axes[a].key == "model.width") axis = a;
  if (!sweep.full_product || axis == sweep.axes.size()) return {};
  const std::vector<std::size_t> shape = grid.shape();
  std::size_t stride = 1;
  for (std::size_t a = axis + 1; a < shape.size(); ++a) stride *= shape[a];
  const auto& widths = std::get<std::vector<double>>(grid.axes()[axis].values);
  std::vector<std::size_t> order(widths.size()), cell_at(grid.size());
  for (std::size_t w = 0; w < order.size(); ++w) order[w] = w;
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return widths[a] < widths[b]; });
  for (std::size_t c = 0; c < sweep.cells.size(); ++c) cell_at[grid.position(c)] = c;
  std::vector<WidthLine> lines;
  for (std::size_t outer = 0; outer < grid.size() / widths.size(); ++outer) {
    WidthLine line;
    for (const std::size_t w : order) {
      line.widths.push_back(widths[w]);
      line.positions.push_back((outer / stride) * stride * widths.size() + w * stride + outer % stride);
      line.cells.push_back(cell_at[line.positions.back()]);
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

WidthFits::WidthFits(const RunSetup& setup, const CellGrid& grid, FittedQuantities quantities)
    : setup_(setup), grid_(grid), quantities_(std::move(quantities)), lines_(width_lines(setup.sweep, grid)) {
  const std::size_t slots = grid.size() * quantities_.inner;
  samples_.assign(quantities_.names.size(), std::vector<estimators::GroupSample>(slots));
  values_.assign(quantities_.names.size(), std::vector<estimators::Estimate>(slots, {kNaN, kNaN, 0}));
}

void WidthFits::add(std::size_t cell, std::size_t quantity, const estimators::Estimate& value,
                    estimators::GroupSample groups, std::size_t entry) {
  if (lines_.empty()) return;
  const std::size_t at = slot(grid_.position(cell), entry);
  samples_[quantity][at] = std::move(groups);
  values_[quantity][at] = value;
}

estimators::GroupSample one_entry(const estimators::GroupSample& sample, Index entry) {
  estimators::GroupSample one;
  one.groups = sample.groups;
  one.entries = 1;
  one.counts = sample.counts;
  for (Index g = 0; g < sample.groups; ++g) one.values.push_back(sample.at(g, entry));
  return one;
}

std::vector<WidthFits::Curve> WidthFits::curves(std::size_t quantity, std::size_t entry) const {
  const double least = static_cast<double>(setup_.recipe->integer("fit.min_width"));
  std::vector<Curve> out;
  for (const WidthLine& line : lines_) {
    Curve curve;
    curve.outer = out.size();
    for (std::size_t w = 0; w < line.widths.size(); ++w) {
      const std::size_t at = slot(line.positions[w], entry);
      const estimators::Estimate& value = values_[quantity][at];
      if (line.widths[w] < least || !value.defined() || value.se <= 0) continue;
      curve.points.n.push_back(line.widths[w]);
      curve.points.y.push_back(value.value);
      curve.points.se.push_back(value.se);
      curve.groups.push_back(samples_[quantity][at]);
      curve.positions.push_back(at);
    }
    out.push_back(std::move(curve));
  }
  return out;
}

void WidthFits::write(io::Result& result) const {
  if (lines_.empty()) return;
  std::vector<std::string> outer_dims;
  std::vector<std::size_t> outer_shape;
  std::size_t outer = 1;
  for (std::size_t a = 0; a < grid_.axes().size(); ++a)
    if (setup_.sweep.axes[a].key != "model.width") {
      outer_dims.push_back(grid_.axes()[a].name);
      outer_shape.push_back(grid_.shape()[a]);
      outer *= grid_.shape()[a];
    }
  io::Axis numbers;
  numbers.name = "fit_number";
  numbers.units = "1";
  numbers.description = "A n^-p (1 + b/n): numbers of a fit; p_low and p_high bound the 95 % interval";
  numbers.values =
      std::vector<std::string>{"A", "p", "p_low", "p_high", "b", "b_low", "b_high", "chi2_per_dof", "chi2_p"};
  result.axes.push_back(numbers);
  for (std::size_t q = 0; q < quantities_.names.size(); ++q) {
    const std::string& name = quantities_.names[q];
    const std::size_t slots = grid_.size() * quantities_.inner;
    std::vector<double> fitted(outer * quantities_.inner * kFitNumbers, kNaN), slope(slots, kNaN),
        slope_se(slots, kNaN);
    std::set<std::string> reasons;
    for (std::size_t entry = 0; entry < quantities_.inner; ++entry)
      for (const Curve& curve : curves(q, entry)) {
        const std::vector<estimators::LocalSlope> slopes = estimators::local_slopes(curve.points);
        for (std::size_t w = 0; w < slopes.size(); ++w) {
          slope[curve.positions[w]] = slopes[w].slope.value;
          slope_se[curve.positions[w]] = slopes[w].slope.se;
        }
        const std::string reason = fit_curve(setup_, name, curve.points, curve.groups,
                                             &fitted[(curve.outer * quantities_.inner + entry) * kFitNumbers]);
        if (!reason.empty()) reasons.insert(reason);
      }
    io::NamedArray array;
    array.name = name + "_fit";
    array.units = "1";
    array.description = "fit of " + name + " over width";
    array.dims = outer_dims;
    array.shape = outer_shape;
    if (!quantities_.inner_dim.empty()) {
      array.dims.push_back(quantities_.inner_dim);
      array.shape.push_back(quantities_.inner);
    }
    array.dims.push_back("fit_number");
    array.shape.push_back(kFitNumbers);
    array.values = std::move(fitted);
    std::string no_fit;
    for (const std::string& reason : reasons) no_fit += (no_fit.empty() ? "" : "; ") + reason;
    if (!no_fit.empty()) array.attributes.emplace_back("no_fit", no_fit);
    result.extras.push_back(std::move(array));
    const std::string what = "d log|" + name + "| / d log n from this width to the next";
    result.extras.push_back(
        cell_array(grid_, name + "_local_slope", what, std::move(slope), quantities_.inner_dim, quantities_.inner));
    result.extras.push_back(cell_array(grid_, name + "_local_slope_se", what + ", standard error", std::move(slope_se),
                                       quantities_.inner_dim, quantities_.inner));
  }
}

}  // namespace widelab::experiments
