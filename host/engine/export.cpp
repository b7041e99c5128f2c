#include "host/engine/export.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "host/engine/typed_trainer.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/math/activation_names.hpp"

namespace widelab::engine {
namespace {

constexpr std::array kLossNames{"half-squared", "squared", "cross-entropy", "logistic", "hinge"};

void require_replayable(const TrainTask& task, const MemberSettings& member) {
  const MlpShape& shape = task.network.shape;
  const std::string activation = to_string(shape.activation);
  const auto refuse = [](const std::string& what) {
    throw RecipeError("replay: " + what + " is not replayed by tools/replay_torch.py; its docstring says what is");
  };
  const OptimiserKind kind = task.rule.update.kind;
  if (kind != OptimiserKind::sgd && kind != OptimiserKind::heavy_ball && kind != OptimiserKind::nesterov)
    refuse("an optimiser other than sgd, heavy-ball and nesterov");
  if (task.rule.update.decoupled_decay && member.weight_decay > 0) refuse("decoupled weight decay");
  if (task.rule.loss == LossKind::hinge) refuse("the hinge loss");
  if (task.rule.dropout_keep < 1) refuse("dropout");
  if (member.label_noise > 0) refuse("label noise");
  if (shape.layer_norm || shape.residual != 0.0 || !shape.unit_multipliers.empty())
    refuse("a network with LayerNorm, residual branches or unit multipliers");
  constexpr std::array kKnown{"relu", "tanh", "erf", "identity"};
  if (std::find(kKnown.begin(), kKnown.end(), activation) == kKnown.end()) refuse("activation \"" + activation + "\"");
}

}  // namespace

std::vector<double> stacked_parameters(const Trainer& trainer, const std::vector<Index>& members) {
  std::vector<double> out;
  for (const Index member : members) {
    const std::vector<double> theta = trainer.parameters(member);
    out.insert(out.end(), theta.begin(), theta.end());
  }
  return out;
}

std::vector<std::int64_t> minibatch_order(const TrainTask& task, Index member, Index steps) {
  if (task.rule.order == OrderKind::online)
    throw RecipeError("train.order = \"online\": its examples are a stream and have no rows to export");
  const MemberSettings& settings = task.members.at(static_cast<std::size_t>(member));
  const TrainData<double> data = view_of(task.datasets.at(static_cast<std::size_t>(settings.dataset)));
  if (task.rule.order == OrderKind::file && steps > data.order_steps)
    throw RecipeError("steps = " + std::to_string(steps) + ": the order table has " + std::to_string(data.order_steps) +
                      " rows; export at most as many");
  std::vector<std::int64_t> rows;
  for (Index t = 0; t < steps; ++t) {
    const StepOrder order(batch_order(task.rule.order, settings, data), t);
    for (Index slot = 0; slot < settings.batch; ++slot) rows.push_back(order.example(slot));
  }
  return rows;
}

void set_order(TrainSet& set, const std::vector<double>& rows, Index batch, const std::string& source) {
  if (batch < 1 || rows.empty() || static_cast<Index>(rows.size()) % batch != 0)
    throw DataError(source + ": " + std::to_string(rows.size()) + " entries in rows of " + std::to_string(batch) +
                    ": an order is a table of steps x batch, with one row at least");
  const double examples = static_cast<double>(set.examples);
  std::vector<std::int32_t> table;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!(rows[i] >= 0 && rows[i] < examples && rows[i] == std::floor(rows[i])))
      throw DataError(fmt::format("{}: entry {} of step {} is {}: must be a row of the data set, 0 to {}", source,
                                  static_cast<Index>(i) % batch, static_cast<Index>(i) / batch, rows[i],
                                  set.examples - 1));
    table.push_back(static_cast<std::int32_t>(rows[i]));
  }
  set.order = std::move(table);
  set.order_batch = batch;
}

std::string replay_description(const TrainTask& task, Index member, Index steps) {
  const MemberSettings& settings = task.members.at(static_cast<std::size_t>(member));
  require_replayable(task, settings);
  const MlpShape& shape = task.network.shape;
  const TrainSet& set = task.datasets.at(static_cast<std::size_t>(settings.dataset));
  const UpdateRule& update = task.rule.update;
  std::string layers, rates;
  for (const LayerScale& s : task.network.layers)
    layers += fmt::format(
        "{}\n    {{\"weight_multiplier\": {}, \"bias_multiplier\": {}, \"weight_rate\": {}, "
        "\"bias_rate\": {}}}",
        layers.empty() ? "" : ",", s.weight_multiplier, s.bias_multiplier, s.weight_rate, s.bias_rate);
  for (Index t = 0; t < steps; ++t)
    rates += fmt::format("{}{}", rates.empty() ? "" : ", ", settings.learning_rate * task.rule.schedule.factor(t));
  return fmt::format("{{\n  \"widths\": [{}],\n  \"activation\": \"{}\",\n  \"layers\": [{}],\n",
                     fmt::join(shape.widths, ", "), to_string(shape.activation), layers) +
         fmt::format("  \"loss\": \"{}\",\n  \"factor\": {},\n  \"momentum\": {},\n  \"nesterov\": {},\n",
                     kLossNames[static_cast<std::size_t>(task.rule.loss)],
                     reduction_factor(task.rule.reduction, settings.batch, set.examples, shape.outputs),
                     moment_count(update.kind) > 0 ? update.momentum : 0.0, update.kind == OptimiserKind::nesterov) +
         fmt::format("  \"weight_decay\": {},\n  \"learning_rates\": [{}]\n}}\n", settings.weight_decay, rates);
}

}  // namespace widelab::engine
