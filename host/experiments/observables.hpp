// Filling a result: one Observable over the cells of a sweep (and a further axis), entry by entry.
#pragma once

#include <string>
#include <vector>

#include "host/estimators/estimate.hpp"
#include "host/io/result.hpp"
#include "host/io/sweep.hpp"

namespace widelab::experiments {

/// The axes that cells are laid out on: those of the sweep, or, where it is not a full product, one axis of cells.
class CellGrid {
 public:
  explicit CellGrid(const io::Sweep& sweep);
  const std::vector<io::Axis>& axes() const { return axes_; }
  std::vector<std::string> dims() const;
  std::size_t size() const;  ///< cells in the grid
  std::size_t position(std::size_t cell) const { return position_[cell]; }
  std::vector<std::size_t> shape() const;

 private:
  std::vector<io::Axis> axes_;
  std::vector<std::size_t> position_;
};

/// Axes within a cell, outermost first; none: one number a cell.
struct Inner {
  std::vector<std::string> dims;
  std::vector<std::size_t> shape;
  std::size_t size() const;
};

/// A prediction: value, and the error of the prediction itself; NaN value = there is none.
struct Prediction {
  double value, error = 0;
  static Prediction none();
};

/// An observable of `inner` entries for each cell, all NaN at first.
class ObservableBuilder {
 public:
  ObservableBuilder(const CellGrid& grid, std::string name, std::string units, std::string description,
                    std::string prediction, Inner inner);
  ObservableBuilder(const CellGrid& grid, std::string name, std::string units, std::string description,
                    std::string prediction, const std::string& inner_dim = "", std::size_t inner = 1);
  void set(std::size_t cell, std::size_t entry, const estimators::Estimate& estimate, Prediction prediction);
  io::Observable take() { return std::move(observable_); }

 private:
  const CellGrid& grid_;
  std::size_t inner_;
  io::Observable observable_;
};

/// An array of doubles over the cells, for numbers without an error bar (fits, verdicts, flags).
io::NamedArray cell_array(const CellGrid& grid, const std::string& name, const std::string& description,
                          std::vector<double> values, const Inner& inner);
io::NamedArray cell_array(const CellGrid& grid, const std::string& name, const std::string& description,
                          std::vector<double> values, const std::string& inner_dim = "", std::size_t inner = 1);

}  // namespace widelab::experiments
