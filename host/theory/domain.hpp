// The conditions under which a law holds, as errors that name what breaks them and the way out.
#pragma once

#include <string>

#include "widelab/math/gaussian_moments.hpp"
#include "widelab/model/parametrization.hpp"

namespace widelab::theory {

/// Throws RecipeError, starting with `law`, if the network has LayerNorm or residual branches.
void require_plain_layers(const Network& network, const std::string& law);

/// Throws RecipeError unless the weights of layers first .. last and those of their biases that do not start at zero
/// are Gaussian.
void require_gaussian(const Network& network, Index first, Index last, const std::string& law);

/// Throws RecipeError unless k is a covariance: k11, k22 >= 0 and |k12| <= sqrt(k11 k22) up to rounding. The message
/// calls the entries `symbol`11, `symbol`12, `symbol`22.
void require_covariance(KernelTriple k, const std::string& symbol);

/// Sums of the squared and of the fourth powers of the unit multipliers of hidden layer `hidden` (0-based).
struct MultiplierSums {
  double square = 0.0, fourth = 0.0;
};
MultiplierSums multiplier_sums(const MlpShape& shape, Index hidden);

}  // namespace widelab::theory
