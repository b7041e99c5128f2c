// The `[data]` table, the same in every experiment: keys, and the data law they describe.
#pragma once

#include <vector>

#include "host/data/data_spec.hpp"
#include "host/io/recipe.hpp"

namespace widelab::experiments {

/// Keys of the inputs; `examples` and `dimension` are the defaults of their keys.
std::vector<io::KeySpec> data_keys(int examples, int dimension);

/// Throws RecipeError.
data::DataSpec data_spec_from(const io::Recipe& recipe);

}  // namespace widelab::experiments
