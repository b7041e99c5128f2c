// Observers along the training of an ensemble over a sweep: what users who bring their own question start from.
#include <algorithm>
#include <memory>

#include "host/experiments/experiments.hpp"
#include "host/experiments/observed_result.hpp"
#include "host/experiments/recipe_model.hpp"
#include "host/experiments/training_cell.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::experiments {
namespace {

std::vector<io::KeySpec> train_keys() {
  std::string docs = "What is looked at.";
  for (const estimators::ObserverDoc& observer : estimators::observer_list())
    docs += "\n" + observer.name + ": " + observer.doc;
  return {
      io::make_key("observe.observers", io::KeyType::text_list,
                   "[\"train_loss\", \"train_error\", \"test_loss\", \"test_error\", \"displacement\"]", docs),
      io::make_key("observe.probes", io::KeyType::integer, "8",
                   "outputs, output_products: the first so many examples, test examples where there are any.", 1, 1e6),
      io::make_key("observe.kernel_points", io::KeyType::integer, "32",
                   "ntk and its like: the first so many training examples. agop: the same.", 1, 1e5)};
}

bool starts_with_any(const std::vector<std::string>& names, const std::string& prefix) {
  for (const std::string& name : names)
    if (name.starts_with(prefix)) return true;
  return false;
}

TrainingCell make_observed_cell(const RunSetup& setup, const io::Cell& at) {
  for (const io::SweepAxis& axis : setup.sweep.axes)
    if (axis.key == "model.outputs" || axis.key == "model.depth")
      for (const char* name : {"outputs", "output_products", "displacement", "weight_singular_values", "ntk"})
        for (const std::string& asked : setup.recipe->texts("observe.observers"))
          if (asked == name)
            throw RecipeError(
                axis.key + " is swept, but the observer \"" + asked +
                "\" has another number of entries at each value: leave it out of observe.observers, or run "
                "the recipe once for each value");
  TrainingCell cell = make_training_cell(setup, at);
  const io::Recipe& recipe = *setup.recipe;
  const std::vector<std::string>& names = recipe.texts("observe.observers");
  if (names.empty()) throw RecipeError("observe.observers = []: name at least one observer");
  const data::Dataset &train = cell.data.train, &test = cell.data.test;
  estimators::ObserverContext context = observer_context(cell);
  const data::Dataset& probed = test.examples > 0 ? test : train;
  context.test = {0, test.examples};
  context.probe = {0, std::min<Index>(recipe.integer("observe.probes"), probed.examples)};
  const Index kernel = std::min<Index>(recipe.integer("observe.kernel_points"), train.examples);
  const auto rows = static_cast<std::ptrdiff_t>(kernel);
  if (starts_with_any(names, "ntk")) {
    cell.spec.kernel_inputs.assign(train.inputs.begin(), train.inputs.begin() + rows * train.dimension);
    cell.spec.kernel_count = context.kernel_count = kernel;
    context.kernel_targets.assign(train.targets.begin(), train.targets.begin() + rows * train.outputs);
  }
  if (starts_with_any(names, "agop")) {
    context.gradient_inputs.assign(train.inputs.begin(), train.inputs.begin() + rows * train.dimension);
    context.gradient_count = kernel;
  }
  cell.spec.evaluation_inputs = probed.inputs;
  cell.spec.evaluation_count = probed.examples;
  for (const std::string& name : names) observe_with(cell, estimators::make_observer(name, context));
  return cell;
}

class Train : public Experiment {
 public:
  std::string question() const override { return "What happens to an ensemble of networks along its training?"; }

  io::Schema schema() const override {
    TrainingKeyDefaults defaults;
    defaults.examples = 64;
    defaults.test_examples = 64;
    io::Schema schema = io::make_schema(
        "train", question() + "\nObservers at chosen steps, means over networks with standard errors; no prediction.",
        {all_training_keys(defaults), train_keys()});
    schema.example_sweep = {{"width", "[64, 256]"}, {"learning_rate", "[0.01, 0.1]"}};
    return schema;
  }

  CellPlan plan(const RunSetup& setup, const io::Cell& at) const override {
    const TrainingCell cell = make_observed_cell(setup, at);
    double numbers = 8;
    for (const estimators::ObservedQuantity& quantity : cell.quantities)
      numbers += 6.0 * static_cast<double>(quantity.entries) * static_cast<double>(cell.spec.observed.size());
    return plan_training_cell(cell, at.name, numbers);
  }

  std::unique_ptr<engine::SegmentedJob> make_job(const RunSetup& setup, const io::Cell& at,
                                                 runtime::Backend& backend) const override {
    return make_training_job(make_observed_cell(setup, at), backend);
  }

  io::Result summarise(const RunSetup& setup, const CellReader& read) const override {
    const CellGrid grid(setup.sweep);
    const TrainingCell first = make_observed_cell(setup, setup.sweep.cells.front());
    ObservedResult observed(grid, first);
    for (std::size_t c = 0; c < setup.sweep.cells.size(); ++c) {
      const TrainingCell cell = make_observed_cell(setup, setup.sweep.cells[c]);
      if (const std::unique_ptr<io::ArrayFile> file = read(c))
        observed.add(c, cell, read_training_statistics(cell, *file), file->attributes);
    }
    io::Result result;
    result.attributes = {
        {"experiment", "train"},
        {"title", describe_network(*setup.recipe)},
        {"data", first.data.train.description},
        {"conventions", describe_training(*setup.recipe) + "; means over networks that did not diverge; relu'(0) = 0"}};
    result.axes = grid.axes();
    observed.write(result);
    return result;
  }
};

}  // namespace

const Experiment& train() {
  static const Train experiment;
  return experiment;
}

}  // namespace widelab::experiments
