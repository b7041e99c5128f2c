#include "host/experiments/scaling_predictions.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace widelab::experiments {
namespace {

/// The table's row, SGD rates; without them c = 0. mean-field with two or more hidden layers is muP.
struct Rows {
  explicit Rows(const ScalingCase& setting) {
    const bool deep_mean_field = setting.parametrization == Parametrization::mean_field && setting.depth > 1;
    const ScalingTable& table = scaling_table(deep_mean_field ? Parametrization::mup : setting.parametrization);
    input = table.rows[static_cast<std::size_t>(ParameterRole::input)];
    hidden = table.rows[static_cast<std::size_t>(ParameterRole::hidden)];
    readout = table.rows[static_cast<std::size_t>(ParameterRole::output)];
    for (ScalingRow* row : {&input, &hidden, &readout})
      if (!setting.table_rates) row->sgd_rate_c = 0;
  }
  double backward() const { return readout.multiplier_a + readout.init_b; }
  ScalingRow input{}, hidden{}, readout{};
};

}  // namespace

double kernel_power(const ScalingCase& setting) {
  const Rows rows(setting);
  const double s = rows.backward();
  const auto power = [](const ScalingRow& row) { return row.sgd_rate_c - 2 * row.multiplier_a; };
  double theta = std::max(power(rows.input) + 1 - 2 * s, power(rows.readout) + 1);
  if (setting.depth > 1) theta = std::max(theta, power(rows.hidden) + 2 - 2 * s);
  return theta;
}

double rate_power(const ScalingCase& setting) { return setting.kernel_unit ? -kernel_power(setting) : 0.0; }

MovementExponents movement_exponents(const ScalingCase& setting) {
  const Rows rows(setting);
  const double rate = rate_power(setting), s = rows.backward();
  const auto power = [rate](const ScalingRow& row) { return rate + row.sgd_rate_c - row.multiplier_a; };
  return {power(rows.input) - s, power(rows.hidden) - s, power(rows.readout)};
}

double kernel_change_exponent(const ScalingCase& setting) {
  theory::CoordinateCase coordinates;
  coordinates.parametrization = setting.parametrization;
  coordinates.depth = setting.depth;
  coordinates.biases = false;
  coordinates.table_rates = setting.table_rates;
  coordinates.rate_power = rate_power(setting);
  const theory::CoordinateExponents exponents = theory::coordinate_exponents(coordinates);
  double e = exponents.first_layer;
  if (std::isfinite(exponents.hidden_layers)) e = std::max(e, exponents.hidden_layers);
  if (e > 0) return std::numeric_limits<double>::quiet_NaN();
  return e == 0 ? 0.0 : std::max(2 * e, e - 0.5);
}

}  // namespace widelab::experiments
