#include "host/experiments/readout_regression.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "host/experiments/layer_features.hpp"
#include "host/runtime/backend.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::experiments {
namespace {

void check_readout_alone(const Network& network) {
  const Index depth = network.shape.depth();
  for (Index l = 0; l <= depth; ++l) {
    const LayerScale& scale = network.layers[static_cast<std::size_t>(l)];
    if ((scale.weight_rate > 0) == (l == depth) && scale.bias_rate == 0) continue;
    throw RecipeError(fmt::format(
        "model.train_layers: the law is that of a readout trained alone, without bias: set model.train_layers = [{}] "
        "and model.train_bias = false",
        [&] {
          std::string flags;
          for (Index k = 0; k <= depth; ++k) flags += k == depth ? "true" : "false, ";
          return flags;
        }()));
  }
  if (network.shape.outputs != 1)
    throw RecipeError(
        fmt::format("model.outputs = {}: take 1; outputs of a readout learn independently", network.shape.outputs));
}

/// Rules that the second-moment laws cover.
theory::LinearRule linear_rule(const io::Recipe& recipe) {
  const std::string& optimiser = recipe.text("train.optimiser");
  if (optimiser == "heavy-ball") return theory::LinearRule::heavy_ball;
  if (optimiser == "nesterov") return theory::LinearRule::nesterov;
  if (optimiser == "sgd" || optimiser == "langevin" || optimiser == "sgld") return theory::LinearRule::gradient_descent;
  throw RecipeError(fmt::format(
      "train.optimiser = \"{}\": no exact law is known; take sgd, heavy-ball, nesterov, langevin or sgld", optimiser));
}

void check_rule(const io::Recipe& recipe, const TrainRule& rule, bool whole_batches) {
  const auto need = [](bool fine, const std::string& what) {
    if (!fine) throw RecipeError(what);
  };
  need(rule.loss == LossKind::half_squared || rule.loss == LossKind::squared,
       fmt::format("train.loss = \"{}\": the law is that of a squared loss; take \"half-squared\" or \"squared\"",
                   recipe.text("train.loss")));
  need(recipe.text("train.schedule") == "constant",
       fmt::format("train.schedule = \"{}\": nothing becomes stationary; take \"constant\"",
                   recipe.text("train.schedule")));
  need(recipe.integer("train.warmup") == 0, "train.warmup: set it to 0, the law is that of a constant learning rate");
  need(rule.dropout_keep == 1, "train.dropout_keep: set it to 1, the law is that of fixed features");
  need(!rule.update.decoupled_decay || moment_count(rule.update.kind) == 0,
       "train.decay = \"decoupled\": with momentum take \"coupled\"");
  need(recipe.text("train.rate_unit") == "per-step",
       fmt::format("train.rate_unit = \"{}\": take \"per-step\"", recipe.text("train.rate_unit")));
  need(rule.order == OrderKind::iid || rule.order == OrderKind::fresh || rule.order == OrderKind::epochs ||
           (rule.order == OrderKind::fixed && whole_batches),
       fmt::format("train.order = \"{}\": take \"iid\", \"fresh\" or \"epochs\", or \"fixed\" with train.batch = 0",
                   recipe.text("train.order")));
}

/// Everything in units of the normalised loss (1 / 2N) sum (f - y)^2: a batch's gradient is `curvature` times it.
theory::RegressionSgd normalised_sgd(const io::Recipe& recipe, const TrainingCell& cell) {
  const TrainRule& rule = cell.train.rule;
  const MemberSettings settings = cell.spec.member(0);
  const double rate = settings.learning_rate * cell.network().layers.back().weight_rate;
  const auto batch = static_cast<double>(settings.batch);
  theory::RegressionSgd sgd;
  sgd.training.rule = linear_rule(recipe);
  sgd.training.learning_rate = rule.update.kind == OptimiserKind::sgld ? rate / 2 : rate;
  sgd.training.momentum = rule.update.momentum;
  sgd.training.curvature = reduction_factor(rule.reduction, settings.batch, cell.data.train.examples, 1) * batch *
                           (rule.loss == LossKind::squared ? 2 : 1);
  sgd.sampling = rule.order == OrderKind::iid ? theory::BatchSampling::with_replacement
                                              : theory::BatchSampling::without_replacement;
  sgd.batch = settings.batch;
  sgd.weight_decay = settings.weight_decay / sgd.training.curvature;
  sgd.label_noise = settings.label_noise * settings.label_noise;
  if (rule.update.kind == OptimiserKind::langevin) sgd.injected_noise = 2 * rate * settings.temperature;
  if (rule.update.kind == OptimiserKind::sgld) sgd.injected_noise = rate * settings.temperature;
  return sgd;
}

}  // namespace

theory::RegressionNoise ReadoutRegression::noise() const {
  return {matrix_view<const double>(inputs.data(), examples, dimension), targets, sgd};
}

ReadoutRegression readout_regression(const io::Recipe& recipe, const TrainingCell& cell) {
  const Network& network = cell.network();
  check_readout_alone(network);
  check_rule(recipe, cell.train.rule, cell.spec.member(0).batch == cell.data.train.examples);
  const ParamLayout layout(network.shape);
  const data::Dataset& train = cell.data.train;
  ReadoutRegression out;
  out.examples = train.examples;
  out.dimension = network.shape.fan_in(network.shape.depth());
  out.first_parameter = layout.weight_offset.back();
  out.targets = train.targets;
  out.parameters.resize(static_cast<std::size_t>(layout.size));
  const DrawId id{cell.init_key, 0};
  runtime::make_backend("cpu")->init(InitProblem<double>{&network, &id, 1, out.parameters.data()});
  const double bias = network.layers.back().bias_multiplier * out.parameters.back();
  for (double& y : out.targets) y -= bias;  // an untrained readout bias is a shift of the targets
  out.inputs = layer_features(network, out.parameters, network.shape.depth(), train.input_view());
  for (double& x : out.inputs) x *= network.layers.back().weight_multiplier;
  out.sgd = normalised_sgd(recipe, cell);
  const std::vector<double> minimiser = out.noise().minimiser();
  std::copy(minimiser.begin(), minimiser.end(), out.parameters.begin() + out.first_parameter);
  return out;
}

}  // namespace widelab::experiments
