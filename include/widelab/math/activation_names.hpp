// Names of activations in recipes and files. Host only.
#pragma once

#include <charconv>
#include <cmath>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <vector>

#include "widelab/base/errors.hpp"
#include "widelab/base/nearest.hpp"
#include "widelab/math/activations.hpp"

namespace widelab {

namespace activation_names_detail {

inline constexpr std::string_view kLeakyRelu = "leaky-relu";
inline constexpr std::string_view kHermite = "hermite";

/// "name(p_1, ..., p_n)" taken apart.
struct Call {
  std::string text;
  std::string name;
  std::vector<double> parameters;
};

inline std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

inline double parse_number(std::string_view text, std::string_view whole) {
  double number = 0.0;
  const char *const begin = text.data(), *const end = begin + text.size();
  const auto result = std::from_chars(begin, end, number);
  if (result.ec != std::errc() || result.ptr != end || !std::isfinite(number))
    throw RecipeError("activation = \"" + std::string(whole) + "\": \"" + std::string(text) +
                      "\" is not a finite number; write, for instance, \"leaky-relu(0.1)\"");
  return number;
}

inline Call parse_call(std::string_view whole) {
  const std::string_view text = trimmed(whole);
  Call call;
  call.text = std::string(text);
  const auto open = text.find('(');
  call.name = std::string(trimmed(text.substr(0, open)));
  if (open == std::string_view::npos) return call;
  if (text.back() != ')') throw RecipeError("activation = \"" + call.text + "\": the parameters must end with \")\"");
  std::string_view rest = text.substr(open + 1, text.size() - open - 2);
  if (trimmed(rest).empty()) return call;
  for (;;) {
    const auto comma = rest.find(',');
    call.parameters.push_back(parse_number(trimmed(rest.substr(0, comma)), text));
    if (comma == std::string_view::npos) return call;
    rest = rest.substr(comma + 1);
  }
}

inline void require_count(const Call& call, std::size_t least, std::size_t most) {
  const std::size_t n = call.parameters.size();
  if (n >= least && n <= most) return;
  const std::string range = std::to_string(least) + (least == most ? "" : " to " + std::to_string(most));
  throw RecipeError("activation = \"" + call.text + "\": \"" + call.name + "\" takes " + range + " parameters, got " +
                    std::to_string(n) + (most == 0 ? "; write \"" + call.name + "\"" : ""));
}

/// Functors other than HermiteSeries are structs of doubles, in the order in which they are written.
template <class F>
constexpr std::size_t parameter_count() {
  if constexpr (std::is_empty_v<F>)
    return 0;
  else
    return sizeof(F) / sizeof(double);
}

template <class F>
Activation from_call(const Call& call) {
  if constexpr (std::is_same_v<F, HermiteSeries>) {
    require_count(call, 1, HermiteSeries::kMaxDegree + 1);
    HermiteSeries series;
    std::copy(call.parameters.begin(), call.parameters.end(), series.c);
    series.degree = static_cast<Index>(call.parameters.size()) - 1;
    return series;
  } else {
    constexpr std::size_t kCount = parameter_count<F>();
    require_count(call, kCount, kCount);
    F functor;
    if constexpr (kCount > 0) std::memcpy(static_cast<void*>(&functor), call.parameters.data(), sizeof functor);
    return functor;
  }
}

inline Activation hermite_from_call(const Call& call) {
  require_count(call, 1, 1);
  const double k = call.parameters[0];
  if (k < 0 || k > HermiteSeries::kMaxDegree || k != std::floor(k))
    throw RecipeError("activation = \"" + call.text + "\": the degree must be an integer from 0 to " +
                      std::to_string(HermiteSeries::kMaxDegree));
  return hermite(static_cast<int>(k));
}

template <class... A>
bool from_list(const Call& call, Activation& out, ActivationList<A...>) {
  return ((call.name == A::kName && (out = from_call<A>(call), true)) || ...);
}

template <class... A>
std::vector<std::string> list_names(ActivationList<A...>) {
  return {A::kName..., std::string(kLeakyRelu), std::string(kHermite)};
}

inline std::string written(const std::vector<double>& parameters) {
  std::string text;
  for (const double p : parameters) {
    char digits[32];
    const auto result = std::to_chars(digits, digits + sizeof digits, p);  // the shortest text that reads back as p
    if (!text.empty()) text += ',';
    text.append(digits, result.ptr);
  }
  return text;
}

inline std::string name_of(const HermiteSeries& series) {
  if (series == hermite(static_cast<int>(series.degree)))
    return std::string(kHermite) + "(" + std::to_string(series.degree) + ")";
  return std::string(HermiteSeries::kName) + "(" + written({series.c, series.c + series.degree + 1}) + ")";
}

template <class F>
std::string name_of(const F& functor) {
  if constexpr (std::is_empty_v<F>) {
    return F::kName;
  } else {
    std::vector<double> parameters(parameter_count<F>());
    std::memcpy(parameters.data(), &functor, sizeof functor);
    return std::string(F::kName) + "(" + written(parameters) + ")";
  }
}

}  // namespace activation_names_detail

/// The names that parse_activation knows, without parameters.
inline std::vector<std::string> activation_names() { return activation_names_detail::list_names(AllActivations{}); }

/// "relu", "ab-relu(a,b)", "leaky-relu(a)" = ab-relu(a,1), "hermite(k)", "hermite-series(c_0,...,c_K)", ...: the name
/// of a functor with its parameters. Throws RecipeError for an unknown name (naming the nearest one), a wrong number
/// of parameters, or a parameter out of range.
inline Activation parse_activation(std::string_view text) {
  namespace detail = activation_names_detail;
  const detail::Call call = detail::parse_call(text);
  Activation activation;
  if (detail::from_list(call, activation, AllActivations{})) return activation;
  if (call.name == detail::kHermite) return detail::hermite_from_call(call);
  if (call.name == detail::kLeakyRelu) {
    detail::require_count(call, 1, 1);
    return AbRelu{call.parameters[0], 1.0};
  }
  const std::vector<std::string> names = activation_names();
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  throw RecipeError("activation = \"" + call.text + "\": unknown; did you mean \"" + nearest_name(call.name, names) +
                    "\"? Known: " + all);
}

/// The text that parse_activation turns back into the same activation.
inline std::string to_string(const Activation& activation) {
  return visit(activation, [](const auto& functor) { return activation_names_detail::name_of(functor); });
}

}  // namespace widelab
