#include "host/theory/ridge_convention.hpp"

#include <cmath>

#include "widelab/base/errors.hpp"

namespace widelab::theory {
namespace {

/// A count that the convention multiplies or divides by.
double usable(double value, const std::string& name, RidgeConvention convention) {
  if (value > 0 && std::isfinite(value)) return value;
  throw RecipeError(name + " = " + std::to_string(value) + ": the ridge convention \"" +
                    ridge_convention_names()[static_cast<std::size_t>(convention)] + "\" scales with " + name +
                    ", which must be positive and finite; give the ridge in the convention \"sum\"");
}

/// lambda_u for a ridge of 1 in `convention`.
double scale(RidgeConvention convention, const RegressionSize& size) {
  const auto features = [&] { return usable(size.features, "the number of features N", convention); };
  const auto examples = [&] { return usable(size.examples, "the number of examples n", convention); };
  switch (convention) {
    case RidgeConvention::per_feature:
      return features();
    case RidgeConvention::mean:
      return examples();
    case RidgeConvention::mei_montanari:
      return examples() * features() / usable(size.dimension, "the dimension d", convention);
    case RidgeConvention::sum:
      break;
  }
  return 1;
}

double checked(double ridge) {
  if (ridge >= 0 && std::isfinite(ridge)) return ridge;
  throw RecipeError("ridge = " + std::to_string(ridge) + ": must be a finite number of at least 0");
}

}  // namespace

const std::vector<std::string>& ridge_convention_names() {
  static const std::vector<std::string> names{"sum", "per-feature", "mean", "mei-montanari"};
  return names;
}

double sum_ridge(RidgeConvention convention, double ridge, const RegressionSize& size) {
  return checked(ridge) * scale(convention, size);
}

double ridge_in(RidgeConvention convention, double sum_ridge, const RegressionSize& size) {
  return checked(sum_ridge) / scale(convention, size);
}

}  // namespace widelab::theory
