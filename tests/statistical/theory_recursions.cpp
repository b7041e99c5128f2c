// Infinite-width recursions against plain simulations: LayerNorm, residual branches and the standard parametrisation.
// E[Theta_n] / T = 1 + c/n + O(1/n^2); two widths n and 2n remove c, and at n = 64 the rest is far below the errors.
// Three entries a case, |z| < 4.5: false-alarm rate of all below 2e-4.
#include <gtest/gtest.h>

#include <cmath>

#include "host/theory/infinite_width.hpp"
#include "tests/statistical/theory_monte_carlo.hpp"

namespace widelab {
namespace {

using test::Estimate;
using test::PlainNet;
using test::Vector;

constexpr std::size_t kWidth = 64;
constexpr double kPass = 4.5, kReject = 7.0;
const std::vector<Vector> kInputs{{1.2, -0.3, 0.8}, {0.4, 0.9, -0.2}};

struct Fault {
  double weight = 1.0, bias = 1.0;  // factors on sigma_w^2 and sigma_b^2 in the theory only
};

/// Theory of the simulated network: entries (0,0), (0,1), (1,1).
Vector predict(const PlainNet& net, const Activation& activation, Fault fault) {
  MlpShape shape;
  shape.input_dim = static_cast<Index>(net.input_dim);
  shape.widths.assign(net.depth, static_cast<Index>(net.width));
  shape.activation = activation;
  shape.layer_norm = net.layer_norm;
  shape.residual = net.residual;
  InitChoice choice;
  choice.parametrization = net.standard ? Parametrization::standard : Parametrization::ntk;
  choice.sigma_w = {std::sqrt(net.sigma_w2 * fault.weight)};
  choice.sigma_b = std::sqrt(net.sigma_b2 * fault.bias);
  Vector x;
  for (const Vector& row : kInputs) x.insert(x.end(), row.begin(), row.end());
  const Vector gram =
      theory::infinite_width_kernels(make_network(shape, choice), matrix_view<const double>(x.data(), 2, 3)).ntk;
  return {gram[0], gram[1], gram[3]};
}

/// The extrapolated E[Theta] / T of each entry, for one set of simulated networks and several theories.
class Extrapolation {
 public:
  Extrapolation(PlainNet net, const Activation& activation, std::size_t nets, std::uint64_t seed)
      : net_(std::move(net)), activation_(activation) {
    for (const std::size_t factor : {1u, 2u}) {
      net_.width = kWidth * factor;
      test::NormalSource normal(seed + factor);
      std::vector<Vector> samples(3);
      for (std::size_t k = 0; k < nets; ++k) {
        const Vector theta = test::draw_ntk(net_, kInputs, normal);
        for (std::size_t e = 0; e < 3; ++e) samples[e].push_back(theta[e]);
      }
      for (const Vector& sample : samples) measured_.push_back(test::mean_of(sample));
    }
  }

  double largest_z(Fault fault) const {
    PlainNet narrow = net_, wide = net_;
    narrow.width = kWidth;
    const Vector at_n = predict(narrow, activation_, fault), at_2n = predict(wide, activation_, fault);
    double largest = 0.0;
    for (std::size_t e = 0; e < 3; ++e) {
      const Estimate &a = measured_[e], &b = measured_[3 + e];
      const double value = 2.0 * b.value / at_2n[e] - a.value / at_n[e];
      const double error = std::hypot(2.0 * b.error / at_2n[e], a.error / at_n[e]);
      largest = std::max(largest, std::abs(value - 1.0) / error);
    }
    return largest;
  }

 private:
  PlainNet net_;
  Activation activation_;
  std::vector<Estimate> measured_;
};

PlainNet relu_net(std::size_t depth, double sigma_w2, double sigma_b2) {
  PlainNet net;
  net.depth = depth;
  net.sigma_w2 = sigma_w2;
  net.sigma_b2 = sigma_b2;
  net.phi = [](double z) { return z > 0 ? z : 0.0; };
  net.slope = [](double z) { return z > 0 ? 1.0 : 0.0; };
  return net;
}

PlainNet tanh_net(std::size_t depth, double sigma_w2, double sigma_b2) {
  PlainNet net = relu_net(depth, sigma_w2, sigma_b2);
  net.phi = [](double z) { return std::tanh(z); };
  net.slope = [](double z) { return 1.0 - std::tanh(z) * std::tanh(z); };
  return net;
}

TEST(RecursionSimulation, PlainReluWithBiases) {
  const Extrapolation run(relu_net(2, 1.8, 0.2), Relu{}, 4000, 11);
  EXPECT_LT(run.largest_z({}), kPass);
  EXPECT_GT(run.largest_z({1.02, 1.0}), kReject) << "sigma_w^2 off by 2 %";
  EXPECT_GT(run.largest_z({1.0, 2.0}), kReject) << "bias counted twice";
}

TEST(RecursionSimulation, StandardParametrisation) {
  PlainNet net = relu_net(2, 1.8, 0.2);
  net.standard = true;
  const Extrapolation run(net, Relu{}, 4000, 21);
  EXPECT_LT(run.largest_z({}), kPass);
  EXPECT_GT(run.largest_z({1.04, 1.0}), kReject) << "sigma_w^2 off by 4 %";
  EXPECT_GT(run.largest_z({1.0, 2.0}), kReject) << "bias counted twice";
}

TEST(RecursionSimulation, LayerNorm) {
  PlainNet net = relu_net(2, 1.8, 0.2);
  net.layer_norm = true;
  const Extrapolation run(net, Relu{}, 4000, 31);
  EXPECT_LT(run.largest_z({}), kPass);
  EXPECT_GT(run.largest_z({1.04, 1.0}), kReject) << "sigma_w^2 off by 4 %";
  EXPECT_GT(run.largest_z({1.0, 2.0}), kReject) << "bias counted twice";
}

TEST(RecursionSimulation, ResidualBranches) {
  PlainNet net = relu_net(3, 1.8, 0.2);
  net.residual = 0.7;
  const Extrapolation run(net, Relu{}, 3000, 41);
  EXPECT_LT(run.largest_z({}), kPass);
  EXPECT_GT(run.largest_z({1.04, 1.0}), kReject) << "sigma_w^2 off by 4 %";
  EXPECT_GT(run.largest_z({1.0, 2.0}), kReject) << "bias counted twice";
}

TEST(RecursionSimulation, LayerNormWithinResidualBranches) {
  PlainNet net = tanh_net(3, 1.8, 0.2);
  net.residual = 0.7;
  net.layer_norm = true;
  const Extrapolation run(net, Tanh{}, 2500, 51);
  EXPECT_LT(run.largest_z({}), kPass);
  EXPECT_GT(run.largest_z({1.0, 2.0}), kReject) << "bias counted twice";
}

}  // namespace
}  // namespace widelab
