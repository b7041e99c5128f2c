#include "host/experiments/freezing_cell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "host/experiments/trained_losses.hpp"
#include "host/experiments/trained_members.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr Index kMembersAtOnce = 4, kMembersAtOnceOnGpu = 256;

/// Basins need classes and test examples; noise that full-batch descent leaves away is that of batches.
void check_rule(const io::Recipe& recipe, const TrainingCell& cell) {
  require_batch_noise_alone(recipe, cell);
  const auto need = [](bool fine, const std::string& what) {
    if (!fine) throw RecipeError(what);
  };
  need(recipe.text("data.target.kind") == "classes",
       fmt::format("data.target.kind = \"{}\": a basin is the set of wrongly classified test examples; take "
                   "\"classes\"",
                   recipe.text("data.target.kind")));
  need(cell.data.test.examples > 0,
       "data.test_examples = 0: a basin is the set of wrongly classified test examples; set at least 1");
}

/// The recipe of the cell with train.steps = T / eta.
io::Recipe with_steps(const RunSetup& setup, const io::Recipe& here) {
  const double time = here.real("freezing.time"), rate = here.real("train.learning_rate");
  const double steps = std::round(time / rate);
  if (!(steps >= 2 && steps <= 1e9))
    throw RecipeError(fmt::format("freezing.time = {:g} with train.learning_rate = {:g}: {:g} steps; take 2 to 1e9",
                                  time, rate, steps));
  io::RecipeContent content = setup.recipe->content();
  content.values["train.steps"] = static_cast<std::int64_t>(steps);
  return io::Recipe(std::move(content));
}

/// Shares of the whole time, evenly spaced in the logarithm.
std::vector<double> branch_shares(const io::Recipe& recipe) {
  const auto count = static_cast<std::size_t>(recipe.integer("freezing.branches"));
  const double first = recipe.real("freezing.first"), last = recipe.real("freezing.last");
  if (!(first < last)) throw RecipeError(fmt::format("freezing.first = {:g}: below freezing.last = {:g}", first, last));
  std::vector<double> shares;
  for (std::size_t c = 0; c < count; ++c)
    shares.push_back(first * std::pow(last / first, static_cast<double>(c) / static_cast<double>(count - 1)));
  return shares;
}

/// Where a network has come to at the end.
struct Endpoint {
  std::vector<bool> basin;  ///< test examples in a wrong class
  double flatness = kNaN, train_loss = kNaN, train_error = kNaN, test_error = kNaN;
};

Endpoint look_at(const FreezingCell& cell, runtime::Backend& backend, const std::vector<double>& parameters,
                 std::uint32_t replicate) {
  const data::Dataset &train = cell.training.data.train, &test = cell.training.data.test;
  Endpoint out;
  const std::vector<double> on_test = outputs_of(cell.training, backend, parameters, test),
                            on_train = outputs_of(cell.training, backend, parameters, train);
  for (Index i = 0; i < test.examples; ++i)
    out.basin.push_back(
        misclassified(on_test.data() + i * test.outputs, test.targets.data() + i * test.outputs, test.outputs));
  out.train_loss = mean_loss(cell.training.train.rule.loss, on_train.data(), train);
  out.train_error = error_rate(on_train.data(), train);
  out.test_error = error_rate(on_test.data(), test);
  const RandomDirections directions{cell.directions, cell.radius, true,
                                    DrawId{cell.training.init_key, replicate}.stream(Stream::trace_probe, 1)};
  double rise = 0;
  for (const double one : loss_rises(cell.training, backend, parameters, directions))
    rise += std::max(one, 0.0) / static_cast<double>(cell.directions);
  if (rise > 0) out.flatness = -std::log10(rise);
  return out;
}

/// Full-batch descent of all members from where `sgd` stands, to the end.
engine::TrainTask descent(const FreezingCell& cell, const engine::TrainTask& sgd) {
  engine::TrainTask task = sgd;
  task.rule.order = OrderKind::fixed;
  for (MemberSettings& member : task.members) member.batch = cell.training.data.train.examples;
  return task;
}

void write_row(const FreezingCell& cell, const std::vector<Endpoint>& ends, double* row) {
  const Endpoint& own = ends.back();
  const bool converged = own.train_error <= cell.train_error;
  row[cell.converged()] = converged ? 1 : 0;
  if (!converged) return;
  std::vector<double> similarities;
  for (std::size_t c = 0; c < ends.size(); ++c) {
    similarities.push_back(jaccard(ends[c].basin, own.basin));
    row[cell.end(c, EndNumber::similarity)] = similarities.back();
    row[cell.end(c, EndNumber::flatness)] = ends[c].flatness;
    row[cell.end(c, EndNumber::train_loss)] = ends[c].train_loss;
    row[cell.end(c, EndNumber::test_error)] = ends[c].test_error;
  }
  const std::size_t at = freezing_branch(similarities, cell.similarity);
  for (std::size_t c = 0; c < ends.size(); ++c) row[cell.end(c, EndNumber::frozen)] = at <= c ? 1 : 0;
  row[cell.freezing_time()] = cell.time(at);
  row[cell.freezing_flatness()] = ends[at].flatness;
}

void measure(const FreezingCell& cell, runtime::Backend& backend, Index first, Index count, double* rows) {
  std::fill(rows, rows + count * cell.numbers(), kNaN);
  engine::TrainTask task = cell.training.spec.task;
  const auto settings = trained_members(cell.training, backend);
  for (Index m = 0; m < count; ++m) task.members.push_back(settings(static_cast<std::uint32_t>(first + m)));
  engine::Trainer sgd(backend, task);
  std::vector<std::vector<Endpoint>> ends(static_cast<std::size_t>(count));
  std::vector<bool> lost(static_cast<std::size_t>(count), false);
  const auto look = [&](const engine::Trainer& trainer) {
    for (std::size_t m = 0; m < ends.size(); ++m) {
      if (trainer.status()[m].status == TrainStatus::diverged) lost[m] = true;
      if (!lost[m])
        ends[m].push_back(look_at(cell, backend, trainer.parameters(static_cast<Index>(m)),
                                  static_cast<std::uint32_t>(first) + static_cast<std::uint32_t>(m)));
    }
  };
  for (const Index step : cell.branches) {
    sgd.run_to(step);
    engine::Trainer branch(backend, descent(cell, task));
    branch.continue_from(sgd, 0);
    branch.run_to(cell.steps());
    look(branch);
  }
  for (std::size_t m = 0; m < ends.size(); ++m)
    if (!lost[m]) write_row(cell, ends[m], rows + static_cast<Index>(m) * cell.numbers());
}

}  // namespace

double jaccard(const std::vector<bool>& a, const std::vector<bool>& b) {
  double both = 0, either = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    both += a[i] && b[i] ? 1 : 0;
    either += a[i] || b[i] ? 1 : 0;
  }
  return either > 0 ? both / either : 1;
}

std::size_t freezing_branch(const std::vector<double>& similarities, double least) {
  std::size_t at = similarities.size();
  while (at > 0 && similarities[at - 1] >= least) --at;
  return at;
}

std::vector<io::KeySpec> freezing_keys() {
  const auto real = [](const char* path, const char* value, const char* doc, double lo, double hi) {
    return io::make_key(path, io::KeyType::real, value, doc, lo, hi);
  };
  const auto whole = [](const char* path, const char* value, const char* doc, double lo, double hi) {
    return io::make_key(path, io::KeyType::integer, value, doc, lo, hi);
  };
  return {real("freezing.time", "100.0", "T: learning rate times steps, for all learning rates; train.steps follows.",
               1e-6, 1e9),
          whole("freezing.branches", "12", "Branch times t_c, evenly spaced in log t_c.", 2, 10000),
          real("freezing.first", "0.01", "First branch time over T.", 1e-9, 1),
          real("freezing.last", "0.5", "Last branch time over T.", 1e-9, 1),
          real("freezing.similarity", "0.95", "Jaccard similarity from which on two basins are one.", 0, 1),
          real("freezing.train_error", "0.001",
               "A repeat whose last branch ends with a larger training error has not converged.", 0, 1),
          real("freezing.radius", "0.05", "rho of the random directions of flatness.", 1e-9, 10),
          whole("freezing.directions", "20", "Random directions behind a flatness.", 1, 1000)};
}

FreezingCell make_freezing_cell(const RunSetup& setup, const io::Cell& at) {
  const io::Recipe here = io::at_cell(*setup.recipe, at);
  if (here.integer("train.steps") != kStepsLeftOut)
    throw RecipeError(fmt::format(
        "train.steps = {}: leave it out, freezing.time over train.learning_rate is the number of steps here",
        here.integer("train.steps")));
  RunSetup own = setup;
  const io::Recipe recipe = with_steps(setup, here);
  own.recipe = &recipe;
  FreezingCell cell;
  cell.training = make_training_cell(own, at);
  require_training_set(here, cell.training);
  require_whole_training(cell.training);
  check_rule(here, cell.training);
  cell.learning_rate = cell.training.learning_rate;
  cell.shares = branch_shares(here);
  for (const double share : cell.shares) {
    const auto step = static_cast<Index>(std::llround(share * static_cast<double>(cell.steps())));
    if (step < 1 || (!cell.branches.empty() && step <= cell.branches.back()) || step >= cell.steps())
      throw RecipeError(fmt::format(
          "freezing.branches = {} from freezing.first = {:g} to freezing.last = {:g} of {} steps (freezing.time / "
          "train.learning_rate): two branch times or the end coincide; take fewer, further apart",
          cell.shares.size(), cell.shares.front(), cell.shares.back(), cell.steps()));
    cell.branches.push_back(step);
  }
  cell.similarity = here.real("freezing.similarity");
  cell.train_error = here.real("freezing.train_error");
  cell.directions = here.integer("freezing.directions");
  cell.radius = here.real("freezing.radius");
  cell.fingerprint = cell.training.spec.identity;
  return cell;
}

SampleTask freezing_task(const FreezingCell& cell, runtime::Backend& backend) {
  return trained_task(cell, cell.training.on_gpu ? kMembersAtOnceOnGpu : kMembersAtOnce,
                      [&backend](const FreezingCell& own, Index first, Index count, double* rows) {
                        measure(own, backend, first, count, rows);
                      });
}

CellPlan plan_freezing_cell(const FreezingCell& cell, const std::string& name) {
  const auto size = static_cast<double>(ParamLayout(cell.training.network().shape).size);
  CellPlan plan = plan_training_rows(cell.training, name, cell.numbers(),
                                     8 * size * static_cast<double>(2 * cell.directions + 2 * kMembersAtOnce));
  // Steps of full-batch descent, each as dear as N / B of SGD's.
  double descents = 0;
  for (const Index step : cell.branches) descents += static_cast<double>(cell.steps() - step);
  const double ratio = static_cast<double>(cell.training.data.train.examples) / static_cast<double>(cell.batch());
  plan.flops *= cell.shares.back() + ratio * descents / static_cast<double>(cell.steps());
  return plan;
}

}  // namespace widelab::experiments
