// What is known exactly of a cell of `langevin`: the Gibbs law of small steps, and where the readout alone is trained
// the stationary law at the cell's own step size.
#pragma once

#include <vector>

#include "host/experiments/langevin_cell.hpp"

namespace widelab::experiments {

/// Of f at the points of the cell, and of its two scalars.
struct PosteriorMoments {
  std::vector<double> mean, variance;  ///< points
  double loss = 0;                     ///< E (1/2) sum (f - y)^2 over the training points
  double virial = 1;                   ///< E theta.grad U / (p T) of the readout
};

struct LangevinPrediction {
  PosteriorMoments gibbs;  ///< steps -> 0; all layers: and width -> infinity, except for the virial, 1 at any width
  PosteriorMoments step;   ///< at this step size; all layers: the same as `gibbs`, a limit
  /// n Var(mean of n draws) / Var(draw) of f at the points, n the cell's draws; NaN where all layers are trained.
  std::vector<double> autocorrelation_time;
  bool exact = false;  ///< whether `step` is exact, and `gibbs` for small steps at this width
};

/// Readout alone: e = w - w* is Gaussian in the Gibbs law with covariance T (Hess U)^-1; at a step size S is the fixed
/// point of the second-moment closure (host/theory/sgd_regression.hpp), exact with minibatches too, and E[e_t+k e_t^T]
/// = A^k S. All layers: host/theory/gaussian_posterior.hpp with the NNGP kernel of the prior.
LangevinPrediction predict_langevin(const LangevinCell& cell);

}  // namespace widelab::experiments
