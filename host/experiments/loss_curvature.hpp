// Curvature of a cell's mean training loss at given parameters.
#pragma once

#include <vector>

#include "host/estimators/curvature_operator.hpp"
#include "host/experiments/training_cell.hpp"

namespace widelab::experiments {

/// The mean loss of training examples first .. first + count - 1 (count 0: of all) at `parameters` (P), which, like the
/// cell, outlive the problem.
estimators::CurvatureProblem training_loss_at(const TrainingCell& cell, const std::vector<double>& parameters,
                                              Index first = 0, Index count = 0);

/// How many parameters a network trains: the dimension of that loss's Hessian.
Index trained_parameters(const Network& network);

/// Eigenvectors of the largest eigenvalues of the Hessian, largest first.
struct LeadingDirections {
  std::vector<Index> coordinates;  ///< place of each trained parameter among the P
  std::vector<double> vectors;     ///< count x trained parameters
  std::vector<double> curvature;   ///< count
  std::vector<double> bound;       ///< an eigenvalue lies within this much of each
};

/// By Lanczos's iteration from the normal draw `start`.
LeadingDirections leading_directions(const TrainingCell& cell, runtime::Backend& backend,
                                     const std::vector<double>& parameters, Index count, DrawId start);

}  // namespace widelab::experiments
