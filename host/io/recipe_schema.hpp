// What a recipe may say: the keys of an experiment, their types, ranges and defaults.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace widelab::io {

/// Enumerators in the order of the alternatives of `Value`. A real key accepts integer literals; a list key
/// accepts a scalar as a list of one.
enum class KeyType { integer, real, boolean, text, integer_list, real_list, boolean_list, text_list };

using Value = std::variant<std::int64_t, double, bool, std::string, std::vector<std::int64_t>, std::vector<double>,
                           std::vector<bool>, std::vector<std::string>>;

/// One key. `minimum` and `maximum` are inclusive and hold for each element of a list; NaN and infinities are
/// never valid.
struct KeySpec {
  std::string path;  ///< "model.sigma_w": table, dot, name; a name alone stands at the top level
  KeyType type = KeyType::real;
  std::string default_value;  ///< a TOML literal; empty means that the recipe must give the key
  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices;  ///< text keys only; empty means any text
  std::string doc;                   ///< one or more lines, shown as a comment
  bool sweepable = false;            ///< scalar keys only
  std::string example;               ///< TOML literal that `widelab init` writes for a required key
};

/// A key that is neither a choice nor sweepable.
KeySpec make_key(std::string path, KeyType type, std::string default_value, std::string doc,
                 double minimum = -std::numeric_limits<double>::infinity(),
                 double maximum = std::numeric_limits<double>::infinity());

struct Schema {
  std::string experiment;
  std::string description;
  std::vector<KeySpec> keys;
  /// Lines of the `[sweep]` table that `widelab init` writes: key, TOML list.
  std::vector<std::pair<std::string, std::string>> example_sweep;

  /// ContractError for a path that the schema lacks.
  KeySpec& key(const std::string& path);
};

/// A schema of all these keys, in this order.
Schema make_schema(std::string experiment, std::string description, const std::vector<std::vector<KeySpec>>& keys);

bool is_list(KeyType type);

/// "an integer in [1, 1000]", "a real number >= 0", "one of 'relu', 'erf'", "a list whose elements are ...".
std::string allowed_values(const KeySpec& spec);

/// Throws RecipeError, headed by `where`, if the value is not finite, out of range or not one of the choices.
void check_value(const KeySpec& spec, const Value& value, const std::string& where);

/// The way a value is written in names of cells: the shortest text that reads back to the same number, so that
/// 64, 64.0 and 6.4e1 are one real value; text as it is.
std::string canonical_text(const Value& value);

/// The value as a TOML literal of its type: 64.0 for a real, "relu" with quotes for text.
std::string toml_literal(const Value& value);

/// Null if the schema has no such key.
const KeySpec* find_key(const Schema& schema, const std::string& path);

/// The valid key that a misspelt one most likely means: one with the same last component, else the nearest.
std::string suggest_key(const std::string& path, const std::vector<std::string>& valid);

/// All keys of a schema, in its order.
std::vector<std::string> key_paths(const Schema& schema);

/// "model.width" -> "width".
std::string last_component(const std::string& path);

/// "model.width" -> "model"; empty for a top-level key.
std::string table_of(const std::string& path);

}  // namespace widelab::io
