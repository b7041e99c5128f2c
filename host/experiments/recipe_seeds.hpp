// `[seeds]`: the seed of a run, the networks of a cell, and which cells share draws.
#pragma once

#include <string>
#include <vector>

#include "host/io/recipe.hpp"
#include "host/io/sweep.hpp"

namespace widelab::experiments {

std::vector<io::KeySpec> seed_keys(int default_replicates);

/// The cell's name without the coordinates over which draws are shared: what a role's key depends on.
std::string drawn_name(const io::Recipe& recipe, const io::Cell& cell);

/// Throws RecipeError if seeds.shared names a key that is not swept.
void check_shared(const io::Recipe& recipe, const io::Sweep& sweep);

}  // namespace widelab::experiments
