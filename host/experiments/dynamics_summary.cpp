#include "host/experiments/dynamics_summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "host/estimators/joint_test.hpp"
#include "host/experiments/verdicts.hpp"
#include "host/experiments/width_allowance.hpp"
#include "host/theory/infinite_width.hpp"

namespace widelab::experiments {
namespace {

using estimators::Estimate;
using estimators::Statistic;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
// Outputs of fp32 networks are rounded; so much of an output's own scale is no deviation.
constexpr double kSingleRounding = 0x1p-21;
constexpr double kDoubleRounding = 0x1p-44;
constexpr double kSpreadOverRounding = 100;
// Relative spread below which entries of fp32 networks have none (JointOptions::rounding).
constexpr double kSingleSpread = 1e-5;

std::string point_label(const DynamicsScene& scene, std::size_t p) {
  const Index point = scene.probes[p], train = scene.prediction.train;
  return point < train ? fmt::format("train {}", point) : fmt::format("test {}", point - train);
}

std::vector<std::string> mean_squares(const DynamicsScene& scene) {
  std::vector<std::string> names;
  for (const std::string& name : path_scalars(scene))
    if (name.starts_with("path_") || name == "kernel_change") names.push_back("rms_" + name);
  return names;
}

/// The root of a mean square: sqrt(v), with every group's share by the same linear map.
Estimate root(const Estimate& square) {
  const double value = std::sqrt(square.value);
  return {value, value > 0 ? square.se / (2 * value) : kNaN, square.count};
}

estimators::GroupSample root_sample(estimators::GroupSample sample, double square) {
  const double value = std::sqrt(square);
  for (double& x : sample.values) x = value + (x - square) / (2 * value);
  return sample;
}

/// Mean loss of a test example of the infinite ensemble at one step.
double expected_test_loss(const DynamicsScene& scene, std::size_t time) {
  const DynamicsPrediction& p = scene.prediction;
  double sum = 0;
  for (Index i = p.train; i < p.points(); ++i)
    for (Index o = 0; o < p.outputs; ++o) {
      const double miss = p.mean(time, i, o) - p.targets[static_cast<std::size_t>(i * p.outputs + o)];
      sum += miss * miss + p.covariance(time, i, i);
    }
  return sum * (scene.loss == LossKind::half_squared ? 0.5 : 1.0) / static_cast<double>(p.test);
}

/// Means of an ensemble at the probes: times x probes x k.
std::vector<double> probed_means(const DynamicsScene& scene, const std::vector<theory::EnsembleMoments>& ensemble) {
  std::vector<double> out;
  for (const theory::EnsembleMoments& moments : ensemble)
    for (const Index point : scene.probes)
      for (Index o = 0; o < moments.outputs; ++o)
        out.push_back(moments.mean[static_cast<std::size_t>(point * moments.outputs + o)]);
  return out;
}

/// Covariances of an ensemble at pairs p <= q of probes: times x pairs.
std::vector<double> probed_covariances(const DynamicsScene& scene,
                                       const std::vector<theory::EnsembleMoments>& ensemble) {
  std::vector<double> out;
  for (const theory::EnsembleMoments& moments : ensemble)
    for (std::size_t a = 0; a < scene.probes.size(); ++a)
      for (std::size_t b = a; b < scene.probes.size(); ++b)
        out.push_back(moments.covariance[static_cast<std::size_t>(scene.probes[a] * moments.points + scene.probes[b])]);
  return out;
}

/// Row `at` of `table`.
void copy_into(const std::vector<double>& row, std::vector<double>& table, std::size_t at) {
  std::copy(row.begin(), row.end(), table.begin() + static_cast<std::ptrdiff_t>(at * row.size()));
}

/// Limits of a probability from `count` trials with that mean, at 95 % (Wilson 1927).
std::pair<double, double> wilson_limits(double mean, double count) {
  constexpr double z = 1.959963984540054;
  const double centre = mean + z * z / (2 * count), scale = 1 + z * z / count;
  const double half = z * std::sqrt(mean * (1 - mean) / count + z * z / (4 * count * count));
  return {std::max(0.0, (centre - half) / scale), std::min(1.0, (centre + half) / scale)};
}

double number_or_nan(const io::Attributes& attributes, const std::string& name) {
  const std::string text = io::attribute(attributes, name);
  return text.empty() ? kNaN : std::stod(text);
}

}  // namespace

DynamicsSummary::Moment DynamicsSummary::make_moment(const std::string& name, const std::string& what,
                                                     const std::string& dim, std::size_t entries) {
  const Inner inner{{"step", dim}, {steps_.size(), entries}};
  const std::string prediction =
      "infinite ensemble under discrete steps, plus (c + b/n)/n from the two smallest widths on wider networks";
  Moment moment{"output_" + name,
                name + "_shift",
                ObservableBuilder(grid_, "output_" + name, "1", what, prediction, inner),
                ObservableBuilder(grid_, name + "_shift", "1",
                                  "n times: " + what + ", minus the same of the networks' linearisations",
                                  "c + b/n through the two smallest widths", inner),
                {},
                {},
                std::vector<double>(grid_.size() * inner.size(), kNaN),
                std::vector<double>(grid_.size() * kVerdictNumbers, kNaN),
                inner.size()};
  moment.exact.assign(grid_.size() * inner.size(), 0.0);
  moment.shift_exact = moment.exact;
  return moment;
}

DynamicsSummary::DynamicsSummary(const RunSetup& setup, const CellGrid& grid, const DynamicsScene& scene)
    : setup_(setup),
      grid_(grid),
      steps_(scene.prediction.steps),
      names_(path_scalars(scene)),
      limit_is_exact_(true),
      one_hidden_layer_(true),
      widths_(setup.sweep.cells.size(), kNaN),
      mean_(make_moment("mean", "mean over networks of f_t", "point",
                        scene.probes.size() * static_cast<std::size_t>(scene.prediction.outputs))),
      covariance_(make_moment("covariance", "mean over networks of (f - m)(f - m)', m the limit's mean", "pair",
                              static_cast<std::size_t>(scene.pairs()))),
      mean_measured_(setup.sweep.cells.size()),
      covariance_measured_(setup.sweep.cells.size()),
      rms_names_(mean_squares(scene)),
      fits_(setup, grid, {rms_names_, "step", steps_.size()}) {
  for (std::size_t p = 0; p < scene.probes.size(); ++p) {
    for (Index o = 0; o < scene.prediction.outputs; ++o)
      points_.push_back(point_label(scene, p) +
                        (scene.prediction.outputs > 1 ? fmt::format(" output {}", o) : std::string()));
    for (std::size_t q = p; q < scene.probes.size(); ++q)
      pairs_.push_back(point_label(scene, p) + ", " + point_label(scene, q));
  }
  const Inner by_step{{"step"}, {steps_.size()}};
  for (const std::string& name : names_)
    scalars_.try_emplace(
        name, grid, name, "1", "mean over networks of " + name,
        name == "train_loss" || name == "test_loss" || name == "least_eigenvalue" ? "infinite-width limit" : "none",
        by_step);
  for (const std::string& name : rms_names_)
    scalars_.try_emplace(name, grid, name, "1", "root of the mean over networks of " + name.substr(4), "none", by_step);
}

std::vector<double>& DynamicsSummary::numbers(const std::string& name, const std::string& description,
                                              std::size_t inner) {
  Extra& extra = extras_[name];
  if (extra.values.empty()) {
    extra.description = description;
    extra.by_step = inner > 1;
    extra.values.assign(grid_.size() * inner, kNaN);
  }
  return extra.values;
}

void DynamicsSummary::add_measured(std::vector<Measured>& into, std::size_t cell,
                                   const estimators::TrainingStatistics& statistics, const char* deviation,
                                   const char* shift, std::vector<double> limit) {
  const estimators::GroupedMoments& moments = statistics.moments(statistics.find(deviation));
  Measured& measured = into[cell];
  measured.limit = std::move(limit);
  measured.deviation = moments.estimate(Statistic::mean);
  measured.groups = moments.group_sample(Statistic::mean);
  measured.shift = statistics.moments(statistics.find(shift)).estimate(Statistic::mean);
}

void DynamicsSummary::add(std::size_t cell, const DynamicsScene& scene, const TrainingCell& training,
                          const estimators::TrainingStatistics& statistics, const io::Attributes& attributes) {
  const MlpShape& shape = training.network().shape;
  widths_[cell] = static_cast<double>(shape.widths.front());
  one_hidden_layer_ = one_hidden_layer_ && shape.depth() == 1 && !shape.layer_norm;
  limit_is_exact_ = limit_is_exact_ && theory::infinite_width_caveat(training.network()).empty() &&
                    training.spec.task.file_weights == nullptr;
  precision_ = training.train.precision;
  const DynamicsPrediction& p = scene.prediction;
  const std::size_t at = grid_.position(cell);
  if (!p.flow.empty()) {
    copy_into(probed_means(scene, p.flow), mean_.flow, at);
    copy_into(probed_covariances(scene, p.flow), covariance_.flow, at);
  }
  numbers("diverged", "networks that diverged", 1)[at] = static_cast<double>(statistics.diverged());
  numbers("update_to_ulp", "mean |first update| over the spacing of stored numbers, first network", 1)[at] =
      number_or_nan(attributes, "update_to_ulp");
  numbers("learning_rate_per_step", "eta", 1)[at] = training.learning_rate;
  if (statistics.moments(statistics.find("centred")).count() == 0) return;  // every network diverged
  add_measured(mean_measured_, cell, statistics, "centred", "shift", probed_means(scene, p.ensemble));
  add_measured(covariance_measured_, cell, statistics, "products", "product_shift",
               probed_covariances(scene, p.ensemble));
  add_scalars(cell, scene, statistics);
}

void DynamicsSummary::add_scalars(std::size_t cell, const DynamicsScene& scene,
                                  const estimators::TrainingStatistics& statistics) {
  const DynamicsPrediction& p = scene.prediction;
  const estimators::GroupedMoments& moments = statistics.moments(statistics.find("network"));
  const std::vector<Estimate> means = moments.estimate(Statistic::mean);
  const estimators::GroupSample groups = moments.group_sample(Statistic::mean);
  const std::size_t times = steps_.size(), offset = grid_.position(cell) * times;
  for (std::size_t t = 0; t < times; ++t)
    for (std::size_t e = 0; e < names_.size(); ++e) {
      const std::string& name = names_[e];
      const std::size_t k = t * names_.size() + e;
      Prediction prediction = Prediction::none();
      if (name == "train_loss") prediction = {p.train_loss[t]};
      if (name == "test_loss") prediction = {expected_test_loss(scene, t)};
      if (name == "least_eigenvalue" && steps_[t] == 0) prediction = {p.eigenvalues.front()};
      scalars_.at(name).set(cell, t, means[k], prediction);
      if (name == "zero_loss") {
        const auto [low, high] = wilson_limits(means[k].value, means[k].count);
        numbers("zero_loss_low", "lower 95 % limit of the probability of zero loss (Wilson)", times)[offset + t] = low;
        numbers("zero_loss_high", "upper 95 % limit of the probability of zero loss (Wilson)", times)[offset + t] =
            high;
      }
      const auto rms = std::find(rms_names_.begin(), rms_names_.end(), "rms_" + name);
      if (rms == rms_names_.end() || !(means[k].value > 0)) continue;
      scalars_.at(*rms).set(cell, t, root(means[k]), Prediction::none());
      fits_.add(cell, static_cast<std::size_t>(rms - rms_names_.begin()), root(means[k]),
                root_sample(one_entry(groups, static_cast<Index>(k)), means[k].value), t);
    }
  const double slowest = p.eigenvalues.front(), rate = p.training.effective_rate();
  numbers("limit_least_eigenvalue", "least eigenvalue of the infinite-width NTK on the training set",
          1)[grid_.position(cell)] = slowest;
  if (p.training.rule == theory::LinearRule::gradient_descent)
    numbers("slowest_rate", "-log|1 - eta lambda_min| a step, the slowest decay of |f - y| in the limit",
            1)[grid_.position(cell)] = -std::log(std::fabs(1 - rate * slowest));
  numbers("slowest_rate_flow", "eta lambda_min a step, the slowest decay under gradient flow",
          1)[grid_.position(cell)] = rate * slowest;
}

void DynamicsSummary::write_moment(Moment& moment, const std::vector<Measured>& measured, bool control_is_exact,
                                   io::Result& result) {
  const std::vector<WidthLine> lines = width_lines(setup_.sweep, grid_);
  for (std::size_t c = 0; c < measured.size(); ++c) {
    const Measured& own = measured[c];
    if (own.limit.empty()) continue;
    const WidthLine* line = nullptr;
    std::size_t w = 0;
    for (const WidthLine& candidate : lines)
      for (std::size_t k = 0; k < candidate.cells.size(); ++k)
        if (candidate.cells[k] == c) line = &candidate, w = k;
    // Of other cells' numbers only the two smallest widths' are used.
    const bool testable = line != nullptr && w >= kEstimatedWidths && limit_is_exact_ &&
                          !measured[line->cells[0]].limit.empty() && !measured[line->cells[1]].limit.empty();
    const double n = widths_[c];
    const double rounding = precision_ == Precision::fp32 ? kSingleRounding : kDoubleRounding;
    std::vector<double> expected(moment.entries, kNaN);
    for (std::size_t e = 0; e < moment.entries; ++e) {
      ScaledShift control, raw;
      if (testable)
        for (std::size_t k = 0; k <= w; ++k) {
          const Measured& other = measured[line->cells[k]];
          const double width = line->widths[k];
          const auto scaled = [width](const std::vector<Estimate>& from, std::size_t entry) {
            if (from.empty()) return Estimate{kNaN, kNaN, 0};
            return Estimate{width * from[entry].value, width * from[entry].se, from[entry].count};
          };
          control.widths.push_back(width);
          raw.widths.push_back(width);
          control.shift.push_back(scaled(other.shift, e));
          raw.shift.push_back(scaled(other.deviation, e));
        }
      const Prediction shift = testable ? allowance_at(control, w) : Prediction::none();
      const Prediction allowance = !testable ? Prediction::none() : control_is_exact ? shift : allowance_at(raw, w);
      const Estimate value{own.limit[e] + own.deviation[e].value, own.deviation[e].se, own.deviation[e].count};
      const bool tested = std::isfinite(allowance.value);
      moment.observable.set(
          c, e, value,
          tested ? Prediction{own.limit[e] + allowance.value / n, std::hypot(allowance.error / n, rounding)}
                 : Prediction{own.limit[e]});
      moment.shift.set(c, e, {n * own.shift[e].value, n * own.shift[e].se, own.shift[e].count},
                       {shift.value, std::hypot(shift.error, n * rounding)});
      const std::size_t k = grid_.position(c) * moment.entries + e;
      moment.exact[k] = tested ? 1.0 : 0.0;
      moment.shift_exact[k] = std::isfinite(shift.value) ? 1.0 : 0.0;
      // The joint test takes predictions as exact: entries that training has pressed down to rounding are none of it.
      if (tested && own.deviation[e].se > kSpreadOverRounding * rounding) expected[e] = allowance.value / n;
    }
    judge(own.groups, 0, expected, role_key(setup_.seed, "bootstrap", moment.name + setup_.sweep.cells[c].name),
          precision_ == Precision::fp32 ? kSingleSpread : estimators::JointOptions{}.rounding,
          &moment.verdict[kVerdictNumbers * grid_.position(c)]);
  }
  const Inner inner{{"step", moment.name == "output_mean" ? "point" : "pair"},
                    {steps_.size(), moment.entries / steps_.size()}};
  result.observables.push_back(moment.observable.take());
  result.observables.push_back(moment.shift.take());
  result.extras.push_back(cell_array(grid_, moment.name + "_mean_is_exact",
                                     "1 where the prediction holds the allowance of other widths", moment.exact,
                                     inner));
  result.extras.push_back(cell_array(grid_, moment.shift_name + "_mean_is_exact",
                                     "1 where the prediction comes from other widths", moment.shift_exact, inner));
  result.extras.push_back(cell_array(grid_, moment.name + "_flow",
                                     "infinite ensemble under gradient flow; none with momentum", moment.flow, inner));
  result.extras.push_back(cell_array(grid_, moment.name + "_joint", "all steps and entries, judged together",
                                     moment.verdict, "verdict", kVerdictNumbers));
}

void DynamicsSummary::write_axes(io::Result& result) const {
  const auto axis = [](const std::string& name, const std::string& description, auto values) {
    io::Axis out;
    out.name = name;
    out.units = "1";
    out.description = description;
    out.values = std::move(values);
    return out;
  };
  std::vector<double> steps;
  for (const Index step : steps_) steps.push_back(static_cast<double>(step));
  result.axes.push_back(axis("step", "absolute step of training", steps));
  result.axes.push_back(axis("point", "example, counted from 0", points_));
  result.axes.push_back(axis("pair", "two examples, means over outputs", pairs_));
  result.axes.push_back(verdict_axis());
}

void DynamicsSummary::write(io::Result& result) {
  write_axes(result);
  write_moment(mean_, mean_measured_, true, result);
  write_moment(covariance_, covariance_measured_, one_hidden_layer_, result);
  const Inner by_step{{"step"}, {steps_.size()}};
  for (auto& [name, builder] : scalars_) {
    io::Observable observable = builder.take();
    if (observable.prediction != "none")
      result.extras.push_back(cell_array(grid_, name + "_mean_is_exact", "0: the prediction is the limit's",
                                         std::vector<double>(observable.mean.size(), 0.0), by_step));
    result.observables.push_back(std::move(observable));
  }
  for (auto& [name, extra] : extras_)
    result.extras.push_back(
        cell_array(grid_, name, extra.description, std::move(extra.values), extra.by_step ? by_step : Inner{}));
  fits_.write(result);
}

}  // namespace widelab::experiments
