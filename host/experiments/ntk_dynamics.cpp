// Do wide networks trained by full-batch gradient descent follow their linearisation? An ensemble over widths against
// the mean and covariance of the infinite ensemble step by step, and every network against its own linearisation.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "host/estimators/joint_test.hpp"
#include "host/experiments/dynamics_observers.hpp"
#include "host/experiments/dynamics_summary.hpp"
#include "host/experiments/experiments.hpp"
#include "host/experiments/recipe_model.hpp"
#include "host/experiments/width_fits.hpp"
#include "host/theory/infinite_width.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::experiments {
namespace {

// Rounding of a kernel computed in fp32, relative to its diagonal: dots are exact sums of rounded features.
constexpr double kSingleKernelRounding = 0x1p-20;

/// The first half of the probes among the training points, the other half among the test points, as far as there are.
std::vector<Index> probe_points(const LearningData& data, Index count) {
  const Index train = data.train.examples, test = data.test.examples;
  const Index from_test = std::min(test, count / 2), from_train = std::min(train, count - from_test);
  std::vector<Index> points;
  for (Index i = 0; i < from_train; ++i) points.push_back(i);
  for (Index i = 0; i < from_test; ++i) points.push_back(train + i);
  return points;
}

/// The objective of the function that is 0 everywhere.
double objective_of_zero(const TrainingCell& cell) {
  const data::Dataset& set = cell.data.train;
  const std::vector<double> zero(static_cast<std::size_t>(set.outputs), 0.0);
  double sum = 0;
  for (Index i = 0; i < set.examples; ++i)
    sum += loss_value(cell.train.rule.loss, zero.data(), &set.targets[static_cast<std::size_t>(i * set.outputs)],
                      set.outputs);
  return reduction_factor(cell.train.rule.reduction, set.examples, set.examples, set.outputs) * sum;
}

struct DynamicsCell {
  TrainingCell training;
  std::shared_ptr<const DynamicsScene> scene;
};

DynamicsCell make_dynamics_cell(const RunSetup& setup, const io::Cell& at) {
  for (const io::SweepAxis& axis : setup.sweep.axes)
    if (axis.key == "model.outputs")
      throw RecipeError("model.outputs is swept: ntk-dynamics needs one target for all cells; run it once for each");
  const io::Recipe recipe = io::at_cell(*setup.recipe, at);
  const double train = static_cast<double>(recipe.integer("data.examples")),
               points = train + static_cast<double>(recipe.integer("data.test_examples")),
               steps = static_cast<double>(observed_steps(recipe).size());
  // Both kernels and the parts of them that are solved with; at each step a response to the data and two covariances.
  require_room(recipe, setup.limits, 8 * (4 * points * points + steps * (points * train + 2 * points * points)),
               "the predictions at every observed step");
  DynamicsCell cell{make_training_cell(setup, at), nullptr};
  auto scene = std::make_shared<DynamicsScene>();
  scene->prediction = predict_dynamics(cell.training);
  scene->probes = probe_points(cell.training.data, recipe.integer("measure.probes"));
  scene->loss = cell.training.train.rule.loss;
  scene->reduction = cell.training.train.rule.reduction;
  scene->zero_loss = recipe.real("measure.zero_loss") * objective_of_zero(cell.training);
  scene->kernel_rounding = cell.training.train.precision == Precision::fp32 ? kSingleKernelRounding : 0.0;
  engine::TrainingSpec& spec = cell.training.spec;
  spec.evaluation_inputs = spec.kernel_inputs = all_inputs(cell.training.data);
  spec.evaluation_count = spec.kernel_count = scene->prediction.points();
  cell.scene = std::move(scene);
  for (const auto& observer : dynamics_observers(cell.scene)) observe_with(cell.training, observer);
  return cell;
}

std::vector<io::KeySpec> dynamics_keys() {
  return {io::make_key(
              "measure.probes", io::KeyType::integer, "6",
              "Points whose mean and covariance are looked at: half of them training examples, half test examples.", 1,
              1000),
          io::make_key("measure.zero_loss", io::KeyType::real, "0.01",
                       "A training loss below this fraction of the loss of the function 0 counts as zero.", 0, 1e6)};
}

class NtkDynamics : public Experiment {
 public:
  std::string question() const override {
    return "Do wide networks trained by gradient descent follow their linearisation?";
  }

  io::Schema schema() const override {
    TrainingKeyDefaults defaults;
    defaults.train = {200, "gd", "1.0", "1/lambda_max", "auto", 12};
    defaults.replicates = 500;
    defaults.examples = 6;
    defaults.test_examples = 4;
    io::Schema schema =
        io::make_schema("ntk-dynamics",
                        question() +
                            "\nMean and covariance over networks at every observed step against discrete gradient "
                            "descent in the infinite-width limit, with the 1/n correction estimated on the two "
                            "smallest widths; each network against its own linearisation, with the infinite kernel and "
                            "with its own; zero loss, least eigenvalue, rate of decay.",
                        {all_training_keys(defaults), dynamics_keys(), width_fit_keys()});
    schema.example_sweep = {{"width", "[64, 128, 256, 512]"}};
    return schema;
  }

  CellPlan plan(const RunSetup& setup, const io::Cell& at) const override {
    const DynamicsCell cell = make_dynamics_cell(setup, at);
    double numbers = 0;
    for (const estimators::ObservedQuantity& quantity : cell.training.quantities)
      numbers += 6.0 * static_cast<double>(quantity.entries) * static_cast<double>(cell.training.spec.observed.size());
    return plan_training_cell(cell.training, at.name, 2 * numbers);
  }

  std::unique_ptr<engine::SegmentedJob> make_job(const RunSetup& setup, const io::Cell& at,
                                                 runtime::Backend& backend) const override {
    return make_training_job(make_dynamics_cell(setup, at).training, backend);
  }

  io::Result summarise(const RunSetup& setup, const CellReader& read) const override {
    const CellGrid grid(setup.sweep);
    const DynamicsCell first = make_dynamics_cell(setup, setup.sweep.cells.front());
    const io::Recipe& recipe = *setup.recipe;
    const std::string caveat = theory::infinite_width_caveat(first.training.network());
    DynamicsSummary summary(setup, grid, *first.scene);
    for (std::size_t c = 0; c < setup.sweep.cells.size(); ++c) {
      const DynamicsCell cell = make_dynamics_cell(setup, setup.sweep.cells[c]);
      if (const std::unique_ptr<io::ArrayFile> file = read(c))
        summary.add(c, *cell.scene, cell.training, read_training_statistics(cell.training, *file), file->attributes);
    }
    io::Result result;
    result.attributes = {
        {"experiment", "ntk-dynamics"},
        {"title", describe_network(recipe)},
        {"data", first.training.data.train.description},
        {"conventions",
         describe_training(recipe) +
             "; objective = reduction x sum of losses; Theta = sum over trained parameters of gradient "
             "products times relative rates, mean over outputs; deviations from linearisation in units of "
             "the mean of E (f_0 - y)^2; relu'(0) = 0; n: width; predictions of mean and covariance: "
             "infinite width plus (c + b/n)/n from the two smallest widths"},
        {"caveat", caveat}};
    result.axes = grid.axes();
    summary.write(result);
    return result;
  }
};

}  // namespace

const Experiment& ntk_dynamics() {
  static const NtkDynamics experiment;
  return experiment;
}

}  // namespace widelab::experiments
