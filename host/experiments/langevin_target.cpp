#include "host/experiments/langevin_target.hpp"

#include <fmt/format.h>

#include <cmath>

#include "widelab/base/errors.hpp"

namespace widelab::experiments {
namespace {

void need(bool fine, const std::string& what) {
  if (!fine) throw RecipeError(what);
}

void check_rule(const io::Recipe& recipe, const TrainingCell& cell) {
  const TrainRule& rule = cell.train.rule;
  const auto word = [&](const char* key) { return fmt::format("{} = \"{}\"", key, recipe.text(key)); };
  need(is_noisy(rule.update.kind),
       word("train.optimiser") + ": take \"langevin\" or \"sgld\", which have a temperature");
  need(cell.train.temperature > 0, "train.temperature = 0: without noise there is no posterior; give T > 0");
  need(rule.loss == LossKind::half_squared || rule.loss == LossKind::squared,
       word("train.loss") + ": take \"half-squared\" or \"squared\", a Gaussian likelihood");
  need(!rule.update.decoupled_decay,
       word("train.decay") + ": take \"coupled\", so that the prior is part of what every step descends");
  need(recipe.text("train.schedule") == "constant" && recipe.integer("train.warmup") == 0,
       "train.schedule, train.warmup: take \"constant\" and 0, the law is that of one step size");
  need(cell.train.unit == RateUnit::per_step || cell.train.unit == RateUnit::limit_kernel,
       word("train.rate_unit") + ": take \"per-step\" or \"1/lambda_max\", so that all chains have one step size");
  need(
      rule.dropout_keep == 1 && cell.train.label_noise == 0,
      fmt::format("train.dropout_keep = {:g}, train.label_noise = {:g}: set them to 1 and 0, the likelihood is that of "
                  "the network and the data as they are",
                  rule.dropout_keep, cell.train.label_noise));
  need(rule.order == OrderKind::iid || rule.order == OrderKind::fresh ||
           (rule.order == OrderKind::fixed && cell.spec.member(0).batch == cell.data.train.examples),
       word("train.order") + ": take \"iid\" or \"fresh\", steps whose noise is independent, or train.batch = 0");
  need(cell.network().shape.outputs == 1, fmt::format("model.outputs = {}: take 1", cell.network().shape.outputs));
}

/// All weights and every bias that enters the network.
bool all_trained(const Network& network) {
  for (const LayerScale& layer : network.layers)
    if (!(layer.weight_rate > 0) || (layer.bias_multiplier != 0 && !(layer.bias_rate > 0))) return false;
  return true;
}

/// The one standard deviation of all trained parameters as drawn.
double initial_std(const Network& network) {
  double std = 0;
  const auto same = [&](double own, InitKind law) {
    need(law == InitKind::normal && own > 0 && (std == 0 || own == std),
         "chain.prior = \"initial-law\": trained parameters are not drawn from one N(0, s^2), so that no weight decay "
         "has their law as its prior: take model.parametrization = \"ntk\", model.init = \"normal\" and "
         "model.bias_init = \"random\", or chain.prior = \"weight-decay\"");
    std = own;
  };
  for (const LayerScale& layer : network.layers) {
    if (layer.weight_rate > 0) same(layer.weight_std, layer.weight_law);
    if (layer.bias_rate > 0) same(layer.bias_std, layer.bias_law);
  }
  return std;
}

void set_decay(TrainingCell& cell, double decay) {
  cell.train.weight_decay = decay;
  cell.spec.member = [member = cell.spec.member, decay](std::uint32_t replicate) {
    MemberSettings settings = member(replicate);
    settings.weight_decay = decay;
    return settings;
  };
}

}  // namespace

io::KeySpec prior_key() {
  io::KeySpec key = io::make_key(
      "chain.prior", io::KeyType::text, "\"initial-law\"",
      "initial-law: train.weight_decay is set to T / s^2, s the standard deviation of parameters as drawn (1 in the "
      "NTK\nparametrisation), so that networks are drawn from the prior. weight-decay: the prior is N(0, T / "
      "train.weight_decay).");
  key.choices = {"initial-law", "weight-decay"};
  return key;
}

GibbsTarget gibbs_target(const io::Recipe& recipe, TrainingCell& cell) {
  check_rule(recipe, cell);
  const Network& network = cell.network();
  const TrainRule& rule = cell.train.rule;
  GibbsTarget target;
  target.readout_alone = !all_trained(network);
  const Index batch = cell.spec.member(0).batch, examples = cell.data.train.examples;
  target.curvature = reduction_factor(rule.reduction, batch, examples, 1) * static_cast<double>(batch) /
                     static_cast<double>(examples) * (rule.loss == LossKind::squared ? 2 : 1);
  target.temperature = cell.train.temperature;
  need(target.readout_alone || recipe.text("model.parametrization") == "ntk",
       fmt::format(
           "model.parametrization = \"{}\": one weight decay for all layers has a limit of infinite width in the "
           "NTK parametrisation alone: take \"ntk\", or train the readout alone (model.train_layers)",
           recipe.text("model.parametrization")));
  if (recipe.text("chain.prior") == "initial-law") {
    need(cell.train.weight_decay == 0,
         fmt::format("train.weight_decay = {:g} with chain.prior = \"initial-law\", which sets it: leave it at 0, or "
                     "take chain.prior = \"weight-decay\"",
                     cell.train.weight_decay));
    const double std = initial_std(network);
    set_decay(cell, target.temperature / (std * std));
  }
  need(cell.train.weight_decay > 0,
       "train.weight_decay = 0: without a prior the posterior has no norm in directions that no example sees; give one "
       "above 0, or take chain.prior = \"initial-law\"");
  target.weight_decay = cell.train.weight_decay;
  return target;
}

Network prior_network(const Network& network, const GibbsTarget& target) {
  Network prior = network;
  for (LayerScale& layer : prior.layers) {
    layer.weight_law = layer.bias_law = InitKind::normal;
    if (layer.weight_rate > 0) layer.weight_std = std::sqrt(target.prior_variance());
    if (layer.bias_rate > 0) layer.bias_std = std::sqrt(target.prior_variance());
  }
  return prior;
}

}  // namespace widelab::experiments
