#include "host/experiments/trained_cell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "host/experiments/recipe_target.hpp"
#include "host/experiments/trained_losses.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Index block_of(Index replicate) { return replicate / kBlock; }
Index init_of(Index replicate) { return 2 * block_of(replicate) + (replicate / 2) % 2; }
Index data_of(Index replicate) { return 2 * block_of(replicate) + replicate % 2; }

void check_design(const io::Recipe& recipe, const TrainedCell& cell) {
  const Index replicates = recipe.integer("seeds.replicates");
  if (replicates % kBlock != 0 || replicates < 2 * kBlock)
    throw RecipeError(
        fmt::format("seeds.replicates = {}: a multiple of {} of at least {}, because networks come in "
                    "blocks of two initial weights by two training sets",
                    replicates, kBlock, 2 * kBlock));
  require_squared_risk(cell.training);
  if (cell.training.train.rule.order == OrderKind::online || cell.training.train.rule.order == OrderKind::file)
    throw RecipeError("train.order: training sets are finite and drawn here: take \"epochs\", \"iid\" or \"fixed\"");
}

/// Mean over examples of (f - y).(g - y).
double cross_error(const double* f, const double* g, const std::vector<double>& y, Index examples) {
  double sum = 0;
  for (std::size_t i = 0; i < y.size(); ++i) sum += (f[i] - y[i]) * (g[i] - y[i]);
  return sum / static_cast<double>(examples);
}

void risks_of_block(const TrainedCell& cell, const estimators::SampleSink& sink, Index block, Index time, double* out) {
  const data::Dataset& test = cell.training.data.test;
  const double* f[kBlock];
  std::fill(out, out + kRiskNumbers, 0.0);
  for (Index m = 0; m < kBlock; ++m) {
    const double* const row = sink.at(kBlock * block + m, time);
    f[m] = row + 1;
    out[kTrain] += row[0] / kBlock;
    out[kError] += error_rate(f[m], test) / kBlock;
    out[kTest] += cross_error(f[m], f[m], test.targets, test.examples) / kBlock;
  }
  // Members 0 .. 3 are (weights, set) = (0, 0), (0, 1), (1, 0), (1, 1).
  const auto pair = [&](Index a, Index b) { return cross_error(f[a], f[b], test.targets, test.examples); };
  const double nothing = (pair(0, 3) + pair(1, 2)) / 2, weights = (pair(0, 1) + pair(2, 3)) / 2,
               set = (pair(0, 2) + pair(1, 3)) / 2;
  out[kBias2] = nothing;
  out[kInit] = weights - nothing;
  out[kData] = set - nothing;
  out[kRest] = out[kTest] - weights - set + nothing;
}

}  // namespace

const char* risk_name(Index number) {
  constexpr const char* kNames[] = {"train_loss",       "test_loss",     "test_error",   "bias2",
                                    "variance_weights", "variance_data", "variance_rest"};
  return kNames[number];
}

TrainedCell make_trained_cell(const RunSetup& setup, const io::Cell& at) {
  const io::Recipe recipe = io::at_cell(*setup.recipe, at);
  TrainedCell cell;
  cell.training = make_training_cell(setup, at);
  cell.linearised = recipe.flag("companion.linearised");
  if (cell.linearised) cell.gamma = recipe.real("companion.gamma");
  check_design(recipe, cell);
  engine::TrainingSpec& spec = cell.training.spec;
  spec.member = [member = spec.member](std::uint32_t replicate) {
    MemberSettings settings = member(replicate);
    settings.ids.init.replicate = static_cast<std::uint32_t>(init_of(replicate));
    settings.dataset = data_of(replicate);
    return settings;
  };
  const data::Dataset& test = cell.training.data.test;
  spec.evaluation_inputs = test.inputs;
  spec.evaluation_count = test.examples;
  cell.numbers = 1 + test.examples * test.outputs;
  // A linearised network's outputs are f_0 plus what training added: f / gamma - f_0 / gamma + f_0.
  spec.observers = {predictions(test.outputs, test.examples, 1 - cell.gamma, true)};
  return cell;
}

double training_set_bytes(const TrainedCell& cell) {
  const data::Dataset& train = cell.training.data.train;
  const Index sets = cell.linearised ? cell.training.spec.replicates : cell.training.spec.replicates / 2;
  // In double, and in the trainer's precision.
  return 12.0 * static_cast<double>(sets * train.examples * (train.dimension + train.outputs));
}

std::unique_ptr<engine::SegmentedJob> make_trained_job(const RunSetup& setup, const io::Cell& at,
                                                       runtime::Backend& backend) {
  TrainedCell cell = make_trained_cell(setup, at);
  engine::TrainTask& task = cell.training.spec.task;
  const Index further = cell.training.spec.replicates / 2 - 1;
  for (const data::Dataset& set : more_training_sets(io::at_cell(*setup.recipe, at), setup.seed, further))
    task.datasets.push_back(train_set(set));
  if (cell.linearised) {
    const Network original = task.network;
    task.network = linearise(original, cell.gamma);
    shift_targets(cell.training.spec, backend, original, 1 / cell.gamma - 1);
  }
  auto sink =
      std::make_unique<estimators::SampleSink>(cell.numbers, static_cast<Index>(cell.training.spec.observed.size()));
  return make_job_with_sink(cell.training.spec, backend, std::move(sink));
}

estimators::SampleSink read_trained(const TrainedCell& cell, const io::ArrayFile& file) {
  estimators::SampleSink sink(cell.numbers, static_cast<Index>(cell.training.spec.observed.size()));
  sink.restore(file);
  return sink;
}

Samples block_risks(const TrainedCell& cell, const estimators::SampleSink& sink) {
  Samples out;
  out.replicates = sink.replicates() / kBlock;
  out.numbers = sink.times() * kRiskNumbers;
  out.values.assign(static_cast<std::size_t>(out.replicates * out.numbers), kNaN);
  for (Index block = 0; block < out.replicates; ++block) {
    bool whole = true;
    for (Index m = 0; m < kBlock; ++m) whole = whole && !sink.diverged(kBlock * block + m);
    for (Index time = 0; whole && time < sink.times(); ++time)
      risks_of_block(cell, sink, block, time, out.values.data() + block * out.numbers + time * kRiskNumbers);
  }
  return out;
}

Samples block_distances(const TrainedCell& cell, const estimators::SampleSink& a, const estimators::SampleSink& b) {
  const Index size = cell.numbers - 1;
  Samples out;
  out.replicates = std::min(a.replicates(), b.replicates()) / kBlock;
  out.numbers = a.times();
  out.values.assign(static_cast<std::size_t>(out.replicates * out.numbers), 0.0);
  for (Index r = 0; r < kBlock * out.replicates; ++r)
    for (Index time = 0; time < a.times(); ++time) {
      const double *const f = a.at(r, time) + 1, *const g = b.at(r, time) + 1;
      double sum = 0;
      for (Index i = 0; i < size; ++i) sum += (f[i] - g[i]) * (f[i] - g[i]);
      out.values[static_cast<std::size_t>(block_of(r) * out.numbers + time)] +=
          sum / static_cast<double>(kBlock * cell.training.data.test.examples);
    }
  return out;
}

}  // namespace widelab::experiments
