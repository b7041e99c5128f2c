#include "host/experiments/observed_result.hpp"

#include <limits>
#include <utility>

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double number_or_nan(const io::Attributes& attributes, const std::string& name) {
  const std::string text = io::attribute(attributes, name);
  return text.empty() ? kNaN : std::stod(text);
}

Inner inner_of(const std::string& name, std::size_t steps, std::size_t entries) {
  if (entries == 1) return {{"step"}, {steps}};
  return {{"step", name + "_entry"}, {steps, entries}};
}

}  // namespace

io::Axis step_axis(const std::vector<Index>& steps) {
  io::Axis axis;
  axis.name = "step";
  axis.units = "1";
  axis.description = "absolute step of training";
  axis.values = std::vector<double>(steps.begin(), steps.end());
  return axis;
}

ObservedResult::ObservedResult(const CellGrid& grid, const TrainingCell& first)
    : grid_(grid), steps_(first.spec.observed.begin(), first.spec.observed.end()) {
  for (auto* values : {&diverged_, &converged_, &rate_, &update_to_ulp_, &lost_}) values->assign(grid.size(), kNaN);
  for (const auto& observer : first.spec.observers) {
    const auto entries = static_cast<std::size_t>(observer->entries());
    std::vector<std::string> labels = observer->entry_labels();
    for (std::size_t e = labels.size(); e < entries; ++e) labels.push_back(std::to_string(e));
    quantities_.push_back({observer->name(), std::move(labels),
                           ObservableBuilder(grid, observer->name(), "1", "mean over networks of " + observer->name(),
                                             "none", inner_of(observer->name(), steps_.size(), entries))});
  }
}

void ObservedResult::add(std::size_t cell, const TrainingCell& training,
                         const estimators::TrainingStatistics& statistics, const io::Attributes& attributes) {
  const std::size_t at = grid_.position(cell);
  diverged_[at] = static_cast<double>(statistics.diverged());
  converged_[at] = static_cast<double>(statistics.converged());
  rate_[at] = training.learning_rate;
  update_to_ulp_[at] = number_or_nan(attributes, "update_to_ulp");
  lost_[at] = number_or_nan(attributes, "lost_update_share");
  for (Quantity& quantity : quantities_) {
    const estimators::GroupedMoments& moments = statistics.moments(statistics.find(quantity.name));
    if (moments.count() == 0) continue;  // every network diverged
    const std::vector<estimators::Estimate> means = moments.estimate(estimators::Statistic::mean);
    for (std::size_t k = 0; k < means.size(); ++k) quantity.builder.set(cell, k, means[k], Prediction::none());
  }
}

void ObservedResult::write(io::Result& result) {
  std::vector<Index> steps(steps_.begin(), steps_.end());
  result.axes.push_back(step_axis(steps));
  for (Quantity& quantity : quantities_) {
    if (quantity.labels.size() > 1) {
      io::Axis axis;
      axis.name = quantity.name + "_entry";
      axis.units = "1";
      axis.description = "entries of " + quantity.name;
      axis.values = quantity.labels;
      result.axes.push_back(std::move(axis));
    }
    result.observables.push_back(quantity.builder.take());
  }
  result.extras.push_back(cell_array(grid_, "diverged", "networks that diverged", diverged_));
  result.extras.push_back(
      cell_array(grid_, "converged", "networks that stopped below train.converged_loss", converged_));
  result.extras.push_back(
      cell_array(grid_, "learning_rate_per_step", "eta; NaN where each network has its own", rate_));
  result.extras.push_back(cell_array(
      grid_, "update_to_ulp", "mean |first update| over the spacing of stored numbers, first network", update_to_ulp_));
  result.extras.push_back(
      cell_array(grid_, "lost_update_share", "share of the first update that rounding loses, first network", lost_));
}

}  // namespace widelab::experiments
