#include "host/experiments/rate_transfer.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "host/experiments/width_fits.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double mean_without(const estimators::GroupSample& sample, Index left_out) {
  double sum = 0, count = 0;
  for (Index g = 0; g < sample.groups; ++g)
    if (g != left_out) {
      sum += sample.counts[static_cast<std::size_t>(g)] * sample.at(g, 0);
      count += sample.counts[static_cast<std::size_t>(g)];
    }
  return count > 0 ? sum / count : kNaN;
}

/// The best rate of one line of cells over the rates, with its jackknife error: cells are independent, so the squares
/// of the cells' contributions add up.
struct BestRate {
  double value = kNaN, se = kNaN;
  bool at_edge = false;
};

BestRate best_rate(const std::vector<double>& log2_rates, const std::vector<const FinalLoss*>& cells) {
  std::vector<double> losses;
  for (const FinalLoss* cell : cells) losses.push_back(mean_without(cell->groups, -1));
  BestRate out;
  out.value = best_log2_rate(log2_rates, losses);
  out.at_edge = out.value == log2_rates.front() || out.value == log2_rates.back();
  double variance = 0;
  for (std::size_t c = 0; c < cells.size(); ++c) {
    const Index groups = cells[c]->groups.groups;
    if (groups < 2) continue;
    std::vector<double> changed = losses;
    double sum = 0;
    for (Index g = 0; g < groups; ++g) {
      changed[c] = mean_without(cells[c]->groups, g);
      const double difference = best_log2_rate(log2_rates, changed) - out.value;
      sum += difference * difference;
    }
    variance += sum * static_cast<double>(groups - 1) / static_cast<double>(groups);
  }
  out.se = std::sqrt(variance);
  return out;
}

/// Slope of y over x and its error, least squares with unequal errors; a point without error counts like the most
/// precise of the others.
estimators::Estimate weighted_slope(const std::vector<double>& x, const std::vector<BestRate>& y) {
  double least = std::numeric_limits<double>::infinity();
  for (const BestRate& point : y)
    if (point.se > 0) least = std::min(least, point.se);
  if (!std::isfinite(least)) least = 1;
  double w = 0, wx = 0, wy = 0;
  Index used = 0;
  const auto weight = [&](const BestRate& point) {
    const double se = point.se > 0 ? point.se : least;
    return 1 / (se * se);
  };
  for (std::size_t k = 0; k < x.size(); ++k) {
    if (!std::isfinite(y[k].value) || y[k].at_edge) continue;
    w += weight(y[k]), wx += weight(y[k]) * x[k], wy += weight(y[k]) * y[k].value;
    ++used;
  }
  if (used < 2) return {kNaN, kNaN, 0};
  double sxx = 0, sxy = 0;
  for (std::size_t k = 0; k < x.size(); ++k) {
    if (!std::isfinite(y[k].value) || y[k].at_edge) continue;
    sxx += weight(y[k]) * (x[k] - wx / w) * (x[k] - wx / w);
    sxy += weight(y[k]) * (x[k] - wx / w) * (y[k].value - wy / w);
  }
  return {sxy / sxx, std::sqrt(1 / sxx), static_cast<double>(used)};
}

io::NamedArray array_over(const std::string& name, const std::string& description, const std::vector<io::Axis>& axes,
                          std::vector<double> values) {
  io::NamedArray array;
  array.name = name;
  array.units = "1";
  array.description = description;
  for (const io::Axis& axis : axes) {
    array.dims.push_back(axis.name);
    array.shape.push_back(axis.size());
  }
  array.values = std::move(values);
  return array;
}

/// Curves over the rates, one for each combination of the other axes, in their row-major order.
struct RateCurves {
  std::vector<io::Axis> curve_axes, line_axes;       ///< without the rate; without rate and width
  std::size_t outer = 1;                             ///< combinations of line_axes
  std::vector<std::vector<const FinalLoss*>> cells;  ///< by curve, by rising rate
  std::vector<std::size_t> line_of;                  ///< by curve: its combination of line_axes
  std::vector<double> log2_width;                    ///< by curve
};

/// `order`: subscripts of the rates, rising.
RateCurves rate_curves(const RunSetup& setup, const CellGrid& grid, const std::vector<FinalLoss>& losses,
                       std::size_t rate_axis, const std::vector<std::size_t>& order) {
  RateCurves out;
  const std::vector<io::SweepAxis>& axes = setup.sweep.axes;
  std::size_t curves = 1;
  for (std::size_t a = 0; a < axes.size(); ++a) {
    if (a == rate_axis) continue;
    out.curve_axes.push_back(grid.axes()[a]);
    curves *= axes[a].values.size();
    if (axes[a].key == "model.width") continue;
    out.line_axes.push_back(grid.axes()[a]);
    out.outer *= axes[a].values.size();
  }
  out.cells.assign(curves, std::vector<const FinalLoss*>(order.size()));
  out.line_of.resize(curves);
  out.log2_width.resize(curves);
  for (std::size_t c = 0; c < setup.sweep.cells.size(); ++c) {
    const std::vector<std::size_t>& at = setup.sweep.cells[c].subscripts;
    std::size_t curve = 0, line = 0;
    double width = 0;
    for (std::size_t a = 0; a < axes.size(); ++a) {
      if (a == rate_axis) continue;
      curve = curve * axes[a].values.size() + at[a];
      if (axes[a].key == "model.width")
        width = std::get<std::vector<double>>(grid.axes()[a].values)[at[a]];
      else
        line = line * axes[a].values.size() + at[a];
    }
    const auto place = std::find(order.begin(), order.end(), at[rate_axis]);
    out.cells[curve][static_cast<std::size_t>(place - order.begin())] = &losses[c];
    out.line_of[curve] = line;
    out.log2_width[curve] = std::log2(width);
  }
  return out;
}

}  // namespace

double best_log2_rate(const std::vector<double>& log2_rates, const std::vector<double>& losses) {
  std::size_t best = losses.size();
  for (std::size_t k = 0; k < losses.size(); ++k)
    if (std::isfinite(losses[k]) && (best == losses.size() || losses[k] < losses[best])) best = k;
  if (best == losses.size()) return kNaN;
  const bool inside =
      best > 0 && best + 1 < losses.size() && std::isfinite(losses[best - 1]) && std::isfinite(losses[best + 1]);
  if (!inside) return log2_rates[best];
  const double x0 = log2_rates[best - 1] - log2_rates[best], x2 = log2_rates[best + 1] - log2_rates[best];
  const double y0 = losses[best - 1] - losses[best], y2 = losses[best + 1] - losses[best];
  const double curvature = (y0 / x0 - y2 / x2) / (x0 - x2), slope = y0 / x0 - curvature * x0;
  return curvature > 0 ? log2_rates[best] - slope / (2 * curvature) : log2_rates[best];
}

void add_rate_transfer(const RunSetup& setup, const CellGrid& grid, const std::vector<FinalLoss>& losses,
                       io::Result& result) {
  std::size_t rate_axis = setup.sweep.axes.size();
  for (std::size_t a = 0; a < setup.sweep.axes.size(); ++a)
    if (setup.sweep.axes[a].key == "train.learning_rate") rate_axis = a;
  const std::vector<WidthLine> lines = width_lines(setup.sweep, grid);
  if (lines.empty() || rate_axis == setup.sweep.axes.size()) return;
  const auto& rates = std::get<std::vector<double>>(grid.axes()[rate_axis].values);
  std::vector<std::size_t> order(rates.size());
  for (std::size_t k = 0; k < order.size(); ++k) order[k] = k;
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return rates[a] < rates[b]; });
  std::vector<double> log2_rates;
  for (const std::size_t k : order) {
    if (!(rates[k] > 0)) return;
    log2_rates.push_back(std::log2(rates[k]));
  }

  const RateCurves found_curves = rate_curves(setup, grid, losses, rate_axis, order);
  const std::size_t curves = found_curves.cells.size(), outer = found_curves.outer;
  std::vector<double> best(curves), se(curves), edge(curves), power(outer), power_se(outer);
  std::vector<std::vector<BestRate>> by_line(outer);
  std::vector<std::vector<double>> widths_by_line(outer);
  for (std::size_t k = 0; k < curves; ++k) {
    const BestRate found = best_rate(log2_rates, found_curves.cells[k]);
    best[k] = found.value;
    se[k] = found.se;
    edge[k] = found.at_edge ? 1 : 0;
    by_line[found_curves.line_of[k]].push_back(found);
    widths_by_line[found_curves.line_of[k]].push_back(found_curves.log2_width[k]);
  }
  for (std::size_t k = 0; k < outer; ++k) {
    const estimators::Estimate slope = weighted_slope(widths_by_line[k], by_line[k]);
    power[k] = slope.value;
    power_se[k] = slope.se;
  }
  result.extras.push_back(array_over("best_log2_rate", "log2 of the learning rate with the least final loss",
                                     found_curves.curve_axes, std::move(best)));
  result.extras.push_back(array_over("best_log2_rate_error", "its standard error, jackknife over networks",
                                     found_curves.curve_axes, std::move(se)));
  result.extras.push_back(array_over("best_rate_at_edge", "1 where the best rate is the smallest or largest swept",
                                     found_curves.curve_axes, std::move(edge)));
  result.extras.push_back(array_over("best_rate_power", "p of best rate ~ n^p over widths, edges left out",
                                     found_curves.line_axes, std::move(power)));
  result.extras.push_back(
      array_over("best_rate_power_error", "its standard error", found_curves.line_axes, std::move(power_se)));
}

}  // namespace widelab::experiments
