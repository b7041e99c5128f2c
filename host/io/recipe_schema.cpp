#include "host/io/recipe_schema.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <type_traits>

#include "widelab/base/contract.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/base/nearest.hpp"

namespace widelab::io {
namespace {

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

std::string number_text(double value) {
  std::array<char, 32> buffer{};
  // 0.0 and -0.0 name the same cell.
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value == 0.0 ? 0.0 : value).ptr;
  return {buffer.data(), end};
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char ch : text) {
    const auto code = static_cast<unsigned char>(ch);
    if (ch == '"' || ch == '\\') {
      out += '\\';
      out += ch;
    } else if (code < 0x20 || code == 0x7f) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04X", static_cast<unsigned>(code));
      out += escape.data();
    } else {
      out += ch;
    }
  }
  return out + '"';
}

std::string scalar_literal(std::int64_t value) { return std::to_string(value); }
std::string scalar_literal(bool value) { return value ? "true" : "false"; }
std::string scalar_literal(const std::string& value) { return quoted(value); }
std::string scalar_literal(double value) {
  const std::string text = number_text(value);
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}

std::string scalar_canonical(const std::string& value) { return value; }
std::string scalar_canonical(double value) { return number_text(value); }
std::string scalar_canonical(std::int64_t value) { return scalar_literal(value); }
std::string scalar_canonical(bool value) { return scalar_literal(value); }

template <class Value_, class Print>
std::string print(const Value_& value, const Print& print_scalar) {
  if constexpr (IsVector<Value_>::value) {
    std::string out = "[";
    for (std::size_t i = 0; i < value.size(); ++i) {
      const auto& element = value[i];
      out += (i == 0 ? "" : ", ") + print_scalar(element);
    }
    return out + "]";
  } else {
    return print_scalar(value);
  }
}

std::string scalar_kind(KeyType type) {
  switch (type) {
    case KeyType::integer:
    case KeyType::integer_list:
      return "an integer";
    case KeyType::real:
    case KeyType::real_list:
      return "a real number";
    case KeyType::boolean:
    case KeyType::boolean_list:
      return "true or false";
    case KeyType::text:
    case KeyType::text_list:
      return "a text";
  }
  return "";
}

std::string range_text(const KeySpec& spec) {
  const bool below = std::isfinite(spec.minimum);
  const bool above = std::isfinite(spec.maximum);
  if (below && above) return " in [" + number_text(spec.minimum) + ", " + number_text(spec.maximum) + "]";
  if (below) return " >= " + number_text(spec.minimum);
  if (above) return " <= " + number_text(spec.maximum);
  return "";
}

/// Empty if the scalar is fine, else what is wrong with it.
std::string fault(const KeySpec& spec, double value) {
  if (!std::isfinite(value)) return "is not a finite number";
  return value < spec.minimum || value > spec.maximum ? "is out of range" : "";
}
std::string fault(const KeySpec& spec, std::int64_t value) {
  // long double holds every 64-bit integer, so the bounds are met exactly.
  const auto wide = static_cast<long double>(value);
  return wide < spec.minimum || wide > spec.maximum ? "is out of range" : "";
}
std::string fault(const KeySpec&, bool) { return ""; }
std::string fault(const KeySpec& spec, const std::string& value) {
  const auto& choices = spec.choices;
  if (choices.empty() || std::find(choices.begin(), choices.end(), value) != choices.end()) return "";
  return "is not a valid choice (nearest: '" + nearest_name(value, choices) + "')";
}

template <class Scalar>
void check_scalar(const KeySpec& spec, const Scalar& value, const std::string& where) {
  const std::string what = fault(spec, value);
  if (what.empty()) return;
  throw RecipeError(where + ": '" + spec.path + "' = " + scalar_literal(value) + " " + what +
                    "; allowed: " + allowed_values(spec) + ". Way out: change this value in the recipe or with --set " +
                    spec.path + "=VALUE.");
}

}  // namespace

KeySpec make_key(std::string path, KeyType type, std::string default_value, std::string doc, double minimum,
                 double maximum) {
  KeySpec spec;
  spec.path = std::move(path);
  spec.type = type;
  spec.default_value = std::move(default_value);
  spec.doc = std::move(doc);
  spec.minimum = minimum;
  spec.maximum = maximum;
  return spec;
}

KeySpec& Schema::key(const std::string& path) {
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const KeySpec& spec) { return spec.path == path; });
  WIDELAB_REQUIRE(found != keys.end(), "the schema of " + experiment + " has no key " + path);
  return *found;
}

Schema make_schema(std::string experiment, std::string description, const std::vector<std::vector<KeySpec>>& keys) {
  Schema schema;
  schema.experiment = std::move(experiment);
  schema.description = std::move(description);
  for (const std::vector<KeySpec>& group : keys) schema.keys.insert(schema.keys.end(), group.begin(), group.end());
  return schema;
}

bool is_list(KeyType type) { return type >= KeyType::integer_list; }

std::string allowed_values(const KeySpec& spec) {
  std::string scalar = scalar_kind(spec.type) + range_text(spec);
  if (!spec.choices.empty()) {
    scalar = "one of ";
    for (std::size_t i = 0; i < spec.choices.size(); ++i) scalar += (i == 0 ? "'" : ", '") + spec.choices[i] + "'";
  }
  return is_list(spec.type) ? "a list, each element " + scalar : scalar;
}

void check_value(const KeySpec& spec, const Value& value, const std::string& where) {
  std::visit(
      [&](const auto& held) {
        using Held = std::decay_t<decltype(held)>;
        if constexpr (IsVector<Held>::value) {
          for (const auto& element : held) check_scalar(spec, element, where);
        } else {
          check_scalar(spec, held, where);
        }
      },
      value);
}

std::string canonical_text(const Value& value) {
  return std::visit([](const auto& held) { return print(held, [](const auto& x) { return scalar_canonical(x); }); },
                    value);
}

std::string toml_literal(const Value& value) {
  return std::visit([](const auto& held) { return print(held, [](const auto& x) { return scalar_literal(x); }); },
                    value);
}

const KeySpec* find_key(const Schema& schema, const std::string& path) {
  const auto found =
      std::find_if(schema.keys.begin(), schema.keys.end(), [&](const KeySpec& spec) { return spec.path == path; });
  return found == schema.keys.end() ? nullptr : &*found;
}

std::string last_component(const std::string& path) { return path.substr(path.rfind('.') + 1); }

std::string table_of(const std::string& path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string::npos ? "" : path.substr(0, dot);
}

std::vector<std::string> key_paths(const Schema& schema) {
  std::vector<std::string> paths;
  for (const KeySpec& spec : schema.keys) paths.push_back(spec.path);
  return paths;
}

std::string suggest_key(const std::string& path, const std::vector<std::string>& valid) {
  std::vector<std::string> same_name;
  for (const std::string& candidate : valid) {
    if (last_component(candidate) == last_component(path)) same_name.push_back(candidate);
  }
  return nearest_name(path, same_name.empty() ? valid : same_name);
}

}  // namespace widelab::io
