#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>

#include "host/theory/registry.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/base/nearest.hpp"

namespace widelab::theory {
namespace {

double parse_number(const std::string& name, std::string_view text) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    throw RecipeError(name + " = \"" + std::string(text) + "\": must be a finite number");
  return value;
}

}  // namespace

const std::string& Params::text(const std::string& name) const {
  const auto found = text_.find(name);
  WIDELAB_REQUIRE(found != text_.end(), "the law reads a parameter that it does not list: " + name);
  return found->second;
}

double Params::number(const std::string& name) const { return parse_number(name, text(name)); }

double Params::number_at_least(const std::string& name, double least) const {
  const double value = number(name);
  if (value < least) throw RecipeError(name + " = " + text(name) + ": must be at least " + std::to_string(least));
  return value;
}

Index Params::count(const std::string& name, Index least) const {
  const double value = number(name);
  if (value != std::floor(value) || std::abs(value) > 9e15 || static_cast<Index>(value) < least)
    throw RecipeError(name + " = " + text(name) + ": must be an integer of at least " + std::to_string(least));
  return static_cast<Index>(value);
}

bool Params::flag(const std::string& name) const {
  const std::string& value = text(name);
  if (value != "true" && value != "false") throw RecipeError(name + " = \"" + value + "\": must be true or false");
  return value == "true";
}

double Params::time(const std::string& name) const {
  return text(name) == "inf" ? std::numeric_limits<double>::infinity() : number_at_least(name, 0.0);
}

std::size_t Params::choice(const std::string& name, const std::vector<std::string>& options) const {
  const std::string& value = text(name);
  const auto found = std::find(options.begin(), options.end(), value);
  if (found != options.end()) return static_cast<std::size_t>(found - options.begin());
  std::string all;
  for (const std::string& option : options) all += (all.empty() ? "" : ", ") + option;
  throw RecipeError(name + " = \"" + value + "\": did you mean \"" + nearest_name(value, options) + "\"? One of " +
                    all);
}

std::vector<double> Params::numbers(const std::string& name) const {
  const std::string& all = text(name);
  std::vector<double> values;
  for (std::size_t begin = 0; begin <= all.size();) {
    const std::size_t end = std::min(all.find(':', begin), all.size());
    values.push_back(parse_number(name, std::string_view(all).substr(begin, end - begin)));
    begin = end + 1;
  }
  return values;
}

}  // namespace widelab::theory
