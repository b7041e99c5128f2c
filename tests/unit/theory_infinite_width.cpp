// NNGP and NTK recursions against reference values, hand calculations and their exact edge cases.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "host/theory/infinite_width.hpp"
#include "tests/unit/theory_golden.hpp"
#include "widelab/base/errors.hpp"

namespace widelab {
namespace {

using test::golden;
using theory::diagonal_by_layer;
using theory::infinite_width_kernels;
using theory::kernels_by_layer;
using theory::LayerKernels;

MlpShape mlp(Index depth, Activation activation, Index width = 64, Index input_dim = 1) {
  MlpShape shape;
  shape.input_dim = input_dim;
  shape.widths.assign(static_cast<std::size_t>(depth), width);
  shape.activation = activation;
  return shape;
}

InitChoice gains(double sigma_w2, double sigma_b2 = 0.0) {
  InitChoice choice;
  choice.sigma_w = {std::sqrt(sigma_w2)};
  choice.sigma_b = std::sqrt(sigma_b2);
  return choice;
}

void expect_relative(double value, double expected, double tolerance) {
  EXPECT_NEAR(value, expected, tolerance * std::abs(expected));
}

void expect_golden(const std::string& name, const Network& network, KernelTriple q) {
  const LayerKernels last = kernels_by_layer(network, q).back();
  expect_relative(last.nngp.k12, golden(name, "nngp"), 1e-10);
  expect_relative(last.ntk.k12, golden(name, "ntk"), 1e-10);
}

TEST(InfiniteWidth, ReluAndGeluEqualReferenceValues) {
  expect_golden("relu_fc_L3", make_network(mlp(3, Relu{}), gains(2.0)), {1.0, 0.5, 1.0});
  expect_golden("relu_fc_L10", make_network(mlp(10, Relu{}), gains(2.0)), {1.0, 0.5, 1.0});
  expect_golden("relu_fc_L3_bias", make_network(mlp(3, Relu{}), gains(1.7, 0.01)), {1.3, -0.4, 0.7});
  expect_golden("gelu_fc_L3", make_network(mlp(3, Gelu{}), gains(2.25, 0.01)), {1.3, -0.4, 0.7});
}

TEST(InfiniteWidth, ASigmaOffByTwoPercentMissesTheReference) {
  const LayerKernels last = kernels_by_layer(make_network(mlp(3, Relu{}), gains(2.04)), {1.0, 0.5, 1.0}).back();
  EXPECT_GT(std::abs(last.ntk.k12 - golden("relu_fc_L3", "ntk")), 0.01);
}

TEST(InfiniteWidth, DualMomentsEqualReferenceValues) {
  const KernelTriple k{1.2, 0.5, 0.8};
  const DualMoments gelu = dual_moments(Gelu{}, k), tanh = dual_moments(Tanh{}, k);
  expect_relative(gelu.value, golden("dual_gelu", "E_phi_phi"), 1e-10);
  expect_relative(gelu.slope, golden("dual_gelu", "E_dphi_dphi"), 1e-10);
  expect_relative(tanh.value, golden("dual_tanh", "E_phi_phi"), 1e-10);
  expect_relative(tanh.slope, golden("dual_tanh", "E_dphi_dphi"), 1e-10);
}

TEST(InfiniteWidth, GramEqualsEntriesAndIsSymmetric) {
  const Network net = make_network(mlp(2, Erf{}, 64, 3), gains(1.5, 0.1));
  const std::vector<double> x{1.0, -0.5, 0.3, 0.2, 0.9, -1.1, 1.0, -0.5, 0.3, -1.0, 0.5, -0.3, 0.0, 0.0, 0.0};
  const auto view = matrix_view(x.data(), 5, 3);
  const theory::KernelPair gram = infinite_width_kernels(net, view);
  const theory::KernelPair block = infinite_width_kernels(net, {x.data() + 3, 2, 3, 3}, view);
  for (std::size_t i = 0; i < 5; ++i) {
    for (std::size_t j = 0; j < 5; ++j) {
      KernelTriple q{0, 0, 0};
      for (std::size_t k = 0; k < 3; ++k) {
        q.k11 += x[3 * i + k] * x[3 * i + k];
        q.k12 += x[3 * i + k] * x[3 * j + k];
        q.k22 += x[3 * j + k] * x[3 * j + k];
      }
      const LayerKernels last = kernels_by_layer(net, q).back();
      expect_relative(gram.nngp[5 * i + j], last.nngp.k12, 1e-12);
      expect_relative(gram.ntk[5 * i + j], last.ntk.k12, 1e-12);
      EXPECT_EQ(gram.ntk[5 * i + j], gram.ntk[5 * j + i]);
      if (i == 1 || i == 2) {
        EXPECT_EQ(block.ntk[5 * (i - 1) + j], gram.ntk[5 * i + j]);
      }
    }
  }
  for (const std::size_t i : {1u, 3u, 4u}) EXPECT_EQ(gram.ntk[5 * i], gram.ntk[5 * i + 2]);  // rows 0 and 2 are equal
  EXPECT_EQ(gram.ntk[0], gram.ntk[2]);
  EXPECT_EQ(gram.nngp[0], gram.nngp[2]);
}

TEST(InfiniteWidth, ReluDiagonalIsExact) {
  // sigma_w^2 = 2: K stays |x|^2 2/d, T grows by it in each layer; equal inputs take the same path.
  const Network net = make_network(mlp(7, Relu{}), gains(2.0));
  const LayerKernels last = kernels_by_layer(net, {0.75, 0.75, 0.75}).back();
  expect_relative(last.nngp.k12, 1.5, 1e-14);
  expect_relative(last.ntk.k12, 12.0, 1e-14);
  EXPECT_EQ(last.ntk.k11, last.ntk.k12);
  EXPECT_EQ(diagonal_by_layer(net, 0.75).back().ntk, last.ntk.k12);
}

TEST(InfiniteWidth, AntipodalReluInputsAreUncorrelatedAfterOneLayer) {
  const std::vector<LayerKernels> layers = kernels_by_layer(make_network(mlp(3, Relu{}), gains(2.0)), {1.0, -1.0, 1.0});
  EXPECT_EQ(layers[0].nngp.k12, -layers[0].nngp.k11);
  EXPECT_EQ(layers[1].nngp.k12, 0.0);
  EXPECT_EQ(layers[1].ntk.k12, 0.0);
  expect_relative(layers[2].nngp.k12, 2.0 / std::numbers::pi, 1e-14);  // arc-cosine kernel at a right angle
}

TEST(InfiniteWidth, OddActivationsAreOddInAnAntipodalPair) {
  for (const Activation& activation : std::vector<Activation>{Erf{}, Tanh{}, Sin{}, Identity{}}) {
    const LayerKernels last = kernels_by_layer(make_network(mlp(3, activation), gains(1.3)), {1.0, -1.0, 1.0}).back();
    expect_relative(last.nngp.k12, -last.nngp.k11, 1e-12);
    expect_relative(last.ntk.k12, -last.ntk.k11, 1e-12);
  }
}

TEST(InfiniteWidth, ZeroInputOfReluHasNoKernelAndFollowsTheBiases) {
  const LayerKernels dead = kernels_by_layer(make_network(mlp(3, Relu{}), gains(2.0)), {0.0, 0.0, 1.0}).back();
  EXPECT_EQ(dead.nngp.k12, 0.0);
  EXPECT_EQ(dead.ntk.k12, 0.0);
  EXPECT_EQ(dead.ntk.k11, 0.0);
  // Biases that start at zero are trained but move nothing except the readout: relu'(0) = 0.
  InitChoice zero_start = gains(2.0, 0.25);
  zero_start.bias_init_std = 0.0;
  EXPECT_EQ(kernels_by_layer(make_network(mlp(3, Relu{}), zero_start), {0.0, 0.0, 0.0}).back().ntk.k12, 0.25);
  // With random biases the zero input is an ordinary one.
  const LayerKernels biased = kernels_by_layer(make_network(mlp(1, Relu{}), gains(2.0, 0.5)), {0.0, 0.0, 0.0}).back();
  EXPECT_DOUBLE_EQ(biased.nngp.k12, 0.5 + 0.5);
  EXPECT_DOUBLE_EQ(biased.ntk.k12, 0.5 + 0.5 + 0.5);
}

TEST(InfiniteWidth, IdentityNetworkCountsItsPaths) {
  // A linear network: K = s^(L+1) q; T = (L+1) s^(L+1) q, every layer contributing the product of the others' gains.
  const Network net = make_network(mlp(4, Identity{}), gains(1.2));
  const LayerKernels last = kernels_by_layer(net, {1.0, 0.3, 2.0}).back();
  const double s5 = std::pow(1.2, 5);
  expect_relative(last.nngp.k12, 0.3 * s5, 1e-13);
  expect_relative(last.ntk.k12, 5 * 0.3 * s5, 1e-13);
}

TEST(InfiniteWidth, FrozenLayersAndBiasesDropOut) {
  const KernelTriple q{1.0, 0.3, 2.0};
  InitChoice choice = gains(1.2, 0.4);
  choice.train_weights = {false, false, true};
  choice.train_bias = false;
  const LayerKernels readout = kernels_by_layer(make_network(mlp(2, Erf{}), choice), q).back();
  expect_relative(readout.ntk.k12, readout.nngp.k12 - 0.4, 1e-13);  // trained readout alone: the feature kernel
  double sum = 0.0;
  for (std::size_t layer = 0; layer < 3; ++layer) {
    choice.train_weights.assign(3, false);
    choice.train_weights[layer] = true;
    sum += kernels_by_layer(make_network(mlp(2, Erf{}), choice), q).back().ntk.k12;
  }
  choice.train_weights.clear();
  expect_relative(kernels_by_layer(make_network(mlp(2, Erf{}), choice), q).back().ntk.k12, sum, 1e-13);
}

TEST(InfiniteWidth, StandardParametrisationWeightsEachLayerByItsFanIn) {
  // T_1 = d q + 1 and T' = n F + 1 + sigma_w^2 D T, by hand for one hidden identity layer: F = K_1, D = 1.
  InitChoice choice = gains(1.5, 0.2);
  choice.parametrization = Parametrization::standard;
  const Index d = 10, n = 40;
  const LayerKernels last = kernels_by_layer(make_network(mlp(1, Identity{}, n, d), choice), {10.0, 3.0, 10.0}).back();
  const double k1 = 0.2 + 1.5 * 0.3;
  expect_relative(last.nngp.k12, 0.2 + 1.5 * k1, 1e-13);
  expect_relative(last.ntk.k12, n * k1 + 1.0 + 1.5 * (3.0 + 1.0), 1e-13);
}

TEST(InfiniteWidth, MupReadoutIsSmallAndLearningRatesWeightTheKernel) {
  // muP: readout std 1/n, rates (n, 1, 1/n) and n for hidden biases: the kernel is then of order 1 at every width.
  InitChoice choice = gains(1.5);
  choice.parametrization = Parametrization::mup;
  choice.rates = RateScaling::sgd;
  std::vector<double> ntk, scaled_nngp;
  for (const Index n : {100, 10000}) {
    const LayerKernels last = kernels_by_layer(make_network(mlp(2, Relu{}, n), choice), {1.0, 0.4, 1.0}).back();
    ntk.push_back(last.ntk.k12);
    scaled_nngp.push_back(static_cast<double>(n) * last.nngp.k12);
  }
  expect_relative(ntk[0], ntk[1], 1e-12);
  expect_relative(scaled_nngp[0], scaled_nngp[1], 1e-12);
}

TEST(InfiniteWidth, ResidualIdentityNetworkMultipliesByOnePlusAlphaSquared) {
  MlpShape shape = mlp(3, Identity{});
  shape.residual = 0.5;
  const LayerKernels last = kernels_by_layer(make_network(shape, gains(1.0)), {1.0, 0.3, 2.0}).back();
  // Two residual layers of gain 1 + 1/4 each: T = x (two outer layers: 2 g^2; each branch: 1/4 g), g = 1 + 1/4.
  expect_relative(last.nngp.k12, 0.3 * 1.25 * 1.25, 1e-13);
  expect_relative(last.ntk.k12, 0.3 * (2 * 1.25 * 1.25 + 2 * 0.25 * 1.25), 1e-13);
}

TEST(InfiniteWidth, LayerNormForgetsTheNormOfTheInput) {
  MlpShape shape = mlp(2, Relu{});
  shape.layer_norm = true;
  const Network net = make_network(shape, gains(2.0));
  const LayerKernels small = kernels_by_layer(net, {1.0, 0.3, 1.0}).back();
  const LayerKernels large = kernels_by_layer(net, {4.0, 4.0 * 0.3, 4.0}).back();
  expect_relative(large.nngp.k12, small.nngp.k12, 1e-13);
  expect_relative(large.ntk.k12, small.ntk.k12, 1e-13);
  EXPECT_EQ(kernels_by_layer(net, {0.0, 0.0, 1.0}).back().ntk.k12, 0.0);  // a constant row maps to 0
}

TEST(InfiniteWidth, UnitMultipliersEnterByTheirMeanSquare) {
  MlpShape shape = mlp(2, Gelu{}, 4);
  shape.unit_multipliers = {{2.0f, 0.0f, 1.0f, 1.0f}, {0.5f, 0.5f, 0.5f, 0.5f}};
  InitChoice equal = gains(1.0);
  equal.sigma_w = {1.0, std::sqrt(6.0 / 4.0), 0.5};
  const LayerKernels a = kernels_by_layer(make_network(shape, gains(1.0)), {1.0, 0.2, 1.5}).back();
  const LayerKernels b = kernels_by_layer(make_network(mlp(2, Gelu{}, 4), equal), {1.0, 0.2, 1.5}).back();
  expect_relative(a.nngp.k12, b.nngp.k12, 1e-13);
  EXPECT_NE(theory::infinite_width_caveat(make_network(shape, gains(1.0))), "");
}

TEST(InfiniteWidth, CaveatNamesNonGaussianFirstLayers) {
  InitChoice choice = gains(2.0);
  EXPECT_EQ(theory::infinite_width_caveat(make_network(mlp(2, Relu{}), choice)), "");
  choice.weight_law = InitKind::rademacher;
  EXPECT_NE(theory::infinite_width_caveat(make_network(mlp(2, Relu{}), choice)).find("first layer"), std::string::npos);
}

TEST(InfiniteWidth, ImpossibleOverlapsAreRefused) {
  const Network net = make_network(mlp(1, Relu{}), gains(2.0));
  EXPECT_THROW(kernels_by_layer(net, {1.0, 1.1, 1.0}), RecipeError);
  EXPECT_THROW(kernels_by_layer(net, {-1.0, 0.0, 1.0}), RecipeError);
  EXPECT_THROW(kernels_by_layer(net, {1.0, std::nan(""), 1.0}), RecipeError);
}

}  // namespace
}  // namespace widelab
