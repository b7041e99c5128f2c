// Update rules: the increment of one parameter from its gradient, its moments and, for Langevin dynamics, one normal
// draw. Written once; every engine and the reference call them.
#pragma once

#include <cmath>
#include <cstdint>

#include "widelab/base/host_device.hpp"
#include "widelab/base/types.hpp"

namespace widelab {

/// g: gradient of the objective, coupled weight decay lambda theta included; eta: learning rate; v, s: moments.
///   sgd         -eta g                                         (gradient descent, if the batch is the data set)
///   heavy_ball  v <- mu v + g,   -eta v                        (PyTorch's form: v is not scaled by 1 - mu)
///   nesterov    v <- mu v + g,   -eta (g + mu v)               (PyTorch's form)
///   adam        v <- b1 v + (1 - b1) g,  s <- b2 s + (1 - b2) g^2,  -eta v^ / (sqrt(s^) + eps), with
///               v^ = v / (1 - b1^t), s^ = s / (1 - b2^t)       (Kingma and Ba 2015); AdamW = adam, decoupled decay
///   sign        -eta sign(g)
///   langevin    -eta g + sqrt(2 eta T) xi                      (unadjusted Langevin algorithm; target e^{-U/T})
///   sgld        -(eta/2) g + sqrt(eta T) xi                    (Welling and Teh 2011 with T = 1)
/// Decoupled decay adds -eta lambda theta to the increment of any rule instead of lambda theta to g.
enum class OptimiserKind : std::uint8_t { sgd, heavy_ball, nesterov, adam, sign, langevin, sgld };

struct UpdateRule {
  OptimiserKind kind = OptimiserKind::sgd;
  bool decoupled_decay = false;
  double momentum = 0.9;                              ///< mu
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  ///< adam
};

/// Moments that a rule keeps for each parameter: 0, 1 (v) or 2 (v, s).
WIDELAB_HD int moment_count(OptimiserKind kind) {
  if (kind == OptimiserKind::adam) return 2;
  return kind == OptimiserKind::heavy_ball || kind == OptimiserKind::nesterov ? 1 : 0;
}

WIDELAB_HD bool is_noisy(OptimiserKind kind) { return kind == OptimiserKind::langevin || kind == OptimiserKind::sgld; }

namespace update_rules {

// In the argument's own precision: the C names, unqualified, would compute in double for float on a host and not on a
// device.
WIDELAB_HD float fused(float a, float b, float c) { return fmaf(a, b, c); }
WIDELAB_HD double fused(double a, double b, double c) { return fma(a, b, c); }
WIDELAB_HD float root(float x) { return sqrtf(x); }
WIDELAB_HD double root(double x) { return sqrt(x); }

}  // namespace update_rules

/// What a rule needs to know at one step, for all parameters of a layer with one learning rate. Built in double
/// from IEEE-exact operations and what a host computed, so that no device function rounds it differently.
template <class T>
struct UpdateStep {
  OptimiserKind kind;
  bool decoupled_decay;
  T rate;   ///< eta (sgld: eta / 2)
  T decay;  ///< lambda
  T noise;  ///< standard deviation of the injected noise, 0 for rules without
  T mu, beta1, beta2, epsilon;
  T correction1, correction2;  ///< 1 / (1 - b1^t), 1 / (1 - b2^t), t counted from 1
};

/// 1 / (1 - b1^t), 1 / (1 - b2^t) of adam.
struct AdamCorrections {
  double first = 1, second = 1;
};

/// Of absolute step `step`, from 0. Host only: library logarithms differ between devices.
inline AdamCorrections adam_corrections(const UpdateRule& rule, Index step) {
  const double t = static_cast<double>(step + 1);
  return {1.0 / -std::expm1(t * std::log(rule.beta1)), 1.0 / -std::expm1(t * std::log(rule.beta2))};
}

/// `rate`: learning rate of the step, schedule and relative rate included. IEEE-exact operations alone.
template <class T>
WIDELAB_HD UpdateStep<T> make_update_step(const UpdateRule& rule, double rate, double decay, double temperature,
                                          const AdamCorrections& corrections) {
  UpdateStep<T> out{};
  out.kind = rule.kind;
  out.decoupled_decay = rule.decoupled_decay;
  out.rate = static_cast<T>(rule.kind == OptimiserKind::sgld ? 0.5 * rate : rate);
  out.decay = static_cast<T>(decay);
  if (rule.kind == OptimiserKind::langevin) out.noise = static_cast<T>(sqrt(2 * rate * temperature));
  if (rule.kind == OptimiserKind::sgld) out.noise = static_cast<T>(sqrt(rate * temperature));
  out.mu = static_cast<T>(rule.momentum);
  out.beta1 = static_cast<T>(rule.beta1);
  out.beta2 = static_cast<T>(rule.beta2);
  out.epsilon = static_cast<T>(rule.epsilon);
  out.correction1 = static_cast<T>(corrections.first);
  out.correction2 = static_cast<T>(corrections.second);
  return out;
}

/// The same at absolute step `step`, from 0.
template <class T>
UpdateStep<T> make_update_step(const UpdateRule& rule, double rate, double decay, double temperature, Index step) {
  return make_update_step<T>(rule, rate, decay, temperature, adam_corrections(rule, step));
}

/// The increment of a parameter of value `theta`; `gradient` without decay; `draw` an N(0,1) number, read only by
/// noisy rules; `v` and `s` are read and written only by rules that have them.
template <class T>
WIDELAB_HD T update_increment(const UpdateStep<T>& step, T theta, T gradient, T draw, T& v, T& s) {
  const T g = step.decoupled_decay ? gradient : update_rules::fused(step.decay, theta, gradient);
  T direction = g;
  if (step.kind == OptimiserKind::heavy_ball) {
    v = update_rules::fused(step.mu, v, g);
    direction = v;
  } else if (step.kind == OptimiserKind::nesterov) {
    v = update_rules::fused(step.mu, v, g);
    direction = update_rules::fused(step.mu, v, g);
  } else if (step.kind == OptimiserKind::adam) {
    v = update_rules::fused(step.beta1, v, (T(1) - step.beta1) * g);
    s = update_rules::fused(step.beta2, s, (T(1) - step.beta2) * g * g);
    direction = v * step.correction1 / (update_rules::root(s * step.correction2) + step.epsilon);
  } else if (step.kind == OptimiserKind::sign) {
    direction = g > T(0) ? T(1) : (g < T(0) ? T(-1) : g);
  }
  if (step.decoupled_decay) direction = update_rules::fused(step.decay, theta, direction);
  const T drift = -step.rate * direction;
  return step.noise != T(0) ? update_rules::fused(step.noise, draw, drift) : drift;
}

}  // namespace widelab
