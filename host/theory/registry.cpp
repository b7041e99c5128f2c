#include "host/theory/registry.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "host/theory/laws.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/base/nearest.hpp"

namespace widelab::theory {
namespace {

/// Splits at commas outside brackets: "1,2" -> {1, 2}, "hermite(0,1),erf" -> {hermite(0,1), erf}.
std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> parts(1);
  int open = 0;
  for (const char c : text) {
    if (c == '(' || c == '[') ++open;
    if (c == ')' || c == ']') --open;
    if (c == ',' && open == 0) {
      parts.emplace_back();
    } else if (c != ' ') {
      parts.back() += c;
    }
  }
  return parts;
}

std::vector<std::string> names_of(const std::vector<ParamDoc>& docs) {
  std::vector<std::string> names;
  for (const ParamDoc& doc : docs) names.push_back(doc.name);
  return names;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// The lists of all parameters, in the order of the law, and how they combine.
struct Request {
  std::vector<std::vector<std::string>> lists;
  bool product = false;
};

Request parse_request(const TheoryEntry& law, const std::vector<std::string>& arguments) {
  constexpr const char* kBroadcast = "broadcast";
  std::vector<std::string> names = names_of(law.params);
  Request request;
  std::vector<bool> given(law.params.size(), false);
  for (const ParamDoc& doc : law.params) request.lists.push_back(split_list(doc.fallback));
  for (const std::string& argument : arguments) {
    const std::size_t equals = argument.find('=');
    if (equals == std::string::npos || equals + 1 == argument.size())
      throw RecipeError("\"" + argument + "\": arguments have the form key=value; keys of " + law.name + ": " +
                        joined(names));
    const std::string key = argument.substr(0, equals), value = argument.substr(equals + 1);
    if (key == kBroadcast) {
      if (value != "zip" && value != "product")
        throw RecipeError("broadcast = \"" + value + "\": must be zip (lists run together) or product");
      request.product = value == "product";
      continue;
    }
    const auto found = std::find(names.begin(), names.end(), key);
    if (found == names.end()) {
      const std::string near = nearest_name(key, names);
      throw RecipeError("unknown key \"" + key + "\" of " + law.name + "; did you mean \"" + near + "\"? Keys: " +
                        joined(names));
    }
    const auto at = static_cast<std::size_t>(found - names.begin());
    if (given[at]) throw RecipeError("key \"" + key + "\" is given twice; write a list " + key + "=a,b");
    given[at] = true;
    request.lists[at] = split_list(value);
  }
  for (std::size_t i = 0; i < law.params.size(); ++i)
    if (!given[i] && law.params[i].fallback.empty())
      throw RecipeError(law.name + " needs " + law.params[i].name + "=... (" + law.params[i].meaning + ")");
  return request;
}

/// For each point, which entry of each list it takes.
std::vector<std::vector<std::size_t>> selections(const TheoryEntry& law, const Request& request) {
  std::size_t points = 1;
  std::string longest;
  for (std::size_t i = 0; i < request.lists.size(); ++i) {
    const std::size_t size = request.lists[i].size();
    if (request.product) {
      points *= size;
    } else if (size > 1) {
      if (points > 1 && size != points)
        throw RecipeError("lists of unequal length: " + longest + " has " + std::to_string(points) + " entries, " +
                          law.params[i].name + " has " + std::to_string(size) +
                          "; give equal lengths, or broadcast=product for all combinations");
      points = size;
      longest = law.params[i].name;
    }
  }
  std::vector<std::vector<std::size_t>> chosen(points, std::vector<std::size_t>(request.lists.size()));
  for (std::size_t p = 0; p < points; ++p) {
    std::size_t rest = p;
    for (std::size_t i = request.lists.size(); i-- > 0;) {
      const std::size_t size = request.lists[i].size();
      chosen[p][i] = request.product ? rest % size : (size == 1 ? 0 : p);
      rest /= size;
    }
  }
  return chosen;
}

std::string json_string(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(c)));
      quoted += escape;
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string json_number(double value) {
  if (!std::isfinite(value)) return "null";
  char digits[40];
  std::snprintf(digits, sizeof digits, "%.17g", value);
  return digits;
}

struct JsonValue {
  std::string operator()(double value) const { return json_number(value); }
  std::string operator()(const std::string& value) const { return json_string(value); }
  std::string operator()(const std::vector<double>& values) const {
    std::string list;
    for (const double value : values) list += (list.empty() ? "" : ", ") + json_number(value);
    return "[" + list + "]";
  }
};

/// A parameter as a number where it is one.
std::string json_parameter(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return !text.empty() && *end == '\0' && std::isfinite(value) ? json_number(value) : json_string(text);
}

}  // namespace

const std::vector<TheoryEntry>& theory_entries() {
  static const std::vector<TheoryEntry> entries{
      nngp_ntk_entry(),
      one_hidden_variance_entry(),
      deep_relu_second_moment_entry(),
      deep_relu_second_moment_bias_entry(),
      deep_relu_ratio_limit_entry(),
      forward_kurtosis_entry(),
      four_point_vertex_entry(),
      dual_moments_entry(),
      hermite_coefficients_entry(),
      linear_dynamics_entry(),
      linear_mode_entry(),
      langevin_variance_entry(),
      coordinate_check_entry(),
      linear_regression_entry(),
      random_features_entry(),
      kernel_regression_entry(),
      kernel_polynomial_entry(),
      neural_tangent_regression_entry(),
      feature_regression_entry(),
      feature_flow_entry(),
      sgd_stationary_entry(),
      sgd_regression_entry(),
      shuffled_epochs_entry(),
      finite_window_entry(),
      kesten_exponent_entry(),
      valley_entry()};
  return entries;
}

const TheoryEntry& theory_entry(const std::string& name) {
  std::vector<std::string> names;
  for (const TheoryEntry& entry : theory_entries()) {
    if (entry.name == name) return entry;
    names.push_back(entry.name);
  }
  throw RecipeError("unknown law \"" + name + "\"; did you mean \"" + nearest_name(name, names) + "\"? Laws: " +
                    joined(names));
}

std::vector<EvaluatedPoint> evaluate_points(const std::string& name, const std::vector<std::string>& arguments) {
  const TheoryEntry& law = theory_entry(name);
  const Request request = parse_request(law, arguments);
  std::vector<EvaluatedPoint> points;
  for (const std::vector<std::size_t>& chosen : selections(law, request)) {
    EvaluatedPoint point;
    std::map<std::string, std::string> text;
    for (std::size_t i = 0; i < law.params.size(); ++i) {
      point.parameters.emplace_back(law.params[i].name, request.lists[i][chosen[i]]);
      text.insert(point.parameters.back());
    }
    point.values = law.evaluate(Params(std::move(text)));
    points.push_back(std::move(point));
  }
  return points;
}

std::string evaluate_json(const std::string& name, const std::vector<std::string>& arguments) {
  const TheoryEntry& law = theory_entry(name);
  std::string points;
  for (const EvaluatedPoint& point : evaluate_points(name, arguments)) {
    std::string parameters, values;
    for (const auto& [key, value] : point.parameters)
      parameters += (parameters.empty() ? "" : ", ") + json_string(key) + ": " + json_parameter(value);
    for (const NamedValue& value : point.values)
      values += (values.empty() ? "" : ", ") + json_string(value.name) + ": " + std::visit(JsonValue{}, value.value);
    if (!points.empty()) points += ",";
    points += "\n    {\"parameters\": {" + parameters + "},\n     \"values\": {" + values + "}}";
  }
  return "{\n  \"law\": " + json_string(law.name) + ",\n  \"description\": " + json_string(law.description) +
         ",\n  \"source\": " + json_string(law.source) + ",\n  \"domain\": " + json_string(law.domain) +
         ",\n  \"points\": [" + points + "\n  ]\n}\n";
}

}  // namespace widelab::theory
