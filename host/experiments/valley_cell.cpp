#include "host/experiments/valley_cell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/experiments/recipe_seeds.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/ops/train.hpp"
#include "widelab/rng/distributions.hpp"

namespace widelab::experiments {
namespace {

constexpr double kTwoPi = 6.283185307179586;
constexpr double kMostSteps = 1e9;     // of a walker
constexpr double kSegmentSteps = 2e7;  // walkers x steps between two looks at Ctrl-C
constexpr double kStepFlops = 60;      // two sines among them
constexpr Index kObservedTimes = 24;
constexpr double kFirstTime = 1e-4;  // of the whole, the first one after 0

double wrapped(double x) {
  const double turned = x - kTwoPi * std::floor(x / kTwoPi);
  return turned < kTwoPi ? turned : 0;  // -1e-17 turns into 2 pi
}

void walk(const ValleyCell& cell, std::uint32_t walker, double* row) {
  const double eta = cell.model.learning_rate, along = std::sqrt(cell.model.along);
  const bool white = cell.model.noise == theory::ValleyNoise::white;
  const DrawId noise{cell.key, walker};
  double x = kTwoPi * uniform53(random_block(noise.stream(Stream::weights), 0, 0), 0), y = 0;
  std::fill(row, row + cell.numbers(), 0.0);
  const Index last = cell.steps(), burn_in = cell.burn_in_steps();
  const double share = 1 / static_cast<double>(last - burn_in);
  std::size_t time = 0;
  for (Index step = 0;; ++step) {
    const double lambda = cell.curvature(x), variance = white ? cell.model.across : cell.model.across * lambda;
    while (time < cell.observed.size() && cell.observed[time] == step) row[cell.curvature_at(time++)] = lambda;
    if (step > burn_in) {
      const auto bin = static_cast<Index>(x / kTwoPi * static_cast<double>(cell.bins));
      row[cell.visits(std::min(bin, cell.bins - 1))] += share;
      row[cell.mean_curvature()] += share * lambda;
      row[cell.equilibrium()] += share * y * y * lambda * (2 - eta * lambda) / (eta * variance);
    }
    if (step == last) return;
    const Draw4 z = langevin_draw4(noise, 0, 0, 2, 0, step);
    const double force = 0.5 * cell.slope(x) * y * y;
    x = wrapped(x - eta * (force - along * static_cast<double>(z.v[0])));
    y -= eta * (lambda * y - std::sqrt(variance) * static_cast<double>(z.v[1]));
  }
}

}  // namespace

double ValleyCell::curvature(double x) const { return mean + amplitude * std::sin(x); }
double ValleyCell::slope(double x) const { return amplitude * std::cos(x); }

// 0, then logarithmic: the same times in all cells.
double ValleyCell::time_of(std::size_t number) const {
  if (number == 0) return 0;
  const double last = kObservedTimes - 1;
  return (burn_in + time) * std::pow(kFirstTime, 1 - static_cast<double>(number) / last);
}

Index ValleyCell::steps_of(double time_units) const {
  return static_cast<Index>(std::ceil(time_units / (model.learning_rate * model.learning_rate * model.along)));
}

std::vector<io::KeySpec> valley_keys() {
  const auto real = [](const char* path, const char* value, const char* doc, double lo, double hi, bool sweepable) {
    io::KeySpec key = io::make_key(path, io::KeyType::real, value, doc, lo, hi);
    key.sweepable = sweepable;
    return key;
  };
  io::KeySpec noise = io::make_key("valley.noise", io::KeyType::text, "\"proportional\"",
                                   "Noise across the valley: proportional to the curvature (D lambda), or white (D).");
  noise.choices = {"proportional", "white"};
  noise.sweepable = true;
  return {noise,
          real("valley.learning_rate", "0.05", "Step size eta.", 1e-9, 1e3, true),
          real("valley.along", "0.1", "Variance c_x of the noise along the valley.", 1e-12, 1e6, true),
          real("valley.kappa", "10.0", "D / c_x.", 0, 1e9, true),
          real("valley.mean", "2.0", "m of lambda(x) = m + a sin x.", 0, 1e6, true),
          real("valley.amplitude", "1.5", "a, below m.", 0, 1e6, true),
          real("valley.burn_in", "8.0", "Time before averages, in units of 1 / (eta^2 c_x) steps.", 0, 1e6, false),
          real("valley.time", "40.0", "Time that is averaged over, in the same unit.", 1e-6, 1e6, false),
          io::make_key("valley.bins", io::KeyType::integer, "32", "Bins along the valley.", 4, 4096)};
}

ValleyCell make_valley_cell(const RunSetup& setup, const io::Cell& at) {
  check_shared(*setup.recipe, setup.sweep);
  const io::Recipe recipe = io::at_cell(*setup.recipe, at);
  ValleyCell cell;
  cell.mean = recipe.real("valley.mean");
  cell.amplitude = recipe.real("valley.amplitude");
  cell.burn_in = recipe.real("valley.burn_in");
  cell.time = recipe.real("valley.time");
  cell.bins = recipe.integer("valley.bins");
  cell.walkers = recipe.integer("seeds.replicates");
  theory::ValleyModel& model = cell.model;
  model.noise = recipe.text("valley.noise") == "white" ? theory::ValleyNoise::white : theory::ValleyNoise::proportional;
  model.learning_rate = recipe.real("valley.learning_rate");
  model.along = recipe.real("valley.along");
  model.across = recipe.real("valley.kappa") * model.along;
  model.curvature = [mean = cell.mean, amplitude = cell.amplitude](double x) { return mean + amplitude * std::sin(x); };
  if (!(cell.amplitude < cell.mean) || !(model.learning_rate * (cell.mean + cell.amplitude) < 2))
    throw RecipeError(
        fmt::format("valley.mean = {:g}, valley.amplitude = {:g}, valley.learning_rate = {:g}: the curvature must stay "
                    "positive (amplitude below mean) and below 2 / learning_rate (mean + amplitude below {:g})",
                    cell.mean, cell.amplitude, model.learning_rate, 2 / model.learning_rate));
  const double steps = (cell.burn_in + cell.time) / (model.learning_rate * model.learning_rate * model.along);
  if (!(steps <= kMostSteps))
    throw RecipeError(
        fmt::format("valley.burn_in + valley.time = {:g} are {:.3g} steps at valley.learning_rate = {:g} "
                    "and valley.along = {:g}: at most {:g}",
                    cell.burn_in + cell.time, steps, model.learning_rate, model.along, kMostSteps));
  cell.key = role_key(setup.seed, "noise", "walkers," + drawn_name(*setup.recipe, at));
  for (std::size_t t = 0; t < kObservedTimes; ++t)
    cell.observed.push_back(std::min(cell.steps(), cell.steps_of(cell.time_of(t))));
  cell.fingerprint = fmt::format("{:016x}", cell.key);
  return cell;
}

SampleTask valley_task(const ValleyCell& cell) {
  SampleTask task;
  task.fingerprint = cell.fingerprint;
  task.replicates = cell.walkers;
  task.numbers = cell.numbers();
  task.segment = std::clamp<Index>(static_cast<Index>(kSegmentSteps / static_cast<double>(cell.steps())), 4, 4096);
  task.measure = [cell](Index first, Index count, double* rows) {
#pragma omp parallel for schedule(dynamic, 1)
    for (Index w = 0; w < count; ++w) walk(cell, static_cast<std::uint32_t>(first + w), rows + w * cell.numbers());
  };
  return task;
}

CellPlan plan_valley_cell(const ValleyCell& cell, const std::string& name) {
  const double rows = 8.0 * static_cast<double>(cell.walkers * cell.numbers()),
               steps = static_cast<double>(cell.walkers) * static_cast<double>(cell.steps());
  CellPlan plan;
  plan.cell = name;
  plan.engine = "walkers";
  plan.reason = fmt::format("{} steps of two numbers each", cell.steps());
  plan.replicates = cell.walkers;
  plan.sampling_bytes = rows;
  plan.writing_bytes = 4 * rows;
  plan.bytes = plan.writing_bytes;
  plan.summary_bytes = 3 * rows;
  plan.result_bytes = 12.0 * 8 * static_cast<double>(cell.numbers());
  plan.flops = kStepFlops * steps;
  plan.draws = 2 * steps;
  return plan;
}

}  // namespace widelab::experiments
