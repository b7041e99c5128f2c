// How far apart are a measurement and a prediction, and how often would chance alone do that?
#pragma once

#include <functional>
#include <span>
#include <utility>

#include "widelab/base/types.hpp"

namespace widelab::estimators {

/// (mean - theory) / sqrt(se^2 + theory_error^2). Where both errors are zero: 0 for equal numbers, else +-infinity.
double z_score(double mean, double se, double theory, double theory_error = 0);

/// P(|N(0,1)| > |z|).
double two_sided_p(double z);

/// The |z| beyond which at least one of `tests` independent standard normals falls with probability `alpha` (Sidak
/// 1967; conservative for positively dependent ones). Errors: ContractError unless 0 < alpha < 1 and tests >= 1.
double z_threshold(double alpha, Index tests = 1);

/// The acceptance region lo <= hits <= hi of a binomial count: P(below lo) <= alpha/2 and P(above hi) <= alpha/2.
/// Holds an observed coverage against its nominal value at false-alarm rate alpha.
std::pair<Index, Index> binomial_acceptance(Index trials, double probability, double alpha);

struct KsResult {
  double statistic = 0;  // largest distance between the two distribution functions
  double p = 1;
};

/// Kolmogorov's limiting tail P(K > lambda), K = sup of the Brownian bridge's modulus.
double kolmogorov_tail(double lambda);

/// Two-sample Kolmogorov-Smirnov test; p from the limit law with Stephens' (1970) small-sample argument
/// (sqrt n_e + .12 + .11 / sqrt n_e) D, n_e = n m / (n + m). Ties make it conservative. Errors: ContractError for an
/// empty sample or a value that is not finite.
KsResult ks_two_sample(std::span<const double> a, std::span<const double> b);

/// One-sample test against a continuous distribution function; p as above with n_e = n.
KsResult ks_one_sample(std::span<const double> sample, const std::function<double(double)>& cdf);

}  // namespace widelab::estimators
