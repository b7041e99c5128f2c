#include "host/experiments/axis_limits.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <utility>

#include "host/estimators/power_fit.hpp"
#include "host/estimators/significance.hpp"
#include "host/estimators/zero_limit_fit.hpp"
#include "host/experiments/width_allowance.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<double> numbers_of(const io::SweepAxis& axis) {
  std::vector<double> out;
  for (const io::Value& value : axis.values) {
    if (const auto* integer = std::get_if<std::int64_t>(&value)) out.push_back(static_cast<double>(*integer));
    if (const auto* real = std::get_if<double>(&value)) out.push_back(*real);
  }
  return out;
}

/// An observable that is NaN everywhere.
io::Observable empty_observable(const std::string& name, const std::string& description, const std::string& prediction,
                                std::vector<std::string> dims, std::size_t entries) {
  io::Observable out;
  out.name = name;
  out.units = "1";
  out.description = description;
  out.prediction = prediction;
  out.dims = std::move(dims);
  for (auto* values : {&out.mean, &out.se, &out.count, &out.theory, &out.theory_error, &out.z})
    values->assign(entries, kNaN);
  return out;
}

void set(io::Observable& observable, std::size_t k, const estimators::Estimate& estimate, Prediction prediction) {
  observable.mean[k] = estimate.value;
  observable.se[k] = estimate.se;
  observable.count[k] = estimate.count;
  observable.theory[k] = prediction.value;
  observable.theory_error[k] = prediction.error;
  if (estimate.defined() && std::isfinite(prediction.value))
    observable.z[k] = estimators::z_score(estimate.value, estimate.se, prediction.value, prediction.error);
}

io::NamedArray array_like(const io::Observable& observable, const std::vector<std::size_t>& shape,
                          const std::string& suffix, const std::string& description, std::vector<double> values) {
  io::NamedArray out;
  out.name = observable.name + suffix;
  out.units = "1";
  out.description = description;
  out.dims = observable.dims;
  out.shape = shape;
  out.values = std::move(values);
  return out;
}

}  // namespace

io::KeySpec limit_fit_key() {
  return io::make_key("fit.degree", io::KeyType::integer, "1",
                      "Degree of the polynomial in the swept step or noise whose value at 0 is reported; needs one "
                      "more value of it than that.",
                      1, 2);
}

AxisLimits::AxisLimits(const RunSetup& setup, const CellGrid& grid, LimitAxis axis)
    : degree_(static_cast<int>(setup.recipe->integer("fit.degree"))),
      setup_(setup),
      grid_(grid),
      axis_(std::move(axis)) {
  const auto& axes = setup.sweep.axes;
  const auto found =
      std::find_if(axes.begin(), axes.end(), [&](const io::SweepAxis& one) { return one.key == axis_.key; });
  if (!setup.sweep.full_product || found == axes.end()) return;
  swept_ = static_cast<std::size_t>(found - axes.begin());
  active_ = numbers_of(*found).size() > static_cast<std::size_t>(degree_);
  for (std::size_t a = 0; a < axes.size(); ++a) {
    if (a == swept_) continue;
    others_.push_back(a);
    dims_.push_back(axes[a].label);
    shape_.push_back(axes[a].values.size());
    size_ *= shape_.back();
  }
}

std::size_t AxisLimits::reduced(std::size_t cell) const {
  std::size_t at = 0;
  for (std::size_t k = 0; k < others_.size(); ++k)
    at = at * shape_[k] + setup_.sweep.cells[cell].subscripts[others_[k]];
  return at;
}

void AxisLimits::extrapolate(const io::Observable& of, const LimitTheory& theory, io::Result& result) {
  if (!active_) return;
  const std::size_t inner = of.mean.size() / grid_.size(), outer_dims = grid_.dims().size();
  const std::vector<double> steps = numbers_of(setup_.sweep.axes[swept_]);
  std::vector<std::string> dims = dims_;
  dims.insert(dims.end(), of.dims.begin() + static_cast<std::ptrdiff_t>(outer_dims), of.dims.end());
  std::vector<std::size_t> shape = shape_;
  if (dims.size() > dims_.size()) shape.push_back(inner);
  io::Observable limit = empty_observable(of.name + axis_.suffix, of.description + ", extrapolated to " + axis_.words,
                                          theory.words, dims, size_ * inner);
  std::vector<double> slope(size_ * inner, kNaN), chi2_p(slope), chi2(slope);
  for (std::size_t e = 0; e < inner; ++e) {
    std::map<std::size_t, estimators::StepCurve> curves;
    std::map<std::size_t, double> expected, chains;  // the least number of chains behind a limit
    for (std::size_t c = 0; c < setup_.sweep.cells.size(); ++c) {
      const std::size_t at = grid_.position(c) * inner + e;
      estimators::StepCurve& curve = curves[reduced(c)];
      curve.x.push_back(steps[setup_.sweep.cells[c].subscripts[swept_]]);
      curve.y.push_back(of.mean[at]);
      curve.se.push_back(of.se[at]);
      if (std::isfinite(theory.value[at])) expected[reduced(c)] = theory.value[at];
      if (!chains.count(reduced(c)) || of.count[at] < chains[reduced(c)]) chains[reduced(c)] = of.count[at];
    }
    for (const auto& [position, curve] : curves) {
      estimators::ZeroLimit fit = estimators::fit_zero_limit(curve, degree_);
      if (!fit.ok()) continue;
      const std::size_t k = position * inner + e;
      fit.limit.count = chains[position];
      set(limit, k, fit.limit, {expected.count(position) ? expected[position] : kNaN});
      slope[k] = fit.slope.value;
      chi2[k] = fit.dof > 0 ? fit.chi2 / static_cast<double>(fit.dof) : kNaN;
      if (fit.dof > 0) chi2_p[k] = fit.chi2_p;
    }
  }
  result.extras.push_back(array_like(limit, shape, "_slope", "its derivative by " + axis_.key + " at 0", slope));
  result.extras.push_back(
      array_like(limit, shape, "_chi2_per_dof", "chi^2 of the extrapolation a degree of freedom", chi2));
  result.extras.push_back(array_like(limit, shape, "_chi2_p", "p-value of that chi^2", chi2_p));
  if (!theory.exact)
    result.extras.push_back(array_like(limit, shape, "_mean_is_exact", "0: a limit of infinite width, shown beside",
                                       std::vector<double>(size_ * inner, 0.0)));
  result.observables.push_back(std::move(limit));
}

std::vector<AxisLimits::WidthPlaces> AxisLimits::width_lines(const std::vector<double>& widths,
                                                             std::size_t axis) const {
  std::size_t stride = 1;
  for (std::size_t k = axis + 1; k < shape_.size(); ++k) stride *= shape_[k];
  std::vector<std::size_t> order(widths.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return widths[a] < widths[b]; });
  std::vector<WidthPlaces> lines;
  for (std::size_t first = 0; first < size_; ++first) {
    if (first / stride % widths.size() != 0) continue;
    WidthPlaces line;
    for (const std::size_t w : order) {
      line.widths.push_back(widths[w]);
      line.places.push_back(first + w * stride);
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

void AxisLimits::shift_with_width(const io::Observable& of, io::Result& result) {
  const auto& axes = setup_.sweep.axes;
  std::size_t axis = others_.size();
  for (std::size_t k = 0; k < others_.size(); ++k)
    if (axes[others_[k]].key == "model.width") axis = k;
  if (!active_ || axis == others_.size()) return;
  const auto found = std::find_if(result.observables.begin(), result.observables.end(),
                                  [&](const io::Observable& one) { return one.name == of.name + axis_.suffix; });
  if (found == result.observables.end()) return;
  const io::Observable& limit = *found;  // until the list grows, at the end
  const std::vector<WidthPlaces> lines = width_lines(numbers_of(axes[others_[axis]]), axis);
  io::Observable shift =
      empty_observable(of.name + "_width_shift", "n (" + limit.name + " - its limit of infinite width)",
                       "c + b / n of the two smallest widths", dims_, size_);
  std::vector<std::string> without_width = dims_;
  without_width.erase(without_width.begin() + static_cast<std::ptrdiff_t>(axis));
  io::Observable exponent =
      empty_observable(of.name + "_width_exponent", "p of a power law n^-p through that deviation",
                       "1 in the limit of infinite width", without_width, lines.size());
  std::vector<double> tested(size_, 0.0);
  for (std::size_t l = 0; l < lines.size(); ++l) {
    ScaledShift scaled;
    estimators::WidthCurve curve;
    for (std::size_t w = 0; w < lines[l].widths.size(); ++w) {
      const std::size_t k = lines[l].places[w];
      const double deviation = limit.mean[k] - limit.theory[k], n = lines[l].widths[w];
      scaled.widths.push_back(n);
      scaled.shift.push_back({n * deviation, n * limit.se[k], limit.count[k]});
      if (!scaled.shift.back().defined()) continue;
      curve.n.push_back(n);
      curve.y.push_back(deviation);
      curve.se.push_back(limit.se[k]);
    }
    for (std::size_t w = 0; w < scaled.widths.size(); ++w) {
      const Prediction allowance = allowance_at(scaled, w);
      set(shift, lines[l].places[w], scaled.shift[w], allowance);
      tested[lines[l].places[w]] = std::isfinite(allowance.value) ? 1.0 : 0.0;
    }
    if (const estimators::PowerFit power = estimators::fit_power(curve, {.correction = false}); power.ok())
      set(exponent, l, {power.exponent, power.exponent_se, scaled.shift.front().count}, {1});
  }
  std::vector<std::size_t> exponent_shape = shape_;
  exponent_shape.erase(exponent_shape.begin() + static_cast<std::ptrdiff_t>(axis));
  result.extras.push_back(array_like(shift, shape_, "_mean_is_exact", "1 where the allowance is tested", tested));
  result.extras.push_back(array_like(exponent, exponent_shape, "_mean_is_exact",
                                     "0: the leading order of wide networks", std::vector<double>(lines.size(), 0.0)));
  result.observables.push_back(std::move(shift));
  result.observables.push_back(std::move(exponent));
}

}  // namespace widelab::experiments
