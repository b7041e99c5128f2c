#include "host/estimators/stop_rule.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "widelab/base/contract.hpp"

namespace widelab::estimators {

void StopRule::validate() const {
  WIDELAB_REQUIRE(se_rel > 0, "se_rel = " + std::to_string(se_rel) + ", allowed: above 0");
  WIDELAB_REQUIRE(first >= 1 && first <= max,
                  "first look at " + std::to_string(first) + " replicates, allowed: 1 to " + std::to_string(max));
}

std::vector<Index> StopRule::sizes() const {
  validate();
  std::vector<Index> out;
  for (Index size = first; size<max; size = size> max / 2 ? max : 2 * size) out.push_back(size);
  out.push_back(max);
  return out;
}

Index StopRule::next_size(Index done) const {
  const std::vector<Index> all = sizes();
  const auto at = std::upper_bound(all.begin(), all.end(), done);
  return at == all.end() ? max : *at;
}

double worst_relative_error(std::span<const Estimate> estimates) {
  double worst = 0;
  for (const Estimate& e : estimates) {
    if (!e.defined() || e.value == 0) return std::numeric_limits<double>::infinity();
    worst = std::max(worst, e.se / std::abs(e.value));
  }
  return worst;
}

bool StopRule::reached(std::span<const Estimate> estimates) const {
  return !estimates.empty() && worst_relative_error(estimates) <= se_rel;
}

}  // namespace widelab::estimators
