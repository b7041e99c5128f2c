// Training the readout alone is linear regression on the features of the hidden layer, whatever the network: there
// SGD's second moments close, and the laws of host/theory/sgd_regression.hpp hold exactly.
#pragma once

#include <vector>

#include "host/experiments/training_cell.hpp"
#include "host/theory/sgd_regression.hpp"

namespace widelab::experiments {

struct ReadoutRegression {
  Index examples = 0, dimension = 0;  ///< N, and p = width of the last hidden layer
  std::vector<double> inputs;         ///< N x p: features times the readout's forward multiplier
  std::vector<double> targets;        ///< N
  std::vector<double> parameters;     ///< P: the network as drawn, its readout at the minimiser
  theory::RegressionSgd sgd;          ///< order epochs: sampling says nothing
  Index first_parameter = 0;          ///< where the readout's weights lie in `parameters`
  theory::RegressionNoise noise() const;
};

/// The regression that `cell` is, with the hidden layers of its network 0. Features are made in fp64 on the CPU. Throws
/// RecipeError for a network of which anything but the readout's weights is trained, several outputs, a loss that is
/// not squared, and rules of training that no law here covers.
ReadoutRegression readout_regression(const io::Recipe& recipe, const TrainingCell& cell);

}  // namespace widelab::experiments
