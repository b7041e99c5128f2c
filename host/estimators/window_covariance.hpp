// Covariance of a window of a trajectory, and time series along directions of it: one pass each, the trajectory is
// never stored.
#pragma once

#include <span>
#include <vector>

#include "widelab/base/types.hpp"

namespace widelab::estimators {

/// Vectors w_0 .. w_{W-1} of D numbers, one after another: mean and C = (1/(W - 1)) sum_t (w_t - mean)(w_t - mean)^T,
/// by updates of rank kBuffer of the upper triangle, of differences to w_0 (so that nothing cancels but the drift
/// within the window). W D^2 multiplications, 8 D^2 bytes.
class WindowCovariance {
 public:
  /// ContractError for D < 1.
  explicit WindowCovariance(Index dimension);

  void add(const double* vector);
  Index count() const { return count_; }
  std::vector<double> mean() const;  ///< D
  /// D x D, row-major and exactly symmetric. ContractError with fewer than two vectors.
  std::vector<double> covariance();

 private:
  static constexpr Index kBuffer = 64;
  void gather();

  Index dimension_, count_ = 0, waiting_ = 0;
  std::vector<double> first_, sum_, products_, buffer_;
};

/// The same window seen along K fixed directions: series x_k(t) = p_k . (w_t - origin).
class WindowProjections {
 public:
  /// `directions` K x D, `origin` D numbers.
  WindowProjections(std::vector<double> directions, std::vector<double> origin);

  void add(const double* vector);
  /// All numbers x_k(0), x_k(1), .. so far.
  std::vector<double> series(Index direction) const;

 private:
  Index dimension_, directions_count_;
  std::vector<double> directions_, origin_, difference_, values_;  // values_: time x K
};

/// Steps after which the autocorrelation c_k / c_0 of a series about its mean, c_k = (1/(W - k)) sum_t x_t x_{t+k}, has
/// fallen to 1/e; linear between the two lags around it. NaN if it stays above over the first W/2 lags, for a series
/// without variance, and for fewer than 4 numbers.
double correlation_time(std::span<const double> series);

}  // namespace widelab::estimators
