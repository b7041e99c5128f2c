// Deep networks: E |K - K0|^2 / |K0|^2 falls as A n^-p (1 + b/n) with p = 1, for the NTK and the NNGP Gram. Chance
// fails a correct program in at most kFamily of the choices of seeds, shared by all curves. Against the limit of a
// slightly different network the deviation has a floor, and the same test must fail at the same number of networks.
#include <gtest/gtest.h>

#include "tests/validation/width_curve.hpp"

namespace widelab {
namespace {

constexpr double kFamily = 0.02;
constexpr Index kNetworks = 2500;
const std::vector<Index> kWidths{64, 128, 256, 512, 1024};

/// A deep network up to its width.
struct Model {
  Activation activation = Relu{};
  Index depth = 3;
  double sigma_w2 = 2.0, sigma_b = 0.0;

  Network operator()(Index width) const {
    MlpShape shape;
    shape.input_dim = 5;
    shape.widths.assign(static_cast<std::size_t>(depth), width);
    shape.activation = activation;
    InitChoice choice;
    choice.sigma_w = {std::sqrt(sigma_w2)};
    choice.sigma_b = sigma_b;
    return make_network(shape, choice);
  }
};

const Model kRelu{}, kTanh{Tanh{}, 2, 1.5, 0.3}, kGelu{Gelu{}, 2, 2.0, 0.2};
constexpr double kShare = kFamily / 6;  // three models, two kernels

std::array<test::MeasuredCurve, 2> curves(const Model& drawn, const Model& limit) {
  return test::measure_curves({drawn, limit, test::sphere_inputs(3, 5, 22), kWidths, kNetworks, 40});
}

void expect_inverse_width(const Model& model) {
  for (const auto& curve : curves(model, model)) EXPECT_TRUE(test::falls_as_inverse_width(curve, kShare));
}

TEST(Convergence, DeepReluKernelsFallAsInverseWidth) { expect_inverse_width(kRelu); }
TEST(Convergence, TanhKernelsWithBiasesFallAsInverseWidth) { expect_inverse_width(kTanh); }
TEST(Convergence, GeluKernelsWithBiasesFallAsInverseWidth) { expect_inverse_width(kGelu); }

TEST(Convergence, LimitsOfAnotherSigmaOrActivationAreRejected) {
  Model sigma = kRelu, other = kTanh;
  sigma.sigma_w2 *= 1.02;
  other.activation = Erf{};
  for (const auto& curve : curves(kRelu, sigma)) EXPECT_FALSE(test::falls_as_inverse_width(curve, kShare));
  for (const auto& curve : curves(kTanh, other)) EXPECT_FALSE(test::falls_as_inverse_width(curve, kShare));
}

}  // namespace
}  // namespace widelab
