#include "host/experiments/width_allowance.hpp"

#include <cmath>

namespace widelab::experiments {

Prediction allowance_at(const ScaledShift& shift, std::size_t w) {
  if (w < kEstimatedWidths || w >= shift.widths.size()) return Prediction::none();
  const estimators::Estimate &first = shift.shift[0], &second = shift.shift[1];
  if (!first.defined() || !second.defined()) return Prediction::none();
  const double x1 = 1 / shift.widths[0], x2 = 1 / shift.widths[1], x = 1 / shift.widths[w];
  const double q = (x - x2) / (x1 - x2);
  return {q * first.value + (1 - q) * second.value, std::hypot(q * first.se, (1 - q) * second.se)};
}

}  // namespace widelab::experiments
