// Observables of a training experiment straight from its statistics: one for each observer, over cells, steps and the
// observer's entries.
#pragma once

#include <string>
#include <vector>

#include "host/experiments/observables.hpp"
#include "host/experiments/training_cell.hpp"

namespace widelab::experiments {

/// Collects the means of observers over networks. All cells have the same observers and steps.
class ObservedResult {
 public:
  ObservedResult(const CellGrid& grid, const TrainingCell& first);

  /// Statistics and attributes of a finished cell's file.
  void add(std::size_t cell, const TrainingCell& training, const estimators::TrainingStatistics& statistics,
           const io::Attributes& attributes);

  /// The axis `step`, an axis NAME_entry for each observer of several entries, an observable for each observer, and by
  /// cell: diverged and converged networks, the learning rate per step, update_to_ulp, lost_update_share.
  void write(io::Result& result);

 private:
  struct Quantity {
    std::string name;
    std::vector<std::string> labels;
    ObservableBuilder builder;
  };
  const CellGrid& grid_;
  std::vector<double> steps_;
  std::vector<Quantity> quantities_;
  std::vector<double> diverged_, converged_, rate_, update_to_ulp_, lost_;
};

/// The axis `step`.
io::Axis step_axis(const std::vector<Index>& steps);

}  // namespace widelab::experiments
