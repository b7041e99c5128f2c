// Can a second moment, and with it E[X^2] / E[X]^2, be estimated from R replicates at all?
//
// Products over layers make kernels of deep networks nearly log-normal, X = exp(m + s N). The mean of X^2 lives at
// N = 2s and that of X^4, which sets the error bar of the former, at N = 4s; R replicates reach N = sqrt(2 log R).
//   s^2 > log(R) / 2: E[X^2] itself is out of reach, the plain estimate is far too low with a small error bar (this is
//                     the freezing of the random energy model, Derrida 1981);
//   s^2 > log(R) / 8: more than half of E[X^4] is out of reach, so the error bar cannot be believed.
// In terms of the effective count R_eff = (sum X^2)^2 / sum X^4, the number of replicates that carry the second moment,
// a log-normal has R_eff = R exp(-4 s^2), so the second border is R_eff = sqrt(R). Measured power sums give the same
// border: beyond it the largest terms dominate sum X^4, log R_eff / log R = 2 + 4u - 4 sqrt(2u) with u = s^2 / log R,
// which falls from 1/2 at u = 1/8 to 0 at u = 1/2. So one criterion serves both. (Derived here.)
#pragma once

#include <span>

#include "widelab/base/types.hpp"

namespace widelab::estimators {

/// Below this effective count the second moment is known no better than to 20 %, whatever R is.
inline constexpr double kLeastEffectiveCount = 25;

struct MomentReliability {
  bool reliable = false;
  double effective_count = 0;  // R_eff
  double relative_se = 0;      // of the mean of X^2: sqrt(1 / R_eff - 1 / R)
};

/// From measured means of X^2 and X^4 over `count` replicates: reliable iff R_eff >= max(sqrt(count), 25).
/// Errors: ContractError unless count >= 1, mean_x2 >= 0 and mean_x4 >= mean_x2^2 up to rounding.
MomentReliability plain_moment_reliability(double mean_x2, double mean_x4, double count);

/// From theory, before any draw: the same criterion for a log-normal with Var(log X) = log_variance, which is
/// 8 log_variance <= log(count) once count >= 625. Where only the ratio rho = E[X^2]/E[X]^2 is known, pass log(rho).
MomentReliability lognormal_moment_reliability(double log_variance, double count);

inline bool plain_moment_is_reliable(double mean_x2, double mean_x4, double count) {
  return plain_moment_reliability(mean_x2, mean_x4, count).reliable;
}
inline bool lognormal_moment_is_reliable(double log_variance, double count) {
  return lognormal_moment_reliability(log_variance, count).reliable;
}

/// How few replicates carry a sum of squares: the shares of the largest term and of the largest 1 % (at least one).
struct TailShare {
  double largest = 0;
  double top_percent = 0;
};

/// Errors: ContractError for an empty sample or one with NaN or Inf. A sample of zeros has shares 0.
TailShare tail_share_of_squares(std::span<const double> sample);

}  // namespace widelab::estimators
