#include "host/experiments/slice_cell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "host/experiments/bridge_prediction.hpp"
#include "host/experiments/loss_curvature.hpp"
#include "host/experiments/recipe_seeds.hpp"
#include "host/experiments/trained_members.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr Index kLeastDraws = 10;

/// The plane through one network: orthonormal rows over the counted parameters.
struct Plane {
  std::vector<Index> coordinates;
  std::vector<double> basis;  // 2 x counted
  double curvature[2] = {kNaN, kNaN};

  double along(Index direction, const std::vector<double>& parameters) const {
    const std::size_t size = coordinates.size();
    double sum = 0;
    for (std::size_t j = 0; j < size; ++j)
      sum +=
          basis[static_cast<std::size_t>(direction) * size + j] * parameters[static_cast<std::size_t>(coordinates[j])];
    return sum;
  }
};

Plane plane_at(const SliceCell& cell, runtime::Backend& backend, const std::vector<double>& parameters,
               std::uint32_t network) {
  LeadingDirections found = leading_directions(cell.training, backend, parameters, cell.flat + 1, {cell.key, network});
  Plane out;
  const auto size = static_cast<Index>(found.coordinates.size());
  out.coordinates = std::move(found.coordinates);
  for (const Index which : {Index{0}, cell.flat}) {
    out.curvature[which == 0 ? 0 : 1] = found.curvature[static_cast<std::size_t>(which)];
    out.basis.insert(out.basis.end(), found.vectors.begin() + which * size, found.vectors.begin() + (which + 1) * size);
  }
  return out;
}

/// What replicas did in the plane: their places about their mean of the moment, and where that mean was.
struct Walk {
  std::vector<double> places;  // 2 x (draws x replicas)
  std::vector<double> mean;    // P, over replicas and draws
  double drift[2] = {0, 0};
};

Walk follow(const SliceCell& cell, engine::Trainer& replicas, const Plane& plane) {
  Walk out;
  std::vector<double> places[2];
  double first[2] = {0, 0};
  for (Index draw = 0; draw < cell.draws(); ++draw) {
    replicas.run_to(cell.training.train.steps + cell.burn_in + (draw + 1) * cell.thin);
    std::vector<double> now[2];
    for (Index r = 0; r < replicas.members(); ++r) {
      if (replicas.status()[static_cast<std::size_t>(r)].status != TrainStatus::running) continue;
      const std::vector<double> parameters = replicas.parameters(r);
      out.mean.resize(parameters.size());
      for (std::size_t j = 0; j < parameters.size(); ++j) out.mean[j] += parameters[j];
      for (Index i = 0; i < 2; ++i) now[i].push_back(plane.along(i, parameters));
    }
    for (Index i = 0; i < 2; ++i) {
      double mean = 0;
      for (const double x : now[i]) mean += x / static_cast<double>(now[i].size());
      if (draw == 0) first[i] = mean;
      out.drift[i] = std::fabs(mean - first[i]);
      for (const double x : now[i]) places[i].push_back(x - mean);
    }
  }
  for (double& x : out.mean) x /= static_cast<double>(places[0].size());
  for (const std::vector<double>& direction : places)
    out.places.insert(out.places.end(), direction.begin(), direction.end());
  return out;
}

/// Mean over the noted steps of v_t, v_0 = 0, v_{t+1} = (1 - eta h)^2 v_t + eta^2 f c: any curvature.
double linear_variance(const SliceCell& cell, double curvature, double noise) {
  const theory::LinearTraining training = linear_training(cell.training);
  const double rate = training.effective_rate(), kept = (1 - rate * curvature) * (1 - rate * curvature);
  const auto n = static_cast<double>(cell.training.data.train.examples),
             batch = static_cast<double>(cell.training.spec.member(0).batch);
  const double factor = cell.training.train.rule.order == OrderKind::iid ? 1 / batch : (n - batch) / (batch * (n - 1));
  double variance = 0, sum = 0;
  for (Index step = 1; step <= cell.burn_in + cell.draws() * cell.thin; ++step) {
    variance = kept * variance + rate * rate * factor * noise;
    if (step > cell.burn_in && (step - cell.burn_in) % cell.thin == 0) sum += variance;
  }
  return sum / static_cast<double>(cell.draws());
}

/// Mean training loss at every middle of the grid.
void write_losses(const SliceCell& cell, runtime::Backend& backend, const Plane& plane, const Walk& walk,
                  const double* spread, double* row) {
  const data::Dataset& train = cell.training.data.train;
  const Network& network = cell.training.network();
  const std::size_t counted = plane.coordinates.size(), outputs = train.targets.size();
  std::vector<double> points, values(static_cast<std::size_t>(cell.bins) * outputs);
  for (Index a = 0; a < cell.bins; ++a) {
    points.clear();
    for (Index b = 0; b < cell.bins; ++b) {
      std::vector<double> at = walk.mean;
      const double step[2] = {cell.middle(a) * spread[0], cell.middle(b) * spread[1]};
      for (std::size_t j = 0; j < counted; ++j)
        at[static_cast<std::size_t>(plane.coordinates[j])] +=
            step[0] * plane.basis[j] + step[1] * plane.basis[counted + j];
      points.insert(points.end(), at.begin(), at.end());
    }
    backend.forward(ForwardProblem<double>{&network,
                                           {cell.bins, nullptr, points.data()},
                                           train.input_view(),
                                           values.data(),
                                           cell.training.spec.task.limits});
    TrainRule mean = cell.training.train.rule;
    mean.reduction = Reduction::mean;
    for (Index b = 0; b < cell.bins; ++b)
      row[cell.loss(a, b)] = engine::training_loss(
          mean, {values.data() + static_cast<std::size_t>(b) * outputs, outputs}, train.targets, train.outputs);
  }
}

void write_visits(const SliceCell& cell, const Walk& walk, const double* spread, double* row) {
  const std::size_t count = walk.places.size() / 2;
  std::fill(row + cell.visits(0, 0), row + cell.visits(cell.bins, 0), 0.0);
  const auto bin = [&](double x, double scale) {
    return static_cast<Index>(std::floor((x / scale / cell.extent + 1) / 2 * static_cast<double>(cell.bins)));
  };
  for (std::size_t k = 0; k < count; ++k) {
    const Index a = bin(walk.places[k], spread[0]), b = bin(walk.places[count + k], spread[1]);
    if (a >= 0 && a < cell.bins && b >= 0 && b < cell.bins) row[cell.visits(a, b)] += 1;
  }
}

engine::TrainTask branches(const SliceCell& cell, std::uint32_t network) {
  engine::TrainTask task = cell.training.spec.task;
  for (Index r = 0; r < cell.replicas; ++r) {
    MemberSettings settings = cell.training.spec.member(network);
    settings.ids.order = {cell.key,
                          network * static_cast<std::uint32_t>(cell.replicas) + static_cast<std::uint32_t>(r)};
    task.members.push_back(settings);
  }
  return task;
}

/// A network that diverged, or whose replicas did, stays without numbers.
void measure_network(const SliceCell& cell, runtime::Backend& backend, std::uint32_t network, double* row) {
  std::fill(row, row + cell.numbers(), kNaN);
  engine::TrainTask task = cell.training.spec.task;
  task.members = {cell.training.spec.member(network)};
  engine::Trainer trainer(backend, task);
  trainer.run_to(cell.training.train.steps);
  if (trainer.status().front().status == TrainStatus::diverged) return;
  const std::vector<double> parameters = trainer.parameters(0);
  const Plane plane = plane_at(cell, backend, parameters, network);
  const theory::QuadraticSamples samples = samples_at(cell.training, backend, parameters, plane.basis, 2);
  engine::Trainer replicas(backend, branches(cell, network));
  replicas.continue_from(trainer, std::vector<Index>(static_cast<std::size_t>(cell.replicas), 0));
  const Walk walk = follow(cell, replicas, plane);
  if (walk.mean.empty()) return;
  const std::size_t count = walk.places.size() / 2;
  double spread[2] = {0, 0};
  for (Index i = 0; i < 2; ++i) {
    const auto at = [&](SliceNumber which) -> double& { return row[cell.number(i, which)]; };
    double mean = 0, square = 0, variance = 0;
    for (Index s = 0; s < samples.examples; ++s) {
      const double g = samples.gradients[static_cast<std::size_t>(s * samples.dim + i)];
      mean += g / static_cast<double>(samples.examples);
      square += g * g / static_cast<double>(samples.examples);
    }
    for (std::size_t k = 0; k < count; ++k) {
      const double x = walk.places[static_cast<std::size_t>(i) * count + k];
      variance += x * x;
    }
    // About the replicas' own mean of the moment: one degree of freedom less at every noted step.
    variance /= static_cast<double>(count) - static_cast<double>(cell.draws());
    at(SliceNumber::curvature) = plane.curvature[i];
    at(SliceNumber::gradient_noise) = square - mean * mean;
    at(SliceNumber::variance) = variance;
    at(SliceNumber::linear) = linear_variance(cell, plane.curvature[i], square - mean * mean);
    at(SliceNumber::drift) = walk.drift[i];
    spread[i] = std::sqrt(variance);
  }
  write_visits(cell, walk, spread, row);
  write_losses(cell, backend, plane, walk, spread, row);
}

}  // namespace

std::vector<io::KeySpec> slice_keys() {
  const auto whole = [](const char* path, const char* value, const char* doc, double lo, double hi) {
    return io::make_key(path, io::KeyType::integer, value, doc, lo, hi);
  };
  return {whole("slice.replicas", "32", "network: replicas of each network.", 2, 1e6),
          whole("slice.steps", "1000", "Steps of the replicas after the checkpoint.", 1, 1e9),
          whole("slice.burn_in", "200", "Of these, steps before places are noted.", 0, 1e9),
          whole("slice.thin", "5", "Steps from a noted place to the next.", 1, 1e9),
          whole("slice.flat", "9", "Number of the flat direction among the Hessian's eigenvectors; 0 is the sharpest.",
                1, 100),
          whole("slice.bins", "10", "Bins a side of the plane.", 4, 128),
          io::make_key("slice.extent", io::KeyType::real, "2.0",
                       "Half a side of the plane, in standard deviations of the replicas.", 0.5, 10)};
}

SliceCell make_slice_cell(const RunSetup& setup, const io::Cell& at) {
  const io::Recipe recipe = io::at_cell(*setup.recipe, at);
  SliceCell cell;
  cell.training = make_training_cell(setup, at);
  require_training_set(recipe, cell.training);
  require_whole_training(cell.training);
  require_batch_noise_alone(recipe, cell.training);
  require_one_rate(cell.training);
  if (const OrderKind order = cell.training.train.rule.order; order != OrderKind::iid && order != OrderKind::fresh)
    throw RecipeError(
        fmt::format("train.order = \"{}\": take \"iid\" or \"fresh\" and train.batch > 0, steps whose noise is "
                    "independent; within epochs it is a bridge (experiment epoch-bridge)",
                    recipe.text("train.order")));
  cell.replicas = recipe.integer("slice.replicas");
  cell.steps = recipe.integer("slice.steps");
  cell.burn_in = recipe.integer("slice.burn_in");
  cell.thin = recipe.integer("slice.thin");
  cell.flat = recipe.integer("slice.flat");
  if (const Index trained = trained_parameters(cell.training.network()); cell.flat >= trained)
    throw RecipeError(fmt::format("slice.flat = {}: below {}, the number of trained parameters", cell.flat, trained));
  cell.bins = recipe.integer("slice.bins");
  cell.extent = recipe.real("slice.extent");
  if (cell.burn_in >= cell.steps || cell.draws() < kLeastDraws)
    throw RecipeError(
        fmt::format("slice.burn_in = {}, slice.thin = {} and slice.steps = {} leave {} noted steps: at "
                    "least {}",
                    cell.burn_in, cell.thin, cell.steps, std::max<Index>(0, cell.draws()), kLeastDraws));
  cell.key = role_key(setup.seed, "order", "slice," + drawn_name(*setup.recipe, at));
  cell.fingerprint = cell.training.spec.identity + fmt::format("{:016x}", cell.key);
  return cell;
}

SampleTask slice_task(const SliceCell& cell, runtime::Backend& backend) {
  return trained_task(cell, 1, [&backend](const SliceCell& own, Index first, Index count, double* rows) {
    for (Index n = 0; n < count; ++n)
      measure_network(own, backend, static_cast<std::uint32_t>(first + n), rows + n * own.numbers());
  });
}

CellPlan plan_slice_cell(const SliceCell& cell, const std::string& name) {
  const Network& network = cell.training.network();
  const auto parameters = static_cast<double>(ParamLayout(network.shape).size),
             replicas = static_cast<double>(cell.replicas);
  const double vectors = parameters * static_cast<double>(std::max<Index>(100, 3 * (cell.flat + 1)) + cell.bins),
               places = 2 * replicas * static_cast<double>(cell.draws());
  CellPlan plan =
      plan_training_rows(cell.training, name, cell.numbers(), 8 * (vectors + places + 4 * parameters * replicas));
  const double steps = static_cast<double>(cell.training.train.steps);
  plan.flops *= 1 + replicas * static_cast<double>(cell.steps) / steps;
  return plan;
}

}  // namespace widelab::experiments
