// How fast deviations fall with width: fits A n^-p (1 + b/n) along the width axis of a sweep, with bootstrap intervals
// over networks, and local slopes.
#pragma once

#include <vector>

#include "host/estimators/kernel_statistics.hpp"
#include "host/experiments/experiment.hpp"
#include "host/experiments/observables.hpp"

namespace widelab::experiments {

/// Keys of `[fit]`.
std::vector<io::KeySpec> width_fit_keys();

class WidthFits {
 public:
  /// Fits need a full product of swept keys with `width` among them; otherwise nothing is collected or written.
  WidthFits(const RunSetup& setup, const CellGrid& grid);

  void add(std::size_t cell, const estimators::KernelStatistics& statistics);

  /// For each fitted scalar NAME: NAME_fit over the other axes and `fit_number`, NAME_local_slope and its error over
  /// all axes (the slope from a width to the next; NaN at the last), and an attribute with the reasons where there is
  /// no fit.
  void write(io::Result& result) const;

 private:
  struct Curve;
  std::vector<Curve> curves(Index scalar) const;

  const RunSetup& setup_;
  const CellGrid& grid_;
  std::size_t width_axis_ = 0;
  bool active_ = false;
  std::vector<std::vector<estimators::GroupSample>> samples_;  // by scalar, by grid position; no groups = not finished
  std::vector<std::vector<estimators::Estimate>> values_;
};

}  // namespace widelab::experiments
