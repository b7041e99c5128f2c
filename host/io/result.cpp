#include "host/io/result.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "widelab/base/contract.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::io {
namespace {

constexpr const char* kRole = "role";
constexpr const char* kPrediction = "prediction";

/// The parts of an observable beside its mean: suffix of the variable, member, what it is.
struct Part {
  const char* suffix;
  std::vector<double> Observable::*values;
  const char* description;
};

constexpr std::array<Part, 5> kParts{{
    {"_se", &Observable::se, "standard error of "},
    {"_count", &Observable::count, "number of independent replicates behind "},
    {"_theory", &Observable::theory, "prediction for "},
    {"_theory_error", &Observable::theory_error, "error of the prediction for "},
    {"_z", &Observable::z, "deviation from the prediction in standard errors, for "},
}};

NamedArray coordinate(const Axis& axis) {
  NamedArray array{axis.name, axis.units, axis.description, {axis.name}, {axis.size()}, {}, {{kRole, "axis"}}};
  std::visit([&](const auto& values) { array.values = values; }, axis.values);
  return array;
}

void append_observable(const Result& result, const Observable& observable, std::vector<NamedArray>& arrays) {
  NamedArray mean{observable.name, observable.units, observable.description, observable.dims, {}, {}, {}};
  std::size_t size = 1;
  for (const std::string& dim : observable.dims) {
    mean.shape.push_back(axis_named(result, dim).size());
    size *= mean.shape.back();
  }
  WIDELAB_REQUIRE(observable.mean.size() == size, "observable '" + observable.name + "' does not fill its axes");
  mean.values = observable.mean;
  mean.attributes = {{kRole, "observable"}};
  if (!observable.prediction.empty()) mean.attributes.emplace_back(kPrediction, observable.prediction);
  arrays.push_back(mean);
  for (const Part& part : kParts) {
    const std::vector<double>& values = observable.*part.values;
    if (values.empty()) continue;
    const std::string name = observable.name + part.suffix;
    WIDELAB_REQUIRE(values.size() == size, "'" + name + "' does not fill its axes");
    const bool pure = part.values == &Observable::count || part.values == &Observable::z;
    arrays.push_back({name, pure ? "1" : observable.units, part.description + observable.name, observable.dims,
                      mean.shape, values, {{kRole, "part"}}});
  }
}

const std::vector<double>& reals_of(const NamedArray& array) {
  const auto* values = std::get_if<std::vector<double>>(&array.values);
  if (values == nullptr) throw DataError("variable '" + array.name + "' of the result is not real. Way out: rebuild " +
                                         "the result with 'widelab summarise'.");
  return *values;
}

Axis axis_from(const NamedArray& array) {
  Axis axis{array.name, array.units, array.description, {}};
  if (const auto* texts = std::get_if<std::vector<std::string>>(&array.values)) {
    axis.values = *texts;
  } else {
    axis.values = reals_of(array);
  }
  return axis;
}

Observable observable_from(const NamedArray& mean, const std::map<std::string, const NamedArray*>& by_name) {
  Observable observable;
  observable.name = mean.name;
  observable.units = mean.units;
  observable.description = mean.description;
  observable.dims = mean.dims;
  observable.mean = reals_of(mean);
  observable.prediction = attribute(mean.attributes, kPrediction);
  for (const Part& part : kParts) {
    const auto found = by_name.find(mean.name + part.suffix);
    if (found != by_name.end() && attribute(found->second->attributes, kRole) == "part") {
      observable.*part.values = reals_of(*found->second);
    }
  }
  return observable;
}

void check_names(const ArrayFile& file) {
  std::set<std::string> names;
  for (const NamedArray& array : file.arrays) {
    WIDELAB_REQUIRE(names.insert(array.name).second, "the result names '" + array.name + "' twice");
  }
}

}  // namespace

std::size_t Axis::size() const {
  return std::visit([](const auto& held) { return held.size(); }, values);
}

const Axis& axis_named(const Result& result, const std::string& name) {
  const auto found = std::find_if(result.axes.begin(), result.axes.end(),
                                  [&](const Axis& axis) { return axis.name == name; });
  WIDELAB_REQUIRE(found != result.axes.end(), "observable over an axis '" + name + "' that the result lacks");
  return *found;
}

std::vector<double> z_scores(const Observable& observable) {
  std::vector<double> scores(observable.mean.size(), std::numeric_limits<double>::quiet_NaN());
  if (observable.theory.empty() || observable.se.empty()) return scores;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const double theory_error = observable.theory_error.empty() ? 0.0 : observable.theory_error[i];
    scores[i] = (observable.mean[i] - observable.theory[i]) / std::hypot(observable.se[i], theory_error);
  }
  return scores;
}

ArrayFile to_array_file(const Result& result) {
  ArrayFile file;
  file.attributes = result.attributes;
  for (const Axis& axis : result.axes) file.arrays.push_back(coordinate(axis));
  for (const Observable& observable : result.observables) append_observable(result, observable, file.arrays);
  file.arrays.insert(file.arrays.end(), result.extras.begin(), result.extras.end());
  check_names(file);
  return file;
}

Result from_array_file(const ArrayFile& file) {
  Result result;
  result.attributes = file.attributes;
  std::map<std::string, const NamedArray*> by_name;
  for (const NamedArray& array : file.arrays) by_name[array.name] = &array;
  for (const NamedArray& array : file.arrays) {
    const std::string role = attribute(array.attributes, kRole);
    if (role == "axis") {
      result.axes.push_back(axis_from(array));
    } else if (role == "observable") {
      result.observables.push_back(observable_from(array, by_name));
    } else if (role != "part") {
      result.extras.push_back(array);
    }
  }
  for (const Observable& observable : result.observables) {
    for (const std::string& dim : observable.dims) {
      if (by_name.count(dim) == 0) {
        throw DataError("the result has no axis '" + dim + "' for '" + observable.name +
                        "'. Way out: rebuild it with 'widelab summarise'.");
      }
    }
  }
  return result;
}

}  // namespace widelab::io
