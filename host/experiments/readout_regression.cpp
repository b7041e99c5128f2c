#include "host/experiments/readout_regression.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "host/data/data_laws.hpp"
#include "host/experiments/layer_features.hpp"
#include "host/experiments/recipe_data.hpp"
#include "host/runtime/backend.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::experiments {
namespace {

constexpr double kLeastVariance = 1e-10;  // of the largest

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

void need(bool fine, const std::string& what) {
  if (!fine) throw RecipeError(what);
}

void check_rule(const io::Recipe& recipe, const TrainRule& rule) {
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
}

void check_order(const io::Recipe& recipe, OrderKind order, bool whole_batches) {
  need(order == OrderKind::iid || order == OrderKind::fresh || order == OrderKind::epochs ||
           (order == OrderKind::fixed && whole_batches),
       fmt::format("train.order = \"{}\": take \"iid\", \"fresh\" or \"epochs\", or \"fixed\" with train.batch = 0",
                   recipe.text("train.order")));
}

/// Online: Wick's theorem closes the second moments of plain SGD.
void check_online(const io::Recipe& recipe, const theory::RegressionSgd& sgd, const TrainingCell& cell) {
  const auto text = [&](const char* key, const std::string& wanted) {
    need(recipe.text(key) == wanted,
         fmt::format("{} = \"{}\" with train.order = \"online\": the law is known for \"{}\"", key, recipe.text(key),
                     wanted));
  };
  text("data.law", "gaussian");
  text("data.target.kind", "linear");
  text("model.activation", "identity");
  text("train.optimiser", "sgd");
  need(recipe.texts("data.preprocessing").empty(),
       "data.preprocessing: leave it empty with train.order = \"online\", whose law is that of Gaussian inputs");
  need(!cell.network().shape.layer_norm,
       "model.layer_norm = true: set it to false, the law is that of linear features");
  need(recipe.real("model.sigma_b") == 0,
       fmt::format(
           "model.sigma_b = {:g} with train.order = \"online\": set it to 0, the law is that of inputs of mean 0",
           recipe.real("model.sigma_b")));
  need(sgd.weight_decay == 0, fmt::format("train.weight_decay = {:g} with train.order = \"online\": set it to 0",
                                          recipe.real("train.weight_decay")));
  need(cell.train.rule.reduction != Reduction::dataset_sum,
       "train.reduction = \"dataset-sum\": a stream has no number of examples; take \"mean\"");
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

/// The network as drawn, and where its readout is; all rules checked but the order.
ReadoutRegression drawn_readout(const io::Recipe& recipe, const TrainingCell& cell) {
  const Network& network = cell.network();
  check_readout_alone(network);
  check_rule(recipe, cell.train.rule);
  const ParamLayout layout(network.shape);
  ReadoutRegression out;
  out.dimension = network.shape.fan_in(network.shape.depth());
  out.first_parameter = layout.weight_offset.back();
  out.parameters.resize(static_cast<std::size_t>(layout.size));
  const DrawId id{cell.init_key, 0};
  runtime::make_backend("cpu")->init(InitProblem<double>{&network, &id, 1, out.parameters.data()});
  out.sgd = normalised_sgd(recipe, cell);
  return out;
}

/// Features times the readout's forward multiplier, N x p.
std::vector<double> regression_inputs(const Network& network, const std::vector<double>& parameters,
                                      MatrixView<const double> x) {
  std::vector<double> inputs = layer_features(network, parameters, network.shape.depth(), x);
  for (double& value : inputs) value *= network.layers.back().weight_multiplier;
  return inputs;
}

}  // namespace

theory::RegressionNoise ReadoutRegression::noise() const {
  return {matrix_view<const double>(inputs.data(), examples, dimension), targets, sgd};
}

theory::OnlineRegression ReadoutRegression::online() const {
  return {modes().values(), sgd.training.effective_rate(), population->noise_variance, sgd.batch};
}

theory::Eigenbasis ReadoutRegression::modes() const {
  if (!population) return noise().quadratic().basis();
  return theory::Eigenbasis(matrix_view<const double>(population->covariance.data(), dimension, dimension));
}

ReadoutRegression readout_regression(const io::Recipe& recipe, const TrainingCell& cell) {
  check_order(recipe, cell.train.rule.order, cell.spec.member(0).batch == cell.data.train.examples);
  const Network& network = cell.network();
  const data::Dataset& train = cell.data.train;
  ReadoutRegression out = drawn_readout(recipe, cell);
  out.examples = train.examples;
  out.targets = train.targets;
  const double bias = network.layers.back().bias_multiplier * out.parameters.back();
  for (double& y : out.targets) y -= bias;  // an untrained readout bias is a shift of the targets
  out.inputs = regression_inputs(network, out.parameters, train.input_view());
  const std::vector<double> minimiser = out.noise().minimiser();
  std::copy(minimiser.begin(), minimiser.end(), out.parameters.begin() + out.first_parameter);
  return out;
}

/// x = G^T z with z ~ N(0, Lambda), y = u.z: w* = (G^T Lambda G)^-1 G^T Lambda u, and what it leaves of Var y is noise
/// that is independent of x.
ReadoutRegression online_regression(const io::Recipe& recipe, std::uint64_t seed, const TrainingCell& cell) {
  ReadoutRegression out = drawn_readout(recipe, cell);
  check_online(recipe, out.sgd, cell);
  const Index d = cell.data.train.dimension, p = out.dimension;
  const std::vector<double> variances = data::coordinate_variances(data_spec_from(recipe), d);
  const std::vector<double> direction = hidden_directions(recipe, seed, d).directions;
  std::vector<double> axes(static_cast<std::size_t>(d * d));
  for (Index j = 0; j < d; ++j) axes[static_cast<std::size_t>(j * d + j)] = 1;
  const std::vector<double> g =
      regression_inputs(cell.network(), out.parameters, matrix_view<const double>(axes.data(), d, d));
  out.population = ReadoutPopulation{std::vector<double>(static_cast<std::size_t>(p * p)), 0};
  std::vector<double> cross(static_cast<std::size_t>(p));
  double noise = out.sgd.label_noise + std::pow(recipe.real("data.target.noise"), 2);
  for (Index j = 0; j < d; ++j) {
    const double variance = variances[static_cast<std::size_t>(j)], u = direction[static_cast<std::size_t>(j)];
    noise += variance * u * u;
    for (Index a = 0; a < p; ++a) {
      const double with = variance * g[static_cast<std::size_t>(j * p + a)];
      cross[static_cast<std::size_t>(a)] += with * u;
      for (Index b = 0; b < p; ++b)
        out.population->covariance[static_cast<std::size_t>(a * p + b)] +=
            with * g[static_cast<std::size_t>(j * p + b)];
    }
  }
  const theory::Eigenbasis modes = out.modes();
  need(
      modes.values().front() > kLeastVariance * modes.values().back(),
      fmt::format("model.width = {} with data.dimension = {} and train.order = \"online\": a direction of the features "
                  "has no variance; take a width of at most the dimension",
                  p, d));
  std::vector<double> w = modes.rows_into(matrix_view<const double>(cross.data(), 1, p));
  for (std::size_t i = 0; i < w.size(); ++i) {
    noise -= w[i] * w[i] / modes.values()[i];
    w[i] /= modes.values()[i];
  }
  out.population->noise_variance = std::max(0.0, noise);
  const std::vector<double> minimiser = modes.rows_out_of(matrix_view<const double>(w.data(), 1, p));
  std::copy(minimiser.begin(), minimiser.end(), out.parameters.begin() + out.first_parameter);
  return out;
}

}  // namespace widelab::experiments
