// Training the readout alone is linear regression on the features of the hidden layer, whatever the network: there
// SGD's second moments close, and the laws of host/theory/sgd_regression.hpp hold exactly.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "host/experiments/training_cell.hpp"
#include "host/theory/eigenbasis.hpp"
#include "host/theory/sgd_online.hpp"
#include "host/theory/sgd_regression.hpp"

namespace widelab::experiments {

/// The law of examples that no set ends: order online.
struct ReadoutPopulation {
  std::vector<double> covariance;  ///< p x p, of Gaussian inputs
  double noise_variance = 0;       ///< of y - x.w*: noise of targets and labels, and what the features cannot express
};

struct ReadoutRegression {
  Index examples = 0, dimension = 0;            ///< N, and p = width of the last hidden layer
  std::vector<double> inputs;                   ///< N x p: features times the readout's forward multiplier
  std::vector<double> targets;                  ///< N
  std::vector<double> parameters;               ///< P: the network as drawn, its readout at the minimiser
  theory::RegressionSgd sgd;                    ///< orders epochs and online: sampling says nothing
  Index first_parameter = 0;                    ///< where the readout's weights lie in `parameters`
  std::optional<ReadoutPopulation> population;  ///< order online, then without inputs and targets

  theory::RegressionNoise noise() const;    ///< of a set of examples
  theory::OnlineRegression online() const;  ///< of a population: input variances as modes() has them
  theory::Eigenbasis modes() const;         ///< of the loss's Hessian, weight decay included
};

/// The regression that `cell` is, with the hidden layers of its network 0. Features are made in fp64 on the CPU. Throws
/// RecipeError for a network of which anything but the readout's weights is trained, several outputs, a loss that is
/// not squared, and rules of training that no law here covers.
ReadoutRegression readout_regression(const io::Recipe& recipe, const TrainingCell& cell);

/// The same for order online, whose law is known for identity features of Gaussian inputs, linear targets, and plain
/// SGD without weight decay. RecipeError for anything else.
ReadoutRegression online_regression(const io::Recipe& recipe, std::uint64_t seed, const TrainingCell& cell);

}  // namespace widelab::experiments
