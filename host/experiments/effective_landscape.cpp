// Which landscape does SGD see? Noise that depends on the place adds an effective potential to the loss: walkers in a
// valley of minima beside its exact law, and replicas of a trained network in a plane of its parameters.
#include <memory>

#include "host/experiments/axis_limits.hpp"
#include "host/experiments/experiments.hpp"
#include "host/experiments/recipe_seeds.hpp"
#include "host/experiments/slice_result.hpp"
#include "host/experiments/valley_cell.hpp"
#include "host/experiments/valley_result.hpp"

namespace widelab::experiments {
namespace {

bool valley(const RunSetup& setup) { return setup.recipe->text("landscape.kind") == "valley"; }

class EffectiveLandscape : public Experiment {
 public:
  std::string question() const override { return "Which landscape does SGD see where its noise depends on the place?"; }

  io::Schema schema() const override {
    TrainingKeyDefaults defaults;
    defaults.train.steps = 400;
    defaults.replicates = 64;
    defaults.examples = 100;
    defaults.test_examples = 0;
    io::KeySpec kind = io::make_key("landscape.kind", io::KeyType::text, "\"valley\"",
                                    "valley: two parameters, solved. network: a plane through trained networks.");
    kind.choices = {"valley", "network"};
    io::Schema schema =
        io::make_schema("effective-landscape",
                        question() +
                            "\nvalley: walkers along a line of minima of varying curvature beside exp(-2 L_SGD / (eta "
                            "c_x)); [valley] and [seeds] are all they read. network: replicas of trained networks in "
                            "the plane of two Hessian eigenvectors, -log P beside the loss.",
                        {{kind}, valley_keys(), slice_keys(), all_training_keys(defaults), {limit_fit_key()}});
    schema.example_sweep = {{"noise", "[\"proportional\", \"white\"]"}, {"along", "[0.1, 0.2]"}};
    return schema;
  }

  CellPlan plan(const RunSetup& setup, const io::Cell& at) const override {
    if (valley(setup)) return plan_valley_cell(make_valley_cell(setup, at), at.name);
    return plan_slice_cell(make_slice_cell(setup, at), at.name);
  }

  std::unique_ptr<engine::SegmentedJob> make_job(const RunSetup& setup, const io::Cell& at,
                                                 runtime::Backend& backend) const override {
    if (valley(setup)) return std::make_unique<SampleJob>(valley_task(make_valley_cell(setup, at)), at);
    return std::make_unique<SampleJob>(slice_task(make_slice_cell(setup, at), backend), at);
  }

  io::Result summarise(const RunSetup& setup, const CellReader& read) const override {
    return valley(setup) ? summarise_valley(setup, read) : summarise_slice(setup, read);
  }
};

}  // namespace

const Experiment& effective_landscape() {
  static const EffectiveLandscape experiment;
  return experiment;
}

}  // namespace widelab::experiments
