// The absolute steps at which a training is observed.
#pragma once

#include <string>
#include <vector>

#include "widelab/base/types.hpp"

namespace widelab::engine {

/// Observed steps of a recipe: key observe.spacing, with observe.count or observe.steps.
///   list         `steps` as given: increasing, from 0 to `last`
///   linear       `count` steps from 0 to `last`: floor(i last / (count - 1) + 1/2)
///   logarithmic  0, then `count` - 1 different steps from 1 to `last`: last^(i / (count - 2)) rounded, or
///                one more than the step before where rounding leaves no distance
struct ObservationChoice {
  std::string spacing = "logarithmic";
  Index count = 20;
  std::vector<Index> steps;
};

/// Increasing different absolute steps; those of linear and logarithmic begin at 0 and end at `last`, a list ends at
/// its own last entry. RecipeError for an unknown spacing, fewer than 2 steps or more than `last` + 1, and lists that
/// do not increase or leave 0 .. last. last = 0 gives {0}.
std::vector<Index> observation_steps(const ObservationChoice& choice, Index last);

}  // namespace widelab::engine
