// How far does training move the tangent kernel and the weights? Relative change of the kernel and rms movement of
// weights over width, depth, parametrisation and richness, with fitted exponents beside the predicted ones.
#include <cmath>
#include <iterator>
#include <limits>
#include <memory>

#include "host/experiments/experiments.hpp"
#include "host/experiments/observed_result.hpp"
#include "host/experiments/recipe_model.hpp"
#include "host/experiments/scaling_predictions.hpp"
#include "host/experiments/training_cell.hpp"
#include "host/experiments/width_fits.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::experiments {
namespace {

using estimators::Estimate;
using estimators::Statistic;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr const char* kNames[] = {"kernel_change", "movement_input", "movement_hidden", "movement_readout",
                                  "largest_movement"};
constexpr std::size_t kNumbers = std::size(kNames);
constexpr std::size_t kHidden = 2;

/// kNames of one network: |Theta_t - Theta_0|_F / |Theta_0|_F; rms over the entries of the input weights, of all hidden
/// matrices together (0 if there are none) and of the readout of theta_t - theta_0; the largest modulus of all weights.
class DriftObserver : public engine::Observer {
 public:
  explicit DriftObserver(const MlpShape& shape) : shape_(shape), layout_(shape) {}
  std::string name() const override { return "drift"; }
  Index entries() const override { return static_cast<Index>(kNumbers); }
  std::vector<std::string> entry_labels() const override { return {std::begin(kNames), std::end(kNames)}; }
  engine::ObserverNeeds needs() const override {
    engine::ObserverNeeds needs;
    needs.ntk = needs.parameters = true;
    return needs;
  }

  void observe(const engine::MemberView& member, std::span<double> out) const override {
    double change = 0, norm = 0;
    for (std::size_t e = 0; e < member.ntk.size(); ++e) {
      change += (member.ntk[e] - member.first_ntk[e]) * (member.ntk[e] - member.first_ntk[e]);
      norm += member.first_ntk[e] * member.first_ntk[e];
    }
    out[0] = norm > 0 ? std::sqrt(change / norm) : 0.0;
    double squares[3] = {}, counts[3] = {}, largest = 0;
    for (Index l = 0; l < shape_.layers(); ++l) {
      const std::size_t role = l == 0 ? 0 : l == shape_.depth() ? 2 : 1;
      const auto from = static_cast<std::size_t>(layout_.weight_offset[static_cast<std::size_t>(l)]);
      const auto count = static_cast<std::size_t>(shape_.fan_in(l) * shape_.fan_out(l));
      for (const double d : member.displacement.subspan(from, count)) {
        squares[role] += d * d;
        largest = std::fabs(d) > largest ? std::fabs(d) : largest;
      }
      counts[role] += static_cast<double>(count);
    }
    for (std::size_t role = 0; role < 3; ++role)
      out[1 + role] = counts[role] > 0 ? std::sqrt(squares[role] / counts[role]) : 0.0;
    out[4] = largest;
  }

 private:
  MlpShape shape_;
  ParamLayout layout_;
};

TrainingCell make_drift_cell(const RunSetup& setup, const io::Cell& at) {
  TrainingCell cell = make_training_cell(setup, at);
  cell.spec.kernel_inputs = all_inputs(cell.data);
  cell.spec.kernel_count = cell.data.train.examples + cell.data.test.examples;
  observe_with(cell, std::make_shared<DriftObserver>(cell.network().shape));
  estimators::ObserverContext context = observer_context(cell);
  observe_with(cell, estimators::make_observer("train_loss", context));
  return cell;
}

ScalingCase scaling_case(const io::Recipe& recipe, const TrainingCell& cell) {
  ScalingCase out;
  for (std::size_t p = 0; p < kScalingTables.size(); ++p)
    if (recipe.text("model.parametrization") == kScalingTables[p].name)
      out.parametrization = static_cast<Parametrization>(p);
  out.depth = cell.network().shape.depth();
  out.table_rates = cell.train.rates != RateScaling::plain;
  out.kernel_unit = cell.train.unit != RateUnit::per_step;
  return out;
}

/// The predicted exponents of kNames; the largest movement has none (powers of log n).
std::vector<double> predicted_exponents(const ScalingCase& setting) {
  const MovementExponents movement = movement_exponents(setting);
  return {kernel_change_exponent(setting), movement.input, setting.depth > 1 ? movement.hidden : kNaN, movement.readout,
          kNaN};
}

/// Only gradient steps have the exponents of the table's SGD column.
bool has_prediction(const TrainingCell& cell) {
  const OptimiserKind kind = cell.train.rule.update.kind;
  return kind == OptimiserKind::sgd || kind == OptimiserKind::heavy_ball || kind == OptimiserKind::nesterov;
}

class KernelDrift : public Experiment {
 public:
  std::string question() const override { return "How far does training move the tangent kernel and the weights?"; }

  io::Schema schema() const override {
    TrainingKeyDefaults defaults;
    defaults.train = {100, "gd", "1.0", "1/lambda_max", "auto", 6};
    defaults.examples = 8;
    defaults.test_examples = 4;
    io::Schema schema =
        io::make_schema("kernel-drift",
                        question() +
                            "\n|Theta_t - Theta_0| / |Theta_0| and rms movement of input, hidden and readout weights, "
                            "fitted over the width and held beside the powers that the parametrisation table predicts.",
                        {all_training_keys(defaults), width_fit_keys()});
    schema.example_sweep = {{"width", "[64, 128, 256, 512]"}, {"depth", "[1, 2]"}};
    return schema;
  }

  CellPlan plan(const RunSetup& setup, const io::Cell& at) const override {
    const TrainingCell cell = make_drift_cell(setup, at);
    return plan_training_cell(cell, at.name, 100.0 * static_cast<double>(cell.spec.observed.size()));
  }

  std::unique_ptr<engine::SegmentedJob> make_job(const RunSetup& setup, const io::Cell& at,
                                                 runtime::Backend& backend) const override {
    return make_training_job(make_drift_cell(setup, at), backend);
  }

  io::Result summarise(const RunSetup& setup, const CellReader& read) const override {
    const CellGrid grid(setup.sweep);
    const TrainingCell first = make_drift_cell(setup, setup.sweep.cells.front());
    const std::size_t steps = first.spec.observed.size();
    WidthFits fits(setup, grid, {{std::begin(kNames), std::end(kNames)}, "step", steps});
    std::vector<ObservableBuilder> builders;
    std::vector<std::vector<double>> exponents(kNumbers, std::vector<double>(grid.size(), kNaN));
    for (const char* name : kNames)
      builders.emplace_back(grid, name, "1", std::string("mean over networks of ") + name, "none", "step", steps);
    ObservableBuilder loss(grid, "train_loss", "1", "mean over networks of the training objective", "none", "step",
                           steps);
    std::vector<double> diverged(grid.size(), kNaN);
    for (std::size_t c = 0; c < setup.sweep.cells.size(); ++c) {
      const TrainingCell cell = make_drift_cell(setup, setup.sweep.cells[c]);
      if (has_prediction(cell)) {
        const std::vector<double> predicted =
            predicted_exponents(scaling_case(io::at_cell(*setup.recipe, setup.sweep.cells[c]), cell));
        for (std::size_t q = 0; q < kNumbers; ++q) exponents[q][grid.position(c)] = predicted[q];
      }
      const std::unique_ptr<io::ArrayFile> file = read(c);
      if (!file) continue;
      const estimators::TrainingStatistics statistics = read_training_statistics(cell, *file);
      diverged[grid.position(c)] = static_cast<double>(statistics.diverged());
      const estimators::GroupedMoments& moments = statistics.moments(statistics.find("drift"));
      if (moments.count() == 0) continue;  // every network diverged
      const std::vector<Estimate> means = moments.estimate(Statistic::mean),
                                  losses = statistics.moments(statistics.find("train_loss")).estimate(Statistic::mean);
      const estimators::GroupSample groups = moments.group_sample(Statistic::mean);
      for (std::size_t t = 0; t < steps; ++t) {
        loss.set(c, t, losses[t], Prediction::none());
        for (std::size_t q = 0; q < kNumbers; ++q) {
          const std::size_t k = t * kNumbers + q;
          if (q == kHidden && cell.network().shape.depth() == 1) continue;
          builders[q].set(c, t, means[k], Prediction::none());
          if (means[k].value > 0) fits.add(c, q, means[k], one_entry(groups, static_cast<Index>(k)), t);
        }
      }
    }
    io::Result result;
    result.attributes = {
        {"experiment", "kernel-drift"},
        {"title", describe_network(*setup.recipe)},
        {"data", first.data.train.description},
        {"conventions",
         describe_training(*setup.recipe) +
             "; kernel change relative, Frobenius norm on training and test examples; movement: rms over "
             "single weights as stored; exponents: powers of the width n; relu'(0) = 0"}};
    result.axes = grid.axes();
    result.axes.push_back(step_axis(first.spec.observed));
    for (ObservableBuilder& builder : builders) result.observables.push_back(builder.take());
    result.observables.push_back(loss.take());
    for (std::size_t q = 0; q < kNumbers; ++q)
      result.extras.push_back(cell_array(grid, std::string(kNames[q]) + "_predicted_exponent",
                                         std::string("power of the width predicted for ") + kNames[q], exponents[q]));
    result.extras.push_back(cell_array(grid, "diverged", "networks that diverged", diverged));
    fits.write(result);
    return result;
  }
};

}  // namespace

const Experiment& kernel_drift() {
  static const KernelDrift experiment;
  return experiment;
}

}  // namespace widelab::experiments
