// Whether training steps survive rounding: intended increments against the spacing of the stored numbers.
#pragma once

#include <string>

#include "host/engine/trainer.hpp"

namespace widelab::engine {

/// Of one member at one step. "Stored number": theta in place, D in displacement storage; ulp: the distance from its
/// magnitude to the next larger number of the run's precision. An increment below half an ulp leaves the number as it
/// is.
struct PrecisionReport {
  Index member = 0, step = 0;
  Precision precision = Precision::fp32;
  WeightStorage storage = WeightStorage::in_place;
  Index increments = 0;          ///< parameters with an increment other than 0
  double lost_count_share = 0;   ///< of these, below half an ulp
  double lost_update_share = 0;  ///< sum |increment| over those, relative to the sum over all
  double update_to_ulp = 0;      ///< mean |increment| / mean ulp, over parameters with an increment other than 0
};

/// The increments of the member's next step are those that fp64 would make from the same, widened state (one shadow
/// step; the member is not touched). Online: the data set at hand must hold that step. A member whose shadow step
/// diverges has no increments.
PrecisionReport report_precision(runtime::Backend& backend, const Trainer& trainer, Index member);

/// Above this share of lost |update|, a run in place deserves a warning.
inline constexpr double kLostUpdateWarning = 0.01;

/// One line for the user, naming the way out; empty where nothing is to be said (displacement storage, or less than
/// kLostUpdateWarning lost).
std::string precision_warning(const PrecisionReport& report);

}  // namespace widelab::engine
