#include "host/experiments/flatness_point.hpp"

#include <cmath>
#include <utility>

#include "host/estimators/curvature_operator.hpp"
#include "host/experiments/bridge_prediction.hpp"
#include "host/experiments/layer_features.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::experiments {

Index first_weight(const FlatnessCell& cell) {
  return ParamLayout(cell.training.network().shape).weight_offset[static_cast<std::size_t>(cell.layer)];
}

theory::LinearTraining layer_training(const FlatnessCell& cell) {
  theory::LinearTraining training = linear_training(cell.training);
  training.learning_rate = cell.effective_rate() / training.curvature;
  return training;
}

std::vector<double> stored_numbers(const engine::Trainer& trainer, Index member) {
  return trainer.task().storage == engine::WeightStorage::displacement ? trainer.displacement(member)
                                                                       : trainer.parameters(member);
}

std::vector<double> whole_parameters(const engine::Trainer& trainer, Index member) {
  if (trainer.task().storage != engine::WeightStorage::displacement) return trainer.parameters(member);
  std::vector<double> out = trainer.start(member);
  const std::vector<double> displacement = trainer.displacement(member);
  for (std::size_t p = 0; p < out.size(); ++p) out[p] += displacement[p];
  return out;
}

std::vector<double> rounding_along(const FlatnessCell& cell, const std::vector<double>& directions,
                                   const std::vector<double>& stored) {
  std::vector<double> variance;  // of each weight
  for (Index j = first_weight(cell); j < first_weight(cell) + cell.layer_size(); ++j) {
    const double x = std::fabs(stored[static_cast<std::size_t>(j)]);
    const auto single = static_cast<float>(x);
    const double ulp = cell.training.spec.task.precision == Precision::fp32
                           ? static_cast<double>(std::nextafter(single, HUGE_VALF) - single)
                           : std::nextafter(x, HUGE_VAL) - x;
    variance.push_back(ulp * ulp / 12);
  }
  std::vector<double> out;
  for (std::size_t at = 0; at < directions.size(); at += variance.size()) {
    double sum = 0;
    for (std::size_t j = 0; j < variance.size(); ++j) sum += directions[at + j] * directions[at + j] * variance[j];
    out.push_back(sum);
  }
  return out;
}

LayerPoint::LayerPoint(const FlatnessCell& cell, std::vector<double> parameters)
    : cell_(cell),
      parameters_(std::move(parameters)),
      features_(
          layer_features(cell.training.network(), parameters_, cell.layer, cell.training.data.train.input_view())),
      loss_({&cell.training.network(), parameters_.data(),
             matrix_view<const double>(features_.data(), cell.training.data.train.examples,
                                       cell.training.network().shape.fan_in(cell.layer)),
             cell.training.data.train.targets.data(), cell.training.train.rule.loss, cell.layer}) {}

template <class Problem>
Problem LayerPoint::here() const {
  const data::Dataset& train = cell_.training.data.train;
  Problem problem;
  problem.network = &cell_.training.network();
  problem.parameters = parameters_.data();
  problem.inputs = train.input_view();
  problem.targets = train.targets.data();
  problem.loss = cell_.training.train.rule.loss;
  return problem;
}

std::vector<double> LayerPoint::matrix(estimators::LayerMatrix which) const {
  auto problem = here<estimators::LayerCurvatureProblem>();
  problem.layer = cell_.layer;
  return estimators::layer_curvature(problem, which);
}

std::vector<double> LayerPoint::gradient(runtime::Backend& backend) const {
  auto problem = here<estimators::CurvatureProblem>();
  problem.limits = cell_.training.spec.task.limits;
  problem.selection.weights.assign(problem.network->layers.size(), false);
  problem.selection.biases = problem.selection.weights;
  problem.selection.weights[static_cast<std::size_t>(cell_.layer)] = true;
  return estimators::CurvatureOperator(backend, problem, estimators::CurvatureMatrix::hessian).gradient(0);
}

}  // namespace widelab::experiments
