// Losses, errors and flatness of trained networks, away from the trainer: in fp64, at any parameters.
#pragma once

#include <vector>

#include "host/experiments/training_cell.hpp"

namespace widelab::experiments {

/// f of one network, or of several (count x P parameters), on a set: count x N x k.
std::vector<double> outputs_of(const TrainingCell& cell, runtime::Backend& backend,
                               const std::vector<double>& parameters, const data::Dataset& set);

/// Mean loss over the examples of a set; `outputs`: N x k.
double mean_loss(LossKind loss, const double* outputs, const data::Dataset& set);

/// Share of a set's examples that is put into a wrong class; `outputs`: N x k.
double error_rate(const double* outputs, const data::Dataset& set);

/// Mean losses of several parameter vectors (count x P) on a set.
std::vector<double> mean_losses(const TrainingCell& cell, runtime::Backend& backend,
                                const std::vector<double>& parameters, const data::Dataset& set);

/// Normal directions of weights; biases stay.
struct RandomDirections {
  Index count = 1;
  double radius = 0;     ///< rho
  bool by_unit = false;  ///< length rho |w| for the incoming weights of each unit by itself, else of all weights
  StreamId draws;
};

/// L(w + d_k) - L(w) of the mean training loss for every direction.
std::vector<double> loss_rises(const TrainingCell& cell, runtime::Backend& backend,
                               const std::vector<double>& parameters, const RandomDirections& directions);

}  // namespace widelab::experiments
