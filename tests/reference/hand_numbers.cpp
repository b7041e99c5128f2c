// The reference ops on networks so small that every number below was worked out by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "widelab/base/errors.hpp"
#include "widelab/ops/forward.hpp"
#include "widelab/ops/law_exact_ntk.hpp"
#include "widelab/ops/nngp.hpp"
#include "widelab/ops/ntk.hpp"

namespace {

using namespace widelab;

constexpr double kTolerance = 1e-14;  // times numbers of size 1 to 200: a few eps each

struct Result {
  std::vector<double> f, ntk, nngp;
};

/// All three ops on one member with the given parameters (layer by layer: weights, then biases).
Result evaluate(const Network& network, const std::vector<double>& parameters, const std::vector<double>& x,
                NtkBlocks blocks = NtkBlocks::full) {
  const MemberWeights<double> weights{1, nullptr, parameters.data()};
  const Index n = static_cast<Index>(x.size()) / network.shape.input_dim, o = network.shape.outputs;
  const MatrixView<const double> inputs = matrix_view(x.data(), n, network.shape.input_dim);
  Result r{std::vector<double>(static_cast<std::size_t>(n * o)),
           std::vector<double>(static_cast<std::size_t>(n * n * o * o)),
           std::vector<double>(static_cast<std::size_t>(n * n))};
  ForwardProblem<double> forward;
  forward.network = &network;
  forward.weights = weights;
  forward.inputs = inputs;
  forward.outputs = r.f.data();
  reference::forward(forward);
  NngpProblem<double> nngp;
  nngp.network = &network;
  nngp.weights = weights;
  nngp.x1 = inputs;
  nngp.nngp = r.nngp.data();
  reference::nngp(nngp);

  NtkProblem<double> problem;
  problem.network = &network;
  problem.weights = weights;
  problem.x1 = inputs;
  problem.blocks = blocks;
  std::vector<double> nngp_again(r.nngp.size()), f_again(r.f.size());
  problem.ntk = r.ntk.data();
  problem.nngp = nngp_again.data();
  problem.outputs = f_again.data();
  reference::ntk(problem);
  EXPECT_EQ(nngp_again, r.nngp);
  EXPECT_EQ(f_again, r.f);
  r.ntk.resize(static_cast<std::size_t>(problem.entries()));
  return r;
}

void expect_near(const std::vector<double>& actual, const std::vector<double>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t k = 0; k < actual.size(); ++k)
    EXPECT_NEAR(actual[k], expected[k], kTolerance * (1.0 + std::abs(expected[k]))) << "entry " << k;
}

MlpShape shape(Index d, std::vector<Index> widths, Index outputs, Activation activation) {
  MlpShape s;
  s.input_dim = d;
  s.widths = std::move(widths);
  s.outputs = outputs;
  s.activation = activation;
  return s;
}

Network ntk_network(const MlpShape& s, double sigma_w, double sigma_b) {
  InitChoice choice;
  choice.sigma_w = {sigma_w};
  choice.sigma_b = sigma_b;
  return make_network(s, choice);
}

// One unit, sigma_w = 2, sigma_b = 1/2, w1 = 3, b1 = -1, w2 = -1/2, b2 = 4, x = 1:
//   z = 2*3 - 1/2 = 5.5,  f = 2*(-1/2)*5.5 + 4/2 = -3.5,  K = 1/4 + 4*5.5^2 = 121.25
//   df/dw2 = 11, df/db2 = 1/2, df/dz = -1, df/dw1 = -2, df/db1 = -1/2:  Theta = 121 + 1/4 + 4 + 1/4 = 125.5.
TEST(ReferenceByHand, OneUnitWithBiases) {
  const Network network = ntk_network(shape(1, {1}, 1, Relu{}), 2.0, 0.5);
  const Result r = evaluate(network, {3, -1, -0.5, 4}, {1});
  expect_near(r.f, {-3.5});
  expect_near(r.nngp, {121.25});
  expect_near(r.ntk, {125.5});
}

// The same unit, dead (w1 = -3): z = -6.5, h = 0, f = 2, K = 1/4, only the output bias has a gradient: Theta = 1/4.
TEST(ReferenceByHand, DeadUnitLeavesTheOutputBias) {
  const Network network = ntk_network(shape(1, {1}, 1, Relu{}), 2.0, 0.5);
  const Result r = evaluate(network, {-3, -1, -0.5, 4}, {1});
  expect_near(r.f, {2});
  expect_near(r.nngp, {0.25});
  expect_near(r.ntk, {0.25});
}

// Rates 3 (input weights), 5 (input bias), 7 (readout), 0 (readout bias): Theta = 3*4 + 5/4 + 7*121 = 860.25.
TEST(ReferenceByHand, RatesWeightTheSumOverParameters) {
  Network network = ntk_network(shape(1, {1}, 1, Relu{}), 2.0, 0.5);
  network.layers[0].weight_rate = 3;
  network.layers[0].bias_rate = 5;
  network.layers[1].weight_rate = 7;
  network.layers[1].bias_rate = 0;
  expect_near(evaluate(network, {3, -1, -0.5, 4}, {1}).ntk, {860.25});
}

// Standard parametrisation: multipliers are 1, so z = 3 - 1 = 2, f = -1/2*2 + 4 = 3; Theta = 4 + 1 + (1/2)^2 (1 + 1)
// = 5.5. K takes the laws' variances: sigma_b^2 + sigma_w^2 h^2 = 1/4 + 4*4 = 16.25.
TEST(ReferenceByHand, StandardParametrisation) {
  InitChoice choice;
  choice.parametrization = Parametrization::standard;
  choice.sigma_w = {2.0};
  choice.sigma_b = 0.5;
  const Result r = evaluate(make_network(shape(1, {1}, 1, Relu{}), choice), {3, -1, -0.5, 4}, {1});
  expect_near(r.f, {3});
  expect_near(r.nngp, {16.25});
  expect_near(r.ntk, {5.5});
}

// Two units, two inputs in d = 4 (1/sqrt(d) = 1/2), readout factor 1/sqrt(2), sigma_w = 1, no biases.
// W1 rows (2,0,0,0), (0,2,0,0), so z(x) = (x_1, x_2); readout (3, 4).
//   x = (1,-2,0,0): z = (1,-2), h = (1,0), f = 3/sqrt2.   x' = (2,1,0,2): z = (2,1), h = (2,1), f = 10/sqrt2.
//   K = <h,h'>/2: 1/2, 1, 5/2.   B = phi'(z) w/sqrt2: (3,0)/sqrt2, (3,4)/sqrt2;  <x,x'>/4: 5/4, 0, 9/4.
//   Theta = <h,h'>/2 + <x,x'>/4 <B,B'>: 1/2 + 5/4*9/2 = 6.125;  1 + 0;  5/2 + 9/4*25/2 = 30.625.
TEST(ReferenceByHand, TwoUnitsTwoInputs) {
  const Network network = ntk_network(shape(4, {2}, 1, Relu{}), 1.0, 0.0);
  const Result r = evaluate(network, {2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3, 4, 0}, {1, -2, 0, 0, 2, 1, 0, 2});
  expect_near(r.f, {3 / std::sqrt(2.0), 10 / std::sqrt(2.0)});
  expect_near(r.nngp, {0.5, 1, 1, 2.5});
  expect_near(r.ntk, {6.125, 1, 1, 30.625});
}

// Two outputs on one linear unit: h = w1 x, f_o = v_o h, Theta[o,p] = [o=p] h^2 + v_o v_p x^2.
// x = 2, w1 = 3, v = (1, -2): h = 6, Theta = (36 + 4, -8; -8, 36 + 16), trace (40 + 52)/2 = 46.
TEST(ReferenceByHand, OutputBlocks) {
  const Network network = ntk_network(shape(1, {1}, 2, Identity{}), 1.0, 0.0);
  const std::vector<double> parameters{3, 0, 1, -2, 0, 0};
  expect_near(evaluate(network, parameters, {2}).f, {6, -12});
  expect_near(evaluate(network, parameters, {2}).ntk, {40, -8, -8, 52});
  expect_near(evaluate(network, parameters, {2}, NtkBlocks::trace).ntk, {46});
  expect_near(evaluate(network, parameters, {2}, NtkBlocks::diagonal).ntk, {40, 52});
}

// The same net between x = 2 and x' = (1, -1): h h' = (18, -18), x x' = (2, -2); order of the blocks of a 1 x 2
// problem.
TEST(ReferenceByHand, RectangularProblem) {
  const Network network = ntk_network(shape(1, {1}, 2, Identity{}), 1.0, 0.0);
  const std::vector<double> parameters{3, 0, 1, -2, 0, 0}, x1{2}, x2{1, -1};
  NtkProblem<double> problem;
  problem.network = &network;
  problem.weights = {1, nullptr, parameters.data()};
  problem.x1 = matrix_view(x1.data(), Index{1}, Index{1});
  problem.x2 = matrix_view(x2.data(), Index{2}, Index{1});
  problem.blocks = NtkBlocks::full;
  std::vector<double> ntk(8), nngp(2);
  problem.ntk = ntk.data();
  problem.nngp = nngp.data();
  reference::ntk(problem);
  expect_near(ntk, {20, -4, -20, 4, -4, 26, 4, -26});
  expect_near(nngp, {18, -18});
}

// Residual branch, linear units of width 1, alpha = 1/2, w = (2, 3, 5), x = 1: z1 = 2, z2 = 2 + 3 = 5, f = 25;
//   df/dw3 = 5, df/dw2 = 5/2*2 = 5, df/dz1 = 5 (1 + 3/2) = 12.5 = df/dw1:  Theta = 25 + 25 + 156.25 = 206.25.
TEST(ReferenceByHand, ResidualBranch) {
  MlpShape s = shape(1, {1, 1}, 1, Identity{});
  s.residual = 0.5;
  const Result r = evaluate(ntk_network(s, 1.0, 0.0), {2, 0, 3, 0, 5, 0}, {1});
  expect_near(r.f, {25});
  expect_near(r.nngp, {25});
  expect_near(r.ntk, {206.25});
}

// LayerNorm of z = (0, 0, 3): mean 1, variance 2, y = (-1, -1, 2)/sqrt2. Linear units, readout (1, 0, 0)/sqrt3:
//   f = -1/sqrt6;  g = (1,0,0): (g - 1/3 - y mean(g y))/sqrt2 = (1/2, -1/2, 0)/sqrt2, times 1/sqrt3.
//   x = 1, d = 1: Theta = |y|^2/3 + (1/8 + 1/8)/3 = 1 + 1/12;  K = 1.
TEST(ReferenceByHand, LayerNorm) {
  MlpShape s = shape(1, {3}, 1, Identity{});
  s.layer_norm = true;
  const Result r = evaluate(ntk_network(s, 1.0, 0.0), {0, 0, 3, 0, 0, 0, 1, 0, 0, 0}, {1});
  expect_near(r.f, {-1 / std::sqrt(6.0)});
  expect_near(r.nngp, {1});
  expect_near(r.ntk, {1 + 1.0 / 12});
}

// A constant row is mapped to 0, and so is its derivative: only the readout bias (sigma_b = 1) is left.
TEST(ReferenceByHand, LayerNormOfAConstantRow) {
  MlpShape s = shape(1, {2}, 1, Identity{});
  s.layer_norm = true;
  const Result r = evaluate(ntk_network(s, 1.0, 1.0), {4, 4, 0, 0, 1, 2, 7}, {1});
  expect_near(r.f, {7});
  expect_near(r.ntk, {1});
}

// Multipliers s = (2, 1/2) on two linear units with z = (1, 4), readout (3, 8)/sqrt2: h = (2, 2), f = 22/sqrt2;
//   B = (6, 4)/sqrt2, x = 1: Theta = (4 + 4)/2 + (36 + 16)/2 = 30.
TEST(ReferenceByHand, UnitMultipliers) {
  MlpShape s = shape(1, {2}, 1, Identity{});
  s.unit_multipliers = {{2.0f, 0.5f}};
  const Result r = evaluate(ntk_network(s, 1.0, 0.0), {1, 4, 0, 0, 3, 8, 0}, {1});
  expect_near(r.f, {22 / std::sqrt(2.0)});
  expect_near(r.ntk, {30});
}

// One linear unit, one input, no biases: h, w and f = w h fix each other, so K = h^2 and the law-exact Theta must be
// h^2 + x^2 w^2 = K + x^2 f^2 / K, whatever the noise.
TEST(ReferenceByHand, LawExactWithOneUnitIsDetermined) {
  const Network network = ntk_network(shape(1, {1}, 1, Identity{}), 1.0, 0.0);
  const double x = 3;
  for (std::uint32_t m = 0; m < 5; ++m) {
    const DrawId id{11, m};
    double theta, k, f;
    reference::law_exact_ntk({&network, &id, 1, matrix_view(&x, Index{1}, Index{1}), &theta, &k, &f});
    EXPECT_NEAR(theta, k + x * x * f * f / k, 1e-13 * theta);
    const double g = static_cast<double>(normal_at(id.stream(Stream::law_exact_forward, 0), 0, 0));
    EXPECT_NEAR(k, x * x * g * g, 1e-14 * k);
  }
}

}  // namespace
