// When does the noise of SGD stop choosing the minimum, and is the minimum flatter the later it does? Freezing times by
// continuing networks with full-batch descent from many times on, over batch size and learning rate.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <tuple>

#include "host/experiments/experiments.hpp"
#include "host/experiments/freezing_cell.hpp"
#include "host/experiments/observables.hpp"
#include "host/experiments/sampled_experiment.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kStableShare = 0.8;  // of repeats that converge; Yang et al. 2026

struct Named {
  const char *name, *units, *description;
};
constexpr Named kEnds[kEndNumbers] = {
    {"similarity", "1",
     "Jaccard similarity of a branch's wrongly classified test examples with those of the last branch"},
    {"flatness", "1", "-log10 of the mean rise of the training loss along random directions, at a branch's endpoint"},
    {"end_train_loss", "1", "mean training loss at a branch's endpoint"},
    {"end_test_error", "1", "share of test examples in a wrong class at a branch's endpoint"},
    {"frozen_share", "1", "share of repeats that are frozen at a branch time"}};

/// What freezing time and noise may explain, and by what: entries of the collapse.
constexpr std::size_t kFlatness = 0, kTestError = 1, kExplained = 2;
constexpr std::size_t kExplaining = 2;  // ln eta t_f, and ln(eta / B)

/// R^2 of the least-squares line of y on x; NaN with fewer than three points or without spread.
double share_explained(const std::vector<double>& x, const std::vector<double>& y) {
  const auto n = static_cast<double>(x.size());
  if (x.size() < 3) return kNaN;
  double mx = 0, my = 0, xx = 0, xy = 0, yy = 0;
  for (std::size_t k = 0; k < x.size(); ++k) mx += x[k] / n, my += y[k] / n;
  for (std::size_t k = 0; k < x.size(); ++k) {
    xx += (x[k] - mx) * (x[k] - mx);
    xy += (x[k] - mx) * (y[k] - my);
    yy += (y[k] - my) * (y[k] - my);
  }
  return xx > 0 && yy > 0 ? xy * xy / (xx * yy) : kNaN;
}

/// The repeats of one cell that converged, in the numbers that a collapse looks at.
struct Repeats {
  double noise = 0;                           // ln(eta / B)
  std::vector<double> time, flatness, error;  // NaN where a repeat did not converge
  bool stable = false;

  /// Means without repeat `left_out`; x = ln of the mean freezing time, ln(eta / B).
  bool means(std::size_t left_out, std::array<double, kExplaining>& x, std::array<double, kExplained>& y) const {
    double count = 0, times = 0;
    y = {0, 0};
    for (std::size_t r = 0; r < time.size(); ++r)
      if (r != left_out && std::isfinite(flatness[r]))
        ++count, times += time[r], y[kFlatness] += flatness[r], y[kTestError] += error[r];
    for (double& one : y) one /= count;
    x = {std::log(times / count), noise};
    return count > 0;
  }
};

/// Shares explained over the stable cells, without repeat `left_out` of every cell.
std::array<double, kExplained * kExplaining> collapse(const std::vector<Repeats>& cells, std::size_t left_out) {
  std::array<std::vector<double>, kExplaining> x;
  std::array<std::vector<double>, kExplained> y;
  for (const Repeats& cell : cells) {
    std::array<double, kExplaining> at{};
    std::array<double, kExplained> seen{};
    if (!cell.stable || !cell.means(left_out, at, seen)) continue;
    for (std::size_t k = 0; k < kExplaining; ++k) x[k].push_back(at[k]);
    for (std::size_t k = 0; k < kExplained; ++k) y[k].push_back(seen[k]);
  }
  std::array<double, kExplained * kExplaining> out{};
  for (std::size_t e = 0; e < kExplained; ++e)
    for (std::size_t k = 0; k < kExplaining; ++k) out[e * kExplaining + k] = share_explained(x[k], y[e]);
  return out;
}

class TransientFreezing : public SampledExperiment<make_freezing_cell, plan_freezing_cell, freezing_task> {
 public:
  std::string question() const override { return "When does the noise of SGD stop choosing the minimum?"; }

  io::Schema schema() const override {
    TrainingKeyDefaults defaults;
    defaults.train.steps = kStepsLeftOut;
    defaults.replicates = 20;
    defaults.examples = 100;
    defaults.test_examples = 100;
    defaults.target = "classes";
    io::Schema schema =
        io::make_schema("transient-freezing",
                        question() +
                            "\nNetworks are continued by full-batch descent from many times on; the freezing time is "
                            "the first from which on they end in the basin of the last one. Over batch size and "
                            "learning rate, beside flatness and test error. No prediction.",
                        {all_training_keys(defaults), freezing_keys()});
    schema.example_sweep = {{"batch", "[10, 50]"}, {"learning_rate", "[0.05, 0.2]"}};
    return schema;
  }

  io::Result summarise(const RunSetup& setup, const CellReader& read) const override {
    const CellGrid grid(setup.sweep);
    const FreezingCell first = make_freezing_cell(setup, setup.sweep.cells.front());
    Collected all(grid, first);
    for_each_measured<make_freezing_cell>(
        setup, read, [&](std::size_t c, const auto& cell, const Samples& samples) { all.add(c, cell, samples); });
    io::Result result;
    result.attributes = training_attributes(
        setup, first.training, "networks",
        fmt::format(
            "; times: learning rate times steps, T = {:g}; branches: full-batch descent at the same "
            "learning rate to the same T; one basin: Jaccard similarity of wrongly classified test "
            "examples >= {:g} with the last branch, at this and every later branch; a repeat that changes basin "
            "up to the last branch counts with that branch's time; repeats with training error above {:g} at the "
            "end are left out; flatness unit by unit, which rescaling ReLU layers without biases leaves as it is; "
            "errors: over repeats",
            setup.recipe->real("freezing.time"), first.similarity, first.train_error));
    result.axes = grid.axes();
    all.write(first, result);
    return result;
  }

 private:
  class Collected {
   public:
    Collected(const CellGrid& grid, const FreezingCell& first)
        : grid_(grid),
          branches_(first.branches.size()),
          time_(grid, "freezing_time", "1", "eta t_f, mean over repeats", "none"),
          median_(grid, "median_freezing_time", "1", "eta t_f, median over repeats", "none"),
          flatness_(grid, "freezing_flatness", "1", "flatness of the endpoint that leaves SGD at t_f", "none"),
          error_(grid, "test_error", "1", "share of test examples in a wrong class, at the endpoint of the last branch",
                 "none"),
          converged_(grid, "converged_share", "1",
                     "share of repeats whose last branch ends with a small enough training error", "none") {
      for (const Named& one : kEnds)
        ends_.emplace_back(grid, one.name, one.units, one.description, "none", "branch", branches_);
    }

    void add(std::size_t c, const FreezingCell& cell, const Samples& samples) {
      for (std::size_t b = 0; b < branches_; ++b)
        for (std::size_t k = 0; k < kEndNumbers; ++k)
          ends_[k].set(c, b, samples.mean(cell.end(b, static_cast<EndNumber>(k))), Prediction::none());
      const Index error = cell.end(branches_ - 1, EndNumber::test_error);
      time_.set(c, 0, samples.mean(cell.freezing_time()), Prediction::none());
      median_.set(c, 0, samples.median(cell.freezing_time()), Prediction::none());
      flatness_.set(c, 0, samples.mean(cell.freezing_flatness()), Prediction::none());
      error_.set(c, 0, samples.mean(error), Prediction::none());
      const estimators::Estimate converged = samples.mean(cell.converged());
      converged_.set(c, 0, converged, Prediction::none());
      Repeats repeats;
      repeats.noise = std::log(cell.learning_rate / static_cast<double>(cell.batch()));
      repeats.stable = converged.value >= kStableShare;
      for (Index r = 0; r < samples.replicates; ++r) {
        repeats.time.push_back(samples.at(r, cell.freezing_time()));
        repeats.flatness.push_back(samples.at(r, cell.freezing_flatness()));
        repeats.error.push_back(samples.at(r, error));
      }
      cells_.push_back(std::move(repeats));
    }

    void write(const FreezingCell& first, io::Result& result) {
      result.axes.push_back(axis("branch", "branch time over T", first.shares));
      for (ObservableBuilder& builder : ends_) result.observables.push_back(builder.take());
      for (ObservableBuilder* builder : {&time_, &median_, &flatness_, &error_, &converged_})
        result.observables.push_back(builder->take());
      write_collapse(result);
    }

   private:
    static io::Axis axis(const std::string& name, const std::string& description, decltype(io::Axis::values) values) {
      io::Axis out;
      out.name = name;
      out.units = "1";
      out.description = description;
      out.values = std::move(values);
      return out;
    }

    /// Jackknife over repeats, the same one left out of every cell.
    void write_collapse(io::Result& result) const {
      const std::array<double, kExplained* kExplaining> whole = collapse(cells_, static_cast<std::size_t>(-1));
      std::size_t repeats = 0;
      for (const Repeats& cell : cells_) repeats = std::max(repeats, cell.time.size());
      std::vector<double> value(whole.begin(), whole.end()), mean(whole.size(), 0.0), square(mean), error(mean);
      const auto n = static_cast<double>(repeats);
      for (std::size_t r = 0; r < repeats; ++r) {
        const auto without = collapse(cells_, r);
        for (std::size_t k = 0; k < without.size(); ++k)
          mean[k] += without[k] / n, square[k] += without[k] * without[k] / n;
      }
      for (std::size_t k = 0; k < error.size(); ++k)
        error[k] = repeats > 1 ? std::sqrt((n - 1) * std::max(0.0, square[k] - mean[k] * mean[k])) : kNaN;
      result.axes.push_back(
          axis("explained", "what is explained", std::vector<std::string>{"flatness at t_f", "test error"}));
      result.axes.push_back(
          axis("explaining", "logarithm of what explains it", std::vector<std::string>{"eta t_f", "eta / B"}));
      const std::string what =
          "share of the variance over stable cells (at least 80 % of repeats converged) that a line "
          "in the logarithm explains";
      for (const auto& [name, values, words] :
           {std::tuple{"collapse", &value, what}, std::tuple{"collapse_se", &error, what + ", standard error"}})
        result.extras.push_back(
            {name, "1", words, {"explained", "explaining"}, {kExplained, kExplaining}, *values, {}});
    }

    const CellGrid& grid_;
    std::size_t branches_;
    std::vector<ObservableBuilder> ends_;
    ObservableBuilder time_, median_, flatness_, error_, converged_;
    std::vector<Repeats> cells_;
  };
};

}  // namespace

const Experiment& transient_freezing() {
  static const TransientFreezing experiment;
  return experiment;
}

}  // namespace widelab::experiments
