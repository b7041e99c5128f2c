#include "host/experiments/bridge_cell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "host/experiments/bridge_prediction.hpp"
#include "host/experiments/loss_curvature.hpp"
#include "host/experiments/recipe_seeds.hpp"
#include "host/experiments/trained_members.hpp"
#include "host/theory/sgd_epochs.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/rng/distributions.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

OrderKind branch_order(const std::string& name) {
  if (name == "epochs") return OrderKind::epochs;
  if (name == "iid") return OrderKind::iid;
  return name == "fresh" ? OrderKind::fresh : OrderKind::fixed;
}

/// phases steps an epoch, its end among them, for `epochs` epochs.
std::vector<Index> observed_times(Index epochs, Index phases, Index length) {
  std::vector<Index> times;
  for (Index e = 0; e < epochs; ++e)
    for (Index p = 1; p <= phases; ++p) {
      const Index time = e * length + p * length / phases;
      if (times.empty() || time > times.back()) times.push_back(time);
    }
  return times;
}

/// A network at its checkpoint: where it is, and which way replicas are looked at.
struct Checkpoint {
  std::vector<double> parameters;  // P
  LeadingDirections directions;
  std::vector<double> probes;  // rows of trained parameters
};

Checkpoint look_around(const BridgeCell& cell, runtime::Backend& backend, const engine::Trainer& trainer,
                       std::uint32_t network) {
  Checkpoint out;
  out.parameters = trainer.parameters(0);
  out.directions =
      leading_directions(cell.training, backend, out.parameters, cell.directions, {cell.branch_key, network});
  const auto size = static_cast<Index>(out.directions.coordinates.size());
  const StreamId signs = DrawId{cell.branch_key, network}.stream(Stream::trace_probe);
  for (Index k = 0; k < cell.probes; ++k)
    for (Index j = 0; j < size; ++j)
      out.probes.push_back(
          random_block(signs, static_cast<std::uint32_t>(k), static_cast<std::uint32_t>(j)).w[0] % 2 ? 1.0 : -1.0);
  return out;
}

/// rows (count x coordinates) times (theta - theta_0).
void project(const std::vector<double>& rows, const Checkpoint& from, const std::vector<double>& parameters,
             double* out) {
  const std::size_t size = from.directions.coordinates.size();
  for (std::size_t k = 0; k < rows.size() / size; ++k) {
    double sum = 0;
    for (std::size_t j = 0; j < size; ++j) {
      const auto at = static_cast<std::size_t>(from.directions.coordinates[j]);
      sum += rows[k * size + j] * (parameters[at] - from.parameters[at]);
    }
    out[k] = sum;
  }
}

/// The replicas' task: their own orders from the checkpoint on.
engine::TrainTask branches(const BridgeCell& cell, Index network) {
  engine::TrainTask task = cell.training.spec.task;
  task.rule.order = cell.order;
  for (Index r = 0; r < cell.replicas; ++r) {
    MemberSettings settings = cell.training.spec.member(static_cast<std::uint32_t>(network));
    settings.ids.order = {cell.branch_key, static_cast<std::uint32_t>(network * cell.replicas + r)};
    task.members.push_back(settings);
  }
  return task;
}

void write_theory(const BridgeCell& cell, runtime::Backend& backend, const Checkpoint& from, double* row) {
  const theory::QuadraticSamples samples =
      samples_at(cell.training, backend, from.parameters, from.directions.vectors, cell.directions);
  const std::vector<double> additive = additive_variances(cell, samples), linear = linear_variances(cell, samples);
  std::copy(additive.begin(), additive.end(), row + cell.additive(0, 0));
  std::copy(linear.begin(), linear.end(), row + cell.linear(0, 0));
  for (Index i = 0; i < cell.directions; ++i) {
    row[cell.curvature(i)] = from.directions.curvature[static_cast<std::size_t>(i)];
    row[cell.bound(i)] = from.directions.bound[static_cast<std::size_t>(i)];
    double mean = 0, square = 0;
    for (Index s = 0; s < samples.examples; ++s) {
      const double g = samples.gradients[static_cast<std::size_t>(s * samples.dim + i)];
      mean += g / static_cast<double>(samples.examples);
      square += g * g / static_cast<double>(samples.examples);
    }
    row[cell.noise(i)] = square - mean * mean;
  }
}

/// One network and all its replicas.
void measure_network(const BridgeCell& cell, runtime::Backend& backend, Index network, double* rows) {
  std::fill(rows, rows + cell.replicas * cell.numbers(), kNaN);
  engine::TrainTask task = cell.training.spec.task;
  task.members = {cell.training.spec.member(static_cast<std::uint32_t>(network))};
  engine::Trainer trainer(backend, task);
  trainer.run_to(cell.training.train.steps);
  if (trainer.status().front().status == TrainStatus::diverged) return;
  const Checkpoint from = look_around(cell, backend, trainer, static_cast<std::uint32_t>(network));
  write_theory(cell, backend, from, rows);
  engine::Trainer replicas(backend, branches(cell, network));
  replicas.continue_from(trainer, std::vector<Index>(static_cast<std::size_t>(cell.replicas), 0));
  for (std::size_t t = 0; t < cell.times.size(); ++t) {
    replicas.run_to(cell.training.train.steps + cell.times[t]);
    for (Index r = 0; r < cell.replicas; ++r) {
      if (replicas.status()[static_cast<std::size_t>(r)].status == TrainStatus::diverged) continue;
      const std::vector<double> parameters = replicas.parameters(r);
      double* row = rows + r * cell.numbers();
      project(from.directions.vectors, from, parameters, row + cell.place(t, 0));
      project(from.probes, from, parameters, row + cell.probe(t, 0));
    }
  }
}

}  // namespace

std::vector<io::KeySpec> bridge_keys() {
  const auto whole = [](const char* path, const char* value, const char* doc, double lo, double hi) {
    return io::make_key(path, io::KeyType::integer, value, doc, lo, hi);
  };
  io::KeySpec order = io::make_key("bridge.replica_order", io::KeyType::text, "\"epochs\"",
                                   "Batches of the replicas, as train.order says; fixed: no noise at all.");
  order.choices = {"epochs", "iid", "fresh", "fixed"};
  order.sweepable = true;
  return {
      order,
      whole("bridge.replicas", "16", "Replicas of each network; seeds.replicates is a multiple of it.", 2, 1e6),
      whole("bridge.epochs", "2", "Epochs after the checkpoint.", 1, 1e6),
      whole("bridge.phases", "8", "Times in each epoch, its end among them.", 1, 1e6),
      whole("bridge.directions", "10", "Leading eigenvectors of the Hessian at the checkpoint.", 1, 40),
      whole("bridge.probes", "16", "Random vectors behind the trace of the covariance.", 1, 1000),
      whole("bridge.sampled_orders", "1024",
            "Shuffled epochs: orders of the examples over which linear theory averages; a multiple of 16.", 16, 1e6)};
}

BridgeCell make_bridge_cell(const RunSetup& setup, const io::Cell& at) {
  const io::Recipe recipe = io::at_cell(*setup.recipe, at);
  BridgeCell cell;
  cell.training = make_training_cell(setup, at);
  require_batch_noise_alone(recipe, cell.training);
  require_one_rate(cell.training);
  require_training_set(recipe, cell.training);
  require_whole_training(cell.training);
  cell.order = branch_order(recipe.text("bridge.replica_order"));
  cell.replicas = recipe.integer("bridge.replicas");
  cell.directions = recipe.integer("bridge.directions");
  cell.probes = recipe.integer("bridge.probes");
  cell.sampled_orders = recipe.integer("bridge.sampled_orders");
  if (const Index trained = trained_parameters(cell.training.network()); cell.directions > trained)
    throw RecipeError(
        fmt::format("bridge.directions = {}: at most {}, the number of trained parameters", cell.directions, trained));
  const Index networks = cell.training.spec.replicates / cell.replicas;
  if (networks < 2 || networks * cell.replicas != cell.training.spec.replicates)
    throw RecipeError(
        fmt::format("seeds.replicates = {}: a multiple of bridge.replicas = {}, at least twice that: errors "
                    "are over networks",
                    cell.training.spec.replicates, cell.replicas));
  if (cell.sampled_orders % theory::EpochOrders::kGroups != 0)
    throw RecipeError(fmt::format("bridge.sampled_orders = {}: a multiple of {}, the groups behind its error",
                                  cell.sampled_orders, theory::EpochOrders::kGroups));
  const Index length = cell.steps_per_epoch();
  if (length < 2)
    throw RecipeError(fmt::format("train.batch = {} with data.examples = {}: at least two batches make an epoch",
                                  cell.batch(), cell.training.data.train.examples));
  if (cell.training.train.steps % length != 0)
    throw RecipeError(fmt::format(
        "train.steps = {}: the checkpoint lies between two epochs; take a multiple of the {} steps of one, {} for "
        "example",
        cell.training.train.steps, length, (cell.training.train.steps / length + 1) * length));
  cell.times = observed_times(recipe.integer("bridge.epochs"), recipe.integer("bridge.phases"), length);
  cell.branch_key = role_key(setup.seed, "order", "branches," + drawn_name(*setup.recipe, at));
  cell.fingerprint = cell.training.spec.identity + fmt::format("{:016x}", cell.branch_key);
  return cell;
}

SampleTask bridge_task(const BridgeCell& cell, runtime::Backend& backend) {
  return trained_task(cell, cell.replicas, [&backend](const BridgeCell& own, Index first, Index count, double* rows) {
    // Whole networks, or the replicas that are wanted of one.
    std::vector<double> all(static_cast<std::size_t>(own.replicas * own.numbers()));
    for (Index r = first; r < first + count;) {
      const Index network = r / own.replicas, begin = r % own.replicas;
      const Index wanted = std::min(own.replicas - begin, first + count - r);
      measure_network(own, backend, network, all.data());
      std::copy_n(all.begin() + begin * own.numbers(), wanted * own.numbers(), rows + (r - first) * own.numbers());
      r += wanted;
    }
  });
}

CellPlan plan_bridge_cell(const BridgeCell& cell, const std::string& name) {
  const auto size = static_cast<double>(ParamLayout(cell.training.network().shape).size);
  const double vectors =
      8.0 * size * static_cast<double>(cell.directions * 4 + cell.probes + std::max<Index>(100, 3 * cell.directions));
  CellPlan plan = plan_training_rows(cell.training, name, cell.numbers(), vectors);
  // The job trains a network for each group of replicas, and all replicas from there on.
  const double steps = static_cast<double>(cell.training.train.steps);
  plan.flops *= static_cast<double>(cell.networks()) / static_cast<double>(cell.training.spec.replicates) +
                static_cast<double>(cell.times.back()) / steps;
  return plan;
}

}  // namespace widelab::experiments
