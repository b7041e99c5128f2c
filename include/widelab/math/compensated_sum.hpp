// Sums whose rounding error does not grow with the number of terms.
#pragma once

#include <cmath>

#include "widelab/base/host_device.hpp"

namespace widelab {

/// Neumaier's improvement of Kahan's summation (Neumaier 1974, ZAMM 54, 39): |error| <= eps |sum| + (n eps)^2 sum|x|.
/// Call the object with each term; value() is the sum so far. Needs strict IEEE arithmetic (no -ffast-math).
template <class T>
class CompensatedSum {
 public:
  WIDELAB_HD void operator()(T x) {
    const T total = sum_ + x;
    correction_ += fabs(sum_) >= fabs(x) ? (sum_ - total) + x : (x - total) + sum_;
    sum_ = total;
  }
  WIDELAB_HD T value() const { return sum_ + correction_; }

 private:
  T sum_ = T(0);
  T correction_ = T(0);
};

}  // namespace widelab
