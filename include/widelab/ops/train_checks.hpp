// What a training problem must satisfy before its first step; every engine asks first.
#pragma once

#include <string>

#include "widelab/base/contract.hpp"
#include "widelab/ops/train.hpp"

namespace widelab {
namespace train_checks {

inline void range(const std::string& key, double value, bool holds, const std::string& allowed) {
  if (!holds) throw RecipeError(key + " = " + std::to_string(value) + ": must be " + allowed);
}

/// Entries are checked by whoever read the table.
template <class T>
void order_table(StepRange steps, const MemberSettings& settings, const TrainData<T>& data) {
  WIDELAB_REQUIRE(data.order != nullptr, "a data set lacks its order table");
  range("train.batch", static_cast<double>(settings.batch), settings.batch == data.order_batch,
        "the number of columns of the order table, " + std::to_string(data.order_batch));
  range("train.steps", static_cast<double>(steps.last), steps.last <= data.order_steps,
        "at most the number of rows of the order table, " + std::to_string(data.order_steps));
}

inline void rule(const TrainRule& rule) {
  const UpdateRule& update = rule.update;
  range("train.dropout_keep", rule.dropout_keep, rule.dropout_keep > 0 && rule.dropout_keep <= 1, "in (0, 1]");
  range("train.momentum", update.momentum, update.momentum >= 0 && update.momentum < 1, "in [0, 1)");
  range("train.beta1", update.beta1, update.beta1 >= 0 && update.beta1 < 1, "in [0, 1)");
  range("train.beta2", update.beta2, update.beta2 >= 0 && update.beta2 < 1, "in [0, 1)");
  range("train.epsilon", update.epsilon, update.epsilon >= 0 && update.epsilon < 1e300, "0 or larger");
  range("train.divergence_limit", rule.divergence_limit, rule.divergence_limit > 0, "positive");
  range("train.warmup", static_cast<double>(rule.schedule.warmup), rule.schedule.warmup >= 0, "0 or larger");
  range("train.horizon", static_cast<double>(rule.schedule.horizon), rule.schedule.horizon >= 1, "at least 1");
  range("train.period", static_cast<double>(rule.schedule.period), rule.schedule.period >= 1, "at least 1");
  if (rule.order == OrderKind::online && rule.reduction == Reduction::dataset_sum)
    throw RecipeError(
        "train.reduction = \"dataset-sum\" needs a data set of a known size: with train.order = \"online\" take "
        "\"sum\" or \"mean\"");
}

template <class T>
void member(const TrainProblem<T>& problem, const TrainGroup<T>& group, const MemberSettings& settings) {
  WIDELAB_REQUIRE(settings.dataset >= 0 && settings.dataset < static_cast<Index>(problem.datasets.size()),
                  "a member's data set does not exist");
  const TrainData<T>& data = problem.datasets[static_cast<std::size_t>(settings.dataset)];
  const bool with_replacement = problem.rule.order == OrderKind::iid || problem.rule.order == OrderKind::online ||
                                problem.rule.order == OrderKind::file;
  const double batch = static_cast<double>(settings.batch), examples = static_cast<double>(data.examples);
  range("train.batch", batch, settings.batch >= 1, "at least 1");
  range("train.batch", batch, with_replacement || settings.batch <= data.examples,
        "at most the number of examples, " + std::to_string(data.examples));
  range("data.examples", examples, data.examples >= 1 && data.examples <= (Index(1) << 31), "from 1 to 2^31");
  range("train.learning_rate", settings.learning_rate, settings.learning_rate >= 0 && settings.learning_rate < 1e300,
        "a finite number, 0 or larger");
  const auto finite = [](double value) { return value >= 0 && value < 1e300; };
  range("train.weight_decay", settings.weight_decay, finite(settings.weight_decay), "a finite number, 0 or larger");
  range("train.temperature", settings.temperature, finite(settings.temperature), "a finite number, 0 or larger");
  const bool moves_labels = problem.rule.loss != LossKind::half_squared && problem.rule.loss != LossKind::squared;
  range("train.label_noise", settings.label_noise,
        finite(settings.label_noise) && (!moves_labels || settings.label_noise <= 1),
        moves_labels ? "a probability: this loss has labels" : "a finite number, 0 or larger");
  WIDELAB_REQUIRE(data.inputs && data.targets, "a data set lacks arrays");
  if (problem.rule.order == OrderKind::online)
    WIDELAB_REQUIRE(problem.steps.first * settings.batch >= data.origin &&
                        problem.steps.last * settings.batch <= data.origin + data.examples,
                    "the online samples at hand do not cover the steps");
  if (problem.rule.order == OrderKind::file) order_table(problem.steps, settings, data);
  // 32-bit indices within a step (rng/streams.hpp).
  for (Index l = 0; l < group.network->shape.layers(); ++l) {
    const double blocks = static_cast<double>(group.network->shape.fan_out(l)) *
                          static_cast<double>(ceil_div(group.network->shape.fan_in(l), 4));
    const double masks = batch * static_cast<double>(ceil_div(group.network->shape.fan_out(l), 4));
    range(
        "width", static_cast<double>(group.network->shape.fan_out(l)),
        (!is_noisy(problem.rule.update.kind) || blocks < 0x1p32) && (problem.rule.dropout_keep >= 1 || masks < 0x1p32),
        "smaller: a step has more random numbers than its counter");
  }
}

}  // namespace train_checks

/// Batch sizes, data against shapes, counters that would overflow, missing arrays. Throws RecipeError for what a user
/// can have asked for, ContractError for what a caller forgot.
template <class T>
void check_train(const TrainProblem<T>& problem) {
  const int moments = moment_count(problem.rule.update.kind);
  train_checks::rule(problem.rule);
  WIDELAB_REQUIRE(problem.steps.first >= 0 && problem.steps.last >= problem.steps.first, "not a range of steps");
  for (const TrainGroup<T>& group : problem.groups) {
    WIDELAB_REQUIRE(group.network && group.settings && group.status && group.parameters, "a group lacks arrays");
    WIDELAB_REQUIRE((group.start == nullptr) == (group.displacement == nullptr), "start and displacement go together");
    WIDELAB_REQUIRE(moments == 0 || group.moments != nullptr, "the update rule needs moments");
    for (Index m = 0; m < group.members; ++m) train_checks::member(problem, group, group.settings[m]);
  }
}

/// TrainProblem::window, for engines that have one. ContractError.
template <class T>
void check_window(const TrainProblem<T>& problem) {
  if (problem.window <= 1) return;
  const OptimiserKind kind = problem.rule.update.kind;
  WIDELAB_REQUIRE(kind == OptimiserKind::sgd || kind == OptimiserKind::heavy_ball,
                  "a lazy window needs increments linear in gradient and parameters: sgd or heavy ball");
  WIDELAB_REQUIRE(problem.steps.first % problem.window == 0,
                  "a range of steps has to begin at a multiple of the lazy window, " + std::to_string(problem.window) +
                      "; it begins at " + std::to_string(problem.steps.first));
  for (const TrainGroup<T>& group : problem.groups)
    WIDELAB_REQUIRE(!group.displacement, "a lazy window needs parameters stored in place");
}

}  // namespace widelab
