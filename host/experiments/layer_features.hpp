// What enters a layer of a network.
#pragma once

#include <vector>

#include "widelab/base/view.hpp"
#include "widelab/model/parametrization.hpp"

namespace widelab::experiments {

/// h_layer of every input, N x fan_in(layer), 1 <= layer <= depth: features of the hidden layer below, made in fp64 on
/// the CPU. `parameters` as ParamLayout lays them.
std::vector<double> layer_features(const Network& network, const std::vector<double>& parameters, Index layer,
                                   MatrixView<const double> inputs);

}  // namespace widelab::experiments
