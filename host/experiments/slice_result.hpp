// What replicas show of the landscape in a plane through a trained network: -log P beside the loss, and their
// difference.
#pragma once

#include "host/experiments/experiment.hpp"
#include "host/experiments/slice_cell.hpp"

namespace widelab::experiments {

/// One network's plane in units of T_eff = h_1 v_1, the temperature at which the sharp direction would obey Gibbs' law:
/// potential -log P, loss over T_eff, and their difference, L_SGD / T_eff; each up to a constant, by which its mean
/// over visits is 0. NaN in bins that were visited less than kLeastVisits times. bins x bins, sharp direction
/// outermost.
struct SlicePotentials {
  std::vector<double> potential, loss, noise;
};
inline constexpr double kLeastVisits = 20;
SlicePotentials slice_potentials(const SliceCell& cell, const double* row);

io::Result summarise_slice(const RunSetup& setup, const CellReader& read);

}  // namespace widelab::experiments
