// Do Langevin dynamics of networks sample the posterior that they are said to? Chains on a stated target, their moments
// beside the law at a finite step size and the Gibbs law that steps and widths tend to, and how many draws they are
// worth.
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <memory>

#include "host/experiments/axis_limits.hpp"
#include "host/experiments/experiments.hpp"
#include "host/experiments/langevin_summary.hpp"
#include "host/experiments/recipe_model.hpp"
#include "host/experiments/recipe_seeds.hpp"
#include "host/experiments/sampled_experiment.hpp"
#include "host/experiments/verdicts.hpp"
#include "host/theory/infinite_width.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr const char* kAtStep =
    "readout alone: exact stationary law at this step size; all layers: Gibbs law in the limit of infinite width";

/// Everything that a summary collects, cell by cell.
class LangevinResult {
 public:
  LangevinResult(const RunSetup& setup, const CellGrid& grid, const LangevinCell& first)
      : grid_(grid),
        limits_(setup, grid, {"train.learning_rate", "_at_zero_step", "step size 0"}),
        points_(static_cast<std::size_t>(first.points())),
        quantities_(static_cast<std::size_t>(first.quantities())),
        exact_(first.readout.has_value()),
        mean_(grid, "posterior_mean", "1", "E f", kAtStep, "point", points_),
        variance_(grid, "posterior_variance", "1", "Var f", kAtStep, "point", points_),
        projection_(grid, "mean_projection", "1", "(E f).mu / mu.mu over all points, mu of the Gibbs law", kAtStep),
        spread_(grid, "variance_ratio", "1", "Var f over that of the Gibbs law, summed over points", kAtStep),
        loss_(grid, "loss_ratio", "1", "E (1/2) sum (f - y)^2 over that of the Gibbs law", kAtStep),
        virial_(grid, "readout_virial", "1",
                "E theta.grad U / (p T) of the readout's p parameters: 1 in the Gibbs law at any width", kAtStep),
        time_(grid, "log_autocorrelation_time", "1",
              "log of n Var(a chain's mean of n draws) / Var(draw), between chains", "readout alone: exact", "quantity",
              quantities_),
        size_(grid, "effective_sample_size", "1", "draws that a chain is worth: Geyer's initial monotone sequence",
              "none", "quantity", quantities_),
        rhat_(grid, "split_rhat", "1", "split-R-hat over chains", "none", "quantity", quantities_),
        loss_at_(grid, "loss_at", "1", "E (1/2) sum (f - y)^2 at single steps, from the start on", "none", "step",
                 first.observed.size()),
        gibbs_mean_(grid.size() * points_, kNaN),
        gibbs_variance_(gibbs_mean_),
        noise_(grid.size(), kNaN),
        prior_(noise_),
        decay_(noise_),
        diverged_(noise_),
        draws_(noise_),
        verdict_(grid.size() * kVerdictNumbers, kNaN) {}

  void add(std::size_t c, const LangevinCell& cell, const Samples& samples, std::uint64_t key) {
    const LangevinPrediction predicted = predict_langevin(cell);
    const LangevinChains chains(cell, predicted, samples);
    const std::size_t at = grid_.position(c);
    double mu = 0, along = 0, spread = 0, gibbs_spread = 0;
    for (std::size_t p = 0; p < points_; ++p) {
      mean_.set(c, p, chains.mean(static_cast<Index>(p)), {predicted.step.mean[p]});
      variance_.set(c, p, chains.variance(static_cast<Index>(p)), {predicted.step.variance[p]});
      gibbs_mean_[at * points_ + p] = predicted.gibbs.mean[p];
      gibbs_variance_[at * points_ + p] = predicted.gibbs.variance[p];
      mu += predicted.gibbs.mean[p] * predicted.gibbs.mean[p];
      along += predicted.gibbs.mean[p] * predicted.step.mean[p];
      spread += predicted.step.variance[p];
      gibbs_spread += predicted.gibbs.variance[p];
    }
    projection_.set(c, 0, chains.mean_projection(), {along / mu});
    spread_.set(c, 0, chains.variance_ratio(), {spread / gibbs_spread});
    loss_.set(c, 0, chains.loss_ratio(), {predicted.step.loss / predicted.gibbs.loss});
    virial_.set(c, 0, chains.mean(cell.virial()), {predicted.step.virial});
    for (std::size_t q = 0; q < quantities_; ++q) {
      const auto quantity = static_cast<Index>(q);
      time_.set(c, q, chains.log_autocorrelation_time(quantity),
                {q < points_ ? std::log(predicted.autocorrelation_time[q]) : kNaN});
      size_.set(c, q, chains.effective_size(quantity), Prediction::none());
      rhat_.set(c, q, chains.rhat(quantity), Prediction::none());
    }
    for (std::size_t t = 0; t < cell.observed.size(); ++t)
      loss_at_.set(c, t, samples.mean(cell.loss_at(t)), Prediction::none());
    noise_[at] = cell.target.noise_variance();
    prior_[at] = cell.target.prior_variance();
    decay_[at] = cell.target.weight_decay;
    draws_[at] = static_cast<double>(cell.draws());
    const estimators::GroupSample about = chains.about_gibbs_mean();
    diverged_[at] = static_cast<double>(samples.replicates - about.groups);
    if (!predicted.exact) return;
    std::vector<double> expected(points_, 0.0);
    for (std::size_t p = 0; p < points_; ++p) expected[p] = predicted.step.mean[p] - predicted.gibbs.mean[p];
    expected.insert(expected.end(), predicted.step.variance.begin(), predicted.step.variance.end());
    const double rounding = cell.training.train.precision == Precision::fp64 ? 1e-12 : 1e-5;
    judge(about, 0, expected, key, rounding, verdict_.data() + at * kVerdictNumbers);
  }

  void write(const LangevinCell& first, io::Result& result) {
    write_axes(first, result);
    const std::size_t before = result.observables.size();
    for (ObservableBuilder* builder :
         {&mean_, &variance_, &projection_, &spread_, &loss_, &virial_, &time_, &size_, &rhat_, &loss_at_})
      result.observables.push_back(builder->take());
    const std::vector<double> ones(grid_.size(), 1.0);
    for (std::size_t k = 0; k < 6; ++k) {
      const io::Observable one = result.observables[before + k];  // the list grows
      const bool virial = one.name == "readout_virial";
      // A law of infinite width, or of small steps, beside networks that have neither.
      if (!exact_)
        result.extras.push_back(cell_array(grid_, one.name + "_mean_is_exact", "0: a limit, shown beside",
                                           std::vector<double>(one.mean.size(), 0.0), k < 2 ? "point" : "",
                                           k < 2 ? points_ : 1));
      limits_.extrapolate(
          one,
          {k == 0   ? gibbs_mean_
           : k == 1 ? gibbs_variance_
                    : ones,
           exact_ || virial ? "Gibbs law, exact" : "Gibbs law in the limit of infinite width", exact_ || virial},
          result);
      if (!exact_ && !virial && k >= 2) limits_.shift_with_width(one, result);
    }
    const auto array = [&](const char* name, const char* description, const std::vector<double>& values) {
      result.extras.push_back(cell_array(grid_, name, description, values));
    };
    result.extras.push_back(cell_array(grid_, "gibbs_mean", "E f in the Gibbs law", gibbs_mean_, "point", points_));
    result.extras.push_back(
        cell_array(grid_, "gibbs_variance", "Var f in the Gibbs law", gibbs_variance_, "point", points_));
    array("noise_variance", "s2 = T / kappa of the likelihood that the rule of training amounts to", noise_);
    array("prior_variance", "T / lambda of every trained parameter", prior_);
    array("weight_decay", "lambda", decay_);
    array("draws", "of each chain", draws_);
    array("diverged", "chains that diverged", diverged_);
    if (!exact_) return;
    result.axes.push_back(verdict_axis());
    result.extras.push_back(cell_array(grid_, "joint_verdict", "means and variances at all points judged together",
                                       verdict_, "verdict", kVerdictNumbers));
  }

 private:
  void write_axes(const LangevinCell& first, io::Result& result) const {
    std::vector<std::string> labels;
    for (Index p = 0; p < first.points(); ++p)
      labels.push_back(p < first.train_points() ? fmt::format("train {}", p)
                                                : fmt::format("test {}", p - first.train_points()));
    io::Axis point, quantity, step;
    point.name = "point";
    quantity.name = "quantity";
    step.name = "step";
    point.units = quantity.units = "1";
    step.units = "step";
    point.description = "inputs: training examples, then test examples";
    quantity.description = "f at every point, the loss, and the virial of the readout";
    step.description = "steps of training";
    point.values = labels;
    labels.insert(labels.end(), {"loss", "virial"});
    quantity.values = labels;
    step.values = std::vector<double>(first.observed.begin(), first.observed.end());
    result.axes.insert(result.axes.end(), {point, quantity, step});
  }

  const CellGrid& grid_;
  AxisLimits limits_;
  std::size_t points_, quantities_;
  bool exact_;
  ObservableBuilder mean_, variance_, projection_, spread_, loss_, virial_, time_, size_, rhat_, loss_at_;
  std::vector<double> gibbs_mean_, gibbs_variance_, noise_, prior_, decay_, diverged_, draws_, verdict_;
};

class Langevin : public SampledExperiment<make_langevin_cell, plan_langevin_cell, langevin_task> {
 public:
  std::string question() const override {
    return "Do Langevin dynamics of networks sample the posterior that they are said to, and at which step size?";
  }

  io::Schema schema() const override {
    TrainingKeyDefaults defaults;
    defaults.train.steps = 3000;
    defaults.train.optimiser = "langevin";
    defaults.train.learning_rate = "0.05";
    defaults.replicates = 64;
    defaults.examples = 8;
    defaults.dimension = 4;
    defaults.test_examples = 4;
    io::Schema schema = io::make_schema(
        "langevin",
        question() +
            "\nIndependent chains on U = (kappa / 2) sum (f - y)^2 + (lambda / 2) |theta|^2 at temperature T. Readout "
            "alone (model.train_layers): beside the exact law at the step size and the Gibbs law. All layers: beside "
            "the limit of infinite width, K (K + T / kappa)^-1 y. Swept learning rates are extrapolated to 0.",
        {all_training_keys(defaults), langevin_keys(), {limit_fit_key()}});
    schema.key("train.temperature").default_value = "0.5";  // without one there is no posterior
    schema.example_sweep = {{"width", "[16, 32, 64]"}, {"learning_rate", "[0.02, 0.04, 0.08]"}};
    return schema;
  }

  io::Result summarise(const RunSetup& setup, const CellReader& read) const override {
    const CellGrid grid(setup.sweep);
    const LangevinCell first = make_langevin_cell(setup, setup.sweep.cells.front());
    LangevinResult collected(setup, grid, first);
    for_each_measured<make_langevin_cell>(setup, read, [&](std::size_t c, const auto& cell, const Samples& samples) {
      collected.add(c, cell, samples, role_key(setup.seed, "bootstrap", setup.sweep.cells[c].name));
    });
    io::Result result;
    result.attributes = {{"experiment", "langevin"},
                         {"counted", "chains"},
                         {"title", (first.readout ? "readout alone, " : "") + describe_network(*setup.recipe)},
                         {"data", first.training.data.train.description},
                         {"conventions", conventions(*setup.recipe)},
                         {"caveat", first.readout ? "" : theory::infinite_width_caveat(first.training.network())}};
    result.axes = grid.axes();
    collected.write(first, result);
    return result;
  }

 private:
  static std::string conventions(const io::Recipe& recipe) {
    return describe_training(recipe) +
           fmt::format(
               "; target e^(-U/T), U = (kappa / 2) sum (f - y)^2 + (lambda / 2) |theta|^2 on stored parameters: "
               "noise variance T / kappa, prior variance T / lambda (chain.prior {}; each cell's are extras); "
               "Langevin time = learning rate x steps (sgld: half of it); draws every thin steps after the "
               "burn-in; errors: over chains",
               recipe.text("chain.prior"));
  }
};

}  // namespace

const Experiment& langevin() {
  static const Langevin experiment;
  return experiment;
}

}  // namespace widelab::experiments
