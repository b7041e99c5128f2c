// Do small batches find flatter minima, and flatter in which measure? Measures of flatness over batch size and learning
// rate beside the generalisation gap, each with the negative control that leaves the function unchanged.
#include <cmath>
#include <limits>
#include <memory>

#include "host/experiments/experiments.hpp"
#include "host/experiments/observables.hpp"
#include "host/experiments/sampled_experiment.hpp"
#include "host/experiments/sharpness_cell.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
/// A measure is called invariant if rescaling moves it by less than this, relatively: rounding, and for sums over
/// random probes nothing else, because both variants see the same ones.
constexpr double kInvariant = 1e-6;

struct Named {
  const char *name, *units, *description;
};

constexpr Named kNumbers[kTrainedNumbers] = {
    {"steps", "step", "steps of training"},
    {"train_loss", "1", "mean loss of training examples"},
    {"test_loss", "1", "mean loss of test examples"},
    {"train_error", "1", "share of training examples in a wrong class"},
    {"test_error", "1", "share of test examples in a wrong class"},
    {"output_change", "1", "largest change of an output by the rescaling, over the largest output: rounding"}};

constexpr const char* kMeasures[kFlatnessMeasures] = {
    "largest Hessian eigenvalue", "Hessian trace",      "batch sharpness",
    "rise, random directions",    "rise, unit by unit", "trace times squared weights"};

class SharpnessAndBatch : public SampledExperiment<make_sharpness_cell, plan_sharpness_cell, sharpness_task> {
 public:
  std::string question() const override {
    return "Do small batches find flatter minima, and flatter in which measure?";
  }

  io::Schema schema() const override {
    TrainingKeyDefaults defaults;
    defaults.train.steps = 400;
    defaults.replicates = 8;
    defaults.examples = 100;
    defaults.test_examples = 100;
    defaults.target = "classes";
    io::Schema schema =
        io::make_schema("sharpness-and-batch",
                        question() +
                            "\nMeasures of flatness of trained networks beside their generalisation gap, each also for "
                            "the same function with other parameters (a ReLU layer times alpha, the next over it): "
                            "which measures change is said in the result.",
                        {all_training_keys(defaults), sharpness_keys()});
    schema.example_sweep = {{"batch", "[10, 100]"}};
    return schema;
  }

  io::Result summarise(const RunSetup& setup, const CellReader& read) const override {
    const CellGrid grid(setup.sweep);
    std::vector<ObservableBuilder> numbers;
    for (const Named& one : kNumbers) numbers.emplace_back(grid, one.name, one.units, one.description, "none");
    ObservableBuilder gap(grid, "gap", "1", "test loss less training loss", "none"),
        flatness(grid, "flatness", "1", "measures of flatness of the mean training loss", "none", "measure",
                 kFlatnessMeasures),
        control(grid, "rescaled_over_trained", "1", "each measure after the rescaling over before: 1 = invariant",
                "none", "measure", kFlatnessMeasures);
    std::vector<double> invariant(grid.size() * kFlatnessMeasures, kNaN), limit(grid.size(), kNaN);
    for (std::size_t c = 0; c < setup.sweep.cells.size(); ++c) {
      const SharpnessCell cell = make_sharpness_cell(setup, setup.sweep.cells[c]);
      limit[grid.position(c)] = 2 / cell.training.learning_rate;
      const std::unique_ptr<io::ArrayFile> file = read(c);
      if (!file) continue;
      const Samples samples = read_samples(*file);
      for (std::size_t k = 0; k < kTrainedNumbers; ++k)
        numbers[k].set(c, 0, samples.mean(cell.number(static_cast<TrainedNumber>(k))), Prediction::none());
      gap.set(c, 0,
              mean_of(samples,
                      [&](Index r) {
                        return samples.at(r, cell.number(TrainedNumber::test_loss)) -
                               samples.at(r, cell.number(TrainedNumber::train_loss));
                      }),
              Prediction::none());
      for (std::size_t k = 0; k < kFlatnessMeasures; ++k) {
        const auto which = static_cast<Flatness>(k);
        flatness.set(c, k, samples.mean(cell.flatness(0, which)), Prediction::none());
        const estimators::Estimate ratio = mean_of(samples, [&](Index r) {
          return samples.at(r, cell.flatness(1, which)) / samples.at(r, cell.flatness(0, which));
        });
        control.set(c, k, ratio, Prediction::none());
        invariant[grid.position(c) * kFlatnessMeasures + k] = std::fabs(ratio.value - 1) < kInvariant ? 1 : 0;
      }
    }
    return assemble(setup, grid, numbers, gap, flatness, control, invariant, limit);
  }

 private:
  template <class Number>
  static estimators::Estimate mean_of(const Samples& samples, const Number& number) {
    Samples one{samples.replicates, 1, {}};
    for (Index r = 0; r < samples.replicates; ++r) one.values.push_back(number(r));
    return one.mean(0);
  }

  static io::Result assemble(const RunSetup& setup, const CellGrid& grid, std::vector<ObservableBuilder>& numbers,
                             ObservableBuilder& gap, ObservableBuilder& flatness, ObservableBuilder& control,
                             const std::vector<double>& invariant, const std::vector<double>& limit) {
    const SharpnessCell first = make_sharpness_cell(setup, setup.sweep.cells.front());
    io::Result result;
    result.attributes =
        training_attributes(setup, first.training, "networks",
                            "; curvature of the mean training loss in stored parameters; the negative control "
                            "multiplies one layer and divides the next, which leaves every output as it is; errors: "
                            "over networks");
    result.axes = grid.axes();
    io::Axis measure;
    measure.name = "measure";
    measure.units = "1";
    measure.description = "measure of flatness";
    measure.values = std::vector<std::string>(kMeasures, kMeasures + kFlatnessMeasures);
    result.axes.push_back(measure);
    for (ObservableBuilder& builder : numbers) result.observables.push_back(builder.take());
    for (ObservableBuilder* builder : {&gap, &flatness, &control}) result.observables.push_back(builder->take());
    result.extras.push_back(cell_array(grid, "invariant",
                                       "1: the measure is that of the function, 0: of its parameters", invariant,
                                       "measure", kFlatnessMeasures));
    result.extras.push_back(
        cell_array(grid, "edge_of_stability",
                   "2 / learning rate: where full-batch sharpness settles; NaN where each network has its own", limit));
    return result;
  }
};

}  // namespace

const Experiment& sharpness_and_batch() {
  static const SharpnessAndBatch experiment;
  return experiment;
}

}  // namespace widelab::experiments
