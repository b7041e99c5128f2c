// Outputs: the fourth moment of a deep ReLU network's output, E f^4 = 3 G^2 (1 + 5/n)^L, and the blocks of the NTK of
// several outputs. Chance fails each test of a correct program in at most kFamily of the choices of seeds; faulty
// networks go through the same functions at the same number of networks and must be rejected.
#include <gtest/gtest.h>

#include "tests/validation/ensemble.hpp"

namespace widelab {
namespace {

using estimators::JointVerdict;

constexpr double kFamily = 1e-3;
constexpr Index kDepth = 3, kWidth = 24;
const std::vector<double> kInput{1.1, -0.3, 0.8};

Network deep(const Activation& activation, double sigma_w2) {
  MlpShape shape;
  shape.input_dim = 3;
  shape.widths.assign(kDepth, kWidth);
  shape.activation = activation;
  InitChoice choice;
  choice.sigma_w = {std::sqrt(sigma_w2)};
  return make_network(shape, choice);
}

/// The larger |z| of E f^2 and E f^4 against the kurtosis law of the ReLU network with sigma_w^2 = 2.
double kurtosis_z(const Network& drawn) {
  constexpr Index kNetworks = 100000;
  std::vector<DrawId> ids;
  for (Index r = 0; r < kNetworks; ++r) ids.push_back({60, static_cast<std::uint32_t>(r)});
  const std::vector<float> x(kInput.begin(), kInput.end());
  std::vector<float> f(kNetworks);
  ForwardProblem<float> problem;
  problem.network = &drawn;
  problem.weights = {kNetworks, ids.data(), nullptr};
  problem.inputs = matrix_view<const float>(x.data(), 1, 3);
  problem.outputs = f.data();
  test::cpu().forward(problem);
  std::vector<double> square, fourth;
  for (const float value : f) {
    square.push_back(static_cast<double>(value) * value);
    fourth.push_back(square.back() * square.back());
  }
  double norm = 0;
  for (const double c : kInput) norm += c * c;
  const double kernel = 2 * norm / 3;
  const double second = test::skew_corrected_z(square, kernel);
  const double last = test::skew_corrected_z(fourth, 3 * kernel * kernel * std::pow(1 + 5.0 / kWidth, kDepth));
  std::printf("  z of E f^2 %.2f, of E f^4 %.2f\n", second, last);
  return std::max(std::abs(second), std::abs(last));
}

TEST(Outputs, FourthMomentFollowsTheKurtosisLaw) {
  const double limit = estimators::z_threshold(kFamily, 2);
  EXPECT_LT(kurtosis_z(deep(Relu{}, 2.0)), limit);
  EXPECT_GT(kurtosis_z(deep(Relu{}, 2.04)), limit) << "sigma_w^2 off by 2 %";
  EXPECT_GT(kurtosis_z(deep(Identity{}, 1.0)), limit) << "without masks the law is (1 + 2/n)^L";
}

constexpr Index kInputs = 2, kOutputs = 3, kColumns = kInputs * kOutputs;

Network several_outputs(const Activation& activation, double sigma_w2) {
  MlpShape shape;
  shape.input_dim = 4;
  shape.widths = {12};
  shape.outputs = kOutputs;
  shape.activation = activation;
  InitChoice choice;
  choice.sigma_w = {std::sqrt(sigma_w2)};
  choice.sigma_b = 0.4;
  return make_network(shape, choice);
}

/// Full NTK and its trace over outputs, upper entries, against their exact means at one hidden layer: the limit kernel
/// in blocks of equal outputs, 0 between outputs.
JointVerdict blocks_verdict(const Network& drawn, const Network& assumed) {
  constexpr Index kNetworks = 32768;
  const std::vector<double> inputs = test::sphere_inputs(kInputs, 4, 24);
  const theory::KernelPair limit =
      theory::infinite_width_kernels(assumed, matrix_view<const double>(inputs.data(), kInputs, 4));
  std::vector<DrawId> ids;
  for (Index r = 0; r < kNetworks; ++r) ids.push_back({61, static_cast<std::uint32_t>(r)});
  std::vector<double> full(kNetworks * kColumns * kColumns), trace(kNetworks * kInputs * kInputs), predicted;
  NtkProblem<double> problem;
  problem.network = &drawn;
  problem.weights = {kNetworks, ids.data(), nullptr};
  problem.x1 = matrix_view<const double>(inputs.data(), kInputs, 4);
  problem.blocks = NtkBlocks::full;
  problem.ntk = full.data();
  test::cpu().ntk(problem);
  problem.blocks = NtkBlocks::trace;
  problem.ntk = trace.data();
  test::cpu().ntk(problem);
  test::for_pairs(kColumns, [&](Index a, Index b) {
    const Index i = a / kOutputs, j = b / kOutputs;
    predicted.push_back(a % kOutputs == b % kOutputs ? limit.ntk[static_cast<std::size_t>(i * kInputs + j)] : 0.0);
  });
  predicted = test::joined(predicted, test::upper(limit.ntk, kInputs));
  estimators::GroupedMoments moments(predicted, 1, 128);
  for (Index r = 0; r < kNetworks; ++r) {
    const std::span<const double> blocks(full.data() + r * kColumns * kColumns, kColumns * kColumns);
    const std::span<const double> mean(trace.data() + r * kInputs * kInputs, kInputs * kInputs);
    moments.add(r, test::joined(test::upper(blocks, kColumns), test::upper(mean, kInputs)));
  }
  const JointVerdict v = test::judge(moments.group_sample(test::Statistic::mean), predicted);
  std::printf("  %s\n", test::describe(v).c_str());
  return v;
}

TEST(Outputs, BlocksAndTraceOfTheNtkHaveTheirExactMeans) {
  const Network erf = several_outputs(Erf{}, 1.6);
  EXPECT_TRUE(blocks_verdict(erf, erf).consistent(kFamily));
  EXPECT_FALSE(blocks_verdict(several_outputs(Erf{}, 1.6 * 1.02), erf).consistent(kFamily)) << "sigma_w^2 off by 2 %";
  EXPECT_FALSE(blocks_verdict(several_outputs(Tanh{}, 1.6), erf).consistent(kFamily)) << "another activation";
}

}  // namespace
}  // namespace widelab
