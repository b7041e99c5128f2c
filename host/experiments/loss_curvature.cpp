#include "host/experiments/loss_curvature.hpp"

#include <algorithm>

#include "widelab/model/parameter_selection.hpp"

namespace widelab::experiments {
namespace {

constexpr double kTolerance = 1e-6;
constexpr Index kMostProducts = 2000;

}  // namespace

estimators::CurvatureProblem training_loss_at(const TrainingCell& cell, const std::vector<double>& parameters,
                                              Index first, Index count) {
  const data::Dataset& train = cell.data.train;
  estimators::CurvatureProblem problem;
  problem.network = &cell.network();
  problem.parameters = parameters.data();
  problem.inputs = matrix_view<const double>(train.inputs.data() + first * train.dimension,
                                             count > 0 ? count : train.examples, train.dimension);
  problem.targets = train.targets.data() + first * train.outputs;
  problem.loss = cell.train.rule.loss;
  problem.limits = cell.spec.task.limits;
  return problem;
}

Index trained_parameters(const Network& network) {
  Index count = 0;
  for (Index l = 0; l < network.shape.layers(); ++l) {
    if (weights_count(network, {}, l)) count += network.shape.fan_in(l) * network.shape.fan_out(l);
    if (biases_count(network, {}, l)) count += network.shape.fan_out(l);
  }
  return count;
}

LeadingDirections leading_directions(const TrainingCell& cell, runtime::Backend& backend,
                                     const std::vector<double>& parameters, Index count, DrawId start) {
  estimators::CurvatureOperator hessian(backend, training_loss_at(cell, parameters),
                                        estimators::CurvatureMatrix::hessian);
  estimators::LanczosOptions options;
  options.largest = count;
  options.tolerance = kTolerance;
  options.max_products = kMostProducts;
  options.max_basis = std::min<Index>(hessian.dimension(), std::max<Index>(100, 3 * count));
  options.vectors = true;
  options.start = start;
  LeadingDirections out;
  out.coordinates = hessian.coordinates();
  for (const estimators::RitzValue& pair : estimators::lanczos(hessian.dimension(), hessian.of(0), options).largest) {
    out.curvature.push_back(pair.value);
    out.bound.push_back(pair.bound);
    out.vectors.insert(out.vectors.end(), pair.vector.begin(), pair.vector.end());
  }
  return out;
}

}  // namespace widelab::experiments
