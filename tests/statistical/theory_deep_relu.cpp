// Exact moments of the deep ReLU NTK and of the forward kernel against a plain simulation at finite width.
// Two statistics a case, |z| < 4.5. The pairs (L, n) keep L/n small enough for plain second moments.
#include <gtest/gtest.h>

#include <cmath>

#include "host/theory/finite_width.hpp"
#include "host/theory/scalar_chain.hpp"
#include "tests/statistical/theory_monte_carlo.hpp"

namespace widelab {
namespace {

using test::Estimate;
using test::PlainNet;
using test::Vector;

constexpr double kPass = 4.5, kReject = 7.0;
const Vector kInput{0.6, -1.1, 1.2};

PlainNet relu_net(std::size_t depth, std::size_t width, double sigma_b2) {
  PlainNet net;
  net.depth = depth;
  net.width = width;
  net.sigma_w2 = 2.0;
  net.sigma_b2 = sigma_b2;
  net.biases_start_at_zero = true;
  net.phi = [](double z) { return z > 0 ? z : 0.0; };
  net.slope = [](double z) { return z > 0 ? 1.0 : 0.0; };
  return net;
}

Network network_of(const PlainNet& net, double weight_fault = 1.0, double bias_fault = 1.0) {
  MlpShape shape;
  shape.input_dim = static_cast<Index>(net.input_dim);
  shape.widths.assign(net.depth, static_cast<Index>(net.width));
  InitChoice choice;
  choice.sigma_w = {std::sqrt(net.sigma_w2 * weight_fault)};
  choice.sigma_b = std::sqrt(net.sigma_b2 * bias_fault);
  choice.bias_init_std = net.biases_start_at_zero ? 0.0 : 1.0;
  return make_network(shape, choice);
}

/// Mean and mean square of Theta(x, x) over networks.
struct Measured {
  Estimate mean, square;
  double largest_z(const theory::SecondMoment& p) const {
    return std::max(std::abs(mean.z(p.mean)), std::abs(square.z(p.second)));
  }
};

Measured measure(const PlainNet& net, std::size_t nets, std::uint64_t seed) {
  test::NormalSource normal(seed);
  Vector theta, square;
  for (std::size_t k = 0; k < nets; ++k) {
    theta.push_back(test::draw_ntk(net, {kInput}, normal).front());
    square.push_back(theta.back() * theta.back());
  }
  return {test::mean_of(theta), test::mean_of(square)};
}

theory::SecondMoment predict(const Network& network) {
  return theory::deep_relu_ntk_diagonal(network, test::dot(kInput, kInput));
}

TEST(DeepReluSimulation, SecondMomentWithTrainedBiasesAgreesAtDepthThreeWidthSixteen) {
  const PlainNet net = relu_net(3, 16, 1.5);
  const Measured measured = measure(net, 100000, 1);
  EXPECT_LT(measured.largest_z(predict(network_of(net))), kPass);
  EXPECT_GT(measured.largest_z(predict(network_of(net, 1.02))), kReject) << "sigma_w^2 off by 2 %";
  EXPECT_GT(measured.largest_z(predict(network_of(net, 1.0, 2.0))), kReject) << "bias counted twice";
}

TEST(DeepReluSimulation, SecondMomentWithoutBiasesAgreesAndAbsoluteMomentsSeeTheScale) {
  const PlainNet net = relu_net(4, 24, 0.0);
  const Measured measured = measure(net, 30000, 2);
  EXPECT_LT(measured.largest_z(predict(network_of(net))), kPass);
  EXPECT_GT(measured.largest_z(predict(network_of(net, 1.02))), kReject) << "sigma_w^2 off by 2 %";
}

TEST(DeepReluSimulation, DeadLayersSilenceBiases) {
  const PlainNet net = relu_net(2, 3, 4.0);
  const Measured measured = measure(net, 200000, 3);
  const theory::SecondMoment exact = predict(network_of(net));
  EXPECT_LT(measured.largest_z(exact), kPass);
  const double silent = 4.0 * 0.125;  // bias of layer 2 in a network whose first layer is dead
  EXPECT_GT(std::abs(measured.mean.z(exact.mean + silent)), kReject) << "dead layers forgotten";
}

/// G = (sigma_w^2 / n) |h_L|^2 of one draw.
double draw_forward_kernel(const PlainNet& net, test::NormalSource& normal) {
  test::PlainPass pass;
  test::forward(net, test::draw(net, normal), kInput, pass);
  const Vector& features = pass.features.back();
  return net.sigma_b2 + net.sigma_w2 / static_cast<double>(net.width) * test::dot(features, features);
}

TEST(DeepReluSimulation, ForwardKernelHasTheProductLawAndItsLogMoments) {
  const PlainNet net = relu_net(3, 12, 0.0);
  test::NormalSource normal(4);
  Vector kernel, square, logarithm;
  for (std::size_t k = 0; k < 80000; ++k) {
    kernel.push_back(draw_forward_kernel(net, normal));
    square.push_back(kernel.back() * kernel.back());
    if (kernel.back() > 0.0) logarithm.push_back(std::log(kernel.back()));
  }
  const auto largest_z = [&](const theory::ForwardKernel& p) {
    double z = std::abs(test::mean_of(square).z(p.moments.second));
    z = std::max(z, std::abs(test::mean_of(logarithm).z(p.log_mean)));
    return std::max(z, std::abs(test::variance_of(logarithm).z(p.log_variance)));
  };
  const double norm = test::dot(kInput, kInput);
  EXPECT_LT(largest_z(theory::deep_relu_forward_kernel(network_of(net), norm)), kPass);
  const theory::ForwardKernel faulty = theory::deep_relu_forward_kernel(network_of(net, 1.02), norm);
  EXPECT_GT(largest_z(faulty), kReject) << "sigma_w^2 off by 2 %";
}

/// G_{L+1} of the scalar chain, sigma_w^2 = 1.5, sigma_b^2 = 0.1, tanh, K_1 = 1.1, drawn layer by layer.
double draw_tanh_chain(std::size_t depth, std::size_t width, test::NormalSource& normal) {
  double kernel = 1.1;
  for (std::size_t l = 0; l < depth; ++l) {
    double sum = 0.0;
    for (std::size_t j = 0; j < width; ++j) {
      const double h = std::tanh(std::sqrt(kernel) * normal());
      sum += h * h;
    }
    kernel = 0.1 + 1.5 * sum / static_cast<double>(width);
  }
  return kernel;
}

TEST(ScalarChainSimulation, TanhVarianceAgreesToFirstOrderInTheInverseWidth) {
  // n Var G = V + c/n: widths n and 2n extrapolate to V.
  constexpr std::size_t kDepth = 3, kWidth = 32;
  Estimate scaled[2];
  for (const std::size_t i : {0u, 1u}) {
    const std::size_t width = kWidth << i;
    test::NormalSource normal(5 + i);
    Vector kernel;
    for (std::size_t k = 0; k < 60000; ++k) kernel.push_back(draw_tanh_chain(kDepth, width, normal));
    const Estimate variance = test::variance_of(kernel);
    scaled[i] = {static_cast<double>(width) * variance.value, static_cast<double>(width) * variance.error};
  }
  const Estimate vertex{2 * scaled[1].value - scaled[0].value, std::hypot(2 * scaled[1].error, scaled[0].error)};
  const auto z = [&](double sigma_w2) {
    MlpShape shape;
    shape.widths.assign(kDepth, 100);
    shape.activation = Tanh{};
    InitChoice choice;
    choice.sigma_w = {std::sqrt(1.0), std::sqrt(sigma_w2), std::sqrt(sigma_w2), std::sqrt(sigma_w2)};
    choice.sigma_b = std::sqrt(0.1);
    return std::abs(vertex.z(100.0 * theory::scalar_chain(make_network(shape, choice), 1.0).back().variance));
  };
  EXPECT_LT(z(1.5), kPass);
  EXPECT_GT(z(1.5 * 1.1), kReject) << "sigma_w^2 off by 10 %";
}

}  // namespace
}  // namespace widelab
