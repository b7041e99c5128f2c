#include "host/io/recipe.hpp"

#include <fstream>
#include <sstream>

#include "host/io/recipe_parse.hpp"
#include "host/io/sweep.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::io {

Recipe Recipe::parse(const std::string& toml_text, const std::string& source_name, const Schema& schema,
                     const std::vector<std::string>& overrides) {
  return Recipe(parse_recipe(toml_text, source_name, schema, overrides));
}

Recipe Recipe::load(const std::filesystem::path& path, const SchemaLookup& lookup,
                    const std::vector<std::string>& overrides) {
  std::ifstream file(path);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (!file || std::filesystem::is_directory(path)) {
    throw RecipeError("cannot read recipe '" + path.string() + "'. Way out: check the path, or write a recipe with " +
                      "'widelab init EXPERIMENT > FILE'.");
  }
  return parse(text.str(), path.string(), lookup(read_experiment(text.str(), path.string())), overrides);
}

const Value& Recipe::value(const std::string& path, KeyType type) const {
  const KeySpec* spec = find_key(schema(), path);
  WIDELAB_REQUIRE(spec != nullptr && spec->type == type, "recipe key '" + path + "' is not of the type asked for");
  const auto found = content_.values.find(path);
  WIDELAB_REQUIRE(found != content_.values.end(), "recipe key '" + path + "' is swept; ask the recipe of one cell");
  return found->second;
}

std::int64_t Recipe::integer(const std::string& path) const {
  return std::get<std::int64_t>(value(path, KeyType::integer));
}
double Recipe::real(const std::string& path) const { return std::get<double>(value(path, KeyType::real)); }
bool Recipe::flag(const std::string& path) const { return std::get<bool>(value(path, KeyType::boolean)); }
const std::string& Recipe::text(const std::string& path) const {
  return std::get<std::string>(value(path, KeyType::text));
}
const std::vector<std::int64_t>& Recipe::integers(const std::string& path) const {
  return std::get<std::vector<std::int64_t>>(value(path, KeyType::integer_list));
}
const std::vector<double>& Recipe::reals(const std::string& path) const {
  return std::get<std::vector<double>>(value(path, KeyType::real_list));
}
const std::vector<std::string>& Recipe::texts(const std::string& path) const {
  return std::get<std::vector<std::string>>(value(path, KeyType::text_list));
}
const std::vector<bool>& Recipe::flags(const std::string& path) const {
  return std::get<std::vector<bool>>(value(path, KeyType::boolean_list));
}

namespace {

const SweepEntry* swept(const Recipe& recipe, const std::string& key) {
  for (const SweepEntry& entry : recipe.content().sweep) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

}  // namespace

std::string first_difference(const Recipe& first, const Recipe& second, const std::set<std::string>& may_differ) {
  WIDELAB_REQUIRE(first.schema().experiment == second.schema().experiment, "recipes of different experiments");
  for (const KeySpec& spec : first.schema().keys) {
    const SweepEntry* one = swept(first, spec.path);
    const SweepEntry* other = swept(second, spec.path);
    if (one != nullptr || other != nullptr) {
      const bool same = one != nullptr && other != nullptr && one->values == other->values;
      const std::string name = "sweep." + sweep_label(first.schema(), spec.path);
      if (!same && may_differ.count(name) == 0) return name;
    } else if (first.content().values.at(spec.path) != second.content().values.at(spec.path) &&
               may_differ.count(spec.path) == 0) {
      return spec.path;
    }
  }
  const bool same_zips = first.content().zips == second.content().zips;
  return same_zips || may_differ.count("sweep.zip") > 0 ? "" : "sweep.zip";
}

}  // namespace widelab::io
