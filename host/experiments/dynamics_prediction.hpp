// What theory says of a cell of ntk-dynamics: the infinite ensemble at every observed step, and the linear maps that
// turn a network's first outputs into those of its linearisation.
#pragma once

#include <span>
#include <vector>

#include "host/experiments/training_cell.hpp"
#include "host/theory/linear_dynamics.hpp"

namespace widelab::experiments {

/// Points are the N training examples, then the M test examples; k outputs. Matrices are row-major.
struct DynamicsPrediction {
  Index train = 0, test = 0, outputs = 1;
  std::vector<Index> steps;
  theory::LinearTraining training;
  std::vector<double> targets;                    ///< points x k
  std::vector<double> nngp, ntk;                  ///< points x points, infinite width
  std::vector<double> eigenvalues;                ///< of the NTK on the training set, ascending
  std::vector<std::vector<double>> response;      ///< by step: A_t, points x N
  std::vector<theory::EnsembleMoments> ensemble;  ///< by step: the trained infinite ensemble at all points
  std::vector<theory::EnsembleMoments> flow;      ///< the same for gradient flow; empty with momentum
  std::vector<double> train_loss;                 ///< by step: expected objective of the infinite ensemble
  /// Mean over entries of E (f_0 - y)^2 of the infinite ensemble, the unit of squared deviations.
  double residual_scale = 1;

  Index points() const { return train + test; }
  double mean(std::size_t time, Index point, Index output) const {
    return ensemble[time].mean[static_cast<std::size_t>(point * outputs + output)];
  }
  double covariance(std::size_t time, Index p, Index q) const {
    return ensemble[time].covariance[static_cast<std::size_t>(p * points() + q)];
  }
};

/// Throws RecipeError where the linearised training has no closed form (all but full batches on a squared loss at a
/// constant rate with gd, heavy ball or Nesterov), and where the learning rate is beyond the limit of stability.
DynamicsPrediction predict_dynamics(const TrainingCell& cell);

/// Outputs (points x k) at step number `time` of the linearisation of a network with these first outputs, with the
/// infinite-width kernel.
std::vector<double> linearised(const DynamicsPrediction& prediction, std::size_t time,
                               std::span<const double> first_outputs);

/// The same with the network's own kernel at the start (points x points, one output). Kernels computed in fp32 are
/// positive semidefinite up to rounding only: `rounding` times their mean diagonal is added on the diagonal.
class OwnLinearisation {
 public:
  OwnLinearisation(const DynamicsPrediction& prediction, std::span<const double> first_ntk, double rounding);
  std::vector<double> outputs(std::size_t time, std::span<const double> first_outputs) const;
  double least_eigenvalue() const { return dynamics_.eigenvalues().front(); }

 private:
  const DynamicsPrediction& prediction_;
  std::vector<double> cross_;  ///< points x N
  theory::LinearDynamics dynamics_;
};

}  // namespace widelab::experiments
