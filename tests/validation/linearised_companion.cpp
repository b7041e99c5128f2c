// The companion of trained networks: a network with outputs over gamma and shifted targets trains as the linearisation
// of the network, held against its own tangent kernel at the start. What is left is O(gamma).
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "host/experiments/trained_cell.hpp"
#include "host/theory/linear_dynamics.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/ops/init.hpp"
#include "widelab/ops/ntk.hpp"
#include "widelab/ops/train.hpp"

namespace widelab {
namespace {

using Matrix = std::vector<double>;

constexpr Index kTrain = 5, kTest = 4, kPoints = kTrain + kTest, kDimension = 3, kSteps = 8;
constexpr double kRate = 0.2;
const DrawId kInit{77, 3};

Network network() {
  MlpShape shape;
  shape.input_dim = kDimension;
  shape.widths = {12};
  shape.activation = Tanh{};
  InitChoice choice;
  choice.sigma_w = {1.5};
  choice.sigma_b = 0.3;
  return make_network(shape, choice);
}

Matrix inputs() {
  Matrix x;
  for (Index i = 0; i < kPoints * kDimension; ++i) x.push_back(std::sin(1.3 * static_cast<double>(i) + 0.4));
  return x;
}

Matrix targets() {
  Matrix y;
  for (Index i = 0; i < kTrain; ++i) y.push_back(std::cos(2.1 * static_cast<double>(i)));
  return y;
}

struct Look {
  Matrix outputs = Matrix(kPoints), kernel = Matrix(kPoints * kPoints);
};

Look look(const Network& net, const Matrix& parameters) {
  Look out;
  const Matrix x = inputs();
  NtkProblem<double> problem;
  problem.network = &net;
  problem.weights = {1, nullptr, parameters.data()};
  problem.x1 = matrix_view(x.data(), kPoints, kDimension);
  problem.ntk = out.kernel.data();
  problem.outputs = out.outputs.data();
  cpu::ntk(problem);
  return out;
}

Matrix drawn(const Network& net) {
  Matrix parameters(static_cast<std::size_t>(ParamLayout(net.shape).size));
  InitProblem<double> problem;
  problem.network = &net;
  problem.members = 1;
  problem.init = &kInit;
  problem.parameters = parameters.data();
  cpu::init(problem);
  return parameters;
}

void train(const Network& net, Matrix& parameters, const Matrix& y) {
  MemberSettings settings;
  settings.learning_rate = kRate;
  settings.batch = kTrain;
  MemberStatus status;
  TrainGroup<double> group;
  group.network = &net;
  group.members = 1;
  group.settings = &settings;
  group.status = &status;
  group.parameters = parameters.data();
  const Matrix x = inputs();
  TrainProblem<double> problem;
  problem.groups = {group};
  problem.datasets = {{x.data(), y.data(), kTrain}};
  problem.steps = {0, kSteps};
  cpu::train(problem);
  ASSERT_EQ(status.status, TrainStatus::running);
}

/// Largest distance on the test points between the companion and the linearisation of `original`.
double gap(const Network& original, const Network& companion, double gamma, const Matrix& y) {
  Matrix parameters = drawn(companion);
  const Look start = look(original, parameters), first = look(companion, parameters);
  train(companion, parameters, y);
  const Look end = look(companion, parameters);
  theory::LinearTraining rule;
  rule.learning_rate = kRate;
  const theory::LinearDynamics dynamics({start.kernel.data(), kTrain, kTrain, kPoints}, rule);
  const Matrix response = dynamics.response({start.kernel.data() + kTrain * kPoints, kTest, kTrain, kPoints}, kSteps);
  const Matrix wanted = targets();
  const Matrix predicted = theory::linearised_outputs(matrix_view(response.data(), kTest, kTrain),
                                                      {1, start.outputs.data() + kTrain, start.outputs.data()},
                                                      matrix_view(wanted.data(), kTrain, Index{1}));
  double most = 0;
  for (Index p = 0; p < kTest; ++p) {
    const auto at = static_cast<std::size_t>(kTrain + p);
    const double out = end.outputs[at] - (1 - gamma) * first.outputs[at];
    most = std::max(most, std::fabs(out - predicted[static_cast<std::size_t>(p)]));
  }
  return most;
}

Matrix shifted_targets(const Network& original, double gamma) {
  Matrix y = targets();
  const Look start = look(original, drawn(original));
  for (std::size_t i = 0; i < y.size(); ++i) y[i] += start.outputs[i] * (1 / gamma - 1);
  return y;
}

TEST(LinearisedCompanion, IsTheLinearisationUpToGamma) {
  const Network original = network();
  std::vector<double> gaps;
  for (const double gamma : {4e-3, 2e-3, 1e-3})
    gaps.push_back(gap(original, experiments::linearise(original, gamma), gamma, shifted_targets(original, gamma)));
  EXPECT_LT(gaps[2], 1e-3) << "gamma";
  EXPECT_NEAR(gaps[0] / gaps[1], 2, 0.1) << "first order in gamma";
  EXPECT_NEAR(gaps[1] / gaps[2], 2, 0.1);
}

TEST(LinearisedCompanion, UnscaledRatesUnshiftedTargetsAndTheNetworkItselfAreSeen) {
  const Network original = network();
  const double gamma = 1e-3;
  const Network companion = experiments::linearise(original, gamma);
  EXPECT_GT(gap(original, companion, gamma, targets()), 0.05);
  Network fast = companion;
  for (LayerScale& layer : fast.layers) layer.weight_rate *= 1.2;
  EXPECT_GT(gap(original, fast, gamma, shifted_targets(original, gamma)), 5e-3);
  EXPECT_GT(gap(original, original, 1, targets()), 5e-3);
}

}  // namespace
}  // namespace widelab
