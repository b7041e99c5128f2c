// The `[model]` table, the same in every experiment: keys, and the network they describe.
#pragma once

#include <optional>
#include <vector>

#include "host/io/recipe.hpp"
#include "widelab/model/parametrization.hpp"

namespace widelab::experiments {

std::vector<io::KeySpec> model_keys();

/// The network of a cell's recipe on inputs of dimension d, all hidden layers of width model.width unless model.widths
/// lists them. `rates`: relative learning rates instead of those of model.kernel_weighting. Throws RecipeError, and
/// DataError for a file of unit multipliers that does not fit.
Network network_from(const io::Recipe& recipe, Index input_dim, std::optional<RateScaling> rates = std::nullopt);

/// "depth 3, relu, NTK parametrisation, sigma_w = 1.41, no bias": for titles.
std::string describe_network(const io::Recipe& recipe);

}  // namespace widelab::experiments
