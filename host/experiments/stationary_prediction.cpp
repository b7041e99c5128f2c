#include "host/experiments/stationary_prediction.hpp"

#include <cmath>
#include <limits>

#include "host/experiments/stationary_epochs.hpp"
#include "host/theory/sgd_online.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double trace(const std::vector<double>& matrix, Index d) {
  double sum = 0;
  for (Index i = 0; i < d; ++i) sum += matrix[static_cast<std::size_t>(i * d + i)];
  return sum;
}

std::vector<double> diagonal(const std::vector<double>& matrix, Index d) {
  std::vector<double> out;
  for (Index i = 0; i < d; ++i) out.push_back(matrix[static_cast<std::size_t>(i * d + i)]);
  return out;
}

/// d x d of the regression's coordinates, between modes.
std::vector<double> in_modes(const theory::RegressionNoise& noise, const std::vector<double>& matrix) {
  const Index d = noise.quadratic().basis().dim();
  return noise.quadratic().basis().into(matrix_view<const double>(matrix.data(), d, d));
}

void add(const theory::StateCovariance& from, theory::StateCovariance& to, double factor) {
  const auto add_all = [&](const std::vector<double>& x, std::vector<double>& y) {
    for (std::size_t k = 0; k < x.size(); ++k) y[k] += factor * x[k];
  };
  add_all(from.parameter, to.parameter);
  add_all(from.cross, to.cross);
  add_all(from.velocity, to.velocity);
}

/// The exact law of everything along the way: second moments step by step from the minimiser on, and their averages
/// over the steps that a chain averages over.
void predict_way(const StationaryCell& cell, const theory::RegressionNoise& noise, std::vector<double>& numbers) {
  const Index d = cell.dimension();
  const auto number = [&](Index column) -> double& { return numbers[static_cast<std::size_t>(column)]; };
  theory::RegressionMoments moments = noise.at(noise.minimiser());
  theory::StateCovariance sum = theory::StateCovariance::zero(d);
  std::size_t time = 0;
  for (Index step = 0; step <= cell.steps(); ++step) {
    if (step > 0) moments = noise.after(moments, 1);
    if (time < cell.observed.size() && cell.observed[time] == step)
      number(cell.excess_at(time++)) = noise.excess_loss(moments.second);
    if (step > cell.burn_in) add(moments.second, sum, 1);
    for (std::size_t k = 0; k < cell.lags.size(); ++k)
      if (step == cell.steps() - cell.lags[k]) {
        theory::StateCovariance average = theory::StateCovariance::zero(d);
        add(sum, average, 1 / static_cast<double>(step - cell.burn_in));
        number(cell.along(k)) = trace(noise.autocovariance(average, cell.lags[k]), d);
      }
  }
  theory::StateCovariance average = theory::StateCovariance::zero(d);
  add(sum, average, 1 / static_cast<double>(cell.steps() - cell.burn_in));
  const std::vector<double> modes = in_modes(noise, average.parameter);
  for (Index i = 0; i < d; ++i) {
    number(cell.mean(i)) = 0;
    for (Index j = 0; j <= i; ++j) number(cell.product(i, j)) = modes[static_cast<std::size_t>(i * d + j)];
  }
  number(cell.excess()) = noise.excess_loss(average);
}

/// One direction, batches of one example, no momentum: e is multiplied by 1 - eta (x_n^2 + lambda), n drawn anew.
double tail_of(const StationaryCell& cell, const theory::RegressionNoise& noise) {
  const theory::LinearTraining& training = noise.quadratic().training();
  const theory::RegressionSgd& sgd = cell.regression.sgd;
  if (cell.dimension() != 1 || sgd.batch != 1 || training.rule != theory::LinearRule::gradient_descent) return kNaN;
  std::vector<double> factors;
  double log_mean = 0;
  for (const double x : cell.regression.inputs) {
    factors.push_back(1 - training.effective_rate() * (x * x + sgd.weight_decay));
    log_mean += std::log(std::fabs(factors.back()));
  }
  const double alpha = log_mean < 0 ? theory::kesten_exponent_of(factors) : kNaN;
  return std::isfinite(alpha) ? alpha : kNaN;
}

}  // namespace

StationaryPrediction predict_stationary(const StationaryCell& cell) {
  const theory::RegressionNoise noise = cell.regression.noise();
  const Index d = cell.dimension();
  StationaryPrediction out;
  out.numbers.assign(static_cast<std::size_t>(cell.numbers()), kNaN);
  out.frozen_variance.assign(static_cast<std::size_t>(d), kNaN);
  out.small_step = out.stationary_variance = out.frozen_variance;
  out.tail_exponent = kNaN;
  out.curvature = noise.quadratic().basis().values();
  out.errors.assign(out.numbers.size(), 0.0);
  if (cell.shuffled()) {
    predict_epochs(cell, noise, out);
    return out;
  }
  out.tail_exponent = tail_of(cell, noise);
  out.mean_square_radius = noise.mean_square_radius();
  out.critical_learning_rate = noise.critical_learning_rate();
  predict_way(cell, noise, out.numbers);
  if (!out.stable()) return out;
  out.stationary_variance = diagonal(in_modes(noise, noise.stationary().parameter), d);
  out.frozen_variance = diagonal(in_modes(noise, noise.frozen_noise().parameter), d);
  // Momentum makes small steps 1 / (1 - mu) times larger.
  const theory::LinearTraining& training = noise.quadratic().training();
  const double slowness = training.rule == theory::LinearRule::gradient_descent ? 1 : 1 - training.momentum;
  const double rate = training.effective_rate() / slowness;
  out.small_step = diagonal(in_modes(noise, noise.noise_at_minimum()), d);
  for (double& c : out.small_step) c = (rate * c + cell.regression.sgd.injected_noise / rate) / 2;
  return out;
}

}  // namespace widelab::experiments
