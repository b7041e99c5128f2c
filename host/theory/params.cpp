#include <charconv>
#include <cmath>
#include <string_view>

#include "host/theory/registry.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/base/errors.hpp"

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
