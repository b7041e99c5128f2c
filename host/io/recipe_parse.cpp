#include "host/io/recipe_parse.hpp"

// toml++ 3.3 turns assertions about its input into assumptions when NDEBUG is defined: undefined behaviour for "[*a]".
// With this it goes on to the error message that stands behind each of them.
#undef NDEBUG
#define TOML_ASSERT(condition) static_cast<void>(0)
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <list>
#include <optional>
#include <sstream>

#include "host/io/sweep.hpp"
#include "host/io/toml_text.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::io {
namespace {

constexpr const char* kSweepTable = "sweep";
constexpr const char* kSweepPrefix = "sweep.";
constexpr const char* kZipKey = "sweep.zip";

/// A key of the file or of an override. `text` is what stood after --set, for keys whose type is text.
struct Entry {
  std::string path;
  const toml::node* node = nullptr;
  std::string where;
  std::optional<std::string> text;
};

std::string place(const std::string& source, const toml::source_region& region) {
  return source + ":" + std::to_string(region.begin.line) + ":" + std::to_string(region.begin.column);
}

std::string shown(const toml::node& node) {
  std::ostringstream out;
  node.visit([&](const auto& value) { out << value; });
  std::string text = out.str();
  std::replace(text.begin(), text.end(), '\n', ' ');
  constexpr std::size_t kLongest = 60;
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return text;
}

const char* kind_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table: return "a table";
    case toml::node_type::array: return "a list";
    case toml::node_type::string: return "a text";
    case toml::node_type::integer: return "an integer";
    case toml::node_type::floating_point: return "a real number";
    case toml::node_type::boolean: return "true or false";
    default: return "a date or time";
  }
}

toml::table parse_document(const std::string& text, const std::string& source) {
  if (const auto stray = stray_character(text)) {
    throw RecipeError(source + ":" + std::to_string(stray->line) + ":" + std::to_string(stray->column) +
                      ": not valid TOML: a character beyond ASCII stands outside quotes. Way out: put the text in " +
                      "straight quotes, \"...\".");
  }
  try {
    return toml::parse(text, source);
  } catch (const toml::parse_error& error) {
    throw RecipeError(place(source, error.source()) + ": not valid TOML: " + std::string(error.description()) +
                      ". Way out: correct this line; text stands in quotes, lists in [ ], tables in [name].");
  }
}

[[noreturn]] void wrong_type(const toml::node& node, const KeySpec& spec, const std::string& where) {
  std::string hint = "write a value of that type";
  const auto* real = node.as_floating_point();
  constexpr double kExactIntegers = 9007199254740992.0;  // 2^53
  const bool integer = spec.type == KeyType::integer || spec.type == KeyType::integer_list;
  if (integer && real != nullptr && std::abs(real->get()) <= kExactIntegers &&
      real->get() == std::floor(real->get())) {
    hint = "write it as an integer: " + std::to_string(static_cast<std::int64_t>(real->get()));
  }
  throw RecipeError(where + ": '" + spec.path + "' = " + shown(node) + " is " + kind_of(node) + "; allowed: " +
                    allowed_values(spec) + ". Way out: " + hint + ".");
}

template <class Scalar>
Scalar scalar(const toml::node& node, const KeySpec& spec, const std::string& where) {
  if constexpr (std::is_same_v<Scalar, double>) {
    if (const auto* whole = node.as_integer()) return static_cast<double>(whole->get());
  }
  const std::optional<Scalar> value = node.value_exact<Scalar>();
  if (!value) wrong_type(node, spec, where);
  return *value;
}

template <class Scalar>
std::vector<Scalar> list(const toml::node& node, const KeySpec& spec, const std::string& where) {
  std::vector<Scalar> values;
  if (const toml::array* array = node.as_array()) {
    for (const toml::node& element : *array) values.push_back(scalar<Scalar>(element, spec, where));
  } else {
    values.push_back(scalar<Scalar>(node, spec, where));
  }
  return values;
}

Value convert_unchecked(const toml::node& node, const KeySpec& spec, const std::string& where) {
  switch (spec.type) {
    case KeyType::integer: return scalar<std::int64_t>(node, spec, where);
    case KeyType::real: return scalar<double>(node, spec, where);
    case KeyType::boolean: return scalar<bool>(node, spec, where);
    case KeyType::text: return scalar<std::string>(node, spec, where);
    case KeyType::integer_list: return list<std::int64_t>(node, spec, where);
    case KeyType::real_list: return list<double>(node, spec, where);
    case KeyType::boolean_list: return list<bool>(node, spec, where);
    case KeyType::text_list: return list<std::string>(node, spec, where);
  }
  throw ContractError("recipe key '" + spec.path + "' has no type");
}

Value convert(const toml::node& node, const KeySpec& spec, const std::string& where) {
  Value value = convert_unchecked(node, spec, where);
  check_value(spec, value, where);
  return value;
}

/// The table {value = text}, or nothing if the text is no TOML value.
std::optional<toml::table> try_value(const std::string& text) {
  if (stray_character(text)) return std::nullopt;
  try {
    toml::table table = toml::parse("value = " + text);
    if (table.size() == 1) return table;
  } catch (const toml::parse_error&) {
    return std::nullopt;
  }
  return std::nullopt;
}

toml::table value_table(const std::string& text, const std::string& where) {
  if (auto table = try_value(text)) return *table;
  if (auto table = try_value(quote_bare_words(text))) return *table;
  throw RecipeError(where + ": '" + text + "' is not a TOML value. Way out: write a number, true or false, a bare " +
                    "word, a text in quotes, or a list such as [64, 128].");
}

class Reader {
 public:
  Reader(const Schema& schema, std::string source) : schema_(schema), source_(std::move(source)) {
    for (const KeySpec& spec : schema.keys) {
      WIDELAB_REQUIRE(!spec.sweepable || !is_list(spec.type), "only scalar keys can be swept: " + spec.path);
    }
  }

  RecipeContent read(const toml::table& document, const std::vector<std::string>& overrides) {
    flatten(document, "");
    for (const std::string& override_text : overrides) apply_override(override_text);
    content_.schema = std::make_shared<const Schema>(schema_);
    for (const Entry& entry : entries_) read_entry(entry);
    for (const Entry& entry : entries_) {
      if (entry.path == kZipKey) read_zip(entry);
    }
    for (const KeySpec& spec : schema_.keys) settle(spec);
    return std::move(content_);
  }

 private:
  bool is_table(const std::string& path) const {
    const std::string local = path.rfind(kSweepPrefix, 0) == 0 ? path.substr(6) : path;
    return path == kSweepTable || std::any_of(schema_.keys.begin(), schema_.keys.end(), [&](const KeySpec& spec) {
             return spec.path.rfind(local + ".", 0) == 0;
           });
  }

  std::vector<std::string> known_tables() const {
    std::vector<std::string> tables{kSweepTable};
    for (const KeySpec& spec : schema_.keys) {
      for (std::string table = table_of(spec.path); !table.empty(); table = table_of(table)) tables.push_back(table);
    }
    return tables;
  }

  void flatten(const toml::table& table, const std::string& prefix) {
    std::vector<Entry> found;
    for (auto&& [key, node] : table) {
      const std::string path = prefix + std::string(key.str());
      const std::string where = place(source_, key.source());
      if (const toml::table* inner = node.as_table(); inner != nullptr && find_key(schema_, path) == nullptr) {
        if (!is_table(path)) {
          throw RecipeError(where + ": unknown table [" + path + "]; nearest: [" + suggest_key(path, known_tables()) +
                            "]. " + way_out());
        }
        flatten(*inner, path + ".");
      } else {
        found.push_back({path, &node, where, std::nullopt});
        if (!order_.emplace(path, std::pair(key.source().begin.line, key.source().begin.column)).second) {
          throw RecipeError(where + ": key '" + path + "' is given twice. Way out: keep one of the two.");
        }
      }
    }
    // The library sorts keys by name; the order of a sweep is that of the file.
    entries_.insert(entries_.end(), found.begin(), found.end());
    std::stable_sort(entries_.begin(), entries_.end(),
                     [&](const Entry& a, const Entry& b) { return order_.at(a.path) < order_.at(b.path); });
  }

  void apply_override(const std::string& text) {
    const std::size_t equals = text.find('=');
    const std::string where = "--set " + text;
    if (equals == std::string::npos || equals == 0) {
      throw RecipeError(where + ": no 'key=value'. Way out: for example --set sweep.width=[64,128].");
    }
    const std::string path = text.substr(0, equals);
    if (path == "schema" || path == "experiment") {
      throw RecipeError(where + ": '" + path + "' stands in the recipe itself. Way out: edit the recipe.");
    }
    const std::string value = text.substr(equals + 1);
    const toml::table& table = override_values_.emplace_back(value_table(value, where));
    const Entry entry{path, table.get("value"), where, value};
    const auto old = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.path == path; });
    if (old != entries_.end()) {
      *old = entry;
    } else {
      entries_.push_back(entry);
    }
  }

  void read_entry(const Entry& entry) {
    if (entry.path == "schema" || entry.path == "experiment" || entry.path == kZipKey) return;
    if (entry.path.rfind(kSweepPrefix, 0) == 0) return read_sweep(entry);
    const KeySpec* spec = find_key(schema_, entry.path);
    if (spec == nullptr) unknown_key(entry);
    content_.values[entry.path] = value_of(entry, *spec);
    content_.given.insert(entry.path);
    where_[entry.path] = entry.where;
  }

  Value value_of(const Entry& entry, const KeySpec& spec) const {
    if (spec.type == KeyType::text && entry.text && !entry.node->is_string()) {
      Value value = *entry.text;
      check_value(spec, value, entry.where);
      return value;
    }
    return convert(*entry.node, spec, entry.where);
  }

  [[noreturn]] void unknown_key(const Entry& entry) const {
    std::vector<std::string> valid = key_paths(schema_);
    valid.insert(valid.end(), {"schema", "experiment"});
    throw RecipeError(entry.where + ": unknown key '" + entry.path + "' = " + shown(*entry.node) +
                      "; nearest valid key: '" + suggest_key(entry.path, valid) + "'. " + way_out());
  }

  void read_sweep(const Entry& entry) {
    const std::string key = sweep_key(schema_, entry.path.substr(6), entry.where);
    const KeySpec& spec = *find_key(schema_, key);
    SweepEntry sweep{key, {}, entry.where};
    if (const toml::array* array = entry.node->as_array()) {
      for (const toml::node& element : *array) sweep.values.push_back(convert(element, spec, entry.where));
    } else {
      sweep.values.push_back(value_of(entry, spec));
    }
    if (sweep.values.empty()) {
      throw RecipeError(entry.where + ": '" + entry.path + "' = [] has no values; allowed: a list of at least one. " +
                        "Way out: give values, or remove the line.");
    }
    for (const SweepEntry& other : content_.sweep) {
      if (other.key == key) {
        throw RecipeError(entry.where + ": '" + key + "' is swept twice, also at " + other.where +
                          ". Way out: keep one of the two.");
      }
    }
    content_.sweep.push_back(std::move(sweep));
    content_.given.insert(key);
  }

  void read_zip(const Entry& entry) {
    KeySpec names;
    names.path = kZipKey;
    names.type = KeyType::text_list;
    const toml::array* array = entry.node->as_array();
    const bool nested = array != nullptr && !array->empty() && array->get(0)->is_array();
    std::vector<std::vector<std::string>> groups;
    if (nested) {
      for (const toml::node& group : *array) groups.push_back(list<std::string>(group, names, entry.where));
    } else {
      groups.push_back(list<std::string>(*entry.node, names, entry.where));
    }
    std::set<std::string> seen;
    for (auto& group : groups) {
      if (group.size() < 2) {
        throw RecipeError(entry.where + ": '" + kZipKey + "' = " + shown(*entry.node) +
                          " has a group of fewer than two keys. Way out: zip = [\"a\", \"b\"], or remove the line.");
      }
      for (std::string& name : group) name = zipped_key(name, seen, entry.where);
      content_.zips.push_back(group);
    }
  }

  std::string zipped_key(const std::string& name, std::set<std::string>& seen, const std::string& where) const {
    std::string key = sweep_key(schema_, name, where);
    const bool swept = std::any_of(content_.sweep.begin(), content_.sweep.end(),
                                   [&](const SweepEntry& sweep) { return sweep.key == key; });
    if (!swept || !seen.insert(key).second) {
      throw RecipeError(where + ": '" + kZipKey + "' names '" + name + "', which " +
                        (swept ? "stands in it twice" : "has no list in [sweep]") +
                        ". Way out: give each zipped key one list in [sweep] and name it once.");
    }
    return key;
  }

  /// Fills in the default, and holds keys that are both set and swept, or missing.
  void settle(const KeySpec& spec) {
    const bool set = content_.values.count(spec.path) > 0;
    for (const SweepEntry& sweep : content_.sweep) {
      if (sweep.key != spec.path) continue;
      if (!set) return;
      throw RecipeError(where_.at(spec.path) + ": '" + spec.path + "' is set here and swept at " + sweep.where +
                        ". Way out: remove one of the two, or fix it in the sweep: --set sweep." +
                        sweep_label(schema_, spec.path) + "=[" + toml_literal(content_.values.at(spec.path)) + "].");
    }
    if (set) return;
    if (spec.default_value.empty()) {
      throw RecipeError(source_ + ": required key '" + spec.path + "' is missing; allowed: " + allowed_values(spec) +
                        (spec.doc.empty() ? "" : " (" + spec.doc + ")") + ". Way out: add it under [" +
                        table_of(spec.path) + "], or use --set " + spec.path + "=VALUE.");
    }
    content_.values[spec.path] = parse_value(spec, spec.default_value, "default of the schema");
  }

  std::string way_out() const {
    return "Way out: 'widelab init " + schema_.experiment + "' writes a commented recipe with every key.";
  }

  const Schema& schema_;
  std::string source_;
  std::vector<Entry> entries_;
  std::map<std::string, std::pair<unsigned, unsigned>> order_;
  std::map<std::string, std::string> where_;
  std::list<toml::table> override_values_;  // entries point into these
  RecipeContent content_;
};

void check_schema_version(const toml::table& document, const std::string& source) {
  const toml::node* node = document.get("schema");
  const std::string expected = "schema = " + std::to_string(kRecipeSchema);
  if (node == nullptr) {
    throw RecipeError(source + ": required key 'schema' is missing. Way out: begin the recipe with '" + expected +
                      "'.");
  }
  if (node->value_exact<std::int64_t>() != kRecipeSchema) {
    throw RecipeError(place(source, node->source()) + ": 'schema' = " + shown(*node) +
                      " is not a recipe version that this widelab reads; allowed: " + std::to_string(kRecipeSchema) +
                      ". Way out: use the widelab that the recipe was written for, or start from 'widelab init' and " +
                      "write '" + expected + "'.");
  }
}

std::string experiment_of(const toml::table& document, const std::string& source) {
  check_schema_version(document, source);
  const toml::node* node = document.get("experiment");
  const auto name = node == nullptr ? std::nullopt : node->value_exact<std::string>();
  if (name) return *name;
  const std::string where = node == nullptr ? source : place(source, node->source());
  throw RecipeError(where + ": required key 'experiment' is " + (node == nullptr ? "missing" : "not a text") +
                    ". Way out: name one that 'widelab list' shows, for example experiment = \"ntk-limit\".");
}

}  // namespace

Value parse_value(const KeySpec& spec, const std::string& text, const std::string& where) {
  const toml::table table = value_table(text, where);
  const toml::node& node = *table.get("value");
  if (spec.type == KeyType::text && !node.is_string()) {
    Value value = text;
    check_value(spec, value, where);
    return value;
  }
  return convert(node, spec, where);
}

std::string read_experiment(const std::string& toml_text, const std::string& source_name) {
  return experiment_of(parse_document(toml_text, source_name), source_name);
}

RecipeContent parse_recipe(const std::string& toml_text, const std::string& source_name, const Schema& schema,
                           const std::vector<std::string>& overrides) {
  const toml::table document = parse_document(toml_text, source_name);
  const std::string experiment = experiment_of(document, source_name);
  if (experiment != schema.experiment) {
    throw RecipeError(place(source_name, document.get("experiment")->source()) + ": 'experiment' = \"" + experiment +
                      "\" where \"" + schema.experiment + "\" is expected. Way out: use a recipe of that experiment.");
  }
  return Reader(schema, source_name).read(document, overrides);
}

}  // namespace widelab::io
