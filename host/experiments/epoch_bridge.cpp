// What does sampling by epochs do to the noise of SGD? Variances across replicas of one checkpoint against the phase
// within an epoch, beside the Brownian bridge of linear theory, and what is left at the boundary between two epochs.
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <memory>

#include "host/experiments/bridge_cell.hpp"
#include "host/experiments/experiments.hpp"
#include "host/experiments/observables.hpp"
#include "host/experiments/sampled_experiment.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Variance over one network's replicas of a column, unbiased; NaN where fewer than two are left. Replicas that agree
/// in every bit have variance 0.
double replica_variance(const BridgeCell& cell, const Samples& samples, Index network, Index column) {
  std::vector<double> values;
  for (Index r = network * cell.replicas; r < (network + 1) * cell.replicas && r < samples.replicates; ++r)
    if (std::isfinite(samples.at(r, column))) values.push_back(samples.at(r, column));
  if (values.size() < 2) return kNaN;
  const auto count = static_cast<double>(values.size());
  double sum = 0, square = 0;
  for (const double value : values) {
    const double from_first = value - values.front();
    sum += from_first;
    square += from_first * from_first;
  }
  return (square - sum * sum / count) / (count - 1);
}

/// One row a network, in the columns that a summary wants.
class Networks {
 public:
  Networks(const BridgeCell& cell, const Samples& samples) : cell_(cell), samples_(samples) {
    networks_.replicates = samples.replicates / cell.replicas;
  }

  /// Mean over networks of `number(network)`.
  template <class Number>
  estimators::Estimate mean(const Number& number) const {
    Samples one{networks_.replicates, 1, {}};
    for (Index n = 0; n < one.replicates; ++n) one.values.push_back(number(n));
    return one.mean(0);
  }
  estimators::Estimate variance(Index column) const {
    return mean([&](Index n) { return replica_variance(cell_, samples_, n, column); });
  }
  /// Of the first of each network's replicas.
  double own(Index column) const {
    return mean([&](Index n) { return samples_.at(n * cell_.replicas, column); }).value;
  }
  /// Trace of the covariance: mean over probes of the variance along them.
  estimators::Estimate trace(std::size_t time) const {
    return mean([&](Index n) {
      double sum = 0;
      for (Index k = 0; k < cell_.probes; ++k)
        sum += replica_variance(cell_, samples_, n, cell_.probe(time, k)) / static_cast<double>(cell_.probes);
      return sum;
    });
  }

 private:
  const BridgeCell& cell_;
  const Samples& samples_;
  Samples networks_;
};

class EpochBridge : public SampledExperiment<make_bridge_cell, plan_bridge_cell, bridge_task> {
 public:
  std::string question() const override { return "What does sampling by epochs do to the noise of SGD?"; }

  io::Schema schema() const override {
    TrainingKeyDefaults defaults;
    defaults.train.steps = 400;
    defaults.replicates = 64;
    defaults.examples = 100;
    defaults.test_examples = 0;
    io::Schema schema =
        io::make_schema("epoch-bridge",
                        question() +
                            "\nReplicas go on from one checkpoint and differ in the order of their batches alone; "
                            "their variance along leading eigenvectors of the Hessian against the phase within an "
                            "epoch, beside linear theory: a bridge for shuffled epochs.",
                        {all_training_keys(defaults), bridge_keys()});
    schema.example_sweep = {{"replica_order", "[\"epochs\", \"iid\"]"}};
    return schema;
  }

  io::Result summarise(const RunSetup& setup, const CellReader& read) const override {
    const CellGrid grid(setup.sweep);
    const BridgeCell first = make_bridge_cell(setup, setup.sweep.cells.front());
    Collected all(grid, first);
    for (std::size_t c = 0; c < setup.sweep.cells.size(); ++c) {
      const BridgeCell cell = make_bridge_cell(setup, setup.sweep.cells[c]);
      if (cell.times != first.times)
        throw RecipeError(
            "the observed times of the sweep's cells differ, because steps an epoch do: sweep train.batch and "
            "data.examples in runs of their own");
      if (const std::unique_ptr<io::ArrayFile> file = read(c)) all.add(c, cell, read_samples(*file));
    }
    io::Result result;
    result.attributes = training_attributes(
        setup, first.training, "networks",
        fmt::format("; {} replicas of each checkpoint (step {}); variances across replicas, of stored parameters, "
                    "along eigenvectors of the Hessian of the mean training loss; errors: over networks",
                    first.replicas, first.training.train.steps));
    result.axes = grid.axes();
    all.write(first, result);
    return result;
  }

 private:
  class Collected {
   public:
    Collected(const CellGrid& grid, const BridgeCell& first)
        : grid_(grid),
          times_(first.times.size()),
          directions_(static_cast<std::size_t>(first.directions)),
          variance_(grid, "variance", "1", "variance across replicas along an eigenvector of the Hessian",
                    "linear theory at the checkpoint, with the curvature of every example",
                    Inner{{"time", "direction"}, {times_, directions_}}),
          trace_(grid, "trace", "1", "trace of the covariance across replicas, by random vectors", "none", "time",
                 times_),
          additive_(grid.size() * times_ * directions_, kNaN),
          curvature_(grid.size() * directions_, kNaN),
          bound_(curvature_),
          noise_(curvature_) {}

    void add(std::size_t c, const BridgeCell& cell, const Samples& samples) {
      const Networks networks(cell, samples);
      const std::size_t at = grid_.position(c);
      for (std::size_t t = 0; t < times_; ++t) {
        for (std::size_t i = 0; i < directions_; ++i) {
          const auto direction = static_cast<Index>(i);
          variance_.set(c, t * directions_ + i, networks.variance(cell.place(t, direction)),
                        {networks.own(cell.linear(t, direction))});
          additive_[(at * times_ + t) * directions_ + i] = networks.own(cell.additive(t, direction));
        }
        trace_.set(c, t, networks.trace(t), Prediction::none());
      }
      for (std::size_t i = 0; i < directions_; ++i) {
        curvature_[at * directions_ + i] = networks.own(cell.curvature(static_cast<Index>(i)));
        bound_[at * directions_ + i] = networks.own(cell.bound(static_cast<Index>(i)));
        noise_[at * directions_ + i] = networks.own(cell.noise(static_cast<Index>(i)));
      }
    }

    void write(const BridgeCell& first, io::Result& result) {
      io::Axis time, direction;
      time.name = "time";
      time.units = "epoch";
      time.description = "epochs after the checkpoint";
      std::vector<double> epochs;
      for (const Index t : first.times)
        epochs.push_back(static_cast<double>(t) / static_cast<double>(first.steps_per_epoch()));
      time.values = epochs;
      direction.name = "direction";
      direction.units = "1";
      direction.description = "eigenvectors of the Hessian at the checkpoint, sharpest first";
      std::vector<double> numbers;
      for (std::size_t i = 0; i < directions_; ++i) numbers.push_back(static_cast<double>(i));
      direction.values = numbers;
      result.axes.insert(result.axes.end(), {time, direction});
      result.observables.push_back(variance_.take());
      result.observables.push_back(trace_.take());
      const Inner inner{{"time", "direction"}, {times_, directions_}};
      // A network is not linear: what theory leaves out is the question, not an error.
      result.extras.push_back(cell_array(grid_, "variance_mean_is_exact",
                                         "0: linear theory is shown beside the measurement, which goes beyond it",
                                         std::vector<double>(additive_.size(), 0.0), inner));
      result.extras.push_back(cell_array(grid_, "additive_variance",
                                         "linear theory with the checkpoint's noise everywhere: the bridge", additive_,
                                         inner));
      result.extras.push_back(cell_array(grid_, "curvature",
                                         "eigenvalues of the Hessian at the checkpoint, mean over "
                                         "networks",
                                         curvature_, "direction", directions_));
      result.extras.push_back(cell_array(grid_, "curvature_bound",
                                         "Lanczos: each is an eigenvalue to within this much, mean over networks",
                                         bound_, "direction", directions_));
      result.extras.push_back(cell_array(grid_, "noise", "variance of single examples' gradients along the direction",
                                         noise_, "direction", directions_));
    }

   private:
    const CellGrid& grid_;
    std::size_t times_, directions_;
    ObservableBuilder variance_, trace_;
    std::vector<double> additive_, curvature_, bound_, noise_;
  };
};

}  // namespace

const Experiment& epoch_bridge() {
  static const EpochBridge experiment;
  return experiment;
}

}  // namespace widelab::experiments
