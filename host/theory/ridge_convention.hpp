// One ridge, four names. A regression on N features and n examples in d dimensions, sum_i (y_i - f_i)^2 + lambda_u
// |a|^2 with f = sum_j a_j sigma_j (features as they are), has the ridge
//   sum            lambda_u                  fixed while N or n grow: what prefix factorisations hold
//   per-feature    lambda_u / N              features normalised by N^-1/2: deterministic_equivalent.hpp
//   mean           lambda_u / n              the loss is a mean over examples
//   mei-montanari  lambda_u d / (n N)        (1/n) sum (y - f)^2 + (N lambda / d) |a|^2, Mei and Montanari 2019
#pragma once

#include <string>
#include <vector>

#include "widelab/base/types.hpp"

namespace widelab::theory {

enum class RidgeConvention { sum, per_feature, mean, mei_montanari };

/// "sum", "per-feature", "mean", "mei-montanari", in the order of the enumeration.
const std::vector<std::string>& ridge_convention_names();

struct RegressionSize {
  double features = 1;   ///< N
  double examples = 1;   ///< n
  double dimension = 1;  ///< d
};

/// lambda_u of a ridge that is given in `convention`, and back. RecipeError for a negative or non-finite ridge.
double sum_ridge(RidgeConvention convention, double ridge, const RegressionSize& size);
double ridge_in(RidgeConvention convention, double sum_ridge, const RegressionSize& size);

}  // namespace widelab::theory
