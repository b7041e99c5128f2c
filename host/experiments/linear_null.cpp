#include "host/experiments/linear_null.hpp"

#include <algorithm>
#include <cmath>

#include "host/theory/sgd_quadratic.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/ops/train.hpp"

namespace widelab::experiments {
namespace {

/// Row `step` of standard normals: one for each mode.
void draw_row(const DrawId& draws, Index modes, Index step, std::uint8_t layer, double* row) {
  for (Index i = 0; i < modes; i += 4) {
    const Draw4 four = langevin_draw4(draws, layer, 0, modes, i / 4, step);
    std::copy_n(four.v, std::min<Index>(4, modes - i), row + i);
  }
}

/// Standard deviations of the noise of a step, and what is taken off for the mean of the epoch's draws.
struct StepNoise {
  std::vector<double> deviation;
  double shared = 0;  ///< alpha
};

StepNoise step_noise(const LinearNull& null) {
  const auto n = static_cast<double>(null.examples), b = static_cast<double>(null.batch);
  StepNoise out;
  for (std::size_t i = 0; i < null.curvature.size(); ++i) {
    const theory::ShuffledMode mode = null.mode(i);
    const double c = null.order == OrderKind::iid ? mode.with_replacement().gradient_noise : mode.batch_noise();
    out.deviation.push_back(std::sqrt(null.order == OrderKind::epochs ? c * n / (n - b) : c));
  }
  const Index unused = null.examples % null.batch;
  if (null.order == OrderKind::epochs) out.shared = 1 - std::sqrt(static_cast<double>(unused) / n);
  return out;
}

/// xi of the steps of an epoch, or of as many independent ones: rows of one number a mode.
std::vector<double> epoch_noise(const LinearNull& null, const StepNoise& per_step, Index first) {
  const auto modes = static_cast<Index>(null.curvature.size());
  const Index length = null.examples / null.batch;
  std::vector<double> out(static_cast<std::size_t>(length * modes)), mean(null.curvature.size());
#pragma omp parallel for schedule(static)
  for (Index t = 0; t < length; ++t) draw_row(null.draws, modes, first + t, 0, out.data() + t * modes);
  for (std::size_t k = 0; k < out.size(); ++k)
    mean[k % mean.size()] += per_step.shared * out[k] / static_cast<double>(length);
  for (std::size_t k = 0; k < out.size(); ++k)
    out[k] = per_step.deviation[k % mean.size()] * (out[k] - mean[k % mean.size()]);
  return null.noise_basis ? null.noise_basis->rows_out_of(matrix_view<const double>(out.data(), length, modes)) : out;
}

}  // namespace

double mode_variance(const theory::ShuffledMode& mode, OrderKind order, Index steps) {
  if (order != OrderKind::epochs) {
    theory::QuadraticMode independent = mode.with_replacement();
    if (order == OrderKind::fresh) independent.gradient_noise = mode.batch_noise();
    return theory::mode_after(independent, {}, steps).parameter;
  }
  const Index length = mode.steps_per_epoch();
  const theory::ModeMoments boundary = theory::shuffled_after(mode, {}, steps / length);
  if (steps % length == 0) return boundary.parameter;
  return theory::shuffled_phases(mode, boundary)[static_cast<std::size_t>(steps % length)].parameter;
}

theory::ShuffledMode LinearNull::mode(std::size_t i) const {
  return {training, curvature[i], noise[i], examples, batch};
}

void LinearNull::run(Index steps, const std::function<void(const double*)>& visit) const {
  WIDELAB_REQUIRE(!noise_basis || before == 0, "the law of modes with common noise is not that of single ones");
  const auto modes = static_cast<Index>(curvature.size());
  const StepNoise per_step = step_noise(*this);
  const double rate = training.effective_rate();
  const Index length = examples / batch;
  std::vector<double> state(curvature.size());
  draw_row(draws, modes, 0, 1, state.data());
  for (std::size_t i = 0; i < state.size(); ++i)
    state[i] *= before > 0 ? std::sqrt(mode_variance(mode(i), order, before)) : 0.0;
  for (Index first = 0; first < steps; first += length) {
    const std::vector<double> noises = epoch_noise(*this, per_step, first);
    for (Index t = 0; t < length && first + t < steps; ++t) {
      visit(state.data());
      const double* xi = noises.data() + t * modes;
      for (std::size_t i = 0; i < state.size(); ++i)
        state[i] -= rate * (curvature[i] * state[i] + xi[i] + (gradient.empty() ? 0 : gradient[i]));
    }
  }
}

}  // namespace widelab::experiments
