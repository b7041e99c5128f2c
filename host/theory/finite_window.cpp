#include "host/theory/finite_window.hpp"

#include <string>

#include "widelab/base/errors.hpp"
#include "widelab/math/compensated_sum.hpp"

namespace widelab::theory {
namespace {

double length(Index window) {
  if (window < 2) throw RecipeError("window = " + std::to_string(window) + ": a window must have at least 2 steps");
  return static_cast<double>(window);
}

}  // namespace

WindowVariance window_variance(const std::vector<double>& autocovariance, Index window) {
  const double w = length(window);
  if (static_cast<Index>(autocovariance.size()) < window)
    throw RecipeError("window = " + std::to_string(window) + ": needs as many autocovariances, not " +
                      std::to_string(autocovariance.size()));
  const double spread = w * (w * w - 1.0) / 12.0;  // sum of the squared centred times
  CompensatedSum<double> mean, slope;
  for (Index lag = 0; lag < window; ++lag) {
    const double k = static_cast<double>(lag), n = w - k;
    const double g = (lag == 0 ? 1.0 : 2.0) * autocovariance[static_cast<std::size_t>(lag)];
    mean(g * n / w);
    slope(g * (n * (n * n - 1.0) / 12.0 - n * k * k / 4.0) / spread);
  }
  const double centred = autocovariance.front() - mean.value() / w;
  return {centred, centred - slope.value() / w};
}

WindowVariance ar1_window_variance(double decay, Index window) {
  if (!(decay > -1.0 && decay < 1.0))
    throw RecipeError("decay = " + std::to_string(decay) + ": must lie between -1 and 1 for a stationary process");
  length(window);
  std::vector<double> autocovariance{1.0};
  while (static_cast<Index>(autocovariance.size()) < window) autocovariance.push_back(autocovariance.back() * decay);
  return window_variance(autocovariance, window);
}

WindowVariance walk_window_variance(Index window) {
  const double w = length(window);
  return {(w * w - 1.0) / (6.0 * w), (w * w - 4.0) / (15.0 * w)};
}

WindowVariance bridge_window_variance(Index window) {
  const double w = length(window);
  return {(w + 1.0) / 12.0, (w * w - 4.0) / (15.0 * (w - 1.0))};
}

}  // namespace widelab::theory
