// Networks in training against their linearisations, pathwise: every network is predicted from its own initial outputs,
// so that the deviation is the kernel's alone and needs no average over networks. With the infinite-width kernel the
// squared deviation falls as n^-1 (the kernel fluctuates by n^-1/2), with the network's own kernel at initialisation as
// n^-2 (the kernel moves by n^-1), and the squared movement of the kernel as n^-2 (Dyer and Gur-Ari 2020).
//
// Curves E r^2 = A n^-p (1 + b/n) are judged by fit and bootstrap over networks; chance fails a correct program in at
// most kFamily of the choices of seeds. Faulty predictions or networks leave a floor that the same test must see.
#include <gtest/gtest.h>

#include "host/theory/linear_dynamics.hpp"
#include "tests/validation/width_curve.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/ops/init.hpp"
#include "widelab/ops/ntk.hpp"
#include "widelab/ops/train.hpp"

namespace widelab {
namespace {

using test::MeasuredCurve;
using theory::LinearDynamics;
using theory::LinearTraining;
using Matrix = std::vector<double>;

constexpr double kFamily = 0.02, kShare = kFamily / 3;
constexpr Index kTrain = 6, kTest = 3, kPoints = kTrain + kTest, kSteps = 20, kChunk = 16;

/// Widths with the number of networks at each.
struct Point {
  Index width, networks;
};
constexpr std::array<Point, 4> kWidths{{{64, 512}, {128, 384}, {256, 192}, {512, 64}}};

Network erf_network(Index width) {
  MlpShape shape;
  shape.input_dim = 2;
  shape.widths = {width, width};
  shape.activation = Erf{};
  InitChoice choice;
  choice.sigma_w = {1.5};
  choice.sigma_b = 0.2;
  return make_network(shape, choice);
}

/// Points of the circle |x|^2 = 2, training points first, and targets of the training points.
struct Data {
  Matrix inputs, targets;

  Data() {
    for (Index p = 0; p < kPoints; ++p) {
      const double angle = p < kTrain ? 1.0 * static_cast<double>(p) : 0.4 + 1.7 * static_cast<double>(p - kTrain);
      inputs.insert(inputs.end(), {std::sqrt(2.0) * std::cos(angle), std::sqrt(2.0) * std::sin(angle)});
      if (p < kTrain) targets.push_back(std::cos(2 * angle) + 0.5 * std::sin(angle));
    }
  }
};

/// Outputs at all points and kernels between all points, member by member.
struct Snapshot {
  Matrix outputs, kernels;

  /// Theta between all points and the training points.
  MatrixView<const double> kernel(Index member) const {
    return {kernels.data() + member * kPoints * kPoints, kPoints, kTrain, kPoints};
  }
};

Snapshot look(const Network& network, const Matrix& parameters, Index members, const Data& data) {
  Snapshot out{Matrix(static_cast<std::size_t>(members * kPoints)),
               Matrix(static_cast<std::size_t>(members * kPoints * kPoints))};
  NtkProblem<double> problem;
  problem.network = &network;
  problem.weights = {members, nullptr, parameters.data()};
  problem.x1 = matrix_view(data.inputs.data(), kPoints, Index{2});
  problem.ntk = out.kernels.data();
  problem.outputs = out.outputs.data();
  cpu::ntk(problem);
  return out;
}

/// Full-batch gradient descent on sum (f - y)^2 / 2, in double.
void train(const Network& network, Matrix& parameters, Index members, const Data& data, double rate) {
  MemberSettings settings;
  settings.learning_rate = rate;
  settings.batch = kTrain;
  const std::vector<MemberSettings> all(static_cast<std::size_t>(members), settings);
  std::vector<MemberStatus> status(all.size());
  TrainGroup<double> group;
  group.network = &network;
  group.members = members;
  group.settings = all.data();
  group.status = status.data();
  group.parameters = parameters.data();
  TrainProblem<double> problem;
  problem.groups = {group};
  problem.datasets = {{data.inputs.data(), data.targets.data(), kTrain}};
  problem.steps = {0, kSteps};
  cpu::train(problem);
  for (const MemberStatus& member : status) ASSERT_EQ(member.status, TrainStatus::running);
}

/// Mean square over test points of f_t minus the prediction of `kernel` (rows: all points; columns: training points).
double deviation(const Snapshot& start, const Snapshot& end, Index member, const Data& data,
                 MatrixView<const double> kernel, const LinearTraining& rule) {
  const LinearDynamics dynamics({kernel.data, kTrain, kTrain, kernel.stride}, rule);
  const Matrix response = dynamics.response({kernel.row(kTrain), kTest, kTrain, kernel.stride}, kSteps);
  const double* f0 = start.outputs.data() + member * kPoints;
  const Matrix predicted = theory::linearised_outputs(matrix_view(response.data(), kTest, kTrain), {1, f0 + kTrain, f0},
                                                      matrix_view(data.targets.data(), kTrain, Index{1}));
  double square = 0;
  for (Index p = 0; p < kTest; ++p) {
    const double gap =
        end.outputs[static_cast<std::size_t>(member * kPoints + kTrain + p)] - predicted[static_cast<std::size_t>(p)];
    square += gap * gap / static_cast<double>(kTest);
  }
  return square;
}

/// |Theta_t - Theta_0|^2 / |Theta_0|^2 (Frobenius) over all points.
double kernel_movement(const Snapshot& start, const Snapshot& end, Index member) {
  double moved = 0, size = 0;
  for (Index e = member * kPoints * kPoints; e < (member + 1) * kPoints * kPoints; ++e) {
    const double before = start.kernels[static_cast<std::size_t>(e)], after = end.kernels[static_cast<std::size_t>(e)];
    moved += (after - before) * (after - before);
    size += before * before;
  }
  return moved / size;
}

/// Squared deviations over widths. `doubled` is the own kernel's with a prediction at twice the learning rate: the
/// factor 2 of the loss (f - y)^2 where (f - y)^2 / 2 is trained.
struct Curves {
  MeasuredCurve infinite_kernel, own_kernel, movement, doubled, infinite_doubled;
};

void add_point(MeasuredCurve& curve, Index width, const estimators::GroupedMoments& moments, Index entry) {
  const estimators::Estimate estimate = moments.estimate(test::Statistic::mean)[static_cast<std::size_t>(entry)];
  curve.points.n.push_back(static_cast<double>(width));
  curve.points.y.push_back(estimate.value);
  curve.points.se.push_back(estimate.se);
  curve.groups.push_back(test::one_entry(moments.group_sample(test::Statistic::mean), entry));
}

/// `bias_factor`: on the learning rate of all biases in training, of which the kernels do not know.
Curves measure(double bias_factor) {
  const Data data;
  Curves curves;
  for (const Point& point : kWidths) {
    const Network network = erf_network(point.width);
    Network trained = network;
    for (LayerScale& layer : trained.layers) layer.bias_rate *= bias_factor;
    const theory::KernelPair limit =
        theory::infinite_width_kernels(network, matrix_view(data.inputs.data(), kPoints, Index{2}));
    const MatrixView<const double> limit_kernel{limit.ntk.data(), kPoints, kTrain, kPoints};
    LinearTraining rule, doubled;
    rule.learning_rate =
        0.25 * LinearDynamics({limit.ntk.data(), kTrain, kTrain, kPoints}, LinearTraining{}).largest_stable_rate();
    doubled.learning_rate = 2 * rule.learning_rate;

    estimators::GroupedMoments moments(Matrix(5, 0.0), 2);
    const std::uint64_t key = role_key(60, "init", "width " + std::to_string(point.width));
    for (Index first = 0; first < point.networks; first += kChunk) {
      std::vector<DrawId> ids;
      for (Index m = 0; m < kChunk; ++m) ids.push_back({key, static_cast<std::uint32_t>(first + m)});
      Matrix parameters(static_cast<std::size_t>(kChunk * ParamLayout(network.shape).size));
      cpu::init(InitProblem<double>{&network, ids.data(), kChunk, parameters.data()});
      const Snapshot start = look(network, parameters, kChunk, data);
      train(trained, parameters, kChunk, data, rule.learning_rate);
      const Snapshot end = look(network, parameters, kChunk, data);
      for (Index m = 0; m < kChunk; ++m) {
        const auto own = start.kernel(m);
        moments.add(first + m, Matrix{deviation(start, end, m, data, limit_kernel, rule),
                                      deviation(start, end, m, data, own, rule), kernel_movement(start, end, m),
                                      deviation(start, end, m, data, own, doubled),
                                      deviation(start, end, m, data, limit_kernel, doubled)});
      }
    }
    add_point(curves.infinite_kernel, point.width, moments, 0);
    add_point(curves.own_kernel, point.width, moments, 1);
    add_point(curves.movement, point.width, moments, 2);
    add_point(curves.doubled, point.width, moments, 3);
    add_point(curves.infinite_doubled, point.width, moments, 4);
  }
  return curves;
}

const Curves& healthy() {
  static const Curves curves = measure(1);
  return curves;
}

TEST(LinearisedTraining, DeviationFromTheInfiniteKernelFallsAsInverseRootWidth) {
  EXPECT_TRUE(test::falls_as_power(healthy().infinite_kernel, 1, kShare));
  const auto& points = healthy().infinite_kernel.points;
  for (std::size_t i = 0; i < points.n.size(); ++i)
    std::printf("  n = %.0f: rms deviation sqrt(n) = %.3f\n", points.n[i], std::sqrt(points.y[i] * points.n[i]));
}

TEST(LinearisedTraining, DeviationFromTheOwnKernelFallsAsInverseWidth) {
  EXPECT_TRUE(test::falls_as_power(healthy().own_kernel, 2, kShare));
  EXPECT_FALSE(test::falls_as_power(healthy().own_kernel, 1, kShare));
}

TEST(LinearisedTraining, KernelsMoveByInverseWidth) {
  EXPECT_TRUE(test::falls_as_power(healthy().movement, 2, kShare));
  EXPECT_FALSE(test::falls_as_power(healthy().movement, 1, kShare));
}

TEST(LinearisedTraining, ADoubledLearningRateOfBiasesIsRejected) {
  EXPECT_FALSE(test::falls_as_power(measure(2).own_kernel, 2, kShare));
}

TEST(LinearisedTraining, APredictionAtTwiceTheLearningRateIsRejected) {
  EXPECT_FALSE(test::falls_as_power(healthy().doubled, 2, kShare));
  EXPECT_FALSE(test::falls_as_power(healthy().infinite_doubled, 1, kShare));
}

}  // namespace
}  // namespace widelab
