#include "host/theory/domain.hpp"
#include "host/theory/finite_width.hpp"

namespace widelab::theory {
namespace {

/// E[a^4] of the elementwise laws of unit variance.
double fourth_moment(InitKind law) {
  if (law == InitKind::uniform) return 9.0 / 5.0;
  if (law == InitKind::rademacher) return 1.0;
  return 3.0;
}

void require_one_hidden(const Network& network, const std::string& law) {
  if (network.shape.depth() != 1)
    throw RecipeError(law + ": model.depth = " + std::to_string(network.shape.depth()) +
                      ": exact only for one hidden layer; use model.depth = 1");
  require_plain_layers(network, law);
  require_gaussian(network, 0, 0, law);
}

KernelTriple first_kernel(const LayerScale& s, KernelTriple x) {
  const auto kernel = [&](double product) { return s.bias_variance() + s.weight_variance() * product; };
  return {kernel(x.k11), kernel(x.k12), kernel(x.k22)};
}

}  // namespace

OneHiddenNtk one_hidden_ntk(const Network& network, KernelTriple inner_products) {
  const std::string law = "one-hidden-layer NTK variance";
  require_one_hidden(network, law);
  require_covariance(inner_products, "inner product ");
  const LayerScale &input = network.layers[0], &readout = network.layers[1];
  if (readout.weight_variance() != 0.0 && !is_elementwise(readout.weight_law))
    throw RecipeError(law + ": readout weights must be independent (normal, uniform or rademacher)");

  const KernelTriple kernel = first_kernel(input, inner_products);
  const DualMoments dual = dual_moments(network.shape.activation, kernel);
  const QuarticMoments quartic = quartic_moments(network.shape.activation, kernel);
  const MultiplierSums s = multiplier_sums(network.shape, 0);

  const double features = readout.weight_kernel();
  const double slopes = readout.weight_variance() * (input.weight_kernel() * inner_products.k12 + input.bias_kernel());
  const double mean = features * dual.value + slopes * dual.slope;  // of one unit with s_j = 1
  const double square = features * features * quartic.pp + 2.0 * features * slopes * quartic.ppee +
                        fourth_moment(readout.weight_law) * slopes * slopes * quartic.ee;
  OneHiddenNtk result;
  result.entry.mean = readout.bias_kernel() + s.square * mean;
  result.entry.variance = s.fourth * (square - mean * mean);
  result.cross_output_variance = s.fourth * slopes * slopes * quartic.ee;
  return result;
}

EntryMoments one_hidden_feature_kernel(const Network& network, KernelTriple inner_products) {
  require_one_hidden(network, "one-hidden-layer feature kernel variance");
  require_covariance(inner_products, "inner product ");
  const LayerScale& readout = network.layers[1];
  const KernelTriple kernel = first_kernel(network.layers[0], inner_products);
  const double mean = dual_moments(network.shape.activation, kernel).value;
  const double square = quartic_moments(network.shape.activation, kernel).pp;
  const MultiplierSums s = multiplier_sums(network.shape, 0);
  const double v = readout.weight_variance();
  return {readout.bias_variance() + v * s.square * mean, v * v * s.fourth * (square - mean * mean)};
}

}  // namespace widelab::theory
