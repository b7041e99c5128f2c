// Networks and inputs of awkward sizes for tests of kernel ops.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "widelab/math/activation_names.hpp"
#include "widelab/model/parametrization.hpp"
#include "widelab/rng/normal.hpp"
#include "widelab/rng/replicate_ids.hpp"

namespace widelab::test {

/// rows x cols normals, a pure function of `seed`.
template <class T>
std::vector<T> normals(Index rows, Index cols, std::uint64_t seed) {
  std::vector<T> out;
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j)
      out.push_back(static_cast<T>(
          normal_at({seed, 0, Stream::test_only, 0}, static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(j))));
  return out;
}

inline std::vector<DrawId> draw_ids(Index members, std::uint64_t key = 7) {
  std::vector<DrawId> ids;
  for (Index e = 0; e < members; ++e) ids.push_back({key, static_cast<std::uint32_t>(e)});
  return ids;
}

/// Everything that a network can be told, with defaults that exercise biases and unequal widths.
struct NetworkCase {
  std::string name = "default";
  std::string activation = "relu";
  std::vector<Index> widths{7, 5};
  Index input_dim = 3, outputs = 1;
  Parametrization parametrization = Parametrization::ntk;
  double sigma_w = 1.3, sigma_b = 0.4, bias_init_std = 1.0;
  bool train_bias = true, layer_norm = false, unit_multipliers = false;
  double residual = 0.0;
  InitKind law = InitKind::normal;

  Network network() const {
    MlpShape shape;
    shape.input_dim = input_dim;
    shape.widths = widths;
    shape.outputs = outputs;
    shape.activation = parse_activation(activation);
    shape.layer_norm = layer_norm;
    shape.residual = residual;
    if (unit_multipliers)
      for (const Index n : widths) {
        shape.unit_multipliers.emplace_back();
        for (Index j = 0; j < n; ++j) shape.unit_multipliers.back().push_back(0.5f + 0.25f * static_cast<float>(j % 5));
      }
    InitChoice choice;
    choice.parametrization = parametrization;
    choice.sigma_w = {sigma_w};
    choice.sigma_b = sigma_b;
    choice.bias_init_std = bias_init_std;
    choice.train_bias = train_bias;
    choice.weight_law = law;
    return make_network(shape, choice);
  }
};

/// Every activation, parametrisation and structural option at least once, at primes and at sizes beyond one tile.
inline std::vector<NetworkCase> network_cases() {
  std::vector<NetworkCase> cases;
  const auto add = [&cases](NetworkCase c, const std::string& name) {
    c.name = name;
    cases.push_back(std::move(c));
  };
  for (const char* activation : {"identity", "relu", "leaky-relu(0.1)", "ab-relu(-0.3,1.2)", "erf", "gelu", "tanh",
                                 "sin", "cos", "quadratic", "hermite(3)", "hermite-series(0.1,1,0.5)"}) {
    NetworkCase c;
    c.activation = activation;
    add(c, activation);
  }
  for (const auto& [p, name] : {std::pair{Parametrization::standard, "standard"},
                                {Parametrization::mup, "mup"},
                                {Parametrization::mean_field, "mean-field"}}) {
    NetworkCase c;
    c.activation = "tanh";
    c.parametrization = p;
    add(c, name);
  }
  NetworkCase one_unit{.widths = {1}, .input_dim = 1};
  add(one_unit, "one unit");
  add(NetworkCase{.widths = {13, 11, 17}, .outputs = 3}, "three outputs");
  add(NetworkCase{.activation = "erf", .widths = {13, 13}, .outputs = 2, .layer_norm = true}, "LayerNorm");
  add(NetworkCase{.activation = "gelu", .widths = {11, 11, 11}, .outputs = 2, .residual = 0.7}, "residual");
  add(NetworkCase{.activation = "tanh", .widths = {11, 11, 11}, .layer_norm = true, .residual = 0.5},
      "LayerNorm and residual");
  add(NetworkCase{.widths = {9, 6}, .outputs = 2, .unit_multipliers = true}, "unit multipliers");
  add(NetworkCase{.activation = "erf", .bias_init_std = 0.0}, "biases start at zero");
  add(NetworkCase{.activation = "erf", .train_bias = false}, "biases not trained");
  add(NetworkCase{.sigma_b = 0.0}, "no biases");
  add(NetworkCase{.activation = "erf", .law = InitKind::uniform}, "uniform weights");
  add(NetworkCase{.activation = "erf", .law = InitKind::rademacher}, "Rademacher weights");
  add(NetworkCase{.activation = "erf", .widths = {1031, 517}, .input_dim = 5}, "beyond one tile of units");
  return cases;
}

/// max |a - b| / max |b|, infinite where the sizes differ or a number is not finite.
template <class A, class B>
double relative_distance(const std::vector<A>& a, const std::vector<B>& b) {
  double distance = 0, size = 0;
  if (a.size() != b.size()) return INFINITY;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const double difference = std::abs(static_cast<double>(a[k]) - static_cast<double>(b[k]));
    if (!(difference < INFINITY)) return INFINITY;
    distance = std::max(distance, difference);
    size = std::max(size, std::abs(static_cast<double>(b[k])));
  }
  return size > 0 ? distance / size : distance;
}

}  // namespace widelab::test
