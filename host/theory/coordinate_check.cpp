#include "host/theory/coordinate_check.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace widelab::theory {
namespace {

/// The table's rows as direct movements of a layer's affine output, in powers of n.
class Movements {
 public:
  explicit Movements(const CoordinateCase& setting)
      : setting_(setting),
        table_(scaling_table(setting.parametrization == Parametrization::mean_field && setting.depth > 1
                                 ? Parametrization::mup
                                 : setting.parametrization)) {}

  /// s: the output's derivative by a hidden unit is n^-s.
  double signal() const {
    const ScalingRow& readout = row(ParameterRole::output);
    return readout.multiplier_a + readout.init_b;
  }

  /// By a step of `role`, whose layer sees n^-`signal` and sums coherently over n^`fan_in` inputs.
  double direct(ParameterRole role, double signal, double fan_in) const {
    const ScalingRow& r = row(role);
    const bool adam = setting_.step == StepKind::adam;
    const double rate = setting_.rate_power + (!setting_.table_rates ? 0.0 : adam ? r.adam_rate_c : r.sgd_rate_c);
    const double gradient = adam ? 0.0 : -r.multiplier_a - signal;
    return rate - r.multiplier_a + gradient + fan_in;
  }

  /// Larger of `weights` and the movement by the layer's bias.
  double with_bias(double weights, ParameterRole bias, double signal) const {
    return setting_.biases ? std::max(weights, direct(bias, signal, 0.0)) : weights;
  }

 private:
  const ScalingRow& row(ParameterRole role) const { return table_.rows[static_cast<std::size_t>(role)]; }

  const CoordinateCase& setting_;
  const ScalingTable& table_;
};

}  // namespace

CoordinateExponents coordinate_exponents(const CoordinateCase& setting) {
  const Movements move(setting);
  const double s = move.signal();
  CoordinateExponents out;
  out.first_layer = move.with_bias(move.direct(ParameterRole::input, s, 0.0), ParameterRole::hidden_bias, s);
  out.hidden_layers = std::numeric_limits<double>::quiet_NaN();
  double last = out.first_layer;
  if (setting.depth > 1) {
    const double direct = move.direct(ParameterRole::hidden, s, 1.0);
    last = std::max(last, move.with_bias(direct, ParameterRole::hidden_bias, s));
    out.hidden_layers = last;
  }
  const double readout = move.with_bias(move.direct(ParameterRole::output, 0.0, 1.0), ParameterRole::output_bias, 0.0);
  out.output = std::max(readout, 1.0 - s + last);
  out.initial_output = 0.5 - s;
  return out;
}

}  // namespace widelab::theory
