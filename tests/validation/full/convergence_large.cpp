// The networks of the demo at four times their number and with another seed: ReLU and erf, one and three hidden
// layers, six points of a sphere in ten dimensions, widths 16 .. 1024. Every entry that has an exact law at finite
// width is judged jointly, mean and variance at once; the square deviations fall as 1/n. Chance fails a correct program
// in at most kFamily of the choices of seeds, shared by all verdicts.
#include <gtest/gtest.h>

#include "tests/validation/exact_laws.hpp"
#include "tests/validation/width_curve.hpp"
#include "widelab/math/activation_names.hpp"

namespace widelab {
namespace {

using estimators::JointVerdict;

constexpr double kFamily = 0.01;
constexpr Index kInputs = 6, kDimension = 10, kNetworks = 16000;
const std::vector<Index> kWidths{16, 32, 64, 128, 256, 512, 1024};
const std::vector<Index> kFitted{64, 128, 256, 512, 1024};
// Laws: ReLU and erf at depth 1, ReLU at depth 3, seven widths each. Curves: two activations, two depths, two kernels.
const double kShare = kFamily / (3.0 * 7.0 + 8.0);

struct Model {
  Activation activation;
  Index depth;
  double sigma_w2 = 2.0;

  Network operator()(Index width) const {
    MlpShape shape;
    shape.input_dim = kDimension;
    shape.widths.assign(static_cast<std::size_t>(depth), width);
    shape.activation = activation;
    InitChoice choice;
    choice.sigma_w = {std::sqrt(sigma_w2)};
    return make_network(shape, choice);
  }
};

const std::vector<double>& inputs() {
  static const std::vector<double> points = test::sphere_inputs(kInputs, kDimension, 901);
  return points;
}

JointVerdict verdict(const Model& drawn, const Model& assumed, Index width) {
  const JointVerdict v = test::judge_exact_laws({drawn(width), inputs(), kNetworks, 902}, assumed(width));
  std::printf("  %s, L = %ld, n = %ld: %s\n", to_string(drawn.activation).c_str(), static_cast<long>(drawn.depth),
              static_cast<long>(width), test::describe(v).c_str());
  return v;
}

TEST(ConvergenceLarge, EveryEntryWithAnExactLawAgrees) {
  for (const Model& model : {Model{Relu{}, 1}, Model{Erf{}, 1}, Model{Relu{}, 3}})
    for (const Index width : kWidths) EXPECT_TRUE(verdict(model, model, width).consistent(kShare));
}

TEST(ConvergenceLarge, SigmaWOffByTwoPercentIsRejected) {
  for (const Model& model : {Model{Relu{}, 1}, Model{Erf{}, 1}, Model{Relu{}, 3}}) {
    Model faulty = model;
    faulty.sigma_w2 *= 1.02;
    for (const Index width : {16, 256}) EXPECT_FALSE(verdict(faulty, model, width).consistent(kShare));
  }
}

TEST(ConvergenceLarge, SquareDeviationsFallAsInverseWidth) {
  for (const Model& model : {Model{Relu{}, 1}, Model{Erf{}, 1}, Model{Relu{}, 3}, Model{Erf{}, 3}})
    for (const auto& curve : test::measure_curves({model, model, inputs(), kFitted, kNetworks / 4, 903}))
      EXPECT_TRUE(test::falls_as_inverse_width(curve, kShare));
}

TEST(ConvergenceLarge, SquareDeviationsFromTheLimitOfAnotherSigmaAreRejected) {
  const Model model{Relu{}, 3};
  Model other = model;
  other.sigma_w2 *= 1.02;
  for (const auto& curve : test::measure_curves({model, other, inputs(), kFitted, kNetworks / 4, 903}))
    EXPECT_FALSE(test::falls_as_inverse_width(curve, kShare));
}

}  // namespace
}  // namespace widelab
