// Checks of a recipe's values: names against tables, numbers against ranges.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "widelab/base/errors.hpp"
#include "widelab/base/nearest.hpp"

namespace widelab::data {

/// RecipeError unless low <= value <= high; NaN is out of every range.
template <class T>
void require_in_range(const std::string& key, T value, T low, T high) {
  if (value >= low && value <= high) return;
  std::ostringstream message;
  message << key << " = " << value << ": must be from " << low << " to " << high;
  throw RecipeError(message.str());
}

/// The row of `table` (anything with a member `name`) called `name`; RecipeError with the nearest valid name and all
/// of them otherwise.
template <class Table>
const auto& find_by_name(const std::string& key, const std::string& name, const Table& table) {
  std::vector<std::string> valid;
  std::string all;
  for (const auto& row : table) {
    if (name == row.name) return row;
    valid.emplace_back(row.name);
    all += (all.empty() ? "" : ", ") + valid.back();
  }
  throw RecipeError(key + " = \"" + name + "\" is unknown; did you mean \"" + nearest_name(name, valid) +
                    "\"? Valid: " + all);
}

}  // namespace widelab::data
