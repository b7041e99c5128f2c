// Learning-rate transfer: the best learning rate at every width, and how it drifts with the width.
#pragma once

#include <string>
#include <vector>

#include "host/estimators/estimate.hpp"
#include "host/experiments/experiment.hpp"
#include "host/experiments/observables.hpp"

namespace widelab::experiments {

/// Final losses of a cell, group by group of networks. A cell in which networks diverged has none.
struct FinalLoss {
  estimators::GroupSample groups;  ///< one entry
};

/// log2 of the best rate of a curve: vertex of the parabola through the smallest of the losses and its neighbours over
/// log2(rate); at an edge, the edge itself. NaN where no loss is a number. Rates ascend.
double best_log2_rate(const std::vector<double>& log2_rates, const std::vector<double>& losses);

/// For sweeps with train.learning_rate and model.width among their axes and a full product: best_log2_rate with its
/// error over the other axes, best_rate_at_edge (1: the sweep's range does not hold the optimum), and the power of the
/// width in the best rate with its error over the axes that are neither. Errors by jackknife over groups of networks;
/// cells share no draws. Nothing else is added.
void add_rate_transfer(const RunSetup& setup, const CellGrid& grid, const std::vector<FinalLoss>& losses,
                       io::Result& result);

}  // namespace widelab::experiments
