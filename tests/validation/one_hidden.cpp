// One hidden layer: every entry of the NTK and of the feature kernel, mean and variance at once, against the exact laws
// at finite width. Judged jointly (chi^2 and max|z|); chance fails a correct program in at most kFamily of the choices
// of seeds, shared evenly among all verdicts. Faults go through the same function at the same number of networks.
#include <gtest/gtest.h>

#include "tests/validation/exact_laws.hpp"
#include "widelab/math/activation_names.hpp"

namespace widelab {
namespace {

using estimators::JointVerdict;
using test::KernelMethod;

constexpr double kFamily = 0.01;
constexpr Index kInputs = 3, kDimension = 4, kNetworks = 16384;
constexpr Index kWidths[] = {8, 64};
const std::vector<std::string> kActivations{"relu", "erf", "tanh", "gelu"};
const double kShare = kFamily / static_cast<double>(3 * std::size(kWidths) * kActivations.size());

Network one_hidden(const std::string& activation, Index width, double sigma_w2 = 1.8,
                   InitKind readout = InitKind::normal) {
  MlpShape shape;
  shape.input_dim = kDimension;
  shape.widths = {width};
  shape.activation = parse_activation(activation);
  InitChoice choice;
  choice.sigma_w = {std::sqrt(sigma_w2)};
  choice.sigma_b = 0.4;
  Network network = make_network(shape, choice);
  network.layers[1].weight_law = readout;
  return network;
}

/// Networks of `drawn` against the laws of `assumed`.
JointVerdict verdict(const Network& drawn, const Network& assumed, KernelMethod method) {
  const std::vector<double> inputs = test::sphere_inputs(kInputs, kDimension, 21);
  const auto seed = static_cast<std::uint64_t>(100 + drawn.shape.widths[0]);
  const JointVerdict result = test::judge_exact_laws({drawn, inputs, kNetworks, seed, method}, assumed);
  std::printf("  %s, n = %ld: %s\n", to_string(drawn.shape.activation).c_str(),
              static_cast<long>(drawn.shape.widths[0]), test::describe(result).c_str());
  return result;
}

void expect_consistent(KernelMethod method) {
  for (const std::string& activation : kActivations)
    for (const Index width : kWidths) {
      const Network network = one_hidden(activation, width);
      EXPECT_TRUE(verdict(network, network, method).consistent(kShare));
    }
}

void expect_rejected(const Network& drawn, const Network& assumed) {
  const JointVerdict v = verdict(drawn, assumed, KernelMethod::weights);
  EXPECT_EQ(v.status, "");
  EXPECT_FALSE(v.consistent(kShare));
}

TEST(OneHiddenLayer, EveryMeanAndVarianceAgreesWithExplicitWeights) { expect_consistent(KernelMethod::weights); }

TEST(OneHiddenLayer, EveryMeanAndVarianceAgreesWithTheLawExactSampler) { expect_consistent(KernelMethod::law_exact); }

TEST(OneHiddenLayer, SigmaWOffByTwoPercentIsRejected) {
  for (const std::string& activation : kActivations)
    for (const Index width : kWidths)
      expect_rejected(one_hidden(activation, width, 1.8 * 1.02), one_hidden(activation, width));
}

TEST(OneHiddenLayer, AWrongFourthMomentOfTheReadoutIsRejected) {
  // Uniform readouts have E a^4 = 9/5 instead of 3: no mean changes, only variances do.
  for (const std::string& activation : kActivations)
    for (const Index width : kWidths) {
      const Network uniform = one_hidden(activation, width, 1.8, InitKind::uniform);
      expect_rejected(uniform, one_hidden(activation, width));
      EXPECT_TRUE(verdict(uniform, uniform, KernelMethod::weights).consistent(kShare)) << "its own law must hold";
    }
}

}  // namespace
}  // namespace widelab
