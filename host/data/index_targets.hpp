// Targets that depend on a few projections of the input: values and exact power by degree. Internal to this folder.
#pragma once

#include <optional>
#include <vector>

#include "host/data/data_spec.hpp"

namespace widelab::data {

/// What is known of the law of the preprocessed inputs.
enum class InputLaw { gaussian, sphere, hypercube, mixture, unknown };

/// A Gaussian or sphere with preprocessing "sphere" is uniform on the sphere where it is isotropic.
InputLaw input_law(const DataSpec& spec);

/// 1, or the rows of the coefficients for multi-index.
Index directions_per_output(const TargetSpec& target);

/// RecipeError unless outputs >= 1, coefficients are finite and there is a right number of rows of them, and
/// Gegenbauer targets have inputs of norm sqrt(d), d >= 2.
void require_index_target(const DataSpec& spec, Index dimension);

/// The term of direction r at t = <u_r, x>.
double index_value(const TargetSpec& target, Index direction, double t, Index dimension);

/// power_by_degree of hermite, gegenbauer, single-index and multi-index targets.
std::optional<std::vector<double>> index_power(const DataSpec& spec, InputLaw law, int max_degree);

}  // namespace widelab::data
