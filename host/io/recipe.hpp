// Recipes: what a user asks for, read from TOML, checked against the schema of an experiment, every default filled in.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "host/io/recipe_schema.hpp"

namespace widelab::io {

/// The version of the recipe language that this build reads: the required top-level key `schema`.
inline constexpr std::int64_t kRecipeSchema = 1;

/// One line of the `[sweep]` table.
struct SweepEntry {
  std::string key;            ///< full path of the swept key
  std::vector<Value> values;  ///< in the order of the recipe; at least one
  std::string where;          ///< "file:line:column" or "--set ..."
};

/// What a recipe says after all checks.
struct RecipeContent {
  std::shared_ptr<const Schema> schema;
  std::map<std::string, Value> values;         ///< every key of the schema but the swept ones
  std::set<std::string> given;                 ///< keys that the recipe or --set names
  std::vector<SweepEntry> sweep;               ///< in the order of the recipe
  std::vector<std::vector<std::string>> zips;  ///< groups of full paths that advance together
};

/// Finds the schema of an experiment; throws RecipeError for an unknown name.
using SchemaLookup = std::function<Schema(const std::string& experiment)>;

class Recipe {
 public:
  explicit Recipe(RecipeContent content) : content_(std::move(content)) {}

  /// Reads and checks a recipe. Each override is "key=value" as after --set; the value is TOML, bare words are
  /// text, and it replaces what the recipe says before any check. Throws RecipeError that names the key, its
  /// value, what is allowed, the place in the file and the way out.
  static Recipe parse(const std::string& toml_text, const std::string& source_name, const Schema& schema,
                      const std::vector<std::string>& overrides = {});

  /// The same from a file; the schema is the one of the recipe's `experiment`.
  static Recipe load(const std::filesystem::path& path, const SchemaLookup& lookup,
                     const std::vector<std::string>& overrides = {});

  /// Values by full path. A key that the schema lacks, has with another type, or that is swept (see at_cell in
  /// host/io/sweep.hpp) is a ContractError.
  std::int64_t integer(const std::string& path) const;
  double real(const std::string& path) const;
  bool flag(const std::string& path) const;
  const std::string& text(const std::string& path) const;
  const std::vector<std::int64_t>& integers(const std::string& path) const;
  const std::vector<double>& reals(const std::string& path) const;
  const std::vector<std::string>& texts(const std::string& path) const;
  const std::vector<bool>& flags(const std::string& path) const;

  /// Whether the recipe (or --set, or the sweep) names the key, rather than leaving it at its default.
  bool given(const std::string& path) const { return content_.given.count(path) > 0; }

  const Schema& schema() const { return *content_.schema; }
  const RecipeContent& content() const { return content_; }

  /// The resolved recipe: every key with its value, commented, in the order of the schema. Reading it back gives
  /// the same values and the same text.
  std::string to_toml() const;

 private:
  const Value& value(const std::string& path, KeyType type) const;

  RecipeContent content_;
};

/// A value of one key from text as after --set: TOML, or a bare word for text. Throws RecipeError headed by `where`.
Value parse_value(const KeySpec& spec, const std::string& text, const std::string& where);

/// The recipe that `widelab init` writes: every key with its documentation, range and default.
std::string commented_recipe(const Schema& schema);

/// The first key, in the order of the schema, that two recipes of one schema do not share, sweeps as "sweep.NAME";
/// keys in `may_differ` are passed over. Empty if there is none.
std::string first_difference(const Recipe& first, const Recipe& second, const std::set<std::string>& may_differ = {});

}  // namespace widelab::io
