// Exact variance of one-hidden-layer kernels with biases against a plain simulation of the units.
// Four statistics for each of three activations and two pairs: at |z| < 4.5 the false-alarm rate of all is below 2e-4.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "host/theory/finite_width.hpp"
#include "tests/statistical/theory_monte_carlo.hpp"

namespace widelab {
namespace {

using test::Estimate;
using test::Vector;

constexpr std::size_t kWidth = 8, kNets = 100000;
constexpr double kSigmaW2 = 1.6, kSigmaB2 = 0.3;
constexpr double kPass = 4.5, kReject = 7.0;

struct Case {
  Activation activation;
  double (*phi)(double);
  double (*slope)(double);
};

double gelu(double z) { return 0.5 * z * std::erfc(-z / std::numbers::sqrt2); }
double gelu_slope(double z) {
  return 0.5 * std::erfc(-z / std::numbers::sqrt2) + z * std::exp(-0.5 * z * z) / std::sqrt(2 * std::numbers::pi);
}
double erf_value(double z) { return std::erf(z); }
double erf_slope(double z) { return 2.0 / std::sqrt(std::numbers::pi) * std::exp(-z * z); }
double relu(double z) { return z > 0 ? z : 0.0; }
double relu_slope(double z) { return z > 0 ? 1.0 : 0.0; }

/// Samples of Theta(x, x'), of the entry between two outputs, and of the feature kernel.
struct Samples {
  Vector theta, cross, features;
};

Samples simulate(const Case& c, const KernelTriple& q, std::uint64_t seed) {
  test::NormalSource normal(seed);
  // (z, z') with the covariance of the first layer, d = 2, in explicit coordinates x = (r, 0), x' = (s, t).
  const double r = std::sqrt(q.k11), s = q.k12 / r, t = std::sqrt(std::max(0.0, q.k22 - s * s));
  const double sw = std::sqrt(kSigmaW2), sb = std::sqrt(kSigmaB2), n = static_cast<double>(kWidth);
  Samples samples;
  for (std::size_t net = 0; net < kNets; ++net) {
    double theta = kSigmaB2, cross = 0.0, features = kSigmaB2;
    for (std::size_t j = 0; j < kWidth; ++j) {
      const double w1 = normal(), w2 = normal(), b = normal(), a = normal(), a2 = normal();
      const double z = sw * w1 * r + sb * b, zp = sw * (w1 * s + w2 * t) + sb * b;
      const double pp = c.phi(z) * c.phi(zp), ee = c.slope(z) * c.slope(zp);
      const double inner = kSigmaW2 * q.k12 + kSigmaB2;
      theta += kSigmaW2 / n * (pp + a * a * ee * inner);
      cross += kSigmaW2 / n * a * a2 * ee * inner;
      features += kSigmaW2 / n * pp;
    }
    samples.theta.push_back(theta);
    samples.cross.push_back(cross);
    samples.features.push_back(features);
  }
  return samples;
}

struct Prediction {
  theory::OneHiddenNtk ntk;
  theory::EntryMoments features;
};

/// Theory at sigma_w^2 and sigma_b^2 times the factors of a planted fault.
Prediction predict(const Case& c, const KernelTriple& q, double weight_fault, double bias_fault) {
  MlpShape shape;
  shape.widths = {kWidth};
  shape.activation = c.activation;
  InitChoice choice;
  choice.sigma_w = {std::sqrt(kSigmaW2 * weight_fault)};
  choice.sigma_b = std::sqrt(kSigmaB2 * bias_fault);
  const Network network = make_network(shape, choice);
  return {theory::one_hidden_ntk(network, q), theory::one_hidden_feature_kernel(network, q)};
}

double largest_z(const Samples& samples, const Prediction& p) {
  double z = std::abs(test::mean_of(samples.theta).z(p.ntk.entry.mean));
  z = std::max(z, std::abs(test::variance_of(samples.theta).z(p.ntk.entry.variance)));
  z = std::max(z, std::abs(test::variance_of(samples.cross).z(p.ntk.cross_output_variance)));
  return std::max(z, std::abs(test::variance_of(samples.features).z(p.features.variance)));
}

class OneHiddenSimulation : public ::testing::TestWithParam<int> {
 protected:
  static Case activation_case() {
    switch (GetParam()) {
      case 0: return {Erf{}, erf_value, erf_slope};
      case 1: return {Gelu{}, gelu, gelu_slope};
      default: return {Relu{}, relu, relu_slope};
    }
  }
};

TEST_P(OneHiddenSimulation, AgreesWithTheExactVarianceAndRejectsPlantedFaults) {
  const Case c = activation_case();
  for (const KernelTriple& q : {KernelTriple{1.3, 0.4, 0.7}, KernelTriple{0.9, 0.9, 0.9}}) {
    const Samples samples = simulate(c, q, 1000 + static_cast<std::uint64_t>(GetParam()));
    EXPECT_LT(largest_z(samples, predict(c, q, 1.0, 1.0)), kPass);
    EXPECT_GT(largest_z(samples, predict(c, q, 1.02, 1.0)), kReject) << "sigma_w^2 off by 2 %";
    EXPECT_GT(largest_z(samples, predict(c, q, 1.0, 2.0)), kReject) << "bias counted twice";
  }
}

TEST_P(OneHiddenSimulation, VarianceAloneSeesTheFourthMomentOfTheReadout) {
  const Case c = activation_case();
  const KernelTriple q{1.3, 0.4, 0.7};
  const Estimate variance = test::variance_of(simulate(c, q, 77).theta);
  MlpShape shape;
  shape.widths = {kWidth};
  shape.activation = c.activation;
  InitChoice choice;
  choice.sigma_w = {std::sqrt(kSigmaW2)};
  choice.sigma_b = std::sqrt(kSigmaB2);
  Network network = make_network(shape, choice);
  EXPECT_LT(std::abs(variance.z(theory::one_hidden_ntk(network, q).entry.variance)), kPass);
  network.layers[1].weight_law = InitKind::uniform;  // E a^4 = 9/5 instead of 3
  EXPECT_GT(std::abs(variance.z(theory::one_hidden_ntk(network, q).entry.variance)), kReject);
}

INSTANTIATE_TEST_SUITE_P(Activations, OneHiddenSimulation, ::testing::Values(0, 1, 2));

}  // namespace
}  // namespace widelab
