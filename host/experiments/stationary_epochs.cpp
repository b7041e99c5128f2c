#include "host/experiments/stationary_epochs.hpp"

#include <cmath>
#include <utility>

#include "host/theory/sgd_epochs.hpp"

namespace widelab::experiments {
namespace {

/// Uncentred moments of modes with their errors, an average over phases.
struct ModeMoments {
  std::vector<double> mean, mean_error, product, product_error;  // d, d, d x d, d x d

  /// Adds `weight` times what holds at one phase. Errors of phases come from the same orders and add up.
  void add(const theory::PhaseMoments& at, double weight) {
    const std::size_t d = at.mean.size();
    for (auto* one : {&mean, &mean_error}) one->resize(d);
    for (auto* one : {&product, &product_error}) one->resize(d * d);
    for (std::size_t i = 0; i < d; ++i) {
      mean[i] += weight * at.mean[i];
      mean_error[i] += weight * at.mean_error[i];
      for (std::size_t j = 0; j < d; ++j) {
        product[i * d + j] += weight * (at.covariance[i * d + j] + at.mean[i] * at.mean[j]);
        product_error[i * d + j] +=
            weight * (at.covariance_error[i * d + j] + std::fabs(at.mean[i]) * at.mean_error[j] +
                      std::fabs(at.mean[j]) * at.mean_error[i]);
      }
    }
  }
};

/// The regression between eigenvectors of its Hessian, about its minimiser.
theory::QuadraticSamples samples_in_modes(const StationaryCell& cell, const theory::RegressionNoise& noise) {
  const Index n = cell.regression.examples, d = cell.dimension();
  const theory::Eigenbasis& basis = noise.quadratic().basis();
  const auto rotated = [&](const std::vector<double>& rows, Index count) {
    return basis.rows_into(matrix_view<const double>(rows.data(), count, d));
  };
  const std::vector<double> inputs = rotated(cell.regression.inputs, n);
  return theory::regression_samples(matrix_view<const double>(inputs.data(), n, d), cell.regression.targets,
                                    cell.regression.sgd.weight_decay, rotated(noise.minimiser(), 1));
}

/// The map of an epoch carries second moments from boundary to boundary, its phases fill the way between. Averages over
/// whole epochs are those of the phases that leave the average boundary, because all is linear in second moments.
class Epochs {
 public:
  Epochs(const StationaryCell& cell, const theory::RegressionNoise& noise, StationaryPrediction& out)
      : cell_(cell),
        curvature_(noise.quadratic().basis().values()),
        map_(samples_in_modes(cell, noise), noise.quadratic().training(), cell.regression.sgd.batch,
             theory::EpochOrders::sampled(cell.sampled_orders, cell.orders_key)),
        out_(out) {}

  void predict() {
    const Index length = cell_.steps_per_epoch(), epochs = cell_.steps() / length, first = cell_.burn_in / length;
    theory::EpochMap::State boundary =
        map_.at_rest(std::vector<double>(static_cast<std::size_t>(cell_.dimension()), 0.0));
    theory::EpochMap::State average(boundary.size(), theory::MomentTriangle(boundary[0].order()));
    for (Index epoch = 0; epoch < epochs; ++epoch) {
      look_within(epoch, boundary);
      if (epoch >= first)
        for (std::size_t g = 0; g < boundary.size(); ++g)
          for (std::size_t k = 0; k < boundary[g].entries().size(); ++k)
            average[g].entries()[k] += boundary[g].entries()[k] / static_cast<double>(epochs - first);
      boundary = map_.after(std::move(boundary), 1);
    }
    put_average(average);
  }

 private:
  void put(Index column, double value, double error) {
    out_.numbers[static_cast<std::size_t>(column)] = value;
    out_.errors[static_cast<std::size_t>(column)] = error;
  }

  /// (1/2) sum_i h_i E e_i^2.
  void put_excess(Index column, const ModeMoments& moments) {
    double value = 0, error = 0;
    for (std::size_t i = 0; i < curvature_.size(); ++i) {
      value += 0.5 * curvature_[i] * moments.product[i * curvature_.size() + i];
      error += 0.5 * curvature_[i] * moments.product_error[i * curvature_.size() + i];
    }
    put(column, value, error);
  }

  /// Excess losses at the observed steps of an epoch: its phases 1 to M, and step 0 before the first one.
  void look_within(Index epoch, const theory::EpochMap::State& boundary) {
    const Index length = cell_.steps_per_epoch();
    std::vector<theory::PhaseMoments> phases;
    for (std::size_t t = 0; t < cell_.observed.size(); ++t) {
      const Index phase = cell_.observed[t] - epoch * length;
      if (phase > length || phase < (epoch == 0 ? 0 : 1)) continue;
      if (phases.empty()) phases = map_.phases(boundary);
      ModeMoments moments;
      moments.add(phases[static_cast<std::size_t>(phase)], 1);
      put_excess(cell_.excess_at(t), moments);
    }
  }

  void put_average(const theory::EpochMap::State& average) {
    ModeMoments moments;
    const std::vector<theory::PhaseMoments> phases = map_.phases(average);
    for (std::size_t n = 1; n < phases.size(); ++n) moments.add(phases[n], 1 / static_cast<double>(phases.size() - 1));
    const Index d = cell_.dimension();
    for (Index i = 0; i < d; ++i) {
      put(cell_.mean(i), moments.mean[static_cast<std::size_t>(i)], moments.mean_error[static_cast<std::size_t>(i)]);
      for (Index j = 0; j <= i; ++j) {
        const auto at = static_cast<std::size_t>(i * d + j);
        put(cell_.product(i, j), moments.product[at], moments.product_error[at]);
      }
    }
    put_excess(cell_.excess(), moments);
  }

  const StationaryCell& cell_;
  std::vector<double> curvature_;
  theory::EpochMap map_;
  StationaryPrediction& out_;
};

}  // namespace

void predict_epochs(const StationaryCell& cell, const theory::RegressionNoise& noise, StationaryPrediction& out) {
  const bool at_rest = noise.quadratic().training().rule == theory::LinearRule::gradient_descent;
  const theory::RegressionSgd& sgd = cell.regression.sgd;
  if (cell.dimension() * (at_rest ? 1 : 2) > theory::EpochMap::kMostState || sgd.label_noise > 0 ||
      sgd.injected_noise > 0)
    return;
  Epochs(cell, noise, out).predict();
}

}  // namespace widelab::experiments
