// What linearisation cannot do: networks that find the hidden directions of a target, or stall before them, beside
// their own linearisations and beside regressions on the features they start with.
#include <map>
#include <memory>
#include <string>

#include "host/experiments/experiments.hpp"
#include "host/experiments/lazy_gap_regression.hpp"
#include "host/experiments/lazy_gap_summary.hpp"

namespace widelab::experiments {
namespace {

class LazyGap : public Experiment {
 public:
  std::string question() const override {
    return "What do networks learn that their linearisations and fixed features cannot?";
  }

  io::Schema schema() const override {
    TrainingKeyDefaults defaults;
    defaults.examples = 512;
    defaults.dimension = 32;
    defaults.test_examples = 1000;
    defaults.replicates = 200;
    defaults.target = "gegenbauer";
    io::Schema schema = io::make_schema(
        "lazy-gap",
        question() +
            "\nOverlap with hidden directions, escape times and risk over hundreds of networks, each with examples of "
            "its own; random-feature and tangent-feature regressions and the linearised networks beside them. Without "
            "biases (model.sigma_b) ReLU networks have no odd part but a linear one.",
        {gap_keys(), all_training_keys(defaults)});
    const std::map<std::string, std::string> own{{"data.target.coefficients", "[0.0, 0.0, 1.0]"},
                                                 {"model.width", "64"},
                                                 {"model.parametrization", "\"mup\""},
                                                 {"train.batch", "16"},
                                                 {"train.reduction", "\"mean\""},
                                                 {"train.order", "\"iid\""}};
    for (const auto& [path, value] : own) schema.key(path).default_value = value;
    for (const char* path : {"data.target.link", "data.examples", "data.dimension", "data.law"})
      schema.key(path).sweepable = true;
    schema.example_sweep = {{"learner", "[\"network\", \"random-features\"]"},
                            {"link", "[\"hermite(1)\", \"hermite(2)\"]"}};
    return schema;
  }

  CellPlan plan(const RunSetup& setup, const io::Cell& at) const override {
    const GapCell cell = make_gap_cell(setup, at);
    return cell.regression() ? plan_gap_regression(cell, at.name) : plan_gap_training(cell, at.name);
  }

  std::unique_ptr<engine::SegmentedJob> make_job(const RunSetup& setup, const io::Cell& at,
                                                 runtime::Backend& backend) const override {
    const GapCell cell = make_gap_cell(setup, at);
    if (!cell.regression()) return make_gap_training(setup, at, cell, backend);
    return std::make_unique<SampleJob>(
        gap_regression_task(setup, at, cell,
                            [&backend](const RidgePathProblem& problem) { backend.ridge_path(problem); }),
        at);
  }

  io::Result summarise(const RunSetup& setup, const CellReader& read) const override {
    return summarise_gap(setup, read);
  }
};

}  // namespace

const Experiment& lazy_gap() {
  static const LazyGap experiment;
  return experiment;
}

}  // namespace widelab::experiments
