// Have Markov chains forgotten where they started, and how many independent draws are they worth?
#pragma once

#include <span>

#include "host/estimators/estimate.hpp"

namespace widelab::estimators {

/// Integrated autocorrelation time tau = 1 + 2 sum_k rho_k of a chain of n draws, by Geyer's (1992) initial monotone
/// sequence: autocovariances with the divisor n about the chain's own mean; pairs G_k = rho_2k + rho_2k+1 are summed as
/// long as they are positive, each at most as large as the one before, tau = -1 + 2 sum G_k. At least 1 / log10(n)
/// (Vehtari et al. 2021, who bound the effective sample size of antithetic chains in this way). Meant for reversible
/// chains much longer than tau; shorter ones give too small a tau. NaN for fewer than 4 draws, a draw that is not
/// finite, or draws that are all equal.
double autocorrelation_time(std::span<const double> chain);

/// n / tau: independent draws whose mean is as good. AR(1) with coefficient a: n (1 - a) / (1 + a).
double effective_sample_size(std::span<const double> chain);

/// What split-R-hat and pooled moments need of a chain: mean and variance (divisor h - 1) of its first and of its
/// second half, h = n / 2 rounded down; a middle draw is left out.
struct SplitChain {
  double first_mean = 0, second_mean = 0, first_variance = 0, second_variance = 0;
};

/// ContractError for fewer than 4 draws.
SplitChain split_chain(std::span<const double> chain);

/// Split-R-hat (Gelman et al. 2013, eqs. 11.3 and 11.4; without the rank normalisation of Vehtari et al. 2021) of m
/// chains as M = 2 m halves of h draws:
///   W = mean variance of a half, B = h x variance of the halves' means (divisor M - 1),
///   R-hat = sqrt(((h - 1) / h W + B / h) / W), 1 in the limit of long chains of one law.
/// Stationary chains of finite length give about 1 + (tau - 1) / (2 h). `se` by the jackknife over chains. Undefined
/// with fewer than three chains or without any spread within halves. ContractError unless h >= 2.
Estimate split_rhat(std::span<const SplitChain> chains, Index half_length);

}  // namespace widelab::estimators
