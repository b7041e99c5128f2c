// From finite steps and widths to the limits that theory speaks of: every observable extrapolated to 0 along a swept
// key (a step size, a noise), and what is left over the width.
#pragma once

#include <string>
#include <vector>

#include "host/experiments/experiment.hpp"
#include "host/experiments/observables.hpp"

namespace widelab::experiments {

/// The key `fit.degree`.
io::KeySpec limit_fit_key();

/// The swept key that goes to 0: its full path, what to append to names, and its limit in words ("step size 0").
struct LimitAxis {
  std::string key, suffix, words;
};

/// A limit and how its theory is to be read.
struct LimitTheory {
  std::vector<double> value;  ///< cells of the grid x inner entries; the same all along the axis
  std::string words;          ///< which law
  bool exact = true;          ///< false: a limit of infinite width beside finite networks
};

class AxisLimits {
 public:
  /// Needs a full product of swept keys with the axis at fit.degree + 1 values or more; otherwise nothing is written.
  AxisLimits(const RunSetup& setup, const CellGrid& grid, LimitAxis axis);

  /// NAME + suffix over the other axes, by a polynomial in the swept number; its slope, chi2_per_dof and chi2_p as
  /// extras, and mean_is_exact = 0 where theory is not.
  void extrapolate(const io::Observable& of, const LimitTheory& theory, io::Result& result);

  /// For an observable without inner entries, NAME_width_shift = n (NAME + suffix - theory) along the axis `width`
  /// of the sweep, beside the allowance c + b / n of the two smallest widths; NAME_width_exponent (p, its error,
  /// p-value of chi^2) of a power law n^-p through the deviations.
  void shift_with_width(const io::Observable& of, io::Result& result);

 private:
  /// Widths in increasing order, and where they lie among such positions.
  struct WidthPlaces {
    std::vector<double> widths;
    std::vector<std::size_t> places;
  };
  std::size_t reduced(std::size_t cell) const;  ///< position of a cell without its place along the axis
  std::vector<WidthPlaces> width_lines(const std::vector<double>& widths, std::size_t axis) const;

  bool active_ = false;
  int degree_ = 1;
  const RunSetup& setup_;
  const CellGrid& grid_;
  LimitAxis axis_;
  std::size_t swept_ = 0;            ///< number of the axis
  std::vector<std::size_t> others_;  ///< the other axes
  std::vector<std::string> dims_;
  std::vector<std::size_t> shape_;
  std::size_t size_ = 1;
};

}  // namespace widelab::experiments
