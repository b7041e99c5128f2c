#include "host/experiments/recipe_seeds.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "widelab/base/errors.hpp"

namespace widelab::experiments {

using io::KeySpec;
using io::KeyType;

std::vector<KeySpec> seed_keys(int default_replicates) {
  std::vector<KeySpec> keys{
      io::make_key("seeds.run", KeyType::integer, "1", "Seed of the run; every random number is a function of it."),
      io::make_key("seeds.replicates", KeyType::integer, std::to_string(default_replicates), "Networks in each cell."),
      io::make_key(
          "seeds.shared", KeyType::text_list, "[]",
          "Sweep keys whose values share networks (for example [\"width\"]: narrower networks are parts of wider "
          "ones);\n"
          "[] = every cell draws its own."),
  };
  keys[0].minimum = 0, keys[0].maximum = 9e15;
  keys[1].minimum = 2, keys[1].maximum = 4e9;
  return keys;
}

std::string drawn_name(const io::Recipe& recipe, const io::Cell& cell) {
  std::string name;
  for (const auto& [label, value] : cell.coordinates) {
    const auto& shared = recipe.texts("seeds.shared");
    if (std::find(shared.begin(), shared.end(), label) == shared.end())
      name += fmt::format("{}{}={}", name.empty() ? "" : ",", label, value);
  }
  return name;
}

void check_shared(const io::Recipe& recipe, const io::Sweep& sweep) {
  for (const std::string& label : recipe.texts("seeds.shared")) {
    const bool swept = std::any_of(sweep.axes.begin(), sweep.axes.end(),
                                   [&](const io::SweepAxis& axis) { return axis.label == label; });
    if (!swept)
      throw RecipeError("seeds.shared names \"" + label +
                        "\", which [sweep] does not: name swept keys, or leave it out");
  }
}

}  // namespace widelab::experiments
