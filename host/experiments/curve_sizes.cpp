#include "host/experiments/curve_sizes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "widelab/base/errors.hpp"

namespace widelab::experiments {

std::vector<io::KeySpec> curve_size_keys(int first, int last, int points) {
  return {
      io::make_key(
          "curve.sizes", io::KeyType::integer_list, "[]",
          "Numbers of examples (random-features: of features; tangent: of parameters N d), ascending; [] = the "
          "next three keys.",
          1, 100000),
      io::make_key("curve.first", io::KeyType::integer, std::to_string(first), "Smallest size.", 1, 100000),
      io::make_key("curve.last", io::KeyType::integer, std::to_string(last), "Largest size.", 1, 100000),
      io::make_key("curve.points", io::KeyType::integer, std::to_string(points),
                   "Number of sizes, evenly spaced in the logarithm.", 1, 1000),
  };
}

std::vector<Index> curve_sizes(const io::Recipe& recipe, Index step) {
  std::vector<Index> sizes;
  for (const std::int64_t size : recipe.integers("curve.sizes")) {
    if (!sizes.empty() && size <= sizes.back())
      throw RecipeError(fmt::format("curve.sizes: {} after {}: must ascend without repetition", size, sizes.back()));
    if (size % step != 0)
      throw RecipeError(fmt::format("curve.sizes: {} is no multiple of {}, the parameters of a unit: take {} or {}",
                                    size, step, std::max(step, size / step * step), (size / step + 1) * step));
    sizes.push_back(size);
  }
  if (!sizes.empty()) return sizes;
  const std::int64_t first = recipe.integer("curve.first"), last = recipe.integer("curve.last"),
                     points = recipe.integer("curve.points");
  if (last < first) throw RecipeError(fmt::format("curve.last = {}: must be at least curve.first = {}", last, first));
  const auto nearest = [step](double size) {
    return std::max<Index>(step, std::llround(size / static_cast<double>(step)) * step);
  };
  if (points == 1) return {nearest(static_cast<double>(last))};
  const double ratio = std::log(static_cast<double>(last) / static_cast<double>(first));
  for (std::int64_t k = 0; k < points; ++k) {
    const double share = static_cast<double>(k) / static_cast<double>(points - 1);
    const Index size = nearest(static_cast<double>(first) * std::exp(share * ratio));
    if (sizes.empty() || size > sizes.back()) sizes.push_back(size);
  }
  return sizes;
}

}  // namespace widelab::experiments
