#include "host/experiments/langevin_prediction.hpp"

#include <cmath>
#include <limits>

#include "host/experiments/layer_features.hpp"
#include "host/theory/gaussian_posterior.hpp"
#include "host/theory/infinite_width.hpp"

namespace widelab::experiments {
namespace {

/// E (1/2) sum (f - y)^2 for means and variances at the training points, which come first.
double expected_loss(const std::vector<double>& mean, const std::vector<double>& variance,
                     const std::vector<double>& targets) {
  double sum = 0;
  for (std::size_t i = 0; i < targets.size(); ++i)
    sum += 0.5 * ((mean[i] - targets[i]) * (mean[i] - targets[i]) + variance[i]);
  return sum;
}

/// x.S x of every row, points x d and d x d in one basis.
std::vector<double> quadratic_forms(const std::vector<double>& rows, const std::vector<double>& matrix, std::size_t d) {
  std::vector<double> out(rows.size() / d, 0.0);
  for (std::size_t p = 0; p < out.size(); ++p)
    for (std::size_t i = 0; i < d; ++i)
      for (std::size_t j = 0; j < d; ++j) out[p] += rows[p * d + i] * matrix[i * d + j] * rows[p * d + j];
  return out;
}

/// n Var(mean) / Var of n draws of a process of autocorrelations sum_i s_i b_i^k (sum_i s_i = 1):
///   sum_i s_i [1 + 2 sum_{0<k<n} (1 - k/n) b_i^k] = sum_i s_i [1 + 2 b / (1 - b) - 2 b (1 - b^n) / (n (1 - b)^2)].
double mean_inflation(double decay, double draws) {
  const double gap = 1 - decay;
  return 1 + 2 * decay / gap - 2 * decay * (1 - std::pow(decay, draws)) / (draws * gap * gap);
}

/// rows: points x d between modes; S in modes; draws `thin` steps apart.
std::vector<double> inflations(const LangevinCell& cell, const theory::QuadraticSgd& quadratic,
                               const std::vector<double>& rows, const std::vector<double>& second) {
  const auto d = static_cast<std::size_t>(quadratic.basis().dim());
  std::vector<double> by_mode, out;
  for (std::size_t i = 0; i < d; ++i) {
    const double a = 1 - quadratic.training().effective_rate() * quadratic.curvature(static_cast<Index>(i));
    by_mode.push_back(mean_inflation(std::pow(a, static_cast<double>(cell.thin)), static_cast<double>(cell.draws())));
  }
  for (std::size_t p = 0; p < rows.size() / d; ++p) {
    double sum = 0, weights = 0;
    for (std::size_t i = 0; i < d; ++i) {
      double weight = 0;  // u_i (S u)_i: E of mode i of f with f
      for (std::size_t j = 0; j < d; ++j) weight += rows[p * d + i] * second[i * d + j] * rows[p * d + j];
      weights += weight;
      sum += weight * by_mode[i];
    }
    out.push_back(sum / weights);
  }
  return out;
}

/// The law of f = x.(w* + e) + bias at all points for E e e^T between modes.
PosteriorMoments moments_of(const LangevinCell& cell, const std::vector<double>& mean, const std::vector<double>& rows,
                            const std::vector<double>& second, const std::vector<double>& hessian) {
  const std::size_t d = hessian.size();
  PosteriorMoments out;
  out.mean = mean;
  out.variance = quadratic_forms(rows, second, d);
  out.loss = expected_loss(out.mean, out.variance, cell.training.data.train.targets);
  out.virial = 0;
  for (std::size_t i = 0; i < d; ++i)
    out.virial += hessian[i] * second[i * d + i] / (static_cast<double>(d) * cell.target.temperature);
  return out;
}

LangevinPrediction predict_readout(const LangevinCell& cell, const ReadoutRegression& readout) {
  const Network& network = cell.training.network();
  const LayerScale& layer = network.layers.back();
  const theory::RegressionNoise noise = readout.noise();
  const theory::QuadraticSgd& quadratic = noise.quadratic();
  const Index d = readout.dimension;
  std::vector<double> features =
      layer_features(network, readout.parameters, network.shape.depth(),
                     matrix_view<const double>(cell.inputs.data(), cell.points(), network.shape.input_dim));
  const double bias = layer.bias_multiplier * readout.parameters.back();
  std::vector<double> mean;
  for (Index p = 0; p < cell.points(); ++p) {
    double sum = bias;
    for (Index i = 0; i < d; ++i) {
      double& x = features[static_cast<std::size_t>(p * d + i)];
      x *= layer.weight_multiplier;
      sum += x * noise.minimiser()[static_cast<std::size_t>(i)];
    }
    mean.push_back(sum);
  }
  const std::vector<double> rows =
      quadratic.basis().rows_into(matrix_view<const double>(features.data(), cell.points(), d));
  // Hess U = curvature x that of the normalised loss.
  std::vector<double> hessian, gibbs(static_cast<std::size_t>(d * d), 0.0);
  for (Index i = 0; i < d; ++i) {
    hessian.push_back(quadratic.training().curvature * quadratic.curvature(i));
    gibbs[static_cast<std::size_t>(i * d + i)] = cell.target.temperature / hessian.back();
  }
  const std::vector<double> stationary = noise.stationary().parameter,
                            second = quadratic.basis().into(matrix_view<const double>(stationary.data(), d, d));
  LangevinPrediction out;
  out.exact = true;
  out.gibbs = moments_of(cell, mean, rows, gibbs, hessian);
  out.step = moments_of(cell, mean, rows, second, hessian);
  out.autocorrelation_time = inflations(cell, quadratic, rows, second);
  return out;
}

LangevinPrediction predict_wide(const LangevinCell& cell) {
  const Network prior = prior_network(cell.training.network(), cell.target);
  const Index points = cell.points();
  const theory::KernelPair kernels = theory::infinite_width_kernels(
      prior, matrix_view<const double>(cell.inputs.data(), points, prior.shape.input_dim));
  const theory::GaussianPosterior posterior =
      theory::gaussian_posterior(matrix_view<const double>(kernels.nngp.data(), points, points),
                                 cell.training.data.train.targets, cell.target.noise_variance());
  LangevinPrediction out;
  out.gibbs.mean = posterior.mean;
  for (Index p = 0; p < points; ++p)
    out.gibbs.variance.push_back(posterior.covariance[static_cast<std::size_t>(p * points + p)]);
  out.gibbs.loss = expected_loss(out.gibbs.mean, out.gibbs.variance, cell.training.data.train.targets);
  out.step = out.gibbs;
  out.autocorrelation_time.assign(static_cast<std::size_t>(points), std::numeric_limits<double>::quiet_NaN());
  return out;
}

}  // namespace

LangevinPrediction predict_langevin(const LangevinCell& cell) {
  return cell.readout ? predict_readout(cell, *cell.readout) : predict_wide(cell);
}

}  // namespace widelab::experiments
