#include "host/experiments/dynamics_prediction.hpp"

#include <fmt/format.h>

#include <cmath>

#include "host/theory/infinite_width.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::experiments {
namespace {

void refuse(bool holds, const std::string& key, const std::string& way_out) {
  if (!holds) return;
  throw RecipeError(key + ": linearised training has no closed form with it; " + way_out);
}

theory::LinearTraining linear_training(const TrainingCell& cell) {
  const TrainRule& rule = cell.train.rule;
  theory::LinearTraining training;
  switch (rule.update.kind) {
    case OptimiserKind::sgd:
      training.rule = theory::LinearRule::gradient_descent;
      break;
    case OptimiserKind::heavy_ball:
      training.rule = theory::LinearRule::heavy_ball;
      break;
    case OptimiserKind::nesterov:
      training.rule = theory::LinearRule::nesterov;
      break;
    default:
      refuse(true, "train.optimiser", "take \"gd\", \"heavy-ball\" or \"nesterov\"");
  }
  refuse(cell.curvature == 0, "train.loss", "take \"half-squared\" or \"squared\"");
  refuse(cell.train.batch != 0 && cell.train.batch != cell.data.train.examples, "train.batch",
         "set it to 0, all examples");
  refuse(rule.order != OrderKind::fixed, "train.order", "set it to \"fixed\"");
  refuse(rule.schedule.kind != ScheduleKind::constant || rule.schedule.warmup > 0, "train.schedule and train.warmup",
         "take \"constant\" and 0");
  refuse(rule.dropout_keep < 1, "train.dropout_keep", "set it to 1");
  refuse(cell.train.label_noise > 0, "train.label_noise", "set it to 0; data.target.noise is drawn once");
  refuse(cell.train.weight_decay > 0, "train.weight_decay", "set it to 0");
  refuse(cell.train.converged_loss > 0, "train.converged_loss", "set it to 0: a network that stops is no prediction's");
  refuse(!std::isfinite(cell.learning_rate), "train.rate_unit by each network's own curvature",
         "take \"1/lambda_max\": all networks of a cell need one rate");
  training.learning_rate = cell.learning_rate;
  training.curvature = cell.curvature;
  training.momentum = rule.update.momentum;
  return training;
}

MatrixView<const double> view(const std::vector<double>& values, Index rows, Index cols) {
  return {values.data(), rows, cols, cols};
}

/// The first `cols` columns of a matrix with `stride` columns.
std::vector<double> left_columns(std::span<const double> matrix, Index rows, Index cols, Index stride) {
  std::vector<double> out(static_cast<std::size_t>(rows * cols));
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j)
      out[static_cast<std::size_t>(i * cols + j)] = matrix[static_cast<std::size_t>(i * stride + j)];
  return out;
}

/// A (points x N) on one network's residual at the start: f_0(x) - A (f_0(X) - y).
std::vector<double> follow(const DynamicsPrediction& prediction, const std::vector<double>& response,
                           std::span<const double> first_outputs) {
  theory::InitialOutputs initial;
  initial.members = 1;
  initial.test = first_outputs.data();
  initial.train = first_outputs.data();
  return theory::linearised_outputs(view(response, prediction.points(), prediction.train), initial,
                                    view(prediction.targets, prediction.train, prediction.outputs));
}

std::vector<double> with_ridge(std::span<const double> first_ntk, Index train, Index points, double rounding) {
  std::vector<double> block = left_columns(first_ntk, train, train, points);
  double trace = 0;
  for (Index i = 0; i < train; ++i) trace += block[static_cast<std::size_t>(i * train + i)];
  for (Index i = 0; i < train; ++i)
    block[static_cast<std::size_t>(i * train + i)] += rounding * trace / static_cast<double>(train);
  return block;
}

}  // namespace

DynamicsPrediction predict_dynamics(const TrainingCell& cell) {
  DynamicsPrediction out;
  out.training = linear_training(cell);
  const data::Dataset &train = cell.data.train, &test = cell.data.test;
  out.train = train.examples;
  out.test = test.examples;
  out.outputs = train.outputs;
  out.steps = cell.spec.observed;
  out.targets = train.targets;
  out.targets.insert(out.targets.end(), test.targets.begin(), test.targets.end());
  const Index points = out.points(), n = out.train;
  const std::vector<double> inputs = all_inputs(cell.data);
  theory::KernelPair limit = theory::infinite_width_kernels(cell.network(), view(inputs, points, train.dimension));
  out.nngp = std::move(limit.nngp);
  out.ntk = std::move(limit.ntk);
  const std::vector<double> cross = left_columns(out.ntk, points, n, points),
                            nngp_cross = left_columns(out.nngp, points, n, points);
  // The training block is the head of either matrix's left columns.
  const theory::LinearDynamics dynamics(view(cross, n, n), out.training);
  out.eigenvalues = dynamics.eigenvalues();
  if (!dynamics.stable())
    throw RecipeError(
        fmt::format("train.learning_rate: {:.4g} a step is beyond {:.4g}, the limit of stability of the infinite-width "
                    "kernel: take "
                    "less, or train.rate_unit = \"1/lambda_max\"",
                    out.training.learning_rate, dynamics.largest_stable_rate()));
  const theory::NngpBlocks blocks{view(out.nngp, points, points), view(nngp_cross, points, n), view(nngp_cross, n, n)};
  const MatrixView<const double> targets = view(out.targets, n, out.outputs);
  theory::LinearTraining flow = out.training;
  flow.rule = theory::LinearRule::gradient_flow;
  const theory::LinearDynamics flow_dynamics(view(cross, n, n), flow);
  for (const Index step : out.steps) {
    const double t = static_cast<double>(step);
    out.response.push_back(dynamics.response(view(cross, points, n), t));
    out.ensemble.push_back(theory::ensemble_moments(view(out.response.back(), points, n), blocks, targets));
    out.train_loss.push_back(dynamics.expected_train_loss(view(nngp_cross, n, n), targets, t));
    if (out.training.rule != theory::LinearRule::gradient_descent) continue;
    const std::vector<double> response = flow_dynamics.response(view(cross, points, n), t);
    out.flow.push_back(theory::ensemble_moments(view(response, points, n), blocks, targets));
  }
  double residual = 0;
  for (Index i = 0; i < n; ++i)
    for (Index o = 0; o < out.outputs; ++o) {
      const double y = out.targets[static_cast<std::size_t>(i * out.outputs + o)];
      residual += y * y + out.nngp[static_cast<std::size_t>(i * points + i)];
    }
  out.residual_scale = residual / static_cast<double>(n * out.outputs);
  return out;
}

std::vector<double> linearised(const DynamicsPrediction& prediction, std::size_t time,
                               std::span<const double> first_outputs) {
  return follow(prediction, prediction.response[time], first_outputs);
}

OwnLinearisation::OwnLinearisation(const DynamicsPrediction& prediction, std::span<const double> first_ntk,
                                   double rounding)
    : prediction_(prediction),
      cross_(left_columns(first_ntk, prediction.points(), prediction.train, prediction.points())),
      dynamics_(view(with_ridge(first_ntk, prediction.train, prediction.points(), rounding), prediction.train,
                     prediction.train),
                prediction.training) {}

std::vector<double> OwnLinearisation::outputs(std::size_t time, std::span<const double> first_outputs) const {
  const std::vector<double> response = dynamics_.response(view(cross_, prediction_.points(), prediction_.train),
                                                          static_cast<double>(prediction_.steps[time]));
  return follow(prediction_, response, first_outputs);
}

}  // namespace widelab::experiments
