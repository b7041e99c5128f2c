#include "host/experiments/observables.hpp"

#include <cmath>
#include <limits>

#include "host/estimators/significance.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Numbers where all values are numbers, else text.
io::Axis axis_of(const io::SweepAxis& sweep) {
  io::Axis axis;
  axis.name = sweep.label;
  axis.units = "1";
  axis.description = "swept: " + sweep.key;
  std::vector<double> numbers;
  std::vector<std::string> texts;
  for (const io::Value& value : sweep.values) {
    texts.push_back(io::canonical_text(value));
    if (const auto* integer = std::get_if<std::int64_t>(&value)) numbers.push_back(static_cast<double>(*integer));
    if (const auto* real = std::get_if<double>(&value)) numbers.push_back(*real);
  }
  if (numbers.size() == texts.size())
    axis.values = numbers;
  else
    axis.values = texts;
  return axis;
}

}  // namespace

CellGrid::CellGrid(const io::Sweep& sweep) {
  if (sweep.full_product && !sweep.axes.empty()) {
    for (const io::SweepAxis& axis : sweep.axes) axes_.push_back(axis_of(axis));
    for (const io::Cell& cell : sweep.cells) {
      std::size_t position = 0;
      for (std::size_t a = 0; a < sweep.axes.size(); ++a)
        position = position * sweep.axes[a].values.size() + cell.subscripts[a];
      position_.push_back(position);
    }
    return;
  }
  std::vector<std::string> names;
  for (std::size_t c = 0; c < sweep.cells.size(); ++c) {
    names.push_back(sweep.cells[c].name);
    position_.push_back(c);
  }
  io::Axis axis;
  axis.name = "cell";
  axis.units = "1";
  axis.description = "cells of the sweep";
  axis.values = names;
  axes_.push_back(axis);
}

std::vector<std::string> CellGrid::dims() const {
  std::vector<std::string> dims;
  for (const io::Axis& axis : axes_) dims.push_back(axis.name);
  return dims;
}

std::vector<std::size_t> CellGrid::shape() const {
  std::vector<std::size_t> shape;
  for (const io::Axis& axis : axes_) shape.push_back(std::visit([](const auto& v) { return v.size(); }, axis.values));
  return shape;
}

std::size_t CellGrid::size() const {
  std::size_t size = 1;
  for (const std::size_t extent : shape()) size *= extent;
  return size;
}

Prediction Prediction::none() { return {kNaN, kNaN}; }

std::size_t Inner::size() const {
  std::size_t size = 1;
  for (const std::size_t extent : shape) size *= extent;
  return size;
}

namespace {

Inner one_axis(const std::string& dim, std::size_t extent) { return dim.empty() ? Inner{} : Inner{{dim}, {extent}}; }

}  // namespace

ObservableBuilder::ObservableBuilder(const CellGrid& grid, std::string name, std::string units, std::string description,
                                     std::string prediction, Inner inner)
    : grid_(grid), inner_(inner.size()) {
  observable_.name = std::move(name);
  observable_.units = std::move(units);
  observable_.description = std::move(description);
  observable_.prediction = std::move(prediction);
  observable_.dims = grid.dims();
  observable_.dims.insert(observable_.dims.end(), inner.dims.begin(), inner.dims.end());
  for (auto* values : {&observable_.mean, &observable_.se, &observable_.count, &observable_.theory,
                       &observable_.theory_error, &observable_.z})
    values->assign(grid.size() * inner_, kNaN);
}

ObservableBuilder::ObservableBuilder(const CellGrid& grid, std::string name, std::string units, std::string description,
                                     std::string prediction, const std::string& inner_dim, std::size_t inner)
    : ObservableBuilder(grid, std::move(name), std::move(units), std::move(description), std::move(prediction),
                        one_axis(inner_dim, inner)) {}

void ObservableBuilder::set(std::size_t cell, std::size_t entry, const estimators::Estimate& estimate,
                            Prediction prediction) {
  const std::size_t k = grid_.position(cell) * inner_ + entry;
  observable_.mean[k] = estimate.value;
  observable_.se[k] = estimate.se;
  observable_.count[k] = estimate.count;
  observable_.theory[k] = prediction.value;
  observable_.theory_error[k] = prediction.error;
  if (std::isfinite(prediction.value) && estimate.defined())
    observable_.z[k] = estimators::z_score(estimate.value, estimate.se, prediction.value, prediction.error);
}

io::NamedArray cell_array(const CellGrid& grid, const std::string& name, const std::string& description,
                          std::vector<double> values, const Inner& inner) {
  io::NamedArray array;
  array.name = name;
  array.units = "1";
  array.description = description;
  array.dims = grid.dims();
  array.shape = grid.shape();
  array.dims.insert(array.dims.end(), inner.dims.begin(), inner.dims.end());
  array.shape.insert(array.shape.end(), inner.shape.begin(), inner.shape.end());
  array.values = std::move(values);
  return array;
}

io::NamedArray cell_array(const CellGrid& grid, const std::string& name, const std::string& description,
                          std::vector<double> values, const std::string& inner_dim, std::size_t inner) {
  return cell_array(grid, name, description, std::move(values), one_axis(inner_dim, inner));
}

}  // namespace widelab::experiments
