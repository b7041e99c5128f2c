#include "host/experiments/curve_sizes.hpp"

#include <fmt/format.h>

#include <cmath>
#include <string>

#include "widelab/base/errors.hpp"

namespace widelab::experiments {

std::vector<io::KeySpec> curve_size_keys(int first, int last, int points) {
  return {
      io::make_key("curve.sizes", io::KeyType::integer_list, "[]",
                   "Numbers of examples (random-features: of features), ascending; [] = the next three keys.", 1,
                   100000),
      io::make_key("curve.first", io::KeyType::integer, std::to_string(first), "Smallest size.", 1, 100000),
      io::make_key("curve.last", io::KeyType::integer, std::to_string(last), "Largest size.", 1, 100000),
      io::make_key("curve.points", io::KeyType::integer, std::to_string(points),
                   "Number of sizes, evenly spaced in the logarithm.", 1, 1000),
  };
}

std::vector<Index> curve_sizes(const io::Recipe& recipe) {
  std::vector<Index> sizes;
  for (const std::int64_t size : recipe.integers("curve.sizes")) {
    if (!sizes.empty() && size <= sizes.back())
      throw RecipeError(fmt::format("curve.sizes: {} after {}: must ascend without repetition", size, sizes.back()));
    sizes.push_back(size);
  }
  if (!sizes.empty()) return sizes;
  const std::int64_t first = recipe.integer("curve.first"), last = recipe.integer("curve.last"),
                     points = recipe.integer("curve.points");
  if (last < first) throw RecipeError(fmt::format("curve.last = {}: must be at least curve.first = {}", last, first));
  if (points == 1) return {last};
  const double ratio = std::log(static_cast<double>(last) / static_cast<double>(first));
  for (std::int64_t k = 0; k < points; ++k) {
    const double share = static_cast<double>(k) / static_cast<double>(points - 1);
    const auto size = static_cast<Index>(std::llround(static_cast<double>(first) * std::exp(share * ratio)));
    if (sizes.empty() || size > sizes.back()) sizes.push_back(size);
  }
  return sizes;
}

}  // namespace widelab::experiments
