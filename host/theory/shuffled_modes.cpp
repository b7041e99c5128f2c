#include "host/theory/shuffled_modes.hpp"

#include <string>

#include "widelab/base/contract.hpp"

namespace widelab::theory {
namespace {

void check(const ShuffledMode& mode) {
  if (mode.batch < 1 || mode.examples < 2 * mode.batch)
    throw RecipeError("examples = " + std::to_string(mode.examples) + ", batch = " + std::to_string(mode.batch) +
                      ": an epoch needs at least two batches; give batch >= 1 and examples >= 2 batch");
}

/// b_k = F^k G for k < M, as b_k - G: without momentum a^k - 1 is exact where it is small.
struct Response {
  double parameter = 0.0, velocity = 0.0;
};

std::vector<Response> responses(const ShuffledMode& mode) {
  const StepForm form = step_form(mode.training);
  const Matrix2 d = mode_increment(form, mode.training.effective_rate() * mode.curvature);
  const auto moved = [&](const Response& x) {
    return Response{d[0] * x.parameter + d[1] * x.velocity, d[2] * x.parameter + d[3] * x.velocity};
  };
  const Response drift = moved({form.parameter_gain, 1.0});  // (F - 1) G
  std::vector<Response> b(static_cast<std::size_t>(mode.steps_per_epoch()));
  for (std::size_t k = 1; k < b.size(); ++k) {
    const Response step = moved(b[k - 1]);
    b[k] = {b[k - 1].parameter + step.parameter + drift.parameter, b[k - 1].velocity + step.velocity + drift.velocity};
  }
  return b;
}

Matrix2 outer(const Response& a, const Response& b) {
  return {a.parameter * b.parameter, a.parameter * b.velocity, a.velocity * b.parameter, a.velocity * b.velocity};
}

/// Q(n) / c for n = 0 .. M. With m = mean_{k<n} b_k the two sums are (1 + beta) sum (b_k - m)(b_k - m)^T + n (1 + beta
/// - beta n) m m^T, where 1 + beta - beta n = (N - n B) / (N - B) is exact and the first sum grows by Welford's update:
/// nothing cancels in the flat limit.
std::vector<Matrix2> accumulated(const ShuffledMode& mode) {
  const auto examples = static_cast<double>(mode.examples), size = static_cast<double>(mode.batch);
  const double gain = step_form(mode.training).parameter_gain;
  std::vector<Matrix2> sums{{0.0, 0.0, 0.0, 0.0}};
  Matrix2 spread{0.0, 0.0, 0.0, 0.0};
  Response mean;  // of b_k - G
  double count = 0.0;
  for (const Response& b : responses(mode)) {
    count += 1.0;
    const Response before{b.parameter - mean.parameter, b.velocity - mean.velocity};
    mean.parameter += before.parameter / count;
    mean.velocity += before.velocity / count;
    spread = add(spread, outer(before, {b.parameter - mean.parameter, b.velocity - mean.velocity}));
    const double beta = size / (examples - size), left = (examples - count * size) / (examples - size);
    const Response whole{gain + mean.parameter, 1.0 + mean.velocity};
    sums.push_back(add(add({0.0, 0.0, 0.0, 0.0}, spread, 1.0 + beta), outer(whole, whole), count * left));
  }
  return sums;
}

/// V_n from V_0 and F^n - 1.
Matrix2 at_phase(const ShuffledMode& mode, const Matrix2& start, const Matrix2& power, const Matrix2& gathered) {
  const Matrix2 f = add(kIdentity2, power);
  const double rate = mode.training.effective_rate();
  return add(multiply(multiply(f, start), transpose(f)), gathered, rate * rate * mode.batch_noise());
}

Matrix2 power_of(const ShuffledMode& mode, Index n) {
  return power_increment(mode_increment(step_form(mode.training), mode.training.effective_rate() * mode.curvature), n);
}

Matrix2 as_matrix(const ModeMoments& m) { return {m.parameter, m.cross, m.cross, m.velocity}; }
ModeMoments as_moments(const Matrix2& m) { return {m[0], m[1], m[3]}; }

}  // namespace

double ShuffledMode::batch_noise() const {
  const auto n = static_cast<double>(examples), b = static_cast<double>(batch);
  return sample_noise * (n - b) / (b * (n - 1.0));
}

QuadraticMode ShuffledMode::with_replacement() const {
  return {training, curvature, sample_noise / static_cast<double>(batch)};
}

ModeMoments shuffled_boundary(const ShuffledMode& mode) {
  check(mode);
  if (!mode.with_replacement().stable())
    throw RecipeError("learning_rate = " + std::to_string(mode.training.learning_rate) + " at curvature " +
                      std::to_string(mode.curvature) + ": no stationary law; learning rate x curvature must lie " +
                      "between 0 and " + std::to_string(mode.training.stability_limit() / mode.training.curvature));
  const Matrix2 power = power_of(mode, mode.steps_per_epoch());
  const double rate = mode.training.effective_rate();
  const Matrix2 noise = add({0.0, 0.0, 0.0, 0.0}, accumulated(mode).back(), rate * rate * mode.batch_noise());
  return as_moments(pair_fixed_point(power, power, noise));
}

std::vector<ModeMoments> shuffled_phases(const ShuffledMode& mode, const ModeMoments& boundary) {
  check(mode);
  const std::vector<Matrix2> gathered = accumulated(mode);
  std::vector<ModeMoments> phases;
  for (std::size_t n = 0; n < gathered.size(); ++n)
    phases.push_back(
        as_moments(at_phase(mode, as_matrix(boundary), power_of(mode, static_cast<Index>(n)), gathered[n])));
  return phases;
}

ModeMoments shuffled_after(const ShuffledMode& mode, ModeMoments boundary, Index epochs) {
  check(mode);
  const Matrix2 power = power_of(mode, mode.steps_per_epoch()), gathered = accumulated(mode).back();
  for (Index epoch = 0; epoch < epochs; ++epoch)
    boundary = as_moments(at_phase(mode, as_matrix(boundary), power, gathered));
  return boundary;
}

double shuffled_average(const ShuffledMode& mode) {
  const std::vector<ModeMoments> phases = shuffled_phases(mode, shuffled_boundary(mode));
  double sum = 0.0;
  for (std::size_t n = 0; n + 1 < phases.size(); ++n) sum += phases[n].parameter;
  return sum / static_cast<double>(phases.size() - 1);
}

double bridge_variance(double rate, double noise, Index steps_per_epoch, Index phase) {
  const auto m = static_cast<double>(steps_per_epoch), n = static_cast<double>(phase);
  WIDELAB_REQUIRE(steps_per_epoch >= 2 && phase >= 0 && phase <= steps_per_epoch, "a phase outside its epoch");
  return rate * rate * noise * n * (m - n) / (m - 1.0);
}

double bridge_average(double rate, double noise, Index steps_per_epoch) {
  return rate * rate * noise * (static_cast<double>(steps_per_epoch) + 1.0) / 6.0;
}

double shuffled_noise_autocovariance(double noise, Index steps_per_epoch, Index lag) {
  WIDELAB_REQUIRE(steps_per_epoch >= 2, "an epoch has at least two steps");
  if (lag == 0) return noise;
  const auto m = static_cast<double>(steps_per_epoch), distance = static_cast<double>(lag < 0 ? -lag : lag);
  return distance >= m ? 0.0 : -noise * (m - distance) / (m * (m - 1.0));
}

}  // namespace widelab::theory
