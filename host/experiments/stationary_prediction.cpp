#include "host/experiments/stationary_prediction.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "host/experiments/stationary_epochs.hpp"
#include "host/theory/sgd_online.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN(), kInfinity = std::numeric_limits<double>::infinity();

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

/// Kesten's exponent of isotropic inputs of the largest variance: infinite where it is beyond what can be seen, 0 where
/// there is no stationary law.
double isotropic_tail(const theory::OnlineRegression& law) {
  const double most = *std::max_element(law.input_variances.begin(), law.input_variances.end());
  const std::vector<double> isotropic(law.input_variances.size(), most);
  try {
    return theory::kesten_exponent({law.learning_rate, most, law.batch, static_cast<Index>(isotropic.size())});
  } catch (const RecipeError&) {
    return law.learning_rate < theory::online_critical_rate(isotropic, law.batch) ? kInfinity : 0;
  }
}

/// Streams: modes stay uncorrelated, so that variances are all there is.
void predict_online(const StationaryCell& cell, StationaryPrediction& out) {
  const theory::OnlineRegression law = cell.regression.online();
  const std::vector<double>& h = law.input_variances;
  const auto number = [&](Index column) -> double& { return out.numbers[static_cast<std::size_t>(column)]; };
  const Index d = cell.dimension();
  const auto [least, most] = std::minmax_element(h.begin(), h.end());
  out.least_tail_exponent = isotropic_tail(law);
  if (*most - *least <= 1e-9 * *most && std::isfinite(out.least_tail_exponent) && out.least_tail_exponent > 0)
    out.tail_exponent = out.least_tail_exponent;
  out.mean_square_radius = theory::online_mean_square_radius(law);
  out.critical_learning_rate = theory::online_critical_rate(h, law.batch) / cell.regression.sgd.training.curvature;
  std::vector<double> now(h.size()), sum(h.size());
  std::size_t time = 0;
  const auto excess = [&](const std::vector<double>& variances) {
    return 0.5 * std::inner_product(h.begin(), h.end(), variances.begin(), 0.0);
  };
  for (Index step = 0; step <= cell.steps(); ++step) {
    if (step > 0) now = theory::online_after(law, now);
    if (time < cell.observed.size() && cell.observed[time] == step) number(cell.excess_at(time++)) = excess(now);
    for (std::size_t i = 0; step > cell.burn_in && i < h.size(); ++i) sum[i] += now[i];
    for (std::size_t k = 0; k < cell.lags.size(); ++k) {
      if (step != cell.steps() - cell.lags[k]) continue;
      double along = 0;
      for (std::size_t i = 0; i < h.size(); ++i)
        along += std::pow(1 - law.learning_rate * h[i], static_cast<double>(cell.lags[k])) * sum[i];
      number(cell.along(k)) = along / static_cast<double>(step - cell.burn_in);
    }
  }
  for (double& s : sum) s /= static_cast<double>(cell.steps() - cell.burn_in);
  for (Index i = 0; i < d; ++i) {
    number(cell.mean(i)) = 0;
    for (Index j = 0; j <= i; ++j) number(cell.product(i, j)) = i == j ? sum[static_cast<std::size_t>(i)] : 0;
  }
  number(cell.excess()) = excess(sum);
  if (!out.stable()) return;
  out.stationary_variance = theory::online_stationary(law).variances;
  for (std::size_t i = 0; i < h.size(); ++i) {
    const double noise = law.learning_rate * h[i] * law.label_noise / static_cast<double>(law.batch);  // eta C_ii
    out.small_step[i] = noise / 2;
    out.frozen_variance[i] = noise / (h[i] * (2 - law.learning_rate * h[i]));
  }
}

}  // namespace

StationaryPrediction predict_stationary(const StationaryCell& cell) {
  const Index d = cell.dimension();
  StationaryPrediction out;
  out.numbers.assign(static_cast<std::size_t>(cell.numbers()), kNaN);
  out.frozen_variance.assign(static_cast<std::size_t>(d), kNaN);
  out.small_step = out.stationary_variance = out.frozen_variance;
  out.tail_exponent = kNaN;
  out.least_tail_exponent = kInfinity;
  out.curvature = cell.regression.modes().values();
  out.errors.assign(out.numbers.size(), 0.0);
  if (cell.online()) {
    predict_online(cell, out);
    return out;
  }
  const theory::RegressionNoise noise = cell.regression.noise();
  if (cell.shuffled()) {
    predict_epochs(cell, noise, out);
    return out;
  }
  out.tail_exponent = tail_of(cell, noise);
  if (std::isfinite(out.tail_exponent)) out.least_tail_exponent = out.tail_exponent;
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
