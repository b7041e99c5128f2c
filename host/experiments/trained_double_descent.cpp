// Does the test error of trained networks descend twice? Risk over width, examples and training time, split into bias
// and variances over crossed initial weights and training sets, with the linearised model of the same networks.
#include <cmath>
#include <limits>
#include <memory>
#include <optional>

#include "host/experiments/experiments.hpp"
#include "host/experiments/observables.hpp"
#include "host/experiments/observed_result.hpp"
#include "host/experiments/trained_cell.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<io::KeySpec> companion_keys() {
  io::KeySpec linearised = io::make_key("companion.linearised", io::KeyType::boolean, "false",
                                        "true: train the linearisation of each network about its initial weights. "
                                        "Sweep it, with seeds.shared = [\"linearised\"], to have both.");
  linearised.sweepable = true;
  return {linearised, io::make_key("companion.gamma", io::KeyType::real, "1e-3",
                                   "Linearised networks move by this share of what networks do: their error is of this "
                                   "order, rounding of that of 1e-7 over it (fp32).",
                                   1e-6, 0.1)};
}

double parameters_per_equation(const TrainedCell& cell) {
  const data::Dataset& train = cell.training.data.train;
  return static_cast<double>(ParamLayout(cell.training.network().shape).size) /
         static_cast<double>(train.examples * train.outputs);
}

class TrainedDoubleDescent : public Experiment {
 public:
  std::string question() const override { return "Does the test error of trained networks descend twice?"; }

  io::Schema schema() const override {
    TrainingKeyDefaults defaults;
    defaults.examples = 64;
    defaults.test_examples = 64;
    defaults.replicates = 16;
    io::Schema schema = io::make_schema(
        "trained-double-descent",
        question() +
            "\nRisk over width, examples, wrong labels and training time, split into bias and variances over crossed "
            "initial weights and training sets; the linearised model of the same networks beside it. No prediction.",
        {all_training_keys(defaults), companion_keys()});
    for (const char* path : {"data.examples", "data.target.wrong_labels"}) schema.key(path).sweepable = true;
    schema.example_sweep = {{"width", "[4, 16, 64]"}, {"linearised", "[false, true]"}};
    return schema;
  }

  CellPlan plan(const RunSetup& setup, const io::Cell& at) const override {
    const TrainedCell cell = make_trained_cell(setup, at);
    const auto times = static_cast<double>(cell.training.spec.observed.size());
    CellPlan plan = plan_training_cell(cell.training, at.name, 6.0 * times * static_cast<double>(Index{kRiskNumbers}));
    const double samples =
        estimators::SampleSink(cell.numbers, static_cast<Index>(times)).bytes(cell.training.spec.replicates);
    plan.sampling_bytes += samples + training_set_bytes(cell);
    plan.writing_bytes += 4 * samples;
    plan.bytes = std::max(plan.sampling_bytes, plan.writing_bytes);
    plan.summary_bytes += 4 * samples;  // a cell and the one beside it
    return plan;
  }

  std::unique_ptr<engine::SegmentedJob> make_job(const RunSetup& setup, const io::Cell& at,
                                                 runtime::Backend& backend) const override {
    return make_trained_job(setup, at, backend);
  }

  io::Result summarise(const RunSetup& setup, const CellReader& read) const override {
    const CellGrid grid(setup.sweep);
    const TrainedCell first = make_trained_cell(setup, setup.sweep.cells.front());
    const std::size_t times = first.training.spec.observed.size();
    std::vector<ObservableBuilder> risks;
    for (Index number = 0; number < kRiskNumbers; ++number)
      risks.emplace_back(grid, risk_name(number), "1", description(number), "none", "step", times);
    ObservableBuilder distance(grid, "distance_to_linearised", "1",
                               "mean over test examples of |f - f_lin|^2, network by network", "none", "step", times);
    std::vector<double> ratio(grid.size(), kNaN), diverged(grid.size(), kNaN);
    for (std::size_t c = 0; c < setup.sweep.cells.size(); ++c) {
      const TrainedCell cell = make_trained_cell(setup, setup.sweep.cells[c]);
      ratio[grid.position(c)] = parameters_per_equation(cell);
      const std::unique_ptr<io::ArrayFile> file = read(c);
      if (!file) continue;
      const estimators::SampleSink sink = read_trained(cell, *file);
      double lost = 0;
      for (Index r = 0; r < sink.replicates(); ++r) lost += sink.diverged(r) ? 1 : 0;
      diverged[grid.position(c)] = lost;
      const Samples blocks = block_risks(cell, sink);
      for (std::size_t t = 0; t < times; ++t)
        for (Index number = 0; number < kRiskNumbers; ++number)
          risks[static_cast<std::size_t>(number)].set(c, t, blocks.mean(static_cast<Index>(t) * kRiskNumbers + number),
                                                      Prediction::none());
      if (cell.linearised) add_distance(setup, read, cell, sink, c, distance);
    }
    io::Result result;
    result.attributes = training_attributes(setup, first.training, "blocks of four networks",
                                            "; losses of the result: mean over examples of |f - y|^2; variances over "
                                            "blocks of two initial weights by two disjoint training sets, batch order "
                                            "in the rest; test labels are right; relu'(0) = 0");
    result.axes = grid.axes();
    result.axes.push_back(step_axis(first.training.spec.observed));
    for (ObservableBuilder& builder : risks) result.observables.push_back(builder.take());
    result.observables.push_back(distance.take());
    result.extras.push_back(cell_array(grid, "parameters_per_equation", "P / (N k)", ratio));
    result.extras.push_back(
        cell_array(grid, "diverged", "networks that diverged; their blocks are left out", diverged));
    return result;
  }

 private:
  static std::string description(Index number) {
    constexpr const char* kDescriptions[] = {
        "mean over training examples of |f - y|^2, wrong labels included",
        "mean over test examples of |f - y|^2",
        "share of test examples in a wrong class",
        "squared bias: product of the errors of two networks with nothing in common",
        "variance from initial weights",
        "variance from the training set",
        "variance from the interaction of both, and from the batch order"};
    return kDescriptions[number];
  }

  static void add_distance(const RunSetup& setup, const CellReader& read, const TrainedCell& cell,
                           const estimators::SampleSink& linearised, std::size_t c, ObservableBuilder& distance) {
    const std::optional<std::size_t> beside = cell_beside(setup.sweep, c, "linearised", "false");
    if (!beside) return;
    const TrainedCell network = make_trained_cell(setup, setup.sweep.cells[*beside]);
    if (network.training.init_key != cell.training.init_key) return;  // other draws: seeds.shared lacks "linearised"
    const std::unique_ptr<io::ArrayFile> file = read(*beside);
    if (!file) return;
    const Samples blocks = block_distances(cell, linearised, read_trained(network, *file));
    for (Index t = 0; t < blocks.numbers; ++t)
      distance.set(c, static_cast<std::size_t>(t), blocks.mean(t), Prediction::none());
  }
};

}  // namespace

const Experiment& trained_double_descent() {
  static const TrainedDoubleDescent experiment;
  return experiment;
}

}  // namespace widelab::experiments
