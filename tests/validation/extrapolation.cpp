// LayerNorm, residual branches and the standard parametrisation: means extrapolated to infinite width against the limit
// kernels. Judged jointly; chance fails a correct program in at most kFamily of the choices of seeds, shared evenly.
// Faulty networks go through the same function at the same number of networks and must be rejected.
#include "tests/validation/extrapolation.hpp"

#include <gtest/gtest.h>

namespace widelab {
namespace {

using estimators::JointVerdict;

constexpr double kFamily = 0.01;
constexpr Index kNetworks = 8192;

struct Model {
  const char* name;
  Activation activation;
  bool layer_norm;
  double residual, sigma_w2, sigma_b;
  Parametrization parametrization = Parametrization::standard;

  Network operator()(Index width) const {
    MlpShape shape;
    shape.input_dim = 4;
    shape.widths = {width, width};
    shape.activation = activation;
    shape.layer_norm = layer_norm;
    shape.residual = residual;
    InitChoice choice;
    choice.parametrization = parametrization;
    choice.sigma_w = {std::sqrt(sigma_w2)};
    choice.sigma_b = sigma_b;
    return make_network(shape, choice);
  }
};

const Model kModels[] = {
    {"standard relu", Relu{}, false, 0.0, 2.0, 0.3},
    {"standard erf with LayerNorm", Erf{}, true, 0.0, 1.5, 0.3},
    {"standard relu with residual branches", Relu{}, false, 0.7, 1.6, 0.2},
    {"NTK tanh with LayerNorm and residual branches", Tanh{}, true, 0.5, 1.5, 0.2, Parametrization::ntk}};
constexpr double kShare = kFamily / std::size(kModels);

JointVerdict verdict(const Model& drawn, const Model& limit) {
  const auto sample = test::extrapolated_deviations({drawn, limit, test::sphere_inputs(3, 4, 23), 32, kNetworks, 50});
  const JointVerdict v = test::judge(sample, std::vector<double>(static_cast<std::size_t>(sample.entries), 0.0));
  std::printf("  %s: %s\n", drawn.name, test::describe(v).c_str());
  return v;
}

TEST(Extrapolation, MeansAgreeWithTheLimitKernels) {
  for (const Model& model : kModels) EXPECT_TRUE(verdict(model, model).consistent(kShare));
}

TEST(Extrapolation, SigmaWOffByTwoPercentIsRejected) {
  for (const Model& model : kModels) {
    Model faulty = model;
    faulty.sigma_w2 *= 1.02;
    const JointVerdict v = verdict(faulty, model);
    EXPECT_EQ(v.status, "");
    EXPECT_FALSE(v.consistent(kShare));
  }
}

TEST(Extrapolation, AMissingResidualBranchOrLayerNormIsRejected) {
  Model plain = kModels[2], raw = kModels[1];
  plain.residual = 0.0;
  raw.layer_norm = false;
  EXPECT_FALSE(verdict(plain, kModels[2]).consistent(kShare));
  EXPECT_FALSE(verdict(raw, kModels[1]).consistent(kShare));
}

}  // namespace
}  // namespace widelab
