#include "host/theory/scalar_chain.hpp"

#include "host/theory/domain.hpp"
#include "widelab/math/gaussian_moments.hpp"

namespace widelab::theory {

std::vector<ChainLayer> scalar_chain(const Network& network, double squared_norm) {
  const std::string law = "scalar chain";
  require_plain_layers(network, law);
  require_gaussian(network, 0, network.shape.depth(), law);
  const LayerScale& first = network.layers.front();
  std::vector<ChainLayer> chain{{first.bias_variance() + first.weight_variance() * squared_norm, 0.0, 0.0}};
  for (Index l = 1; l < network.shape.layers(); ++l) {
    ChainLayer& below = chain.back();
    const LayerScale& scale = network.layers[static_cast<std::size_t>(l)];
    const MultiplierSums s = multiplier_sums(network.shape, l - 1);
    const SingleMoments moments = single_moments(network.shape.activation, below.mean);
    const double v = scale.weight_variance();
    // A kernel of exactly 0 is not random, so its slope does not matter.
    below.chi_parallel = below.mean > 0.0 ? v * s.square * moments.chi / (2.0 * below.mean * below.mean) : 0.0;
    ChainLayer next;
    next.mean = scale.bias_variance() + v * s.square * moments.square;
    next.variance = v * v * s.fourth * (moments.fourth - moments.square * moments.square) +
                    below.chi_parallel * below.chi_parallel * below.variance;
    chain.push_back(next);
  }
  return chain;
}

}  // namespace widelab::theory
