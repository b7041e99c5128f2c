// Stopping on precision, at sizes set before the first draw: looking more often would not change the bits of any
// replicate, but pre-set sizes keep a run's length a function of its recipe and of few looks at the data.
#pragma once

#include <span>
#include <vector>

#include "host/estimators/estimate.hpp"

namespace widelab::estimators {

struct StopRule {
  double se_rel = 0.01;   // wanted standard error relative to |value|
  Index first = 64;       // first number of replicates at which to look
  Index max = 1'000'000;  // stop here whatever the precision

  /// Errors: ContractError unless se_rel > 0 and 1 <= first <= max.
  void validate() const;

  /// first, 2 first, 4 first, ..., max: ascending, the last one always max.
  std::vector<Index> sizes() const;

  /// The smallest of sizes() above `done`, or max when there is none.
  Index next_size(Index done) const;

  /// True when every estimate is defined and has se <= se_rel |value|. Ask it of quantities that are not zero by
  /// symmetry: those never reach a relative error.
  bool reached(std::span<const Estimate> estimates) const;
};

/// The largest se / |value|; infinite where one is undefined or a value is zero.
double worst_relative_error(std::span<const Estimate> estimates);

}  // namespace widelab::estimators
