// The `[model]` table, the same in every experiment: keys, and the network they describe.
#pragma once

#include <vector>

#include "host/io/recipe.hpp"
#include "widelab/model/parametrization.hpp"

namespace widelab::experiments {

std::vector<io::KeySpec> model_keys();

/// The network of a cell's recipe on inputs of dimension d, all hidden layers of width model.width unless model.widths
/// lists them. Throws RecipeError.
Network network_from(const io::Recipe& recipe, Index input_dim);

/// "depth 3, relu, NTK parametrisation, sigma_w = 1.41, no bias": for titles.
std::string describe_network(const io::Recipe& recipe);

}  // namespace widelab::experiments
