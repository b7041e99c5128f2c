#include "host/engine/observation_steps.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "widelab/base/errors.hpp"

namespace widelab::engine {
namespace {

std::vector<Index> checked_list(const std::vector<Index>& steps, Index last) {
  if (steps.empty()) throw RecipeError("observe.steps = []: name at least one step, from 0 to train.steps");
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (steps[i] < 0 || steps[i] > last)
      throw RecipeError(fmt::format("observe.steps: {} is not in 0 .. {} (train.steps)", steps[i], last));
    if (i > 0 && steps[i] <= steps[i - 1])
      throw RecipeError(
          fmt::format("observe.steps: {} follows {}; list increasing steps, each once", steps[i], steps[i - 1]));
  }
  return steps;
}

/// floor(a b / c + 1/2) without overflow for a <= c: a (b div c) + floor(a (b mod c) / c + 1/2), c below 2^31.
Index rounded_share(Index a, Index b, Index c) { return a * (b / c) + (2 * a * (b % c) + c) / (2 * c); }

}  // namespace

std::vector<Index> observation_steps(const ObservationChoice& choice, Index last) {
  if (choice.spacing != "list" && choice.spacing != "linear" && choice.spacing != "logarithmic")
    throw RecipeError("observe.spacing = \"" + choice.spacing + "\": must be \"list\", \"linear\" or \"logarithmic\"");
  if (last < 0) throw RecipeError(fmt::format("train.steps = {}: must be 0 or larger", last));
  if (choice.spacing == "list") return checked_list(choice.steps, last);
  if (last == 0) return {0};
  constexpr Index kMost = Index{1} << 20;
  const Index most = std::min(last + 1, kMost);
  if (choice.count < 2 || choice.count > most)
    throw RecipeError(fmt::format("observe.count = {}: must be from 2 to {} (train.steps + 1, and at most {})",
                                  choice.count, most, kMost));
  std::vector<Index> steps{0};
  for (Index i = 1; i < choice.count; ++i) {
    if (choice.spacing == "linear") {
      steps.push_back(rounded_share(i, last, choice.count - 1));
    } else {
      // i - 1 of count - 2 equal steps of the logarithm. A convex sequence from 1 stays low enough for all that follow.
      const double share = choice.count == 2 ? 1.0 : static_cast<double>(i - 1) / static_cast<double>(choice.count - 2);
      const double exact = std::pow(static_cast<double>(last), share);
      steps.push_back(std::max<Index>(steps.back() + 1, std::llround(exact)));
    }
  }
  steps.back() = last;
  return steps;
}

}  // namespace widelab::engine
