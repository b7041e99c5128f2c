// Which parametrisations keep the steps of training the same at every width? Movement of each layer's pre-activations
// and of the outputs over widths, with fitted exponents beside the predicted ones; and, where learning rates are swept,
// the best learning rate at every width.
#include <cmath>
#include <limits>
#include <memory>

#include "host/experiments/coordinate_observer.hpp"
#include "host/experiments/experiments.hpp"
#include "host/experiments/observed_result.hpp"
#include "host/experiments/rate_transfer.hpp"
#include "host/experiments/recipe_model.hpp"
#include "host/experiments/scaling_predictions.hpp"
#include "host/experiments/training_cell.hpp"
#include "host/experiments/width_fits.hpp"
#include "host/theory/coordinate_check.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::experiments {
namespace {

using estimators::Estimate;
using estimators::Statistic;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

TrainingCell make_check_cell(const RunSetup& setup, const io::Cell& at) {
  for (const io::SweepAxis& axis : setup.sweep.axes)
    if (axis.key == "model.depth" || axis.key == "model.outputs")
      throw RecipeError(axis.key + " is swept, but coord-check lists layers one by one: run it once for each value");
  TrainingCell cell = make_training_cell(setup, at);
  observe_with(cell, coordinate_observer(cell.network(), cell.data.train.inputs));
  observe_with(cell, estimators::make_observer("train_loss", observer_context(cell)));
  return cell;
}

/// "dz_1", ..., "dz_L", "df".
std::vector<std::string> layer_names(const TrainingCell& cell) {
  std::vector<std::string> names;
  for (Index l = 1; l <= cell.network().shape.depth(); ++l) names.push_back("dz_" + std::to_string(l));
  names.emplace_back("df");
  return names;
}

/// Predicted exponents of layer_names, NaN where none is known.
std::vector<double> predicted_exponents(const io::Recipe& recipe, const TrainingCell& cell) {
  const auto depth = static_cast<std::size_t>(cell.network().shape.depth());
  std::vector<double> out(depth + 1, kNaN);
  const OptimiserKind kind = cell.train.rule.update.kind;
  if (is_noisy(kind) || cell.train.rule.update.decoupled_decay) return out;
  theory::CoordinateCase setting;
  for (std::size_t p = 0; p < kScalingTables.size(); ++p)
    if (recipe.text("model.parametrization") == kScalingTables[p].name)
      setting.parametrization = static_cast<Parametrization>(p);
  const bool adam = kind == OptimiserKind::adam || kind == OptimiserKind::sign;
  setting.step = adam ? theory::StepKind::adam : theory::StepKind::sgd;
  setting.depth = cell.network().shape.depth();
  setting.biases = recipe.real("model.sigma_b") > 0 && recipe.flag("model.train_bias");
  setting.table_rates = cell.train.rates != RateScaling::plain;
  if (cell.train.unit != RateUnit::per_step)
    setting.rate_power = rate_power({setting.parametrization, setting.depth, setting.table_rates, true});
  const theory::CoordinateExponents exponents = theory::coordinate_exponents(setting);
  out.front() = exponents.first_layer;
  for (std::size_t l = 1; l < depth; ++l) out[l] = exponents.hidden_layers;
  out.back() = exponents.output;
  return out;
}

class CoordCheck : public Experiment {
 public:
  std::string question() const override { return "Which parametrisations take steps of the same size at every width?"; }

  io::Schema schema() const override {
    TrainingKeyDefaults defaults;
    defaults.train.steps = 10;
    defaults.train.spacing = "list";
    defaults.train.observe_steps = "[1, 3, 10]";
    defaults.replicates = 32;
    io::Schema schema = io::make_schema("coord-check",
                                        question() +
                                            "\nMean |z_l(t) - z_l(0)| of every layer and |f_t - f_0| over widths, with "
                                            "fitted exponents beside those of the table. Where train.learning_rate is "
                                            "swept: the best rate at every width, by the loss at the last step.",
                                        {all_training_keys(defaults), width_fit_keys()});
    schema.example_sweep = {{"parametrization", "[\"ntk\", \"mup\"]"}, {"width", "[64, 128, 256, 512]"}};
    return schema;
  }

  CellPlan plan(const RunSetup& setup, const io::Cell& at) const override {
    const TrainingCell cell = make_check_cell(setup, at);
    const double entries = static_cast<double>(cell.network().shape.layers()) + 1;
    return plan_training_cell(cell, at.name, 16 * entries * static_cast<double>(cell.spec.observed.size()));
  }

  std::unique_ptr<engine::SegmentedJob> make_job(const RunSetup& setup, const io::Cell& at,
                                                 runtime::Backend& backend) const override {
    return make_training_job(make_check_cell(setup, at), backend);
  }

  io::Result summarise(const RunSetup& setup, const CellReader& read) const override {
    const CellGrid grid(setup.sweep);
    const TrainingCell first = make_check_cell(setup, setup.sweep.cells.front());
    const std::vector<std::string> names = layer_names(first);
    const std::size_t steps = first.spec.observed.size();
    WidthFits fits(setup, grid, {names, "step", steps});
    std::vector<ObservableBuilder> builders;
    for (const std::string& name : names)
      builders.emplace_back(grid, name, "1", "mean over networks, inputs and units of |" + name + "|", "none", "step",
                            steps);
    ObservableBuilder loss(grid, "train_loss", "1", "mean over networks of the training objective", "none", "step",
                           steps);
    std::vector<std::vector<double>> exponents(names.size(), std::vector<double>(grid.size(), kNaN));
    std::vector<double> diverged(grid.size(), kNaN);
    std::vector<FinalLoss> losses(setup.sweep.cells.size());
    for (std::size_t c = 0; c < setup.sweep.cells.size(); ++c) {
      const TrainingCell cell = make_check_cell(setup, setup.sweep.cells[c]);
      const std::vector<double> predicted = predicted_exponents(io::at_cell(*setup.recipe, setup.sweep.cells[c]), cell);
      for (std::size_t q = 0; q < names.size(); ++q) exponents[q][grid.position(c)] = predicted[q];
      const std::unique_ptr<io::ArrayFile> file = read(c);
      if (!file) continue;
      const estimators::TrainingStatistics statistics = read_training_statistics(cell, *file);
      diverged[grid.position(c)] = static_cast<double>(statistics.diverged());
      const estimators::GroupedMoments &moments = statistics.moments(statistics.find("coordinates")),
                                       &objective = statistics.moments(statistics.find("train_loss"));
      if (moments.count() == 0) continue;  // every network diverged
      const std::vector<Estimate> means = moments.estimate(Statistic::mean),
                                  objectives = objective.estimate(Statistic::mean);
      const estimators::GroupSample groups = moments.group_sample(Statistic::mean);
      for (std::size_t t = 0; t < steps; ++t) {
        loss.set(c, t, objectives[t], Prediction::none());
        for (std::size_t q = 0; q < names.size(); ++q) {
          const std::size_t k = t * names.size() + q;
          builders[q].set(c, t, means[k], Prediction::none());
          if (means[k].value > 0) fits.add(c, q, means[k], one_entry(groups, static_cast<Index>(k)), t);
        }
      }
      if (statistics.diverged() == 0)
        losses[c].groups = one_entry(objective.group_sample(Statistic::mean), static_cast<Index>(steps) - 1);
    }
    io::Result result;
    result.attributes = {{"experiment", "coord-check"},
                         {"title", describe_network(*setup.recipe)},
                         {"data", first.data.train.description},
                         {"conventions", describe_training(*setup.recipe) +
                                             "; means over inputs, units and networks that did not diverge; exponents: "
                                             "powers of the width n; relu'(0) = 0"}};
    result.axes = grid.axes();
    result.axes.push_back(step_axis(first.spec.observed));
    for (ObservableBuilder& builder : builders) result.observables.push_back(builder.take());
    result.observables.push_back(loss.take());
    for (std::size_t q = 0; q < names.size(); ++q)
      result.extras.push_back(cell_array(grid, names[q] + "_predicted_exponent",
                                         "power of the width predicted for |" + names[q] + "|", exponents[q]));
    result.extras.push_back(cell_array(grid, "diverged", "networks that diverged", diverged));
    add_rate_transfer(setup, grid, losses, result);
    fits.write(result);
    return result;
  }
};

}  // namespace

const Experiment& coord_check() {
  static const CoordCheck experiment;
  return experiment;
}

}  // namespace widelab::experiments
