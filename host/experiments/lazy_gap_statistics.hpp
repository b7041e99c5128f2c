// Numbers of `lazy-gap` from the records of its networks: risks with the error of the test set, escapes and their
// quantiles, distances between networks and their linearisations.
#pragma once

#include <vector>

#include "host/experiments/lazy_gap_cell.hpp"
#include "host/experiments/sample_job.hpp"

namespace widelab::experiments {

/// Mean over networks of |f - y|^2, over the variance of y in the test set, so that a constant has risk 1. `outputs`:
/// one pointer a network to its outputs on the M test examples. Networks share the test set: the standard error has
/// that of their mean (over networks) and that of the ratio of means over test examples (linearised), added in squares.
/// Undefined with fewer than two networks.
estimators::Estimate normalised_risk(const std::vector<const double*>& outputs, const data::Dataset& test);

/// Variance of the test targets about their mean.
double test_variance(const data::Dataset& test);

/// By network the first observed step at which the largest |cosine| with every hidden direction is above the threshold;
/// infinite where that did not happen.
std::vector<double> escape_steps(const GapCell& cell, const estimators::SampleSink& sink);

/// Share of networks that have escaped by `step`; the standard error is that of a binomial at the share (k + 1) / (R +
/// 2), which is not 0 where all or none have.
estimators::Estimate escaped_share(const std::vector<double>& steps, double step);

/// A quantile of escape steps with a confidence interval from order statistics: the number of values below a quantile
/// is binomial (R, share), taken as normal and rounded outwards. Infinite where it is censored.
struct EscapeQuantile {
  double value, low, high;
};
EscapeQuantile escape_quantile(std::vector<double> steps, double share, double standard_deviations);

/// E max_j |cos(w_j, u)| of n independent directions w_j, uniform on the sphere of R^d, and a fixed u: the integral
/// over t in (0, 1) of 1 - P(|cos| <= t)^n, the density of the angle being proportional to sin^(d-2).
double mean_largest_cosine(Index neurons, Index dimension);

/// Rows network x times of the mean over test examples of |f - g|^2 / test_variance, f and g of the same network in two
/// cells. NaN for networks that diverged in one of them.
Samples distances(const GapCell& cell, const estimators::SampleSink& a, const estimators::SampleSink& b);

/// d log E distance / d log gamma0 between two cells, whose values of gamma0 have this ratio: rows network x times of
/// pseudo-values (delta method), whose mean is the slope of the means and whose spread is its error, whether or not the
/// cells share their networks.
Samples log_slopes(const Samples& below, const Samples& above, double ratio);

/// The slope as gamma0 -> 0. With centred outputs F = (f - f_0) / gamma0 and rates gamma0^2, parameters and
/// pre-activations move by O(gamma0), and F = J (theta - theta_0) / gamma0 + (theta - theta_0)^T H (theta - theta_0) /
/// (2 gamma0) + ..: smooth activations leave O(gamma0), squared 2. At a kink the second order fails: of a network of n
/// neurons O(n gamma0) have the kink between before and after, each is off by O(gamma0 / sqrt(n)) with a random sign,
/// and the square of their sum over gamma0 is O(gamma0): 1. (Derived here; for smooth activations Chizat, Oyallon and
/// Bach 2019.)
double lazy_slope(const Activation& activation);

}  // namespace widelab::experiments
