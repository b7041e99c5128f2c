// How fast deviations fall with width: fits A n^-p (1 + b/n) along the width axis of a sweep, with bootstrap intervals
// over networks, and local slopes.
#pragma once

#include <string>
#include <vector>

#include "host/estimators/estimate.hpp"
#include "host/experiments/experiment.hpp"
#include "host/experiments/observables.hpp"

namespace widelab::experiments {

/// Keys of `[fit]`.
std::vector<io::KeySpec> width_fit_keys();

/// The cells along the width axis at fixed other coordinates, by increasing width.
struct WidthLine {
  std::vector<double> widths;
  std::vector<std::size_t> positions;  ///< in the grid
  std::vector<std::size_t> cells;
};

/// One line for each combination of the other axes, in their row-major order; none unless the sweep is a full product
/// with model.width among its axes.
std::vector<WidthLine> width_lines(const io::Sweep& sweep, const CellGrid& grid);

/// Quantities that are fitted, each with `inner` entries along the axis `inner_dim` (none: one).
struct FittedQuantities {
  std::vector<std::string> names;
  std::string inner_dim;
  std::size_t inner = 1;
};

class WidthFits {
 public:
  /// Fits need a full product of swept keys with `width` among them; otherwise nothing is collected or written.
  WidthFits(const RunSetup& setup, const CellGrid& grid, FittedQuantities quantities);

  /// The mean of a quantity in a cell: its estimate, and the groups of networks behind it (one entry).
  void add(std::size_t cell, std::size_t quantity, const estimators::Estimate& value, estimators::GroupSample groups,
           std::size_t entry = 0);

  /// For each quantity NAME: NAME_fit over the other axes and `fit_number`, NAME_local_slope and its error over all
  /// axes (the slope from a width to the next; NaN at the last), and an attribute with the reasons where there is no
  /// fit.
  void write(io::Result& result) const;

 private:
  struct Curve;
  std::vector<Curve> curves(std::size_t quantity, std::size_t entry) const;
  std::size_t slot(std::size_t position, std::size_t entry) const { return position * quantities_.inner + entry; }

  const RunSetup& setup_;
  const CellGrid& grid_;
  FittedQuantities quantities_;
  std::vector<WidthLine> lines_;
  std::vector<std::vector<estimators::GroupSample>> samples_;  // by quantity, by slot; no groups = not finished
  std::vector<std::vector<estimators::Estimate>> values_;
};

/// Column `entry` of a sample, alone.
estimators::GroupSample one_entry(const estimators::GroupSample& sample, Index entry);

}  // namespace widelab::experiments
