// How heavy a tail is: the exponent of P(X > t) ~ t^-alpha from the largest values of a sample.
#pragma once

#include <vector>

#include "host/estimators/estimate.hpp"

namespace widelab::estimators {

/// Hill's estimate k / sum_{i <= k} ln(x_(i) / x_(k+1)) from the k largest values (Hill 1975); NaN with fewer than k +
/// 1 positive ones.
double hill_exponent(const std::vector<double>& values, std::size_t kept);

/// The same from the largest `share` of values that come in independent rows (rows x columns; values of a row may
/// depend on each other): jackknife over rows at the threshold of the whole sample, without which it would be a
/// function of an order statistic, which a jackknife does not suit. Rows with a value that is not finite are left out.
/// Undefined with fewer than ten values kept. ContractError for a share outside (0, 1).
Estimate tail_exponent(const std::vector<double>& values, std::size_t columns, double share);

}  // namespace widelab::estimators
