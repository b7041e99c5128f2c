// PCA of a window of a layer's weights, and exponents between what is found along its components.
#pragma once

#include <utility>
#include <vector>

#include "host/experiments/linear_null.hpp"
#include "host/theory/eigenbasis.hpp"

namespace widelab::experiments {

/// Of the components asked for, largest variance first; mean removed, sums over W - 1.
struct WindowComponents {
  std::vector<double> mean;        ///< D
  std::vector<double> variance;    ///< NaN where it is not above the rounding of the largest, D epsilon times it
  std::vector<double> directions;  ///< rows of D numbers, length 1
  std::vector<double> time;        ///< steps, see estimators::correlation_time
  double first_share = 0;          ///< of the trace, that component 0 holds
};

/// Two passes: covariance, then correlation times along the components found. All NaN, with directions of length 0, if
/// a number of the window is not finite.
WindowComponents window_components(Index dimension, const std::vector<Index>& components, const Replay& replay);

/// Rows first .. first + count - 1 of the eigenvectors, counted from the largest eigenvalue.
std::vector<double> leading_vectors(const theory::Eigenbasis& basis, Index first, Index count);

}  // namespace widelab::experiments
