#include "host/estimators/scalar_chain.hpp"

#include <cmath>

#include "widelab/base/contract.hpp"
#include "widelab/rng/normal.hpp"

namespace widelab::estimators {

double sample_scalar_chain(const Network& network, double squared_norm, DrawId init) {
  const MlpShape& shape = network.shape;
  WIDELAB_REQUIRE(!shape.layer_norm && shape.residual == 0.0 && shape.unit_multipliers.empty(),
                  "the scalar chain knows plain layers only");
  double g = network.layers[0].bias_variance() + network.layers[0].weight_variance() * squared_norm;
  for (Index l = 1; l < shape.layers(); ++l) {
    const StreamId id = init.stream(Stream::scalar_chain, static_cast<std::uint8_t>(l));
    const double sd = std::sqrt(g);
    const Index n = shape.fan_in(l);
    const double sum = visit(shape.activation, [&](const auto& phi) {
      double square = 0;
      for (Index unit = 0; unit < n; unit += 4) {
        const Draw4 draws = normal4(random_block(id, 0, static_cast<std::uint32_t>(unit / 4)));
        for (Index k = 0; k < 4 && unit + k < n; ++k) {
          const double h = phi.value(sd * static_cast<double>(draws.v[k]));
          square += h * h;
        }
      }
      return square;
    });
    g = network.layers[static_cast<std::size_t>(l)].bias_variance() +
        network.layers[static_cast<std::size_t>(l)].weight_variance() * sum;
  }
  return g;
}

}  // namespace widelab::estimators
