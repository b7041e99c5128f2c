#include "host/experiments/phases_cell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "host/estimators/gradient_noise.hpp"
#include "host/experiments/recipe_seeds.hpp"
#include "host/experiments/trained_losses.hpp"
#include "host/experiments/trained_members.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/ops/gradient_gram.hpp"
#include "widelab/plan/storage_plan.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr Index kMembersAtOnce = 4;
constexpr double kFitted = 0.95;

/// Which training examples have another label than the data law gave them.
std::vector<bool> wrong_labels(const io::Recipe& recipe, const RunSetup& setup, const data::Dataset& train) {
  io::RecipeContent content = recipe.content();
  content.values["data.target.wrong_labels"] = 0.0;
  const LearningData right = make_learning_data(io::Recipe(std::move(content)), setup.seed);
  std::vector<bool> wrong;
  for (Index i = 0; i < train.examples; ++i)
    wrong.push_back(!std::equal(train.targets.begin() + i * train.outputs,
                                train.targets.begin() + (i + 1) * train.outputs,
                                right.train.targets.begin() + i * train.outputs));
  return wrong;
}

/// Observed steps stand for the epochs that they lie in.
std::vector<Index> observed_epochs(const std::vector<Index>& steps, Index steps_per_epoch) {
  std::vector<Index> epochs;
  for (const Index step : steps)
    if (epochs.empty() || step / steps_per_epoch != epochs.back()) epochs.push_back(step / steps_per_epoch);
  return epochs;
}

/// Gradients and outputs of one member on the training set.
struct Snapshot {
  std::vector<double> gram, outputs;
};

/// Takes them of one member after another, in memory that stays.
template <class T>
class Snapshots {
 public:
  Snapshots(runtime::Backend& backend, const PhasesCell& cell) : backend_(backend) {
    const data::Dataset& train = cell.training.data.train;
    inputs_.assign(train.inputs.begin(), train.inputs.end());
    targets_.assign(train.targets.begin(), train.targets.end());
    outputs_.resize(targets_.size());
    taken_.gram.resize(static_cast<std::size_t>(train.examples * train.examples));
    problem_.network = &cell.training.network();
    problem_.inputs = matrix_view<const T>(inputs_.data(), train.examples, train.dimension);
    problem_.targets = targets_.data();
    problem_.loss = cell.training.train.rule.loss;
    problem_.gram = taken_.gram.data();
    problem_.outputs = outputs_.data();
    problem_.limits = cell.training.spec.task.limits;
  }

  const Snapshot& take(const std::vector<double>& parameters) {
    weights_.assign(parameters.begin(), parameters.end());
    problem_.weights = {1, nullptr, weights_.data()};
    backend_.gradient_gram(problem_);
    taken_.outputs.assign(outputs_.begin(), outputs_.end());
    return taken_;
  }

 private:
  runtime::Backend& backend_;
  std::vector<T> inputs_, targets_, weights_, outputs_;
  Snapshot taken_;
  GradientGramProblem<T> problem_;
};

double mean_where(const std::vector<double>& values, const std::vector<bool>& flags, bool which) {
  double sum = 0, count = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    if (flags[i] == which) sum += values[i], ++count;
  return count > 0 ? sum / count : kNaN;
}

/// The numbers of a snapshot, test error apart.
void describe(const PhasesCell& cell, const Snapshot& snapshot, double* out) {
  const data::Dataset& train = cell.training.data.train;
  const Index k = train.outputs;
  std::vector<double> losses, fitted;
  for (Index i = 0; i < train.examples; ++i) {
    const double *f = snapshot.outputs.data() + i * k, *y = train.targets.data() + i * k;
    losses.push_back(loss_value(cell.training.train.rule.loss, f, y, k));
    fitted.push_back(misclassified(f, y, k) ? 0 : 1);
  }
  const auto number = [&](PhaseNumber which) -> double& { return out[static_cast<std::size_t>(which)]; };
  const estimators::KindAlignment kinds = estimators::kind_alignment(snapshot.gram, cell.wrong);
  number(PhaseNumber::alignment) = kinds.cosine;
  number(PhaseNumber::strength) = kinds.relative_strength;
  const estimators::BatchAlignment batches = estimators::batch_alignment(snapshot.gram, train.examples, cell.batch());
  number(PhaseNumber::batch_alignment) = batches.cosine;
  number(PhaseNumber::batch_amplitude) = batches.amplitude;
  const estimators::GradientNoise noise = estimators::gradient_noise(snapshot.gram, train.examples);
  number(PhaseNumber::noise_trace) = noise.trace;
  number(PhaseNumber::gradient_square) = noise.gradient_square;
  number(PhaseNumber::separability) = separability(losses, cell.wrong);
  number(PhaseNumber::right_loss) = mean_where(losses, cell.wrong, false);
  number(PhaseNumber::wrong_loss) = mean_where(losses, cell.wrong, true);
  number(PhaseNumber::wrong_fitted) = mean_where(fitted, cell.wrong, true);
}

/// Trains members first .. first + count - 1 through all observed epochs, in arithmetic T.
template <class T>
void measure(const PhasesCell& cell, runtime::Backend& backend, Index first, Index count, double* rows) {
  const data::Dataset& test = cell.training.data.test;
  engine::TrainTask task = cell.training.spec.task;
  const auto settings = trained_members(cell.training, backend);
  for (Index m = 0; m < count; ++m) task.members.push_back(settings(static_cast<std::uint32_t>(first + m)));
  engine::Trainer trainer(backend, task);
  Snapshots<T> snapshots(backend, cell);
  std::fill(rows, rows + count * cell.numbers(), 0.0);
  const Index length = cell.steps_per_epoch();
  std::vector<double> numbers(kPhaseNumbers);
  for (std::size_t e = 0; e < cell.epochs.size(); ++e)
    for (Index s = 0; s < cell.snapshots; ++s) {
      trainer.run_to(cell.epochs[e] * length + s * length / cell.snapshots);
      const std::vector<double> outputs = trainer.outputs(test.input_view());
      for (Index m = 0; m < count; ++m) {
        describe(cell, snapshots.take(trainer.parameters(m)), numbers.data());
        numbers[static_cast<std::size_t>(PhaseNumber::test_error)] =
            error_rate(outputs.data() + m * test.examples * test.outputs, test);
        double* row = rows + m * cell.numbers() + static_cast<Index>(e * kPhaseNumbers);
        for (std::size_t k = 0; k < kPhaseNumbers; ++k) row[k] += numbers[k] / static_cast<double>(cell.snapshots);
      }
    }
  for (Index m = 0; m < count; ++m) {
    double* row = rows + m * cell.numbers();
    if (trainer.status()[static_cast<std::size_t>(m)].status == TrainStatus::diverged) {
      std::fill(row, row + cell.numbers(), kNaN);
      continue;
    }
    const std::vector<double> boundaries = phase_boundaries(cell.epochs, row);
    std::copy(boundaries.begin(), boundaries.end(), row + cell.boundary(PhaseBoundary::least_error));
  }
}

}  // namespace

double separability(const std::vector<double>& values, const std::vector<bool>& second_kind) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  double below = 0, wins = 0, second = 0;
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    double first_tied = 0, second_tied = 0;
    for (; end < order.size() && values[order[end]] == values[order[begin]]; ++end)
      ++(second_kind[order[end]] ? second_tied : first_tied);
    wins += second_tied * (below + first_tied / 2);
    below += first_tied;
    second += second_tied;
    begin = end;
  }
  return below > 0 && second > 0 ? wins / (below * second) : kNaN;
}

std::vector<double> phase_boundaries(const std::vector<Index>& epochs, const double* numbers) {
  const auto at = [&](std::size_t epoch, PhaseNumber which) {
    return numbers[epoch * kPhaseNumbers + static_cast<std::size_t>(which)];
  };
  std::size_t least = 0;
  std::vector<std::size_t> agreeing;
  for (std::size_t e = 0; e < epochs.size(); ++e) {
    if (at(e, PhaseNumber::test_error) < at(least, PhaseNumber::test_error)) least = e;
  }
  // Before the least test error all gradients may still point the same way: that is not phase III.
  for (std::size_t e = least + 1; e < epochs.size(); ++e)
    if (at(e, PhaseNumber::alignment) > 0) agreeing.push_back(e);
  std::vector<double> out(kPhaseBoundaries, kNaN);
  out[0] = static_cast<double>(epochs[least]);
  if (agreeing.empty()) return out;
  out[1] = static_cast<double>(epochs[agreeing.front()]);
  out[2] = static_cast<double>(epochs[agreeing.back()]);
  for (std::size_t e = agreeing.back() + 1; e < epochs.size(); ++e)
    if (at(e, PhaseNumber::wrong_fitted) > kFitted) {
      out[3] = static_cast<double>(epochs[e]);
      break;
    }
  return out;
}

std::vector<io::KeySpec> phases_keys() {
  return {io::make_key("phases.snapshots", io::KeyType::integer, "4",
                       "Times in each observed epoch, evenly spread, over which numbers are averaged.", 1, 1e6)};
}

PhasesCell make_phases_cell(const RunSetup& setup, const io::Cell& at) {
  const io::Recipe recipe = io::at_cell(*setup.recipe, at);
  PhasesCell cell;
  cell.training = make_training_cell(setup, at);
  require_training_set(recipe, cell.training);
  require_whole_training(cell.training);
  const data::Dataset& train = cell.training.data.train;
  if (recipe.text("data.target.kind") != "classes")
    throw RecipeError(
        fmt::format("data.target.kind = \"{}\": labels can be wrong where targets are classes; take "
                    "\"classes\"",
                    recipe.text("data.target.kind")));
  if (cell.training.data.test.examples == 0)
    throw RecipeError("data.test_examples = 0: the phases are told by the test error; set at least 1");
  if (train.examples < 2 * cell.batch())
    throw RecipeError(fmt::format("train.batch = {} with data.examples = {}: at least two batches make an epoch",
                                  cell.batch(), train.examples));
  cell.wrong = wrong_labels(recipe, setup, train);
  cell.epochs = observed_epochs(cell.training.spec.observed, cell.steps_per_epoch());
  cell.snapshots = recipe.integer("phases.snapshots");
  if (cell.snapshots > cell.steps_per_epoch())
    throw RecipeError(
        fmt::format("phases.snapshots = {}: at most the {} steps of an epoch", cell.snapshots, cell.steps_per_epoch()));
  require_room(recipe, setup.limits, 8.0 * static_cast<double>(train.examples * train.examples),
               "the Gram matrix of gradients");
  cell.fingerprint = cell.training.spec.identity;
  return cell;
}

SampleTask phases_task(const PhasesCell& cell, runtime::Backend& backend) {
  return trained_task(cell, kMembersAtOnce, [&backend](const PhasesCell& own, Index first, Index count, double* rows) {
    const bool wide = own.training.train.precision == Precision::fp64;
    (wide ? measure<double> : measure<float>)(own, backend, first, count, rows);
  });
}

CellPlan plan_phases_cell(const PhasesCell& cell, const std::string& name) {
  const data::Dataset& train = cell.training.data.train;
  const double gram = 8.0 * static_cast<double>(train.examples * train.examples);
  CellPlan plan = plan_training_rows(cell.training, name, cell.numbers(), gram);
  KernelWorkload work;
  work.rows = train.examples;
  work.of_loss = true;
  plan.flops += workload_flops(cell.training.network().shape, work) * static_cast<double>(cell.epochs.size()) *
                static_cast<double>(cell.snapshots * cell.training.spec.replicates);
  return plan;
}

}  // namespace widelab::experiments
