// The networks and inputs of the benchmarks: ReLU, NTK parametrisation, sigma_w^2 = 2, no biases, normal inputs.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "widelab/model/param_layout.hpp"
#include "widelab/model/parametrization.hpp"
#include "widelab/rng/normal.hpp"
#include "widelab/rng/replicate_ids.hpp"

namespace widelab::bench {

/// N inputs, depth hidden layers of one width, one output, an ensemble of `members`.
struct Size {
  Index inputs = 256, width = 2048, depth = 3, input_dim = 64, members = 1;

  std::string text() const {
    return "N=" + std::to_string(inputs) + " n=" + std::to_string(width) + " L=" + std::to_string(depth) +
           " d=" + std::to_string(input_dim) + (members > 1 ? " E=" + std::to_string(members) : "");
  }
};

inline Network relu_network(const Size& size) {
  MlpShape shape;
  shape.input_dim = size.input_dim;
  shape.widths.assign(static_cast<std::size_t>(size.depth), size.width);
  InitChoice choice;
  choice.sigma_w = {std::sqrt(2.0)};
  return make_network(shape, choice);
}

template <class T>
std::vector<T> normal_inputs(const Size& size) {
  std::vector<T> x;
  for (Index i = 0; i < size.inputs; ++i)
    for (Index j = 0; j < size.input_dim; ++j)
      x.push_back(static_cast<T>(
          normal_at({1, 0, Stream::test_only, 0}, static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(j))));
  return x;
}

inline std::vector<DrawId> draw_ids(Index members) {
  std::vector<DrawId> ids;
  for (Index e = 0; e < members; ++e) ids.push_back({2, static_cast<std::uint32_t>(e)});
  return ids;
}

}  // namespace widelab::bench
