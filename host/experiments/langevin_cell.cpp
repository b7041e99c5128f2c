#include "host/experiments/langevin_cell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "host/estimators/chain_convergence.hpp"
#include "host/experiments/recipe_seeds.hpp"
#include "host/experiments/trained_members.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::experiments {
namespace {

constexpr Index kMostPoints = 256, kMostDirections = 256, kLeastDraws = 8;
constexpr double kSegmentWork = 4e9;  // chains x steps x parameters between two looks at Ctrl-C
// What is left of a start's variance after the burn-in, at most: below any error bar of an ensemble.
constexpr double kForgotten = 1e-3;

/// U's readout part of one chain at one draw.
class ReadoutVirial {
 public:
  explicit ReadoutVirial(const LangevinCell& cell) : cell_(cell), layer_(cell.training.network().layers.back()) {
    const ParamLayout layout(cell.training.network().shape);
    first_ = layout.weight_offset.back();
    bias_ = layout.bias_offset.back();
  }

  /// theta.grad U / (p T): f is linear in the readout, so that theta.grad f = f, less a bias that is not trained.
  double at(const std::vector<double>& theta, const double* f) const {
    const data::Dataset& train = cell_.training.data.train;
    const bool trained_bias = layer_.bias_rate > 0;
    const double fixed = trained_bias ? 0 : layer_.bias_multiplier * number(theta, bias_);
    double slope = 0, square = 0;
    for (Index i = 0; i < train.examples; ++i)
      slope += (f[i] - fixed) * (f[i] - train.targets[static_cast<std::size_t>(i)]);
    for (Index j = first_; j < (trained_bias ? bias_ + 1 : bias_); ++j) square += number(theta, j) * number(theta, j);
    return (cell_.target.curvature * slope + cell_.target.weight_decay * square) /
           (static_cast<double>(cell_.readout_parameters()) * cell_.target.temperature);
  }

 private:
  static double number(const std::vector<double>& theta, Index j) { return theta[static_cast<std::size_t>(j)]; }

  const LangevinCell& cell_;
  const LayerScale& layer_;
  Index first_ = 0, bias_ = 0;
};

/// (1/2) sum (f - y)^2 over the training points.
double half_square(const LangevinCell& cell, const double* f) {
  double sum = 0;
  for (Index i = 0; i < cell.train_points(); ++i) {
    const double r = f[i] - cell.training.data.train.targets[static_cast<std::size_t>(i)];
    sum += 0.5 * r * r;
  }
  return sum;
}

/// What one chain draws, quantity by quantity.
struct ChainDraws {
  std::vector<std::vector<double>> series;
  std::vector<double> losses;  // at the observed steps

  void write(const LangevinCell& cell, double* row) const {
    for (Index q = 0; q < cell.quantities(); ++q) {
      const std::vector<double>& draws = series[static_cast<std::size_t>(q)];
      const estimators::SplitChain split = estimators::split_chain(draws);
      const auto put = [&](ChainNumber number, double value) { row[cell.column(q, number)] = value; };
      put(ChainNumber::first_mean, split.first_mean);
      put(ChainNumber::second_mean, split.second_mean);
      put(ChainNumber::first_variance, split.first_variance);
      put(ChainNumber::second_variance, split.second_variance);
      put(ChainNumber::effective_size, estimators::effective_sample_size(draws));
    }
    std::copy(losses.begin(), losses.end(), row + cell.loss_at(0));
  }
};

engine::TrainTask chains(const LangevinCell& cell, Index first, Index count) {
  engine::TrainTask task = cell.training.spec.task;
  if (cell.readout) {
    for (LayerScale& layer : task.network.layers) layer.weight_law = layer.bias_law = InitKind::file;
    task.file_weights = std::make_shared<const std::vector<double>>(cell.readout->parameters);
  }
  for (Index m = 0; m < count; ++m) {
    MemberSettings settings = cell.training.spec.member(static_cast<std::uint32_t>(first + m));
    if (cell.readout) settings.ids.init.replicate = 0;
    task.members.push_back(settings);
  }
  return task;
}

void measure(const LangevinCell& cell, runtime::Backend& backend, Index first, Index count, double* rows) {
  engine::Trainer trainer(backend, chains(cell, first, count));
  const ReadoutVirial virial(cell);
  const ChainDraws empty{std::vector<std::vector<double>>(static_cast<std::size_t>(cell.quantities())), {}};
  std::vector<ChainDraws> all(static_cast<std::size_t>(count), empty);
  const MatrixView<const double> inputs =
      matrix_view<const double>(cell.inputs.data(), cell.points(), cell.training.network().shape.input_dim);
  Index drawn = 0;
  for (Index step = 0; step <= cell.steps(); ++step) {
    const bool observed = std::binary_search(cell.observed.begin(), cell.observed.end(), step);
    const bool draw = drawn < cell.draws() && step == cell.burn_in + (drawn + 1) * cell.thin;
    if (!observed && !draw) continue;
    trainer.run_to(step);
    if (draw) ++drawn;
    const std::vector<double> outputs = trainer.outputs(inputs);
    for (Index m = 0; m < count; ++m) {
      if (trainer.status()[static_cast<std::size_t>(m)].status != TrainStatus::running) continue;
      ChainDraws& chain = all[static_cast<std::size_t>(m)];
      const double* f = outputs.data() + m * cell.points();
      const double loss = half_square(cell, f);
      if (observed) chain.losses.push_back(loss);
      if (!draw) continue;
      for (Index p = 0; p < cell.points(); ++p) chain.series[static_cast<std::size_t>(p)].push_back(f[p]);
      chain.series[static_cast<std::size_t>(cell.loss())].push_back(loss);
      chain.series[static_cast<std::size_t>(cell.virial())].push_back(virial.at(trainer.parameters(m), f));
    }
  }
  // A diverged chain stays without numbers.
  for (Index m = 0; m < count; ++m)
    if (trainer.status()[static_cast<std::size_t>(m)].status == TrainStatus::running)
      all[static_cast<std::size_t>(m)].write(cell, rows + m * cell.numbers());
}

/// Refuses a burn-in after which more than kForgotten of the start's variance is left in some direction. Readout: by
/// the exact radius of the map of second moments. All layers: no direction of theta forgets more slowly than by the
/// weight decay where the loss is convex around it.
void check_burn_in(const LangevinCell& cell) {
  double kept = 0;  // of second moments, a step
  if (cell.readout) {
    kept = cell.readout->noise().mean_square_radius();
    if (!(kept < 1))
      throw RecipeError(fmt::format(
          "train.learning_rate = {:g}: beyond the edge of mean-square stability, there is no stationary law; "
          "take a smaller one",
          cell.training.train.learning_rate));
  } else {
    double slowest = 0;
    for (const LayerScale& layer : cell.training.network().layers)
      for (const double rate : {layer.weight_rate, layer.bias_rate})
        if (rate > 0 && (slowest == 0 || rate < slowest)) slowest = rate;
    const bool sgld = cell.training.train.rule.update.kind == OptimiserKind::sgld;
    const double step = cell.training.learning_rate * slowest * cell.target.weight_decay * (sgld ? 0.5 : 1);
    kept = (1 - step) * (1 - step);
  }
  const double needed = std::ceil(std::log(kForgotten) / std::log(kept));
  if (!(static_cast<double>(cell.burn_in) >= needed))
    throw RecipeError(fmt::format(
        "chain.burn_in = {}: at this step size the slowest direction needs {:.0f} steps to forget its start "
        "(a part of {:g} of its variance left): take that many, or a larger train.learning_rate",
        cell.burn_in, needed, kForgotten));
}

}  // namespace

Index LangevinCell::readout_parameters() const {
  const Network& network = training.network();
  return network.shape.fan_in(network.shape.depth()) + (network.layers.back().bias_rate > 0 ? 1 : 0);
}

std::vector<io::KeySpec> langevin_keys() {
  io::KeySpec burn_in =
      io::make_key("chain.burn_in", io::KeyType::integer, "1000", "Steps before the first draw.", 0, 1e9);
  io::KeySpec thin = io::make_key("chain.thin", io::KeyType::integer, "5", "Steps from a draw to the next.", 1, 1e9);
  burn_in.sweepable = thin.sweepable = true;
  return {burn_in, thin, prior_key()};
}

LangevinCell make_langevin_cell(const RunSetup& setup, const io::Cell& at) {
  const io::Recipe recipe = io::at_cell(*setup.recipe, at);
  LangevinCell cell;
  cell.training = make_training_cell(setup, at);
  require_training_set(recipe, cell.training);
  require_whole_training(cell.training);
  cell.target = gibbs_target(recipe, cell.training);
  if (cell.target.readout_alone) {
    cell.training.init_key = role_key(setup.seed, "init", "");  // all cells have the same features
    cell.readout = readout_regression(recipe, cell.training);
    if (cell.readout->dimension > kMostDirections)
      throw RecipeError(
          fmt::format("model.width = {}: at most {} where the readout alone is trained, whose covariance "
                      "is solved for",
                      cell.readout->dimension, kMostDirections));
  }
  cell.inputs = all_inputs(cell.training.data);
  if (cell.points() > kMostPoints)
    throw RecipeError(
        fmt::format("data.examples + data.test_examples = {}: at most {}, at each of which every chain's "
                    "draws are kept in memory",
                    cell.points(), kMostPoints));
  cell.burn_in = recipe.integer("chain.burn_in");
  cell.thin = recipe.integer("chain.thin");
  cell.observed = cell.training.spec.observed;
  if (cell.burn_in >= cell.steps() || cell.draws() < kLeastDraws)
    throw RecipeError(
        fmt::format("chain.burn_in = {} and chain.thin = {} leave {} draws of train.steps = {}: at least {}",
                    cell.burn_in, cell.thin, std::max<Index>(0, cell.draws()), cell.steps(), kLeastDraws));
  check_burn_in(cell);
  cell.fingerprint = cell.training.spec.identity;
  return cell;
}

SampleTask langevin_task(const LangevinCell& cell, runtime::Backend& backend) {
  const auto parameters = static_cast<double>(ParamLayout(cell.training.network().shape).size);
  return trained_task(
      cell,
      std::clamp<Index>(static_cast<Index>(kSegmentWork / (static_cast<double>(cell.steps()) * parameters)), 8, 1024),
      [&backend](const LangevinCell& own, Index first, Index count, double* rows) {
        measure(own, backend, first, count, rows);
      });
}

CellPlan plan_langevin_cell(const LangevinCell& cell, const std::string& name) {
  const double chains = static_cast<double>(std::min<Index>(1024, cell.training.spec.replicates)),
               series = 8.0 * static_cast<double>(cell.draws() * cell.quantities());
  return plan_training_rows(cell.training, name, cell.numbers(), chains * series);
}

}  // namespace widelab::experiments
