// The one door to the TOML library.
#pragma once

#include <string>
#include <vector>

#include "host/io/recipe.hpp"

namespace widelab::io {

/// Reads, overrides and checks a recipe; see Recipe::parse.
RecipeContent parse_recipe(const std::string& toml_text, const std::string& source_name, const Schema& schema,
                           const std::vector<std::string>& overrides);

/// The recipe's `experiment`, after the check of its `schema` version.
std::string read_experiment(const std::string& toml_text, const std::string& source_name);

}  // namespace widelab::io
