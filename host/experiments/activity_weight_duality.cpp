// What is the generalisation gap made of? Changes of a layer's input from a training to a test example as changes of
// its weights, and the gap split along the layer's Hessian into a factor of sharpness and one of size.
#include <memory>

#include "host/experiments/duality_cell.hpp"
#include "host/experiments/experiments.hpp"
#include "host/experiments/observables.hpp"
#include "host/experiments/sampled_experiment.hpp"

namespace widelab::experiments {
namespace {

struct Named {
  const char *name, *units, *description;
};

constexpr Named kNumbers[kDualityNumbers] = {
    {"steps", "step", "steps of training"},
    {"train_loss", "1", "mean loss of training examples"},
    {"test_loss", "1", "mean loss of test examples"},
    {"gap", "1", "mean over pairs of the test example's loss less the training example's"},
    {"gap_of_factors", "1", "sum over directions of c sigma_g sigma_w: the gap without the means' products"},
    {"identity_error", "1", "largest |l(test, W) - l(train, W + dW)|: rounding"},
    {"split_error", "1", "|sum over all directions - gap|: rounding"},
    {"share_10", "1", "share of the gap along the 10 leading eigenvectors"},
    {"share_50", "1", "the same for 50"},
    {"share_200", "1", "the same for 200"},
    {"sharpness_exponent", "1", "a in sigma_g ~ curvature^a over the reported directions"},
    {"size_exponent", "1", "a in sigma_w ~ curvature^a over the reported directions"},
    {"mean_correlation", "1", "mean over the reported directions of c"},
    {"weight_norm", "1", "Frobenius norm of the layer's weights"}};

constexpr Named kDirections[kDirectionNumbers] = {
    {"curvature", "1", "eigenvalue of the layer's Hessian of the mean training loss"},
    {"sharpness", "1", "sigma_g: spread over pairs of the gradient along the direction"},
    {"size", "1", "sigma_w: spread over pairs of the change of weights along it"},
    {"correlation", "1", "c: correlation of both"},
    {"contribution", "1", "c sigma_g sigma_w: the direction's share of the gap"}};

class ActivityWeightDuality : public SampledExperiment<make_duality_cell, plan_duality_cell, duality_task> {
 public:
  std::string question() const override { return "What is the generalisation gap made of, sharpness or size?"; }

  io::Schema schema() const override {
    TrainingKeyDefaults defaults;
    defaults.train.steps = 400;
    defaults.replicates = 6;
    defaults.examples = 100;
    defaults.test_examples = 50;
    defaults.target = "classes";
    io::Schema schema = io::make_schema(
        "activity-weight-duality",
        question() +
            "\nEach test example is paired with the nearest training example of its class; the change of a layer's "
            "input is turned into one of its weights, exactly, and the gap is split along the layer's Hessian.",
        {all_training_keys(defaults), duality_keys()});
    for (const char* path : {"data.examples", "data.target.wrong_labels"}) schema.key(path).sweepable = true;
    schema.example_sweep = {{"batch", "[25, 100]"}};
    return schema;
  }

  io::Result summarise(const RunSetup& setup, const CellReader& read) const override {
    const CellGrid grid(setup.sweep);
    const DualityCell first = make_duality_cell(setup, setup.sweep.cells.front());
    const auto shown = static_cast<std::size_t>(first.shown);
    std::vector<ObservableBuilder> numbers, directions;
    for (const Named& one : kNumbers) numbers.emplace_back(grid, one.name, one.units, one.description, "none");
    for (const Named& one : kDirections)
      directions.emplace_back(grid, one.name, one.units, one.description, "none", "direction", shown);
    for (std::size_t c = 0; c < setup.sweep.cells.size(); ++c) {
      const std::unique_ptr<io::ArrayFile> file = read(c);
      if (!file) continue;
      const DualityCell cell = make_duality_cell(setup, setup.sweep.cells[c]);
      const Samples samples = read_samples(*file);
      for (std::size_t k = 0; k < kDualityNumbers; ++k)
        numbers[k].set(c, 0, samples.mean(cell.number(static_cast<DualityNumber>(k))), Prediction::none());
      for (std::size_t k = 0; k < kDirectionNumbers; ++k)
        for (std::size_t n = 0; n < std::min<std::size_t>(shown, static_cast<std::size_t>(cell.shown)); ++n)
          directions[k].set(c, n, samples.mean(cell.direction(static_cast<Index>(n), static_cast<DirectionNumber>(k))),
                            Prediction::none());
    }
    io::Result result;
    result.attributes =
        training_attributes(setup, first.training, "networks",
                            "; changes of a layer's stored weights, of least norm; pairs: nearest training example of "
                            "the same label; Hessian of the mean training loss; errors: over networks");
    result.axes = grid.axes();
    io::Axis axis;
    axis.name = "direction";
    axis.units = "1";
    axis.description = "eigenvectors of the layer's Hessian, sharpest first";
    std::vector<double> values;
    for (std::size_t n = 0; n < shown; ++n) values.push_back(static_cast<double>(n));
    axis.values = values;
    result.axes.push_back(axis);
    for (ObservableBuilder& builder : numbers) result.observables.push_back(builder.take());
    for (ObservableBuilder& builder : directions) result.observables.push_back(builder.take());
    return result;
  }
};

}  // namespace

const Experiment& activity_weight_duality() {
  static const ActivityWeightDuality experiment;
  return experiment;
}

}  // namespace widelab::experiments
