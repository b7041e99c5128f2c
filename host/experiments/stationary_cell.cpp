#include "host/experiments/stationary_cell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include "host/engine/online_feed.hpp"
#include "host/experiments/recipe_seeds.hpp"
#include "host/experiments/trained_members.hpp"
#include "host/theory/sgd_epochs.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::experiments {
namespace {

constexpr Index kMostDirections = 128;
constexpr double kSegmentSteps = 4e6;  // chains times steps between two looks at Ctrl-C

/// What is added up along one chain.
class ChainSums {
 public:
  ChainSums(const StationaryCell& cell, const theory::Eigenbasis& basis)
      : cell_(cell), basis_(basis), row_(static_cast<std::size_t>(cell.numbers()), 0.0) {}

  /// The chain is at `parameters` after `step` steps.
  void see(Index step, const std::vector<double>& parameters) {
    const ReadoutRegression& regression = cell_.regression;
    std::vector<double> e(static_cast<std::size_t>(cell_.dimension()));
    for (std::size_t j = 0; j < e.size(); ++j) {
      const std::size_t at = static_cast<std::size_t>(regression.first_parameter) + j;
      e[j] = parameters[at] - regression.parameters[at];
    }
    e = basis_.rows_into(matrix_view<const double>(e.data(), 1, cell_.dimension()));
    double excess = 0;
    for (std::size_t i = 0; i < e.size(); ++i) excess += 0.5 * basis_.values()[i] * e[i] * e[i];
    const auto time = std::lower_bound(cell_.observed.begin(), cell_.observed.end(), step);
    if (time != cell_.observed.end() && *time == step)
      number(cell_.excess_at(static_cast<std::size_t>(time - cell_.observed.begin()))) = excess;
    if (step > cell_.burn_in) add(step, e, excess);
    for (; tail_ < cell_.tail_times && cell_.tail_step(tail_) == step; ++tail_)
      number(cell_.distance(tail_)) = std::sqrt(std::inner_product(e.begin(), e.end(), e.begin(), 0.0));
  }

  void write(double* out) const { std::copy(row_.begin(), row_.end(), out); }

 private:
  double& number(Index column) { return row_[static_cast<std::size_t>(column)]; }

  void add(Index step, const std::vector<double>& e, double excess) {
    const double share = 1 / static_cast<double>(cell_.steps() - cell_.burn_in);
    number(cell_.excess()) += share * excess;
    for (Index i = 0; i < cell_.dimension(); ++i) {
      const double at = e[static_cast<std::size_t>(i)];
      number(cell_.mean(i)) += share * at;
      number(cell_.fourth(i)) += share * at * at * at * at;
      for (Index j = 0; j <= i; ++j) number(cell_.product(i, j)) += share * at * e[static_cast<std::size_t>(j)];
    }
    past_.push_back(e);
    for (std::size_t k = 0; k < cell_.lags.size(); ++k) {
      const Index lag = cell_.lags[k], pairs = cell_.steps() - cell_.burn_in - lag;
      if (step - cell_.burn_in <= lag) break;
      const std::vector<double>& before = past_[past_.size() - 1 - static_cast<std::size_t>(lag)];
      double product = 0;
      for (std::size_t i = 0; i < e.size(); ++i) product += e[i] * before[i];
      number(cell_.along(k)) += product / static_cast<double>(pairs);
    }
    // A chain's past is cut once it is twice as long as anything looks back.
    const std::size_t longest = static_cast<std::size_t>(cell_.lags.back()) + 1;
    if (past_.size() >= 2 * longest) past_.erase(past_.begin(), past_.end() - static_cast<std::ptrdiff_t>(longest));
  }

  const StationaryCell& cell_;
  const theory::Eigenbasis& basis_;
  std::vector<double> row_;
  std::vector<std::vector<double>> past_;
  Index tail_ = 0;
};

/// Every chain starts from the network at its minimiser.
engine::TrainTask chains(const StationaryCell& cell, Index first, Index count) {
  engine::TrainTask task = cell.training.spec.task;
  for (LayerScale& layer : task.network.layers) layer.weight_law = layer.bias_law = InitKind::file;
  task.file_weights = std::make_shared<const std::vector<double>>(cell.regression.parameters);
  for (Index m = 0; m < count; ++m) {
    MemberSettings settings = cell.training.spec.member(static_cast<std::uint32_t>(first + m));
    settings.ids.init.replicate = 0;
    task.members.push_back(settings);
  }
  return task;
}

void measure(const StationaryCell& cell, runtime::Backend& backend, Index first, Index count, double* rows) {
  const theory::Eigenbasis basis = cell.regression.modes();
  engine::TrainTask task = chains(cell, first, count);
  std::optional<engine::OnlineFeed> feed;
  if (cell.online()) feed.emplace(cell.training.spec.online, task.members, cell.steps()).begin(task);
  engine::Trainer trainer(backend, std::move(task));
  std::vector<ChainSums> sums(static_cast<std::size_t>(count), ChainSums(cell, basis));
  for (Index step = 0; step <= cell.steps(); ++step) {
    if (step <= cell.burn_in && !std::binary_search(cell.observed.begin(), cell.observed.end(), step)) continue;
    feed ? feed->run_to(trainer, step) : trainer.run_to(step);
    for (Index m = 0; m < count; ++m)
      if (trainer.status()[static_cast<std::size_t>(m)].status == TrainStatus::running)
        sums[static_cast<std::size_t>(m)].see(step, trainer.parameters(m));
  }
  // A diverged chain stays without numbers.
  for (Index m = 0; m < count; ++m)
    if (trainer.status()[static_cast<std::size_t>(m)].status == TrainStatus::running)
      sums[static_cast<std::size_t>(m)].write(rows + m * cell.numbers());
}

/// Chains under shuffled epochs are averaged over whole epochs.
void check_epochs(const StationaryCell& cell, Index sampled_orders) {
  if (sampled_orders % theory::EpochOrders::kGroups != 0)
    throw RecipeError(fmt::format("chain.sampled_orders = {}: a multiple of {}, the groups behind its error",
                                  sampled_orders, theory::EpochOrders::kGroups));
  if (!cell.shuffled()) return;
  const Index length = cell.steps_per_epoch();
  for (const auto& [key, steps] : {std::pair{"chain.burn_in", cell.burn_in}, std::pair{"train.steps", cell.steps()}})
    if (steps % length != 0)
      throw RecipeError(
          fmt::format("{} = {} with train.order = \"epochs\": a multiple of the {} steps of an epoch, {} for example",
                      key, steps, length, (steps / length + 1) * length));
}

}  // namespace

std::vector<io::KeySpec> stationary_keys() {
  io::KeySpec burn_in = io::make_key("chain.burn_in", io::KeyType::integer, "500",
                                     "Steps before moments are averaged; chains start at the minimiser.", 0, 1e9);
  burn_in.sweepable = true;
  return {
      burn_in,
      io::make_key("chain.lags", io::KeyType::integer_list, "[0, 1, 2, 4, 8, 16, 32]",
                   "Lags of the autocovariance, in steps, increasing.", 0, 1e6),
      io::make_key(
          "chain.tail_times", io::KeyType::integer, "20",
          "Times after the burn-in, at most all, at which |e| of every chain is kept: what tails are estimated from.",
          1, 1e4),
      io::make_key("chain.sampled_orders", io::KeyType::integer, "16384",
                   "Shuffled epochs: orders of the examples over which the prediction averages; a multiple of 16.", 16,
                   1e7)};
}

StationaryCell make_stationary_cell(const RunSetup& setup, const io::Cell& at) {
  const io::Recipe recipe = io::at_cell(*setup.recipe, at);
  StationaryCell cell;
  cell.training = make_training_cell(setup, at);
  require_whole_training(cell.training);
  cell.training.init_key = role_key(setup.seed, "init", "");  // all cells have the same features
  if (cell.training.train.rule.order == OrderKind::online) {
    cell.regression = online_regression(recipe, setup.seed, cell.training);
    give_own_streams(recipe, cell.training);
  } else {
    cell.regression = readout_regression(recipe, cell.training);
  }
  if (cell.dimension() > kMostDirections)
    throw RecipeError(fmt::format("model.width = {}: at most {}, whose squares are moments of every chain",
                                  cell.dimension(), kMostDirections));
  cell.burn_in = recipe.integer("chain.burn_in");
  cell.observed = cell.training.spec.observed;
  cell.lags.assign(recipe.integers("chain.lags").begin(), recipe.integers("chain.lags").end());
  if (cell.lags.empty() || !std::is_sorted(cell.lags.begin(), cell.lags.end(), std::less_equal<>()))
    throw RecipeError("chain.lags: give at least one lag, increasing");
  if (cell.burn_in + cell.lags.back() >= cell.steps())
    throw RecipeError(
        fmt::format("chain.burn_in = {} and the largest of chain.lags = {}: together below train.steps = {}, so that "
                    "pairs are left",
                    cell.burn_in, cell.lags.back(), cell.steps()));
  check_epochs(cell, recipe.integer("chain.sampled_orders"));
  cell.sampled_orders = recipe.integer("chain.sampled_orders");
  cell.orders_key = role_key(setup.seed, "order", "sampled," + at.name);
  cell.tail_times = std::min<Index>(recipe.integer("chain.tail_times"), cell.steps() - cell.burn_in);
  cell.fingerprint = cell.training.spec.identity;
  return cell;
}

SampleTask stationary_task(const StationaryCell& cell, runtime::Backend& backend) {
  return trained_task(cell,
                      std::clamp<Index>(static_cast<Index>(kSegmentSteps / static_cast<double>(cell.steps())), 1, 1024),
                      [&backend](const StationaryCell& own, Index first, Index count, double* rows) {
                        measure(own, backend, first, count, rows);
                      });
}

CellPlan plan_stationary_cell(const StationaryCell& cell, const std::string& name) {
  const double past = 8.0 * 1024 * static_cast<double>(2 * (cell.lags.back() + 1) * cell.dimension());
  CellPlan plan = plan_training_rows(cell.training, name, cell.numbers(), past);
  return plan;
}

}  // namespace widelab::experiments
