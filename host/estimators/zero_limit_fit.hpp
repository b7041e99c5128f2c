// What does a quantity tend to as a step size goes to zero? Richardson extrapolation with errors: a polynomial in the
// step through values at several steps, by weighted least squares.
#pragma once

#include <span>
#include <string>

#include "host/estimators/estimate.hpp"

namespace widelab::estimators {

/// y +- se measured at steps x > 0, with independent errors.
struct StepCurve {
  std::vector<double> x, y, se;
};

/// y = limit + slope x + ... + c x^degree. Errors from the measurements' own (the covariance (F^T W F)^-1, not scaled
/// by chi^2). `count`: steps. The numbers mean something only where ok().
struct ZeroLimit {
  Estimate limit, slope;
  double chi2 = 0, chi2_p = 1;  ///< p-value 1 where nothing is left over (dof = 0)
  Index dof = 0;
  std::string status;  ///< why there is no fit; empty when there is one

  bool ok() const { return status.empty(); }
};

/// degree 1 or 2; points with a value or an error that is not finite, or an error of 0, are left out. No fit, with its
/// reason, with fewer than degree + 1 different steps. ContractError for another degree, sizes that differ, or x <= 0.
ZeroLimit fit_zero_limit(const StepCurve& curve, int degree);

}  // namespace widelab::estimators
