// The leading finite-width correction of an ensemble: c / n, with c estimated where networks are narrow and tested
// where they are wide. An allowance that was chosen would make a test that cannot fail.
#pragma once

#include <vector>

#include "host/estimators/estimate.hpp"
#include "host/experiments/observables.hpp"

namespace widelab::experiments {

/// n (measured - limit) at the widths of a line, by increasing width.
struct ScaledShift {
  std::vector<double> widths;
  std::vector<estimators::Estimate> shift;
};

/// Widths from which the allowance is estimated.
inline constexpr std::size_t kEstimatedWidths = 2;

/// c + b / n through the two smallest widths, at width number w >= 2 of the line: the prediction of n (measured -
/// limit) there, with the error of both; none at w < 2 and where either is undefined. With x = 1 / n and q = (x - x_2)
/// / (x_1 - x_2) it is q s_1 + (1 - q) s_2.
Prediction allowance_at(const ScaledShift& shift, std::size_t w);

}  // namespace widelab::experiments
