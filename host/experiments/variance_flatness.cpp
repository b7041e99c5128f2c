// Are variances of weights under SGD larger where the loss is sharper, and is that a law? PCA of a window of a single
// trajectory, replicas that differ in their batches alone, and linear dynamics without any nonlinearity, side by side.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "host/experiments/experiments.hpp"
#include "host/experiments/flatness_cell.hpp"
#include "host/experiments/observables.hpp"
#include "host/experiments/sampled_experiment.hpp"

namespace widelab::experiments {
namespace {

struct Named {
  const char *name, *units, *description;
};

constexpr Named kNumbers[kFlatnessNumbers] = {
    {"checkpoint", "step", "where the window begins and replicas leave"},
    {"checkpoint_loss", "1", "mean training loss at the checkpoint"},
    {"train_loss", "1", "mean training loss at the end of the window"},
    {"drift_share", "1", "share of component 0 in the window's variance"},
    {"drift_cosine", "1", "|cos| of component 0 with the window's mean weights"},
    {"psi_window", "1", "psi in variance ~ flatness^-psi: PCA of the window, components from 1 on"},
    {"psi_replica", "1", "the same across replicas at half an epoch, along eigenvectors of the Hessian"},
    {"psi_null", "1", "the same PCA of linear dynamics with C ~ H^null_exponent, flatness measured on the network"},
    {"psi_linearised", "1", "the same of SGD linearised at the checkpoint: measured gradient, Hessian and C"},
    {"psi_excess", "1", "psi_window - psi_null, network by network: what the window finds beyond the null"},
    {"psi_nonlinear", "1", "psi_window - psi_linearised, network by network"},
    {"psi_drift_free", "1", "psi_window - psi_replica, network by network"},
    {"variance_exponent", "1", "a in variance ~ curvature^a, PCA of the window"},
    {"null_variance_exponent", "1", "the same of the null with C ~ H^null_exponent"},
    {"noise_exponent", "1", "gamma in C ~ H^gamma along components"},
    {"mode_noise_exponent", "1", "gamma in C ~ H^gamma along eigenvectors of the Hessian"},
    {"curvature_exponent", "1", "b in curvature ~ flatness^b along components"},
    {"time_exponent", "1", "c in correlation time ~ flatness^c along components"},
    {"null_time_exponent", "1", "the same of the null with C ~ H^null_exponent"},
    {"unresolved", "1", "share of components lost in the rounding of the weights, left out"},
    {"unresolved_modes", "1", "the same of the replicas' variances"},
    {"endless", "1", "share of components along which the loss does not grow e-fold"}};

constexpr Named kComponents[kComponentNumbers] = {
    {"variance", "1", "of the window's weights along the component"},
    {"flatness", "1", "e-fold width of the mean training loss along it"},
    {"component_curvature", "1", "of the mean training loss along it"},
    {"component_noise", "1", "variance of single examples' gradients along it"},
    {"correlation_time", "step", "until the autocorrelation has fallen to 1/e"},
    {"resolution", "1", "variance in the window by the noise of batches over that by rounding, of a flat direction"},
    {"null_variance", "1", "linear null with C ~ H^null_exponent: variance along its own component"},
    {"null_flatness", "1", "e-fold width of the network's loss along it"},
    {"null_time", "step", "its correlation time"},
    {"linearised_variance", "1", "SGD linearised at the checkpoint: variance along its own component"},
    {"linearised_flatness", "1", "e-fold width of the network's loss along it"}};

constexpr Named kModes[kModeNumbers] = {
    {"curvature", "1", "eigenvalue of the layer's Hessian at the checkpoint"},
    {"noise", "1", "variance of single examples' gradients along the eigenvector"},
    {"mode_flatness", "1", "e-fold width of the mean training loss along it, at the checkpoint"}};

constexpr Named kReplicas[kReplicaNumbers] = {
    {"replica_trace", "1", "trace of the covariance of the layer's weights across replicas"},
    {"replica_displacement", "1", "square of the layer's mean displacement since the checkpoint: drift"},
    {"replica_ratio", "1", "mean over eigenvectors of measured over predicted variance across replicas"},
    {"replica_median_ratio", "1", "median of the same"},
    {"replica_psi", "1", "psi in variance across replicas ~ flatness^-psi"},
    {"replica_exponent", "1", "a in variance across replicas ~ curvature^a"}};

constexpr const char* kInvariance =
    "the e-fold width is a length of weights and no property of the function: multiplying a relu layer by alpha and "
    "dividing the next by it leaves every output unchanged and multiplies all widths of the layer by alpha (a factor "
    "that exponents do not see; rescaling unit by unit changes them as well)";

class VarianceFlatness : public SampledExperiment<make_flatness_cell, plan_flatness_cell, flatness_task> {
 public:
  std::string question() const override {
    return "Is the inverse relation of variance and flatness a law of SGD, or of window PCA?";
  }

  io::Schema schema() const override {
    TrainingKeyDefaults defaults;
    defaults.train.steps = 1000;
    defaults.replicates = 8;
    defaults.examples = 200;
    defaults.test_examples = 0;
    io::Schema schema = io::make_schema(
        "variance-flatness",
        question() +
            "\nOne hidden-to-hidden layer: PCA of its weights over a window of epochs against the e-fold width of the "
            "loss; variances across replicas that differ in their batches alone; and the same PCA of linear dynamics.",
        {all_training_keys(defaults), flatness_keys()});
    const std::map<std::string, std::string> own{
        {"model.width", "16"}, {"model.depth", "2"}, {"train.batch", "10"}, {"train.reduction", "\"mean\""}};
    for (const auto& [path, value] : own) schema.key(path).default_value = value;
    schema.example_sweep = {{"order", "[\"epochs\", \"iid\"]"}};
    return schema;
  }

  io::Result summarise(const RunSetup& setup, const CellReader& read) const override {
    const CellGrid grid(setup.sweep);
    std::vector<Index> components;
    Index modes = 0;
    const FlatnessCell first = make_flatness_cell(setup, setup.sweep.cells.front());
    for (const io::Cell& at : setup.sweep.cells) {
      const FlatnessCell cell = make_flatness_cell(setup, at);
      if (cell.components.size() > components.size()) components = cell.components;
      modes = std::max(modes, cell.modes);
    }
    Collected all(grid, components, static_cast<std::size_t>(modes), first.epochs);
    for_each_measured<make_flatness_cell>(
        setup, read, [&](std::size_t c, const auto& cell, const Samples& samples) { all.add(c, cell, samples); });
    io::Result result;
    result.attributes = training_attributes(
        setup, first.training, "networks",
        fmt::format("; stored weights of layer {}, before every update; window of {} steps ({} epochs of the first "
                    "cell) after the checkpoint, mean removed, sums over W - 1; loss, flatness and curvature: mean "
                    "over the whole training set, at the end of the window along components and at the checkpoint "
                    "along eigenvectors; {} replicas; exponents: least squares of logarithms, one a network, "
                    "component 0 left out; errors: over networks",
                    first.layer, first.window, first.window / first.steps_per_epoch(), first.replicas));
    result.attributes.insert(
        result.attributes.end(),
        {{"precision",
          fmt::format(
              "rounding is a random walk of ulp^2 / 12 a step and weight: variances below {:g} times its own, in the "
              "window (epochs: a bridge against a walk) or at the replicas' time, are NaN and counted",
              kLeastResolution)},
         {"invariance", kInvariance}});
    result.axes = grid.axes();
    all.write(result);
    return result;
  }

 private:
  class Collected {
   public:
    Collected(const CellGrid& grid, std::vector<Index> components, std::size_t modes, std::vector<double> epochs)
        : grid_(grid), components_(std::move(components)), epochs_(std::move(epochs)), modes_(modes) {
      for (const Named& one : kNumbers)
        numbers_.emplace_back(
            grid, one.name, one.units, one.description,
            std::string(one.name) == "psi_excess" ? "0: the linear null explains the window" : "none");
      for (const Named& one : kComponents)
        by_component_.emplace_back(grid, one.name, one.units, one.description, "none", "component", components_.size());
      for (const Named& one : kModes)
        by_mode_.emplace_back(grid, one.name, one.units, one.description, "none", "mode", modes);
      for (const Named& one : kReplicas)
        by_time_.emplace_back(
            grid, one.name, one.units, one.description,
            std::string(one.name) == "replica_ratio" ? "1: linear theory with the measured C and H" : "none", "time",
            epochs_.size());
      const Inner both{{"time", "mode"}, {epochs_.size(), modes}};
      by_mode_and_time_.emplace_back(grid, "replica_variance", "1",
                                     "across replicas along an eigenvector of the Hessian",
                                     "linear theory with the measured C and H", both);
      by_mode_and_time_.emplace_back(grid, "replica_mode_ratio", "1",
                                     "the same over its prediction, network by network",
                                     "1: linear theory with the measured C and H", both);
    }

    void add(std::size_t c, const FlatnessCell& cell, const Samples& samples) {
      for (std::size_t k = 0; k < kFlatnessNumbers; ++k) {
        const auto which = static_cast<FlatnessNumber>(k);
        numbers_[k].set(c, 0, samples.mean(cell.number(which)),
                        explained(kNumbers[k].name) ? Prediction{0} : Prediction::none());
      }
      for (std::size_t k = 0; k < kComponentNumbers; ++k)
        for (std::size_t i = 0; i < cell.components.size(); ++i)
          by_component_[k].set(c, i, samples.mean(cell.component(i, static_cast<ComponentNumber>(k))),
                               Prediction::none());
      for (std::size_t k = 0; k < kModeNumbers; ++k)
        for (Index i = 0; i < cell.modes; ++i)
          by_mode_[k].set(c, static_cast<std::size_t>(i), samples.mean(cell.mode(i, static_cast<ModeNumber>(k))),
                          Prediction::none());
      for (std::size_t t = 0; t < epochs_.size(); ++t) add_time(c, t, cell, samples);
    }

    void write(io::Result& result) {
      result.axes.push_back(axis("component", "principal components of the window, largest variance first",
                                 {components_.begin(), components_.end()}));
      std::vector<double> modes;
      for (std::size_t i = 0; i < modes_; ++i) modes.push_back(static_cast<double>(i));
      result.axes.push_back(
          axis("mode", "eigenvectors of the layer's Hessian at the checkpoint, sharpest first", modes));
      result.axes.push_back(axis("time", "of the replicas, after the checkpoint", epochs_));
      result.axes.back().units = "epoch";
      for (auto* builders : {&numbers_, &by_component_, &by_mode_, &by_time_, &by_mode_and_time_})
        for (ObservableBuilder& builder : *builders) result.observables.push_back(builder.take());
      // A network is not linear: what theory leaves out is the question, not an error.
      const auto shown_beside = [&](const char* name, const Inner& inner) {
        result.extras.push_back(cell_array(grid_, std::string(name) + "_mean_is_exact",
                                           "0: linear theory is shown beside the measurement, which goes beyond it",
                                           std::vector<double>(grid_.size() * inner.size(), 0.0), inner));
      };
      for (const char* name : {"psi_excess", "psi_nonlinear"}) shown_beside(name, {});
      shown_beside("replica_ratio", {{"time"}, {epochs_.size()}});
      for (const char* name : {"replica_variance", "replica_mode_ratio"})
        shown_beside(name, {{"time", "mode"}, {epochs_.size(), modes_}});
    }

   private:
    static bool explained(const std::string& name) { return name == "psi_excess" || name == "psi_nonlinear"; }
    static io::Axis axis(const std::string& name, const std::string& description, std::vector<double> values) {
      return {name, "1", description, std::move(values)};
    }

    void add_time(std::size_t c, std::size_t t, const FlatnessCell& cell, const Samples& samples) {
      for (std::size_t k = 0; k < kReplicaNumbers; ++k) {
        const auto which = static_cast<ReplicaNumber>(k);
        by_time_[k].set(c, t, samples.mean(cell.replica(t, which)),
                        which == ReplicaNumber::ratio ? Prediction{1} : Prediction::none());
      }
      for (Index i = 0; i < cell.modes; ++i) {
        const std::size_t entry = t * modes_ + static_cast<std::size_t>(i);
        const estimators::Estimate predicted = samples.mean(cell.predicted(t, i));
        Samples ratio{samples.replicates, 1, {}};
        for (Index r = 0; r < samples.replicates; ++r)
          ratio.values.push_back(samples.at(r, cell.variance(t, i)) / samples.at(r, cell.predicted(t, i)));
        by_mode_and_time_[0].set(c, entry, samples.mean(cell.variance(t, i)), {predicted.value, predicted.se});
        by_mode_and_time_[1].set(c, entry, ratio.mean(0), {1});
      }
    }

    const CellGrid& grid_;
    std::vector<Index> components_;
    std::vector<double> epochs_;
    std::size_t modes_;
    std::vector<ObservableBuilder> numbers_, by_component_, by_mode_, by_time_, by_mode_and_time_;
  };
};

}  // namespace

const Experiment& variance_flatness() {
  static const VarianceFlatness experiment;
  return experiment;
}

}  // namespace widelab::experiments
