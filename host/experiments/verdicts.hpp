// Joint tests of many entries against their predictions, as arrays of a result.
#pragma once

#include <cstdint>
#include <vector>

#include "host/estimators/estimate.hpp"
#include "host/io/result.hpp"

namespace widelab::experiments {

/// Numbers of a verdict: max|z|, its p-value, chi^2 a degree of freedom, its p-value.
inline constexpr std::size_t kVerdictNumbers = 4;

/// Columns first, first + 1, ... of the sample that have a prediction (not NaN), judged together; `out` is left as it
/// is where no test can be made. `rounding`: relative error of the values themselves (JointOptions).
void judge(const estimators::GroupSample& sample, Index first, const std::vector<double>& predicted, std::uint64_t key,
           double rounding, double* out);

/// The axis "verdict".
io::Axis verdict_axis();

}  // namespace widelab::experiments
