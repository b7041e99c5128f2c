// The sizes of a curve in a recipe: given one by one, or evenly spaced in the logarithm.
#pragma once

#include <vector>

#include "host/io/recipe.hpp"
#include "widelab/base/types.hpp"

namespace widelab::experiments {

/// curve.sizes, curve.first, curve.last, curve.points.
std::vector<io::KeySpec> curve_size_keys(int first, int last, int points);

/// Ascending, multiples of `step`: sizes given one by one must be, evenly spaced ones are brought to the nearest.
/// Throws RecipeError.
std::vector<Index> curve_sizes(const io::Recipe& recipe, Index step = 1);

}  // namespace widelab::experiments
