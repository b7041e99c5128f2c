#include "host/experiments/flatness_cell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "host/estimators/layer_curvature.hpp"
#include "host/experiments/bridge_prediction.hpp"
#include "host/experiments/flatness_measure.hpp"
#include "host/experiments/recipe_seeds.hpp"
#include "host/experiments/trained_members.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr Index kMostParameters = 4096;  // of the layer, whose covariance and Hessian are dense

void need(bool fine, const std::string& what) {
  if (!fine) throw RecipeError(what);
}

void check_layer(const FlatnessCell& cell) {
  const Network& network = cell.training.network();
  const MlpShape& shape = network.shape;
  need(cell.layer >= 1 && cell.layer < shape.depth(),
       fmt::format("flatness.layer = {} with {} hidden layers: it lies between two hidden layers, from 1 to {}; set "
                   "model.depth >= 2",
                   cell.layer, shape.depth(), shape.depth() - 1));
  need(!shape.layer_norm && shape.residual == 0,
       "model.layer_norm, model.residual: a layer's loss is that of plain layers; set them to false and 0");
  need(estimators::piecewise_linear(shape.activation),
       "model.activation: a layer's exact Hessian needs a piecewise linear activation: relu, leaky-relu, ab-relu or "
       "identity");
  need(network.layers[static_cast<std::size_t>(cell.layer)].weight_rate > 0,
       fmt::format("model.train_layers: layer {} of flatness.layer is not trained", cell.layer));
  need(cell.layer_size() >= 4 && cell.layer_size() <= kMostParameters,
       fmt::format("flatness.layer = {}: it has {} weights, from 4 to {}, whose covariance is a dense matrix",
                   cell.layer, cell.layer_size(), kMostParameters));
}

void check_noise(const io::Recipe& recipe, const TrainingCell& cell) {
  require_batch_noise_alone(recipe, cell);
  const OrderKind order = cell.train.rule.order;
  need(cell.learning_rate > 0, fmt::format("train.learning_rate = {:g}: a rate above 0", cell.learning_rate));
  need(order == OrderKind::epochs || order == OrderKind::iid || order == OrderKind::fresh,
       fmt::format("train.order = \"{}\", train.batch = {}: take \"epochs\", \"iid\" or \"fresh\", and a batch below "
                   "data.examples",
                   recipe.text("train.order"), recipe.integer("train.batch")));
}

/// Window, checkpoint and the replicas' times.
void set_times(const io::Recipe& recipe, FlatnessCell& cell) {
  const Index length = cell.steps_per_epoch(), steps = cell.training.train.steps;
  need(length >= 4, fmt::format("train.batch = {} with data.examples = {}: at least four batches make an epoch",
                                cell.batch(), cell.training.data.train.examples));
  const Index epochs = recipe.integer("flatness.window");
  cell.window = epochs * length;
  need(
      steps % length == 0,
      fmt::format("train.steps = {}: the window begins and ends between two epochs; take a multiple of the {} steps of "
                  "one, {} for example",
                  steps, length, (steps / length + 1) * length));
  need(steps > cell.window,
       fmt::format("flatness.window = {} epochs of {} steps: longer than training, train.steps = {}; take at most {} "
                   "epochs, or more steps",
                   epochs, length, steps, std::max<Index>(0, steps / length - 1)));
  cell.latest = steps - cell.window;
  for (const double within : {0.25, 0.5, 0.75, 1.0}) cell.epochs.push_back(within);
  if (const Index last = recipe.integer("flatness.replica_epochs"); last > 1)
    cell.epochs.push_back(static_cast<double>(last));
  for (const double time : cell.epochs) cell.times.push_back(static_cast<Index>(time * static_cast<double>(length)));
}

/// 0, then 1, 1 + every, .. up to `last` and to what the layer and the window have.
std::vector<Index> component_list(Index last, Index every, Index size, Index window) {
  std::vector<Index> out{0};
  const Index end = std::min({last, size - 1, window - 2});
  for (Index i = 1; i <= end; i += every) out.push_back(i);
  return out;
}

/// Outputs of every member on all training examples, members x N x k: a tile of examples at a time, so that they are
/// not copied as a whole.
std::vector<double> training_outputs(const engine::Trainer& trainer, const data::Dataset& train) {
  constexpr Index kTile = 2048;
  const Index members = trainer.members(), all = train.examples * train.outputs;
  std::vector<double> out(static_cast<std::size_t>(members * all));
  for (Index first = 0; first < train.examples; first += kTile) {
    const Index rows = std::min(kTile, train.examples - first), each = rows * train.outputs;
    const std::vector<double> part = trainer.outputs(
        matrix_view<const double>(train.inputs.data() + first * train.dimension, rows, train.dimension));
    for (Index m = 0; m < members; ++m)
      std::copy_n(part.begin() + m * each, each, out.begin() + m * all + first * train.outputs);
  }
  return out;
}

/// Trains replicates first .. first + count - 1; visit(m, trainer) sees each at its checkpoint. Others diverged, or did
/// not come below train.converged_loss.
void train_to_checkpoints(const FlatnessCell& cell, runtime::Backend& backend, Index first, Index count,
                          const std::function<void(Index member, const engine::Trainer& trainer)>& visit) {
  const data::Dataset& train = cell.training.data.train;
  engine::TrainTask task = cell.training.spec.task;
  for (Index m = 0; m < count; ++m)
    task.members.push_back(cell.training.spec.member(static_cast<std::uint32_t>(first + m)));
  engine::Trainer trainer(backend, std::move(task));
  const TrainRule& rule = cell.training.train.rule;
  const auto running = [&](Index m) {
    return trainer.status()[static_cast<std::size_t>(m)].status == TrainStatus::running;
  };
  const double enough = cell.training.train.converged_loss;
  Index left = count;
  for (Index step = enough > 0 ? cell.steps_per_epoch() : cell.latest; step <= cell.latest && left > 0;
       step += cell.steps_per_epoch()) {
    trainer.run_to(step);
    const std::vector<double> outputs = enough > 0 ? training_outputs(trainer, train) : std::vector<double>{};
    const std::size_t each = train.targets.size();
    left = 0;
    for (Index m = 0; m < count; ++m) {
      if (!running(m)) continue;
      if (enough > 0 && !(engine::training_loss(rule, {outputs.data() + static_cast<std::size_t>(m) * each, each},
                                                train.targets, train.outputs) < enough)) {
        ++left;
        continue;
      }
      visit(m, trainer);
      trainer.set_converged(m);
    }
  }
}

}  // namespace

double FlatnessCell::effective_rate() const {
  const theory::LinearTraining mean_loss = linear_training(training);
  return training.spec.member(0).learning_rate *
         training.network().layers[static_cast<std::size_t>(layer)].weight_rate * mean_loss.curvature;
}

std::vector<io::KeySpec> flatness_keys() {
  const auto whole = [](const char* path, const char* value, const char* doc, double lo, double hi) {
    return io::make_key(path, io::KeyType::integer, value, doc, lo, hi);
  };
  io::KeySpec exponent = io::make_key("flatness.null_exponent", io::KeyType::real, "1.0",
                                      "gamma of the linear null model, whose noise is C ~ H^gamma.", 0, 8);
  exponent.sweepable = true;
  return {whole("flatness.layer", "1", "The layer, between two hidden ones: 1 = from the first to the second.", 1, 249),
          whole("flatness.window", "10",
                "Epochs of the window whose weights are analysed: the last ones of train.steps, or those after "
                "train.converged_loss\nis reached at the end of an epoch.",
                1, 1e6),
          whole("flatness.directions", "999",
                "Last principal component that is looked at; at most the layer's number of weights less 1, and the "
                "window's steps less 2.",
                1, static_cast<double>(kMostParameters)),
          whole("flatness.every", "10", "Components 0, 1, 1 + every, 1 + 2 every, ..", 1,
                static_cast<double>(kMostParameters)),
          whole("flatness.replicas", "32", "Replicas of each network from its checkpoint on.", 2, 1e6),
          whole("flatness.replica_epochs", "3",
                "Epochs that they go on for; they are seen after 1/4, 1/2, 3/4 and 1 epoch, and at the end.", 1, 1e6),
          whole("flatness.modes", "199", "Leading eigenvectors of the layer's Hessian along which they are seen.", 3,
                static_cast<double>(kMostParameters)),
          exponent};
}

FlatnessCell make_flatness_cell(const RunSetup& setup, const io::Cell& at) {
  const io::Recipe recipe = io::at_cell(*setup.recipe, at);
  FlatnessCell cell;
  cell.training = make_training_cell(setup, at);
  cell.layer = recipe.integer("flatness.layer");
  require_training_set(recipe, cell.training);
  check_noise(recipe, cell.training);
  check_layer(cell);
  set_times(recipe, cell);
  cell.components = component_list(recipe.integer("flatness.directions"), recipe.integer("flatness.every"),
                                   cell.layer_size(), cell.window);
  cell.modes = std::min<Index>(recipe.integer("flatness.modes"), cell.layer_size());
  cell.replicas = recipe.integer("flatness.replicas");
  cell.null_exponent = recipe.real("flatness.null_exponent");
  const std::string name = drawn_name(*setup.recipe, at);
  cell.branch_key = role_key(setup.seed, "order", "branches," + name);
  cell.null_key = role_key(setup.seed, "noise", "linear null," + name);
  cell.fingerprint = cell.training.spec.identity + fmt::format("{:016x}", cell.branch_key);
  return cell;
}

SampleTask flatness_task(const FlatnessCell& cell, runtime::Backend& backend) {
  return trained_task(cell, 4, [&backend](const FlatnessCell& own, Index first, Index count, double* rows) {
    std::fill_n(rows, count * own.numbers(), kNaN);
    train_to_checkpoints(own, backend, first, count, [&](Index m, const engine::Trainer& trainer) {
      measure_flatness(own, backend, {&trainer, m, static_cast<std::uint32_t>(first + m)}, rows + m * own.numbers());
    });
  });
}

CellPlan plan_flatness_cell(const FlatnessCell& cell, const std::string& name) {
  const MlpShape& shape = cell.training.network().shape;
  const auto size = static_cast<double>(cell.layer_size()), window = static_cast<double>(cell.window),
             examples = static_cast<double>(cell.training.data.train.examples),
             networks = static_cast<double>(cell.training.spec.replicates),
             units = static_cast<double>(shape.fan_out(cell.layer)),
             components = static_cast<double>(cell.components.size());
  // Dense matrices and their eigenvectors, an epoch of noise, the replicas, and the data of one more trainer.
  CellPlan plan = plan_training_rows(
      cell.training, name, cell.numbers(),
      8 * (9 * size * size + 2 * static_cast<double>(cell.steps_per_epoch()) * size +
           static_cast<double>(cell.replicas) * (2 * static_cast<double>(ParamLayout(shape).size) + size) +
           examples * (3 * units * static_cast<double>(shape.depth() + 1) + static_cast<double>(shape.input_dim))));
  const auto steps = static_cast<double>(cell.training.train.steps);
  const double training = plan.flops / networks / steps;  // of a step
  double above = 0;                                       // of an example from the layer upwards
  for (Index l = cell.layer + 1; l < shape.layers(); ++l)
    above += 2 * static_cast<double>(shape.fan_in(l) * shape.fan_out(l));
  // Losses behind one width; windows: the network's and two nulls, each with a covariance of its own, and the Hessian
  // and C.
  constexpr double kSearches = 16, kWindows = 3;
  const double directions = kWindows * components + static_cast<double>(cell.modes),
               widths = directions * kSearches * examples * above, tangents = directions * 4 * examples * size,
               matrices = size * size * (2 * 2 * examples + (kWindows + 4) * window + 10 * (kWindows + 2) * size);
  plan.flops += networks * (training * (window + static_cast<double>(cell.replicas * cell.times.back())) + widths +
                            matrices + tangents);
  return plan;
}

}  // namespace widelab::experiments
