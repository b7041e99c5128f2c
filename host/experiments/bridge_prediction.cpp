#include "host/experiments/bridge_prediction.hpp"

#include <algorithm>

#include "host/experiments/loss_curvature.hpp"
#include "host/theory/sgd_epochs.hpp"
#include "host/theory/shuffled_modes.hpp"
#include "widelab/base/contract.hpp"

namespace widelab::experiments {
namespace {

/// Mean over examples of g_n,i^2 - (mean g)_i^2, and of H_n,ii.
struct Mode {
  double noise = 0, curvature = 0;
};

Mode mode_of(const theory::QuadraticSamples& samples, Index i) {
  const auto n = static_cast<double>(samples.examples);
  double mean = 0, square = 0;
  Mode out;
  for (Index s = 0; s < samples.examples; ++s) {
    const double g = samples.gradients[static_cast<std::size_t>(s * samples.dim + i)];
    mean += g / n;
    square += g * g / n;
    out.curvature += samples.curvatures[static_cast<std::size_t>((s * samples.dim + i) * samples.dim + i)] / n;
  }
  out.noise = square - mean * mean;
  return out;
}

/// Variance of one direction at every step up to `last` under shuffled epochs, from replicas at one point.
std::vector<double> shuffled_steps(const theory::ShuffledMode& mode, Index last) {
  std::vector<double> out{0};
  theory::ModeMoments boundary;
  while (static_cast<Index>(out.size()) <= last) {
    const std::vector<theory::ModeMoments> phases = theory::shuffled_phases(mode, boundary);
    for (std::size_t n = 1; n < phases.size(); ++n) out.push_back(phases[n].parameter);
    boundary = phases.back();
  }
  return out;
}

theory::EpochOrders epoch_orders(const BridgeCell& cell) {
  if (cell.order == OrderKind::iid) return theory::EpochOrders::with_replacement();
  if (cell.order == OrderKind::fresh) return theory::EpochOrders::without_replacement();
  return theory::EpochOrders::sampled(cell.sampled_orders, cell.branch_key);
}

}  // namespace

theory::LinearTraining linear_training(const TrainingCell& cell) {
  const TrainRule& rule = cell.train.rule;
  const MemberSettings settings = cell.spec.member(0);
  theory::LinearTraining out;
  for (const LayerScale& layer : cell.network().layers)
    if (layer.weight_rate > 0) out.learning_rate = settings.learning_rate * layer.weight_rate;
  out.curvature = reduction_factor(rule.reduction, settings.batch, cell.data.train.examples, cell.data.train.outputs) *
                  static_cast<double>(settings.batch);
  return out;
}

theory::QuadraticSamples samples_at(const TrainingCell& cell, runtime::Backend& backend,
                                    const std::vector<double>& parameters, const std::vector<double>& basis,
                                    Index directions) {
  const data::Dataset& train = cell.data.train;
  theory::QuadraticSamples out;
  out.examples = train.examples;
  out.dim = directions;
  const auto dot = [](const double* a, const double* b, Index n) {
    double sum = 0;
    for (Index k = 0; k < n; ++k) sum += a[k] * b[k];
    return sum;
  };
  std::vector<double> images(basis.size());
  for (Index s = 0; s < train.examples; ++s) {
    estimators::CurvatureOperator hessian(backend, training_loss_at(cell, parameters, s, 1),
                                          estimators::CurvatureMatrix::hessian);
    const Index size = hessian.dimension();
    hessian.apply(0, directions, basis.data(), images.data());
    const std::vector<double>& gradient = hessian.gradient(0);
    for (Index i = 0; i < directions; ++i) out.gradients.push_back(dot(basis.data() + i * size, gradient.data(), size));
    for (Index i = 0; i < directions; ++i)
      for (Index j = 0; j < directions; ++j)
        out.curvatures.push_back(
            dot(basis.data() + std::min(i, j) * size, images.data() + std::max(i, j) * size, size));
  }
  return out;
}

std::vector<double> additive_variances(const BridgeCell& cell, const theory::QuadraticSamples& samples) {
  const auto k = static_cast<std::size_t>(cell.directions);
  std::vector<double> out(cell.times.size() * k, 0.0);
  if (cell.order == OrderKind::fixed) return out;
  const theory::LinearTraining training = linear_training(cell.training);
  for (std::size_t i = 0; i < k; ++i) {
    const Mode mode = mode_of(samples, static_cast<Index>(i));
    const theory::ShuffledMode shuffled{training, mode.curvature, mode.noise, samples.examples, cell.batch()};
    if (cell.order == OrderKind::epochs) {
      const std::vector<double> steps = shuffled_steps(shuffled, cell.times.back());
      for (std::size_t t = 0; t < cell.times.size(); ++t)
        out[t * k + i] = steps[static_cast<std::size_t>(cell.times[t])];
      continue;
    }
    theory::QuadraticMode independent = shuffled.with_replacement();
    if (cell.order == OrderKind::fresh) independent.gradient_noise = shuffled.batch_noise();
    for (std::size_t t = 0; t < cell.times.size(); ++t)
      out[t * k + i] = theory::mode_after(independent, {}, cell.times[t]).parameter;
  }
  return out;
}

std::vector<double> linear_variances(const BridgeCell& cell, const theory::QuadraticSamples& samples) {
  const auto k = static_cast<std::size_t>(cell.directions);
  std::vector<double> out(cell.times.size() * k, 0.0);
  if (cell.order == OrderKind::fixed) return out;
  const theory::EpochMap map(samples, linear_training(cell.training), cell.batch(), epoch_orders(cell));
  const Index length = cell.steps_per_epoch();
  theory::EpochMap::State state = map.at_rest(std::vector<double>(k, 0.0));
  Index epoch = 0;
  std::vector<theory::PhaseMoments> phases = map.phases(state);
  for (std::size_t t = 0; t < cell.times.size(); ++t) {
    const Index wanted = (cell.times[t] - 1) / length;  // a boundary is the last phase of the epoch before it
    if (wanted != epoch) {
      state = map.after(state, wanted - epoch);
      phases = map.phases(state);
      epoch = wanted;
    }
    const theory::PhaseMoments& at = phases[static_cast<std::size_t>(cell.times[t] - wanted * length)];
    for (std::size_t i = 0; i < k; ++i) out[t * k + i] = at.covariance[i * k + i];
  }
  return out;
}

}  // namespace widelab::experiments
