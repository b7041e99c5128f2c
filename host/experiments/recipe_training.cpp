#include "host/experiments/recipe_training.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "host/engine/observation_steps.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::experiments {

using io::KeySpec;
using io::KeyType;

namespace {

template <class Enum>
using Names = std::vector<std::pair<const char*, Enum>>;

const Names<LossKind>& losses_by_name() {
  static const Names<LossKind> names{{"half-squared", LossKind::half_squared},
                                     {"squared", LossKind::squared},
                                     {"cross-entropy", LossKind::cross_entropy},
                                     {"logistic", LossKind::logistic},
                                     {"hinge", LossKind::hinge}};
  return names;
}

const Names<Reduction>& reductions() {
  static const Names<Reduction> names{{"sum", Reduction::sum},
                                      {"mean", Reduction::mean},
                                      {"mean-entries", Reduction::mean_entries},
                                      {"dataset-sum", Reduction::dataset_sum}};
  return names;
}

/// gd is sgd on all examples, adamw is adam with decoupled decay.
const Names<OptimiserKind>& optimisers() {
  static const Names<OptimiserKind> names{{"gd", OptimiserKind::sgd},
                                          {"sgd", OptimiserKind::sgd},
                                          {"heavy-ball", OptimiserKind::heavy_ball},
                                          {"nesterov", OptimiserKind::nesterov},
                                          {"adam", OptimiserKind::adam},
                                          {"adamw", OptimiserKind::adam},
                                          {"sign", OptimiserKind::sign},
                                          {"langevin", OptimiserKind::langevin},
                                          {"sgld", OptimiserKind::sgld}};
  return names;
}

const Names<OrderKind>& orders() {
  static const Names<OrderKind> names{{"epochs", OrderKind::epochs}, {"iid", OrderKind::iid},
                                      {"fresh", OrderKind::fresh},   {"fixed", OrderKind::fixed},
                                      {"online", OrderKind::online}, {"file", OrderKind::file}};
  return names;
}

const Names<ScheduleKind>& schedules() {
  static const Names<ScheduleKind> names{
      {"constant", ScheduleKind::constant}, {"cosine", ScheduleKind::cosine}, {"step", ScheduleKind::step}};
  return names;
}

const Names<TrainEngine>& engines() {
  static const Names<TrainEngine> names{{"auto", TrainEngine::automatic},
                                        {"fused", TrainEngine::fused},
                                        {"gemm", TrainEngine::gemm},
                                        {"reference", TrainEngine::reference}};
  return names;
}

const Names<RateUnit>& rate_units() {
  static const Names<RateUnit> names{{"per-step", RateUnit::per_step},
                                     {"1/lambda_max", RateUnit::limit_kernel},
                                     {"1/own-lambda_max", RateUnit::own_kernel},
                                     {"2/sharpness", RateUnit::sharpness}};
  return names;
}

/// The value called `name`; the schema has refused any other.
template <class Enum>
Enum named(const Names<Enum>& names, const std::string& name) {
  for (const auto& [text, value] : names)
    if (name == text) return value;
  throw ContractError("a choice of the schema has no meaning: " + name);
}

template <class Enum>
std::vector<std::string> choices_of(const Names<Enum>& names) {
  std::vector<std::string> out;
  for (const auto& [text, value] : names) out.emplace_back(text);
  return out;
}

/// Builds keys of `[train]` and `[observe]`.
struct KeyMaker {
  std::vector<KeySpec> keys;

  KeySpec& add(const std::string& path, KeyType type, const std::string& value, const std::string& doc) {
    keys.push_back(io::make_key(path, type, value, doc));
    return keys.back();
  }
  void choice(const std::string& path, const std::string& value, const std::string& doc,
              std::vector<std::string> choices, bool sweepable = false) {
    KeySpec& spec = add(path, KeyType::text, "\"" + value + "\"", doc);
    spec.choices = std::move(choices);
    spec.sweepable = sweepable;
  }
  void number(const std::string& path, const std::string& value, const std::string& doc, double lo, double hi,
              bool sweepable = false) {
    within(add(path, KeyType::real, value, doc), lo, hi, sweepable);
  }
  void whole(const std::string& path, const std::string& value, const std::string& doc, double lo, double hi,
             bool sweepable = false) {
    within(add(path, KeyType::integer, value, doc), lo, hi, sweepable);
  }
  static void within(KeySpec& spec, double lo, double hi, bool sweepable) {
    spec.minimum = lo;
    spec.maximum = hi;
    spec.sweepable = sweepable;
  }
};

constexpr double kMostSteps = 2.8e14;  // random counters have 48 bits of step

void rule_keys(KeyMaker& make, const TrainingDefaults& defaults) {
  make.whole("train.steps", std::to_string(defaults.steps), "Steps of training.", 1, kMostSteps);
  make.choice("train.loss", "half-squared",
              "half-squared: (f - y)^2 / 2. squared: (f - y)^2. cross-entropy of the softmax. logistic and hinge need "
              "targets -1 and 1.",
              choices_of(losses_by_name()), true);
  make.choice("train.reduction", "sum",
              "Factor on the sum over a batch of B of N examples, k outputs: sum 1, mean 1/B, mean-entries 1/(B k) "
              "(PyTorch's MSELoss), dataset-sum N/B.",
              choices_of(reductions()), true);
  make.choice("train.optimiser", defaults.optimiser,
              "gd: sgd on all examples. heavy-ball, nesterov: PyTorch's form. langevin, sgld: at train.temperature.",
              choices_of(optimisers()), true);
  make.number("train.learning_rate", defaults.learning_rate, "Learning rate eta in the unit train.rate_unit.", 0, 1e100,
              true);
  make.choice(
      "train.rate_unit", defaults.rate_unit,
      "per-step: the number itself. 1/lambda_max: divided by the largest eigenvalue of the infinite-width NTK on "
      "the\ntraining set, times loss curvature and reduction (2 is then the limit of stability of gd). "
      "1/own-lambda_max: of each\nnetwork's own NTK at the start. 2/sharpness: times 2 over the largest "
      "eigenvalue of its Hessian at the start.",
      choices_of(rate_units()));
  make.choice(
      "train.rate_scaling", "parametrisation",
      "Relative learning rates of layers: plain = 1 (times gamma0^2), parametrisation = with powers of the width "
      "from the\ntable of the parametrisation, those for Adam where train.optimiser is adam, adamw or sign.",
      {"plain", "parametrisation"}, true);
  make.choice("train.schedule", "constant", "Factor on the learning rate over steps.", choices_of(schedules()));
  make.whole("train.warmup", "0", "Steps over which the rate grows linearly at first.", 0, kMostSteps);
  make.number("train.final_fraction", "0.0", "cosine: factor at the last step.", 0, 1);
  make.whole("train.period", "1000", "step: steps between two drops.", 1, kMostSteps);
  make.number("train.drop", "0.1", "step: factor of each drop.", 0, 1e3);
  make.whole("train.batch", "0", "Examples a step, B; 0 = all.", 0, 2147483648.0, true);
  make.choice(
      "train.order", "epochs",
      "epochs: a new permutation each epoch, its incomplete last batch left out. iid: with replacement. fresh: B "
      "different\nexamples each step. fixed: the data's own order. online: each example is used once. file: "
      "train.order_path.",
      choices_of(orders()), true);
  make.add("train.order_path", KeyType::text, "\"\"",
           "order = \"file\": .npy of integers, steps x B, the rows of the training set that each step uses.");
}

void detail_keys(KeyMaker& make, const TrainingDefaults& defaults) {
  make.number("train.momentum", "0.9", "heavy-ball, nesterov: mu.", 0, 0.999999999, true);
  make.number("train.beta1", "0.9", "adam: decay of the first moment.", 0, 0.999999999, true);
  make.number("train.beta2", "0.999", "adam: decay of the second moment.", 0, 0.999999999, true);
  make.number("train.epsilon", "1e-8", "adam: added to the root of the second moment.", 0, 1e3, true);
  make.number("train.weight_decay", "0.0", "lambda, of trained parameters.", 0, 1e100, true);
  make.choice("train.decay", "coupled",
              "coupled: lambda theta is added to the gradient. decoupled: -eta lambda theta to the step; adamw always.",
              {"coupled", "decoupled"});
  make.number("train.temperature", "0.0", "langevin, sgld: temperature T.", 0, 1e100, true);
  make.number("train.dropout_keep", "1.0", "Probability that a hidden unit is kept; 1 = no dropout.", 1e-6, 1, true);
  make.choice("train.dropout", "scaled",
              "scaled: kept units times 1/keep in training. unscaled: hidden units times keep in evaluation.",
              {"scaled", "unscaled"});
  make.number(
      "train.label_noise", "0.0",
      "Fresh at each use. Squared losses: standard deviation of the noise; others: probability of a wrong label.", 0,
      1e100, true);
  make.choice("train.engine", "auto",
              "fused: networks in fast memory for many steps. gemm: matrix products. reference: plain loops in fp64.",
              choices_of(engines()));
  make.choice("train.precision", "fp32", "Arithmetic of training.", {"fp32", "fp64"});
  make.choice("train.storage", defaults.storage,
              "displacement: weights are stored as start + displacement, so that tiny steps add up. auto: displacement "
              "for\nfp32 gd and langevin, else in-place.",
              {"auto", "in-place", "displacement"});
  make.whole("train.window", "0", "gemm: steps whose updates are merged; 0 = as planned.", 0, 4096);
  make.number("train.divergence_limit", "1e10", "A network with a larger output has diverged and ends there.", 1e-300,
              1e30);
  make.number("train.converged_loss", "0.0",
              "A network whose training loss is below this at an observed step stops there; 0 = off.", 0, 1e100);
  make.choice(
      "observe.spacing", defaults.spacing,
      "logarithmic or linear: observe.count steps, the first and the last among them. list: those of observe.steps.",
      {"logarithmic", "linear", "list"});
  make.whole("observe.count", std::to_string(defaults.observed), "Steps looked at, step 0 among them.", 2, 1048576);
  KeySpec& list = make.add("observe.steps", KeyType::integer_list, defaults.observe_steps,
                           "list: the steps, increasing; the last one ends the training.");
  KeyMaker::within(list, 0, kMostSteps, false);
  make.choice("observe.keep", "mean",
              "mean: moments over networks. samples: every network's numbers as well. quantiles: their sketch as well.",
              {"mean", "samples", "quantiles"});
}

Schedule schedule_from(const io::Recipe& recipe) {
  Schedule schedule;
  schedule.kind = named(schedules(), recipe.text("train.schedule"));
  schedule.warmup = recipe.integer("train.warmup");
  schedule.horizon = recipe.integer("train.steps");
  schedule.final_fraction = recipe.real("train.final_fraction");
  schedule.period = recipe.integer("train.period");
  schedule.drop = recipe.real("train.drop");
  return schedule;
}

bool adam_like(const std::string& optimiser) {
  return optimiser == "adam" || optimiser == "adamw" || optimiser == "sign";
}

void check_consistent(const io::Recipe& recipe) {
  const std::string& optimiser = recipe.text("train.optimiser");
  if (optimiser == "gd" && recipe.integer("train.batch") != 0)
    throw RecipeError(
        fmt::format("train.batch = {} with train.optimiser = \"gd\", which uses all examples: set "
                    "train.batch = 0, or take \"sgd\"",
                    recipe.integer("train.batch")));
  if (optimiser == "gd" && recipe.text("train.order") == "online")
    throw RecipeError("train.order = \"online\" with train.optimiser = \"gd\", which uses all examples: take \"sgd\"");
  if (recipe.text("train.order") == "online" && recipe.integer("train.batch") == 0)
    throw RecipeError("train.order = \"online\" needs train.batch >= 1: a stream has no \"all examples\"");
  if (recipe.text("train.order") == "file" && recipe.text("train.order_path").empty())
    throw RecipeError(
        "train.order = \"file\" needs train.order_path: a .npy of steps x batch rows of the training set");
  if (recipe.text("train.order") == "file" && recipe.integer("train.batch") == 0)
    throw RecipeError("train.order = \"file\" needs train.batch, the number of columns of the file");
  const bool noisy = optimiser == "langevin" || optimiser == "sgld";
  if (recipe.real("train.temperature") > 0 && !noisy)
    throw RecipeError(
        fmt::format("train.temperature = {:g} with train.optimiser = \"{}\": only langevin and sgld have a "
                    "temperature; set it to 0",
                    recipe.real("train.temperature"), optimiser));
  if (recipe.text("train.loss") == "cross-entropy" && recipe.integer("model.outputs") < 2)
    throw RecipeError("train.loss = \"cross-entropy\" needs model.outputs >= 2: with one output take \"logistic\"");
  if (recipe.text("train.engine") == "reference" && recipe.text("train.precision") != "fp64")
    throw RecipeError("train.engine = \"reference\" computes in double: set train.precision = \"fp64\"");
  const bool squared = recipe.text("train.loss") == "squared" || recipe.text("train.loss") == "half-squared";
  const std::string& unit = recipe.text("train.rate_unit");
  if ((unit == "1/lambda_max" || unit == "1/own-lambda_max") && !squared)
    throw RecipeError("train.rate_unit = \"" + recipe.text("train.rate_unit") + "\" needs a squared loss, not \"" +
                      recipe.text("train.loss") + "\", whose curvature changes: take \"2/sharpness\" or \"per-step\"");
  if (recipe.text("train.rate_unit") != "per-step" && adam_like(optimiser))
    throw RecipeError("train.rate_unit = \"" + recipe.text("train.rate_unit") + "\" with train.optimiser = \"" +
                      optimiser + "\", whose steps have no such limit: take \"per-step\"");
  const double noise = recipe.real("train.label_noise");
  if (!squared && noise > 1)
    throw RecipeError(fmt::format("train.label_noise = {:g}: a probability for train.loss = \"{}\", so at most 1",
                                  noise, recipe.text("train.loss")));
}

}  // namespace

std::vector<KeySpec> training_keys(const TrainingDefaults& defaults) {
  KeyMaker make;
  rule_keys(make, defaults);
  detail_keys(make, defaults);
  return std::move(make.keys);
}

TrainingRecipe training_from(const io::Recipe& recipe) {
  check_consistent(recipe);
  TrainingRecipe out;
  const std::string& optimiser = recipe.text("train.optimiser");
  TrainRule& rule = out.rule;
  rule.loss = named(losses_by_name(), recipe.text("train.loss"));
  rule.reduction = named(reductions(), recipe.text("train.reduction"));
  rule.update.kind = named(optimisers(), optimiser);
  rule.update.decoupled_decay = optimiser == "adamw" || recipe.text("train.decay") == "decoupled";
  rule.update.momentum = recipe.real("train.momentum");
  rule.update.beta1 = recipe.real("train.beta1");
  rule.update.beta2 = recipe.real("train.beta2");
  rule.update.epsilon = recipe.real("train.epsilon");
  rule.schedule = schedule_from(recipe);
  rule.order = named(orders(), recipe.text("train.order"));
  // All examples are one batch, in whatever order.
  const bool no_choice = rule.order == OrderKind::epochs || rule.order == OrderKind::fresh;
  if (optimiser == "gd" || (recipe.integer("train.batch") == 0 && no_choice)) rule.order = OrderKind::fixed;
  rule.dropout_keep = recipe.real("train.dropout_keep");
  rule.dropout_scaled = recipe.text("train.dropout") == "scaled";
  rule.divergence_limit = recipe.real("train.divergence_limit");
  if (recipe.text("train.rate_scaling") == "parametrisation")
    out.rates = adam_like(optimiser) ? RateScaling::adam : RateScaling::sgd;
  out.learning_rate = recipe.real("train.learning_rate");
  out.unit = named(rate_units(), recipe.text("train.rate_unit"));
  out.steps = recipe.integer("train.steps");
  out.batch = recipe.integer("train.batch");
  out.weight_decay = recipe.real("train.weight_decay");
  out.temperature = recipe.real("train.temperature");
  out.label_noise = recipe.real("train.label_noise");
  out.engine = named(engines(), recipe.text("train.engine"));
  out.precision = recipe.text("train.precision") == "fp64" ? Precision::fp64 : Precision::fp32;
  const std::string& storage = recipe.text("train.storage");
  const bool tiny_steps = optimiser == "gd" || is_noisy(rule.update.kind);
  if (storage == "displacement" || (storage == "auto" && tiny_steps && out.precision == Precision::fp32))
    out.storage = engine::WeightStorage::displacement;
  out.window = recipe.integer("train.window");
  out.converged_loss = recipe.real("train.converged_loss");
  return out;
}

std::vector<Index> observed_steps(const io::Recipe& recipe) {
  engine::ObservationChoice choice;
  choice.spacing = recipe.text("observe.spacing");
  choice.count = recipe.integer("observe.count");
  choice.steps.assign(recipe.integers("observe.steps").begin(), recipe.integers("observe.steps").end());
  return engine::observation_steps(choice, recipe.integer("train.steps"));
}

std::string describe_training(const io::Recipe& recipe) {
  const auto swept = [&](const std::string& key) {
    return std::any_of(recipe.content().sweep.begin(), recipe.content().sweep.end(),
                       [&](const io::SweepEntry& entry) { return entry.key == key; });
  };
  const auto word = [&](const std::string& key) { return swept(key) ? std::string("swept") : recipe.text(key); };
  std::string text = fmt::format("loss {} ({}), optimiser {}, relative learning rates {}", word("train.loss"),
                                 word("train.reduction"), word("train.optimiser"), word("train.rate_scaling"));
  text += swept("train.learning_rate") ? ", learning rate swept"
                                       : fmt::format(", learning rate {:g}", recipe.real("train.learning_rate"));
  text += " in units of " + (recipe.text("train.rate_unit") == "per-step" ? "1" : recipe.text("train.rate_unit"));
  if (swept("train.batch") || recipe.integer("train.batch") > 0)
    text += swept("train.batch")
                ? ", batch swept, order " + word("train.order")
                : fmt::format(", batch {}, order {}", recipe.integer("train.batch"), word("train.order"));
  else
    text += ", all examples each step";
  return text + fmt::format(", {}", recipe.text("train.precision"));
}

}  // namespace widelab::experiments
