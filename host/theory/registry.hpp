// Laws by name: what `widelab theory` lists and evaluates. A new law is one file with one entry (laws.hpp).
#pragma once

#include <functional>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "widelab/base/types.hpp"

namespace widelab::theory {

/// A parameter of a law. An empty `fallback` makes it required.
struct ParamDoc {
  std::string name, fallback, meaning;
};

/// The parameters of one evaluation as text, checked when they are read. Every reader throws RecipeError naming the
/// key, its value and what is allowed.
class Params {
 public:
  explicit Params(std::map<std::string, std::string> text) : text_(std::move(text)) {}

  const std::string& text(const std::string& name) const;
  double number(const std::string& name) const;                ///< finite
  double number_at_least(const std::string& name, double least) const;
  Index count(const std::string& name, Index least) const;     ///< an integer >= least
  bool flag(const std::string& name) const;                    ///< true or false
  double time(const std::string& name) const;                  ///< a number >= 0, or inf
  /// Place of the value in `options`; the message names the nearest one.
  std::size_t choice(const std::string& name, const std::vector<std::string>& options) const;
  std::vector<double> numbers(const std::string& name) const;  ///< one for each layer, separated by ':'

 private:
  std::map<std::string, std::string> text_;
};

/// A result: a number, one number for each layer or degree, or words.
struct NamedValue {
  std::string name;
  std::variant<double, std::vector<double>, std::string> value;
};

struct TheoryEntry {
  std::string name, description, source, domain;
  std::vector<ParamDoc> params;
  std::function<std::vector<NamedValue>(const Params&)> evaluate;
};

/// Every law, in the order of the list that `widelab theory --list` prints.
const std::vector<TheoryEntry>& theory_entries();

/// The law `name`; throws RecipeError with the nearest name.
const TheoryEntry& theory_entry(const std::string& name);

/// Values of law `name` for arguments `key=value`. A value may be a list a,b,c (commas inside brackets do not split):
/// lists of equal length run together, lists of one entry apply to all points; `broadcast=product` takes the product
/// of all lists instead, the last key fastest. Per-layer values inside one point are separated by ':'.
struct EvaluatedPoint {
  std::vector<std::pair<std::string, std::string>> parameters;  ///< every parameter, in the order of the law's list
  std::vector<NamedValue> values;
};
std::vector<EvaluatedPoint> evaluate_points(const std::string& name, const std::vector<std::string>& arguments);

/// The same as a JSON object {law, description, source, domain, points: [{parameters, values}]}, numbers with 17
/// significant digits; what is not finite is null.
std::string evaluate_json(const std::string& name, const std::vector<std::string>& arguments);

}  // namespace widelab::theory
