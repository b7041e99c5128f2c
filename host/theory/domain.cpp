#include "host/theory/domain.hpp"

#include <cmath>

namespace widelab::theory {

void require_plain_layers(const Network& network, const std::string& law) {
  if (network.shape.layer_norm)
    throw RecipeError(law + ": model.layer_norm = true couples the units of a layer, so the law does not hold; "
                            "use model.layer_norm = false");
  if (network.shape.residual != 0.0 && network.shape.depth() > 1)
    throw RecipeError(law + ": model.residual = " + std::to_string(network.shape.residual) +
                      ": the law is known only without residual branches; use model.residual = 0");
}

void require_gaussian(const Network& network, Index first, Index last, const std::string& law) {
  for (Index l = first; l <= last; ++l) {
    const LayerScale& s = network.layers[static_cast<std::size_t>(l)];
    const bool weights = s.weight_variance() == 0.0 || s.weight_law == InitKind::normal;
    const bool biases = s.bias_variance() == 0.0 || s.bias_law == InitKind::normal;
    if (!weights || !biases)
      throw RecipeError(law + ": the " + (weights ? "biases" : "weights") + " of layer " + std::to_string(l + 1) +
                        " are not Gaussian, so the law is not exact; use the initialisation law \"normal\"");
  }
}

void require_covariance(KernelTriple k, const std::string& symbol) {
  const double bound = std::sqrt(k.k11) * std::sqrt(k.k22);
  if (k.k11 >= 0.0 && k.k22 >= 0.0 && std::isfinite(bound) && std::abs(k.k12) <= bound * (1.0 + 1e-12)) return;
  throw RecipeError(symbol + "11 = " + std::to_string(k.k11) + ", " + symbol + "12 = " + std::to_string(k.k12) + ", " +
                    symbol + "22 = " + std::to_string(k.k22) + ": needs " + symbol + "11, " + symbol + "22 >= 0 and |" +
                    symbol + "12| <= sqrt(" + symbol + "11 " + symbol + "22)");
}

MultiplierSums multiplier_sums(const MlpShape& shape, Index hidden) {
  const Index n = shape.widths[static_cast<std::size_t>(hidden)];
  const float* s = shape.multipliers(hidden);
  if (s == nullptr) return {static_cast<double>(n), static_cast<double>(n)};
  MultiplierSums sums;
  for (Index j = 0; j < n; ++j) {
    const double square = static_cast<double>(s[j]) * static_cast<double>(s[j]);
    sums.square += square;
    sums.fourth += square * square;
  }
  return sums;
}

}  // namespace widelab::theory
