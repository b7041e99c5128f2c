// In which order are right and wrong labels learned? The phases of training on partly mislabelled data by the alignment
// and the relative strength of two gradients, with bands over networks.
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <memory>

#include "host/experiments/experiments.hpp"
#include "host/experiments/observables.hpp"
#include "host/experiments/phases_cell.hpp"
#include "host/experiments/sampled_experiment.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct Named {
  const char *name, *description;
};

constexpr Named kNumbers[kPhaseNumbers] = {
    {"alignment", "R_cw: cosine of the mean gradients of rightly and of wrongly labelled examples"},
    {"relative_strength", "rho: summed gradient of the wrongly labelled examples over that of the others, norms"},
    {"batch_alignment", "mean cosine of the gradients of two batches"},
    {"batch_amplitude", "mean norm of a batch's gradient"},
    {"noise_trace", "tr C: variance of the gradient over examples"},
    {"gradient_square", "|g|^2 of the training loss"},
    {"separability", "probability that a wrongly labelled example has a larger loss than another (area under ROC)"},
    {"right_loss", "mean loss of rightly labelled training examples"},
    {"wrong_loss", "mean loss of wrongly labelled training examples, with those labels"},
    {"wrong_fitted", "share of wrongly labelled training examples that are put where their label says"},
    {"test_error", "share of test examples in a wrong class"}};

constexpr const char* kBoundaries[kPhaseBoundaries] = {
    "least test error (end of I)", "first R_cw > 0 after it (beginning of III)", "last R_cw > 0 (end of III)",
    "95 % of wrong labels fitted after it (IV)"};

class MislabelledPhases : public SampledExperiment<make_phases_cell, plan_phases_cell, phases_task> {
 public:
  std::string question() const override { return "In which order are right and wrong labels learned?"; }

  io::Schema schema() const override {
    TrainingKeyDefaults defaults;
    defaults.train.steps = 400;
    defaults.replicates = 8;
    defaults.examples = 100;
    defaults.test_examples = 100;
    defaults.target = "classes";
    io::Schema schema = io::make_schema(
        "mislabelled-phases",
        question() +
            "\nNetworks on partly mislabelled data: alignment and relative strength of the gradients of both kinds of "
            "examples, separability of their losses, and the epochs at which phases change. No prediction.",
        {all_training_keys(defaults), phases_keys()});
    for (const char* path : {"data.examples", "data.target.wrong_labels"}) schema.key(path).sweepable = true;
    schema.example_sweep = {{"wrong_labels", "[0.0, 0.3]"}, {"width", "[20, 50]"}};
    return schema;
  }

  io::Result summarise(const RunSetup& setup, const CellReader& read) const override {
    const CellGrid grid(setup.sweep);
    const PhasesCell first = make_phases_cell(setup, setup.sweep.cells.front());
    const std::size_t epochs = first.epochs.size();
    std::vector<ObservableBuilder> numbers;
    for (const Named& one : kNumbers)
      numbers.emplace_back(grid, one.name, "1", one.description, "none", "epoch", epochs);
    ObservableBuilder boundary(grid, "phase_boundary", "epoch",
                               "epoch at which a network changes its phase; networks that do not are left out", "none",
                               "boundary", kPhaseBoundaries);
    std::vector<double> share(grid.size(), kNaN);
    for (std::size_t c = 0; c < setup.sweep.cells.size(); ++c) {
      const PhasesCell cell = make_phases_cell(setup, setup.sweep.cells[c]);
      if (cell.epochs != first.epochs)
        throw RecipeError(
            "the epochs of the sweep's cells differ, because steps an epoch do: sweep train.batch and data.examples in "
            "runs of their own");
      double wrong = 0;
      for (const bool flag : cell.wrong) wrong += flag ? 1 : 0;
      share[grid.position(c)] = wrong / static_cast<double>(cell.wrong.size());
      const std::unique_ptr<io::ArrayFile> file = read(c);
      if (!file) continue;
      const Samples samples = read_samples(*file);
      for (std::size_t k = 0; k < kPhaseNumbers; ++k)
        for (std::size_t e = 0; e < epochs; ++e)
          numbers[k].set(c, e, samples.mean(cell.number(e, static_cast<PhaseNumber>(k))), Prediction::none());
      for (std::size_t k = 0; k < kPhaseBoundaries; ++k)
        boundary.set(c, k, samples.mean(cell.boundary(static_cast<PhaseBoundary>(k))), Prediction::none());
    }
    return assemble(setup, grid, first, numbers, boundary, share);
  }

 private:
  static io::Result assemble(const RunSetup& setup, const CellGrid& grid, const PhasesCell& first,
                             std::vector<ObservableBuilder>& numbers, ObservableBuilder& boundary,
                             const std::vector<double>& share) {
    io::Result result;
    result.attributes = training_attributes(
        setup, first.training, "networks",
        fmt::format("; numbers of an epoch: averages over {} times in it; gradients by all trained parameters, of "
                    "single losses on the labels trained on; test labels are right; errors: over networks",
                    first.snapshots));
    result.axes = grid.axes();
    io::Axis epoch, boundaries;
    epoch.name = "epoch";
    epoch.units = "epoch";
    epoch.description = "epochs of training";
    epoch.values = std::vector<double>(first.epochs.begin(), first.epochs.end());
    boundaries.name = "boundary";
    boundaries.units = "1";
    boundaries.description = "between two phases";
    boundaries.values = std::vector<std::string>(kBoundaries, kBoundaries + kPhaseBoundaries);
    result.axes.insert(result.axes.end(), {epoch, boundaries});
    for (ObservableBuilder& builder : numbers) result.observables.push_back(builder.take());
    result.observables.push_back(boundary.take());
    result.extras.push_back(cell_array(grid, "wrong_share", "share of training examples with a wrong label", share));
    return result;
  }
};

}  // namespace

const Experiment& mislabelled_phases() {
  static const MislabelledPhases experiment;
  return experiment;
}

}  // namespace widelab::experiments
