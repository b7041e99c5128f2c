// Exact finite-width laws against reference values, each other and independent closed forms.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "host/theory/finite_width.hpp"
#include "host/theory/infinite_width.hpp"
#include "host/theory/scalar_chain.hpp"
#include "tests/unit/theory_golden.hpp"
#include "widelab/base/errors.hpp"

namespace widelab {
namespace {

using test::golden;
using theory::deep_relu_ntk_diagonal;

Network network(std::vector<Index> widths, Activation activation, double sigma_w2, double sigma_b2 = 0.0,
                double bias_init_std = 1.0) {
  MlpShape shape;
  shape.widths = std::move(widths);
  shape.activation = activation;
  InitChoice choice;
  choice.sigma_w = {std::sqrt(sigma_w2)};
  choice.sigma_b = std::sqrt(sigma_b2);
  choice.bias_init_std = bias_init_std;
  return make_network(shape, choice);
}

Network deep_relu(Index depth, Index width, double sigma_b2 = 0.0) {
  return network(std::vector<Index>(static_cast<std::size_t>(depth), width), Relu{}, 2.0, sigma_b2, 0.0);
}

void expect_relative(double value, double expected, double tolerance) {
  EXPECT_NEAR(value, expected, tolerance * std::abs(expected));
}

TEST(OneHiddenNtk, EqualsReferenceValues) {
  const double q12 = 0.6 * std::sqrt(1.3 * 0.7);
  const auto ntk = theory::one_hidden_ntk(network({50}, Relu{}, 1.0), {1.3, q12, 0.7}).entry;
  expect_relative(ntk.mean, golden("onehidden_ntk_var", "mean"), 1e-10);
  expect_relative(50 * ntk.variance, golden("onehidden_ntk_var", "n_times_var"), 1e-10);
}

TEST(OneHiddenNtk, ReluDiagonalIsQAndThreeQSquared) {
  const auto ntk = theory::one_hidden_ntk(network({7}, Relu{}, 1.0), {1.3, 1.3, 1.3}).entry;
  expect_relative(ntk.mean, 1.3, 1e-13);
  expect_relative(7 * ntk.variance, 3 * 1.3 * 1.3, 1e-12);
}

TEST(OneHiddenNtk, MeanIsTheInfiniteWidthKernelAtEveryWidthAndParametrisation) {
  for (const Parametrization p : {Parametrization::ntk, Parametrization::standard, Parametrization::mean_field}) {
    MlpShape shape;
    shape.widths = {3};
    shape.input_dim = 5;
    shape.activation = Gelu{};
    shape.unit_multipliers = {{1.0f, 2.0f, 0.5f}};
    InitChoice choice;
    choice.parametrization = p;
    choice.sigma_b = 0.3;
    const Network net = make_network(shape, choice);
    const KernelTriple x{4.0, 1.0, 6.0};
    const theory::LayerKernels limit = theory::kernels_by_layer(net, x).back();
    expect_relative(theory::one_hidden_ntk(net, x).entry.mean, limit.ntk.k12, 1e-12);
    expect_relative(theory::one_hidden_feature_kernel(net, x).mean, limit.nngp.k12, 1e-12);
  }
}

TEST(OneHiddenNtk, IdentityIsPolynomialInGaussians) {
  // phi(z) = z, x = x' = 1, no bias: Theta = (1/n) sum (z_j^2 + a_j^2), variance (2 + 2)/n; features 2/n.
  const Network net = network({9}, Identity{}, 1.0);
  expect_relative(theory::one_hidden_ntk(net, {1, 1, 1}).entry.variance, 4.0 / 9.0, 1e-12);
  expect_relative(theory::one_hidden_ntk(net, {1, 1, 1}).cross_output_variance, 1.0 / 9.0, 1e-12);
  expect_relative(theory::one_hidden_feature_kernel(net, {1, 1, 1}).variance, 2.0 / 9.0, 1e-12);
}

TEST(OneHiddenNtk, ReadoutLawEntersByItsFourthMoment) {
  Network net = network({9}, Identity{}, 1.0);
  net.layers[1].weight_law = InitKind::rademacher;  // a^2 = 1: only the features fluctuate
  expect_relative(theory::one_hidden_ntk(net, {1, 1, 1}).entry.variance, 2.0 / 9.0, 1e-12);
  net.layers[1].weight_law = InitKind::uniform;  // Var a^2 = 9/5 - 1
  expect_relative(theory::one_hidden_ntk(net, {1, 1, 1}).entry.variance, 2.8 / 9.0, 1e-12);
}

TEST(OneHiddenNtk, IsRefusedOutsideItsDomain) {
  EXPECT_THROW(theory::one_hidden_ntk(network({4, 4}, Relu{}, 1.0), {1, 1, 1}), RecipeError);
  Network net = network({4}, Relu{}, 1.0);
  net.layers[0].weight_law = InitKind::uniform;
  EXPECT_THROW(theory::one_hidden_ntk(net, {1, 1, 1}), RecipeError);
  net = network({4}, Relu{}, 1.0);
  net.shape.layer_norm = true;
  EXPECT_THROW(theory::one_hidden_ntk(net, {1, 1, 1}), RecipeError);
}

/// (1+5/n)^L {1/3 + 2/3 (L+1)^-2 sum_lm r^|l-m|}.
double closed_form_ratio(Index depth, Index width) {
  const double n = static_cast<double>(width), layers = static_cast<double>(depth + 1);
  const double r = (1 - 1 / n) / (1 + 5 / n);
  double sum = 0.0;
  for (Index l = 0; l <= depth; ++l)
    for (Index m = 0; m <= depth; ++m) sum += std::pow(r, static_cast<double>(std::abs(l - m)));
  return std::pow(1 + 5 / n, static_cast<double>(depth)) * (1.0 / 3.0 + 2.0 / 3.0 * sum / (layers * layers));
}

TEST(DeepReluNtk, SecondMomentEqualsReferenceValuesAndClosedForm) {
  const std::string name = "deep_relu_ntk_second_moment_ratio";
  expect_relative(deep_relu_ntk_diagonal(deep_relu(16, 64), 1.0).ratio(), golden(name, "L16_n64"), 1e-10);
  expect_relative(deep_relu_ntk_diagonal(deep_relu(10, 10), 1.0).ratio(), golden(name, "L10_n10"), 1e-10);
  expect_relative(deep_relu_ntk_diagonal(deep_relu(100, 200), 1.0).ratio(), golden(name, "L100_n200"), 1e-10);
  for (const Index depth : {1, 2, 5, 40})
    for (const Index width : {1, 2, 16, 1000000})
      expect_relative(deep_relu_ntk_diagonal(deep_relu(depth, width), 0.7).ratio(), closed_form_ratio(depth, width),
                      1e-12);
  expect_relative(deep_relu_ntk_diagonal(deep_relu(5, 8), 0.7).mean, 2 * 6 * 0.7, 1e-14);
}

TEST(DeepReluNtk, TrainedBiasesGiveTheRatiosOfAnIndependentCalculation) {
  // |x|^2 = d, sigma_b^2 = 1.5, three decimals known.
  EXPECT_NEAR(deep_relu_ntk_diagonal(deep_relu(3, 16, 1.5), 1.0).ratio(), 1.498, 5e-4);
  EXPECT_NEAR(deep_relu_ntk_diagonal(deep_relu(5, 24, 1.5), 1.0).ratio(), 1.624, 5e-4);
}

TEST(DeepReluNtk, LimitEqualsReferenceValuesAndIsReachedByTheExactLaw) {
  const std::string name = "deep_relu_ntk_second_moment_ratio";
  expect_relative(theory::deep_relu_ntk_ratio_limit(0.25), golden(name, "limit_beta0p25"), 1e-10);
  expect_relative(theory::deep_relu_ntk_ratio_limit(0.5), golden(name, "limit_beta0p5"), 1e-10);
  expect_relative(theory::deep_relu_ntk_ratio_limit(1.0), golden(name, "limit_beta1"), 1e-10);
  EXPECT_NEAR(theory::deep_relu_ntk_ratio_limit(1e-6), 1 + 11.0 / 3.0 * 1e-6, 1e-10);
  expect_relative(theory::deep_relu_ntk_ratio_limit(1.0 / 6.0 - 1e-12),  // where the series takes over
                  theory::deep_relu_ntk_ratio_limit(1.0 / 6.0 + 1e-12), 1e-10);
  // At fixed beta the correction is c / L + O(1 / L^2): Richardson extrapolation leaves the second term.
  const double coarse = deep_relu_ntk_diagonal(deep_relu(125, 250), 1.0).ratio();
  const double fine = deep_relu_ntk_diagonal(deep_relu(250, 500), 1.0).ratio();
  expect_relative(2 * fine - coarse, theory::deep_relu_ntk_ratio_limit(0.5), 5e-4);
}

TEST(DeepReluNtk, OneHiddenLayerAgreesWithTheSumOverUnits) {
  // Any scales, with trained biases that start at zero: two derivations of the same number.
  for (const double sigma_b2 : {0.0, 0.6}) {
    const Network net = network({11}, Relu{}, 1.7, sigma_b2, 0.0);
    const theory::SecondMoment deep = deep_relu_ntk_diagonal(net, 1.3);
    const theory::EntryMoments units = theory::one_hidden_ntk(net, {1.3, 1.3, 1.3}).entry;
    expect_relative(deep.mean, units.mean, 1e-13);
    expect_relative(deep.second, units.variance + units.mean * units.mean, 1e-12);
  }
}

TEST(DeepReluNtk, WeightVarianceScalesMomentsButNotTheRatio) {
  const std::vector<Index> widths{5, 9, 3};
  const theory::SecondMoment a = deep_relu_ntk_diagonal(network(widths, Relu{}, 2.0), 1.0);
  const theory::SecondMoment b = deep_relu_ntk_diagonal(network(widths, Relu{}, 3.0), 1.0);
  expect_relative(b.mean, a.mean * std::pow(1.5, 4), 1e-13);
  expect_relative(b.ratio(), a.ratio(), 1e-13);
}

// With layers of one unit every weight is a scalar and the network lives with probability 2^-L.
TEST(DeepReluNtk, WidthOneIsAProductOfScalars) {
  // L = 2, live with probability 1/4: Theta = 8 (g2^2 g3^2 + g1^2 g3^2 + g1^2 g2^2), E g^4 = 3.
  const double mean = 0.25 * 2 * 3 * 4, second = 0.25 * 4 * 16 * (3 * 9 + 6 * 3);
  const theory::SecondMoment theta = deep_relu_ntk_diagonal(deep_relu(2, 1), 1.0);
  expect_relative(theta.mean, mean, 1e-13);
  expect_relative(theta.second, second, 1e-13);
}

TEST(DeepReluNtk, DeadLayersSilenceTheBiasesBelowAndAbove) {
  // Width 1, L = 2, biases zero at start: bias of layer 1 needs both live (1/4), of layer 2 both live (1/4: its own
  // gate is closed at a zero input), readout always. |delta_2|^2 = 2 g3^2, |delta_1|^2 = 4 g2^2 g3^2.
  const double sigma_b2 = 0.5;
  const theory::SecondMoment theta = deep_relu_ntk_diagonal(deep_relu(2, 1, sigma_b2), 1.0);
  const double weights = 0.25 * 2 * 3 * 4;
  expect_relative(theta.mean, weights + sigma_b2 * (1 + 0.25 * 2 + 0.25 * 4), 1e-13);
  const double ww = 0.25 * 4 * 16 * (3 * 9 + 6 * 3);
  // Cross terms: E[Theta_weights (1 + |delta_2|^2 + |delta_1|^2)] on the live path.
  const double sum_w = 8 * 3, sum_w_b2 = 16 * (3 + 3 + 1), sum_w_b1 = 32 * (9 + 3 + 3);
  const double wb = 0.25 * 2 * sigma_b2 * (sum_w + sum_w_b2 + sum_w_b1);
  const double bb = sigma_b2 * sigma_b2 * (1 + 2 * 0.25 * (2 + 4) + 0.25 * (4 * 3 + 16 * 9 + 2 * 8 * 3));
  expect_relative(theta.second, ww + wb + bb, 1e-13);
}

TEST(DeepReluNtk, IsRefusedOutsideItsDomain) {
  EXPECT_THROW(deep_relu_ntk_diagonal(network({4, 4}, Gelu{}, 2.0), 1.0), RecipeError);
  EXPECT_THROW(deep_relu_ntk_diagonal(network({4, 4}, Relu{}, 2.0, 0.1, 1.0), 1.0), RecipeError);
  EXPECT_THROW(theory::deep_relu_ntk_ratio_limit(-0.1), RecipeError);
}

TEST(ForwardKernel, RatioIsAProductOverLayers) {
  const theory::ForwardKernel g = theory::deep_relu_forward_kernel(network({4, 7, 100}, Relu{}, 2.0), 1.5);
  expect_relative(g.moments.ratio(), (1 + 5.0 / 4) * (1 + 5.0 / 7) * (1 + 5.0 / 100), 1e-13);
  expect_relative(g.moments.mean, 3.0, 1e-13);
}

TEST(ForwardKernel, CumulantsEqualSumsOverTheNumbersOfActiveUnits) {
  // E G^k = (mean 2/n)^k sum_N P(N) N (N + 2) ... (N + 2k - 2), layer by layer, by the binomial weights themselves.
  const std::vector<Index> widths{3, 5};
  double raw[5] = {1, 3, 9, 27, 81};  // of the mean, which is 3
  for (const Index n : widths) {
    double pmf = std::pow(0.5, static_cast<double>(n)), moment[5] = {};
    for (Index active = 0; active <= n; ++active) {
      double rising = 1;
      for (int k = 0; k <= 4; ++k) {
        moment[k] += pmf * rising;
        rising *= 2.0 / static_cast<double>(n) * static_cast<double>(active + 2 * k);
      }
      pmf *= static_cast<double>(n - active) / static_cast<double>(active + 1);
    }
    for (int k = 0; k <= 4; ++k) raw[k] *= moment[k];
  }
  const double m = raw[1];
  const theory::Cumulants g = theory::deep_relu_forward_cumulants(network({3, 5}, Relu{}, 2.0), 1.5);
  expect_relative(g.mean, m, 1e-13);
  expect_relative(g.second, raw[2] - m * m, 1e-12);
  expect_relative(g.third, raw[3] - 3 * m * raw[2] + 2 * m * m * m, 1e-12);
  expect_relative(g.fourth, raw[4] - 4 * m * raw[3] - 3 * raw[2] * raw[2] + 12 * m * m * raw[2] - 6 * m * m * m * m,
                  1e-12);
}

TEST(ForwardKernel, LogMomentsOfNarrowLayersAreExact) {
  // n = 2 given alive: N = 1 with probability 2/3, N = 2 with 1/3; log(v chi^2_N), v = sigma_w^2 / n = 1.
  const theory::ForwardKernel g = theory::deep_relu_forward_kernel(network({2}, Relu{}, 2.0), 1.0);
  constexpr double kGamma = std::numbers::egamma, kLn2 = std::numbers::ln2, kPi2 = std::numbers::pi * std::numbers::pi;
  const double m1 = -kGamma - 2 * kLn2 + kLn2, m2 = -kGamma + kLn2;  // psi(1/2) + log 2, psi(1) + log 2
  const double mean = (2 * m1 + m2) / 3;
  const double variance = (2 * kPi2 / 2 + kPi2 / 6) / 3 + (2 * m1 * m1 + m2 * m2) / 3 - mean * mean;
  expect_relative(g.log_mean, kLn2 + std::log(1.0) + mean, 1e-12);  // G_1 = 2, v = sigma_w^2 / n = 1
  expect_relative(g.log_variance, variance, 1e-12);
  EXPECT_DOUBLE_EQ(g.alive, 0.75);
}

TEST(ForwardKernel, LogMomentsOfWideLayersFollowTheLogNormalLimit) {
  // log G -> N(-5 beta / 2, 5 beta) + log E G, first correction O(1/n).
  for (const Index n : {10000, 10000000}) {
    const theory::ForwardKernel g = theory::deep_relu_forward_kernel(deep_relu(10, n), 0.5);
    const double beta = 10.0 / static_cast<double>(n);
    expect_relative(g.log_variance, 5 * beta, 10.0 / static_cast<double>(n));
    EXPECT_NEAR(g.log_mean, -2.5 * beta, 20 * beta / static_cast<double>(n) + 1e-13);
  }
}

TEST(ScalarChain, TanhVertexEqualsReferenceValues) {
  const auto chain = theory::scalar_chain(network(std::vector<Index>(5, 100), Tanh{}, 1.0), 1.0);
  const std::vector<double> k = test::golden_list("pdlt_tanh_V", "K"), v = test::golden_list("pdlt_tanh_V", "V");
  for (std::size_t l = 1; l <= 5; ++l) {
    expect_relative(chain[l].mean, k[l - 1], 1e-10);
    expect_relative(100 * chain[l].variance, v[l - 1], 1e-10);
  }
}

TEST(ScalarChain, TanhVertexTendsToTwoThirdsOfTheDepth) {
  const auto chain = theory::scalar_chain(network(std::vector<Index>(249, 100), Tanh{}, 1.0), 1.0);
  const auto& last = chain.back();
  EXPECT_NEAR(last.mean * 2 * 250, 1.0, 0.05);
  EXPECT_NEAR(100 * last.variance / (last.mean * last.mean) / 250, 2.0 / 3.0, 0.01);
}

TEST(ScalarChain, ReluIsTheFirstOrderOfTheExactProduct) {
  const auto chain = theory::scalar_chain(network({100, 400, 200}, Relu{}, 2.0), 0.5);
  EXPECT_NEAR(chain.back().mean, 1.0, 1e-13);
  expect_relative(chain.back().variance, 5.0 / 100 + 5.0 / 400 + 5.0 / 200, 1e-12);
  EXPECT_NEAR(chain[0].chi_parallel, 1.0, 1e-12);
}

TEST(ScalarChain, OneLayerIsTheExactFeatureVariance) {
  const Network net = network({30}, Erf{}, 1.4, 0.2);
  const auto chain = theory::scalar_chain(net, 0.8);
  const theory::EntryMoments exact = theory::one_hidden_feature_kernel(net, {0.8, 0.8, 0.8});
  expect_relative(chain.back().mean, exact.mean, 1e-12);
  expect_relative(chain.back().variance, exact.variance, 1e-10);
}

}  // namespace
}  // namespace widelab
