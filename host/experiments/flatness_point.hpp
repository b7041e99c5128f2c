// The layer of a `variance-flatness` cell at one point of training: its weights as they are stored, and the mean
// training loss around them.
#pragma once

#include <vector>

#include "host/engine/trainer.hpp"
#include "host/estimators/flatness.hpp"
#include "host/estimators/layer_curvature.hpp"
#include "host/experiments/flatness_cell.hpp"
#include "host/runtime/backend.hpp"
#include "host/theory/linear_dynamics.hpp"

namespace widelab::experiments {

/// Place of the layer's first weight among the P parameters.
Index first_weight(const FlatnessCell& cell);
/// Steps of the layer's weights on the mean loss.
theory::LinearTraining layer_training(const FlatnessCell& cell);

/// theta of a member (P), with all that a displacement holds of it.
std::vector<double> whole_parameters(const engine::Trainer& trainer, Index member);
/// The P numbers that steps are added to, and rounded with: theta, or theta - theta_0.
std::vector<double> stored_numbers(const engine::Trainer& trainer, Index member);
/// Variance that this rounding adds in one step along each direction of the layer (rows of layer_size() numbers):
/// ulp^2 / 12 a weight.
std::vector<double> rounding_along(const FlatnessCell& cell, const std::vector<double>& directions,
                                   const std::vector<double>& stored);

class LayerPoint {
 public:
  LayerPoint(const FlatnessCell& cell, std::vector<double> parameters);
  LayerPoint(const LayerPoint&) = delete;
  LayerPoint& operator=(const LayerPoint&) = delete;

  const std::vector<double>& parameters() const { return parameters_; }
  const estimators::LayerLoss& loss() const { return loss_; }
  std::vector<double> matrix(estimators::LayerMatrix which) const;  ///< layer_size()^2
  std::vector<double> gradient(runtime::Backend& backend) const;    ///< layer_size()

 private:
  /// A curvature problem of the network and its training loss at this point.
  template <class Problem>
  Problem here() const;

  const FlatnessCell& cell_;
  std::vector<double> parameters_, features_;
  estimators::LayerLoss loss_;
};

}  // namespace widelab::experiments
