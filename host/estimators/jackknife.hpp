// Functions of means over independent replicates, with the errors that follow from leaving out one replicate after the
// other.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "host/estimators/estimate.hpp"

namespace widelab::estimators {

/// A smooth function of the means of a row's numbers, and of the number of rows behind them.
using OfMeans = std::function<double(std::span<const double> means, double count)>;

/// The function at the means over all rows (rows x numbers); NaN without rows.
double of_means(std::span<const double> rows, Index numbers, const OfMeans& function);

/// Delete-one jackknife (Quenouille 1956, Tukey 1958) over independent rows: the bias-corrected value
/// n t - (n - 1) mean(t_(i)) and its error, whose variance is (n - 1) mean (t_(i) - mean)^2. Bias falls as n^-2.
/// Undefined with fewer than three rows or where a value is not finite. ContractError for rows of unequal length.
Estimate jackknife(std::span<const double> rows, Index numbers, const OfMeans& function);

}  // namespace widelab::estimators
