#include "host/experiments/trained_losses.hpp"

#include <cmath>

#include "host/experiments/normal_rows.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::experiments {
namespace {

double norm(const double* x, Index n) {
  double sum = 0;
  for (Index j = 0; j < n; ++j) sum += x[j] * x[j];
  return std::sqrt(sum);
}

/// Calls body(first weight, fan-in) for the incoming weights of every unit.
template <class Body>
void for_each_unit(const MlpShape& shape, const Body& body) {
  const ParamLayout layout(shape);
  for (Index l = 0; l < shape.layers(); ++l)
    for (Index i = 0; i < shape.fan_out(l); ++i)
      body(layout.weight_offset[static_cast<std::size_t>(l)] + i * shape.fan_in(l), shape.fan_in(l));
}

/// A normal draw of all parameters made a direction: brought to its length, 0 for biases.
std::vector<double> direction_from(const MlpShape& shape, const RandomDirections& directions, const double* parameters,
                                   const double* draw) {
  std::vector<double> out(static_cast<std::size_t>(ParamLayout(shape).size), 0.0);
  double all = 0, weights = 0;
  for_each_unit(shape, [&](Index at, Index n) {
    const double own = norm(parameters + at, n), drawn = norm(draw + at, n);
    all += drawn * drawn, weights += own * own;
    for (Index j = at; j < at + n; ++j)
      out[static_cast<std::size_t>(j)] = draw[j] * (directions.by_unit ? directions.radius * own / drawn : 1.0);
  });
  if (!directions.by_unit)
    for (double& d : out) d *= directions.radius * std::sqrt(weights / all);
  return out;
}

}  // namespace

std::vector<double> outputs_of(const TrainingCell& cell, runtime::Backend& backend,
                               const std::vector<double>& parameters, const data::Dataset& set) {
  const Index count = static_cast<Index>(parameters.size()) / ParamLayout(cell.network().shape).size;
  std::vector<double> outputs(static_cast<std::size_t>(count) * set.targets.size());
  backend.forward(ForwardProblem<double>{
      &cell.network(), {count, nullptr, parameters.data()}, set.input_view(), outputs.data(), cell.spec.task.limits});
  return outputs;
}

double mean_loss(LossKind loss, const double* outputs, const data::Dataset& set) {
  double sum = 0;
  for (Index i = 0; i < set.examples; ++i)
    sum += loss_value(loss, outputs + i * set.outputs, set.targets.data() + i * set.outputs, set.outputs);
  return sum / static_cast<double>(set.examples);
}

double error_rate(const double* outputs, const data::Dataset& set) {
  Index wrong = 0;
  for (Index i = 0; i < set.examples; ++i)
    wrong += misclassified(outputs + i * set.outputs, set.targets.data() + i * set.outputs, set.outputs) ? 1 : 0;
  return static_cast<double>(wrong) / static_cast<double>(set.examples);
}

std::vector<double> mean_losses(const TrainingCell& cell, runtime::Backend& backend,
                                const std::vector<double>& parameters, const data::Dataset& set) {
  const std::vector<double> outputs = outputs_of(cell, backend, parameters, set);
  std::vector<double> losses;
  for (std::size_t at = 0; at < outputs.size(); at += set.targets.size())
    losses.push_back(mean_loss(cell.train.rule.loss, outputs.data() + at, set));
  return losses;
}

std::vector<double> loss_rises(const TrainingCell& cell, runtime::Backend& backend,
                               const std::vector<double>& parameters, const RandomDirections& directions) {
  const auto size = static_cast<Index>(parameters.size());
  std::vector<double> moved = normal_rows(directions.draws, directions.count, size);
  for (Index k = 0; k < directions.count; ++k) {
    double* row = moved.data() + k * size;
    const std::vector<double> d = direction_from(cell.network().shape, directions, parameters.data(), row);
    for (std::size_t j = 0; j < d.size(); ++j) row[j] = parameters[j] + d[j];
  }
  const double here = mean_losses(cell, backend, parameters, cell.data.train).front();
  std::vector<double> rises = mean_losses(cell, backend, moved, cell.data.train);
  for (double& rise : rises) rise -= here;
  return rises;
}

}  // namespace widelab::experiments
