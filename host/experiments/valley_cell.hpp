// One cell of `effective-landscape`, the valley: walkers (x, y) on a line of minima whose curvature across it varies,
// with noise whose strength depends on the place.
//
// Loss (1/2) lambda(x) y^2, lambda(x) = m + a sin x on a circle of 2 pi. A step from (x, y) with independent N(0, 1)
// numbers z:
//   x <- x - eta (lambda'(x) y^2 / 2 - sqrt(c_x) z_x),   y <- y - eta (lambda(x) y - sqrt(c_y(x)) z_y),
// c_y = D lambda(x) (proportional) or D (white), D = kappa c_x. Time is counted as eta^2 c_x x steps: along a flat
// valley the mean square of x grows by it.
#pragma once

#include <string>
#include <vector>

#include "host/experiments/experiment.hpp"
#include "host/experiments/sample_job.hpp"
#include "host/theory/valley.hpp"

namespace widelab::experiments {

struct ValleyCell {
  theory::ValleyModel model;
  double mean = 2, amplitude = 1.5;  ///< m, a
  double burn_in = 0, time = 0;      ///< in units of 1 / (eta^2 c_x) steps
  Index bins = 32;
  Index walkers = 0;
  std::uint64_t key = 0;        ///< of the walkers' starts and noise
  std::vector<Index> observed;  ///< steps at which the curvature under the walkers is kept, from 0
  std::string fingerprint;

  double curvature(double x) const;
  double slope(double x) const;              ///< lambda'
  double time_of(std::size_t number) const;  ///< of an observed step
  Index steps_of(double time_units) const;
  Index burn_in_steps() const { return steps_of(burn_in); }
  Index steps() const { return steps_of(burn_in + time); }

  // Columns of a walker's row: averages after the burn-in, then single steps.
  Index visits(Index bin) const { return bin; }  ///< share of the steps
  Index mean_curvature() const { return bins; }
  /// y^2 over what equilibrium at a fixed x would give, eta c_y / (lambda (2 - eta lambda)).
  Index equilibrium() const { return bins + 1; }
  Index curvature_at(std::size_t time_number) const { return bins + 2 + static_cast<Index>(time_number); }
  Index numbers() const { return curvature_at(observed.size()); }
};

/// Keys of `[valley]`.
std::vector<io::KeySpec> valley_keys();

/// Throws RecipeError for a curvature that is not positive or beyond 2 / eta somewhere.
ValleyCell make_valley_cell(const RunSetup& setup, const io::Cell& at);

/// Walkers start uniformly along x at y = 0. None diverges: |1 - eta lambda| < 1 everywhere.
SampleTask valley_task(const ValleyCell& cell);
CellPlan plan_valley_cell(const ValleyCell& cell, const std::string& name);

}  // namespace widelab::experiments
