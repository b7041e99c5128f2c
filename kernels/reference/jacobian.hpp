// Derivatives of the outputs of one member by naive backpropagation.
#pragma once

#include <vector>

#include "kernels/reference/naive_network.hpp"

namespace widelab::reference {

/// sum_o dz_o df_o(x)/dt for every parameter t, in the layout of ParamLayout; `trace` is run's at x.
std::vector<double> pullback(const Network& network, const std::vector<double>& parameters, const Trace& trace,
                             std::vector<double> dz);

/// df_o(x)/dt for every parameter t, in the layout of ParamLayout.
std::vector<double> jacobian_row(const Network& network, const std::vector<double>& parameters, const Trace& trace,
                                 Index output);

/// The relative learning rate of every parameter, in the same layout.
std::vector<double> parameter_rates(const Network& network);

}  // namespace widelab::reference
