// The entries of the registry, each defined in a file of its own, and what they share.
#pragma once

#include <string>
#include <vector>

#include "host/theory/linear_dynamics.hpp"
#include "host/theory/registry.hpp"
#include "widelab/math/gaussian_moments.hpp"
#include "widelab/model/parametrization.hpp"

namespace widelab::theory {

TheoryEntry nngp_ntk_entry();
TheoryEntry one_hidden_variance_entry();
TheoryEntry deep_relu_second_moment_entry();
TheoryEntry deep_relu_second_moment_bias_entry();
TheoryEntry deep_relu_ratio_limit_entry();
TheoryEntry forward_kurtosis_entry();
TheoryEntry four_point_vertex_entry();
TheoryEntry dual_moments_entry();
TheoryEntry hermite_coefficients_entry();
TheoryEntry linear_dynamics_entry();
TheoryEntry linear_mode_entry();
TheoryEntry langevin_variance_entry();
TheoryEntry coordinate_check_entry();
TheoryEntry linear_regression_entry();
TheoryEntry random_features_entry();
TheoryEntry kernel_regression_entry();
TheoryEntry kernel_polynomial_entry();
TheoryEntry neural_tangent_regression_entry();
TheoryEntry feature_regression_entry();
TheoryEntry feature_flow_entry();
TheoryEntry sgd_stationary_entry();
TheoryEntry sgd_regression_entry();
TheoryEntry shuffled_epochs_entry();
TheoryEntry finite_window_entry();
TheoryEntry kesten_exponent_entry();
TheoryEntry valley_entry();

/// Parameters q11, q12, q22 (overlaps x.x'/d) and their reader, which returns inner products x.x'.
std::vector<ParamDoc> overlap_docs();
KernelTriple inner_products(const Params& params, const MlpShape& shape);

/// Parameters `names` of the network, in the order given, from the common list: depth, width, activation, sigma_w2,
/// sigma_b2, parametrization, input_dim, residual, layer_norm, bias_init_std, train_bias, weight_law. `required` names
/// those that have no default here.
std::vector<ParamDoc> network_docs(const std::vector<std::string>& names,
                                   const std::vector<std::string>& required = {});

/// The network of those parameters; what the law does not list keeps the value in `shape` and `choice`.
Network network_of(const Params& params, const std::vector<ParamDoc>& listed, MlpShape shape = {},
                   InitChoice choice = {});

/// The parameter `parametrization` of the common list.
Parametrization read_parametrization(const Params& params);

/// Parameters rule, learning_rate, momentum and h of one direction under SGD, and the reader of the first three.
std::vector<ParamDoc> noisy_rule_docs();
LinearTraining read_noisy_rule(const Params& params);

/// Joins two lists of parameters.
std::vector<ParamDoc> operator+(std::vector<ParamDoc> first, const std::vector<ParamDoc>& second);

}  // namespace widelab::theory
