// Sweeps: the grid of cells that the `[sweep]` table of a recipe spans.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "host/io/recipe.hpp"

namespace widelab::io {

/// One point of a sweep. Its name is the same wherever its keys and values stand in the recipe, and does not know
/// of the other cells: "activation=relu,depth=3,width=64".
struct Cell {
  std::vector<std::pair<std::string, std::string>> coordinates;  ///< label and canonical value, sorted by label
  std::string name;                                              ///< "single" if nothing is swept
  std::vector<std::size_t> subscripts;                           ///< along Sweep::axes
};

/// A swept key with its distinct values, in the order of the recipe.
struct SweepAxis {
  std::string key;    ///< full path
  std::string label;  ///< its last component where no other sweepable key ends so, else the full path
  std::vector<Value> values;
};

struct Sweep {
  std::vector<SweepAxis> axes;  ///< in the order of the recipe
  std::vector<Cell> cells;      ///< row-major over the groups of axes in the order of the recipe, the last one fastest
  bool full_product = true;     ///< whether the cells are all combinations of the axes' values
};

/// Expands the sweep. Throws RecipeError for duplicate cells, zipped lists of unequal lengths and grids of more
/// than a million cells.
Sweep make_sweep(const Recipe& recipe);

std::vector<Cell> expand_sweep(const Recipe& recipe);

/// The recipe of one cell: the swept keys at the cell's values, and no sweep.
Recipe at_cell(const Recipe& recipe, const Cell& cell);

/// The full path that a name in `[sweep]` means: a full path, or the last component of one sweepable key alone.
/// Throws RecipeError, headed by `where`, with the nearest sweepable key.
std::string sweep_key(const Schema& schema, const std::string& name, const std::string& where);

/// The inverse of sweep_key: the shortest name of a sweepable key.
std::string sweep_label(const Schema& schema, const std::string& key);

}  // namespace widelab::io
