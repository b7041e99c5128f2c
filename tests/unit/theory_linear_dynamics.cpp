// Linearised training: closed forms, explicit iteration, limits and refusals.
#include <gtest/gtest.h>
#include <lapacke.h>

#include <array>
#include <cmath>
#include <random>

#include "host/theory/infinite_width.hpp"
#include "host/theory/linear_dynamics.hpp"
#include "tests/unit/theory_golden.hpp"
#include "widelab/base/errors.hpp"

namespace widelab {
namespace {

using theory::kForever;
using theory::LinearDynamics;
using theory::LinearRule;
using theory::LinearTraining;
using Matrix = std::vector<double>;

constexpr std::array kRules{LinearRule::gradient_descent, LinearRule::heavy_ball, LinearRule::nesterov,
                            LinearRule::gradient_flow};

MatrixView<const double> view(const Matrix& data, Index rows) {
  return matrix_view(data.data(), rows, static_cast<Index>(data.size()) / rows);
}

LinearTraining training(LinearRule rule, double rate, double momentum = 0.9) {
  LinearTraining out;
  out.rule = rule;
  out.learning_rate = rate;
  out.momentum = momentum;
  return out;
}

/// B B^T / cols of random B: joint kernel of `points`, of rank `cols`.
Matrix random_kernel(Index points, Index cols, unsigned seed) {
  std::mt19937_64 bits(seed);
  std::normal_distribution<double> normal;
  Matrix b(static_cast<std::size_t>(points * cols)), out;
  for (double& entry : b) entry = normal(bits);
  for (Index i = 0; i < points; ++i)
    for (Index j = 0; j < points; ++j) {
      double sum = 0;
      for (Index k = 0; k < cols; ++k)
        sum += b[static_cast<std::size_t>(i * cols + k)] * b[static_cast<std::size_t>(j * cols + k)];
      out.push_back(sum / static_cast<double>(cols));
    }
  return out;
}

Matrix block(const Matrix& joint, Index points, Index row, Index rows, Index col, Index cols) {
  Matrix out;
  for (Index i = row; i < row + rows; ++i)
    for (Index j = col; j < col + cols; ++j) out.push_back(joint[static_cast<std::size_t>(i * points + j)]);
  return out;
}

/// Explicit iteration of the parameters' update rule in function space, all points at once: the gradient by the outputs
/// of the training points (the first `train`) is curvature (f - y); velocities live on the training points.
Matrix iterate(const Matrix& joint, Index points, Index train, const Matrix& start, const Matrix& y,
               const LinearTraining& rule, int steps) {
  Matrix f = start, velocity(static_cast<std::size_t>(train)), direction = velocity;
  for (int t = 0; t < steps; ++t) {
    for (std::size_t i = 0; i < velocity.size(); ++i) {
      const double g = rule.curvature * (f[i] - y[i]);
      velocity[i] = rule.momentum * velocity[i] + g;
      direction[i] = rule.rule == LinearRule::heavy_ball ? velocity[i]
                     : rule.rule == LinearRule::nesterov ? g + rule.momentum * velocity[i]
                                                         : g;
    }
    for (std::size_t p = 0; p < f.size(); ++p)
      for (std::size_t i = 0; i < velocity.size(); ++i)
        f[p] -= rule.learning_rate * joint[p * static_cast<std::size_t>(points) + i] * direction[i];
  }
  return f;
}

TEST(LinearDynamics, OneExampleFollowsTheScalarClosedForm) {
  const double lambda = 1.7, y = 0.8, start = -0.3, cross = 0.6;
  for (const double t : {0.0, 1.0, 7.0}) {
    const LinearDynamics dynamics(view({lambda}, 1), training(LinearRule::gradient_descent, 0.4));
    const double left = std::pow(1 - 0.4 * lambda, t);
    EXPECT_NEAR(dynamics.train_response(t)[0], 1 - left, 1e-15);
    const Matrix a = dynamics.response(view({cross}, 1), t), f0{start}, g0{0.25}, targets{y};
    const Matrix f = theory::linearised_outputs(view(a, 1), {1, g0.data(), f0.data()}, view(targets, 1));
    EXPECT_NEAR(f[0], 0.25 - cross / lambda * (1 - left) * (start - y), 1e-15);
  }
}

TEST(LinearDynamics, TwoExamplesSplitIntoSumAndDifference) {
  const Matrix theta{2.0, 0.5, 0.5, 2.0};  // eigenvalues 2.5 (sum), 1.5 (difference)
  const LinearDynamics dynamics(view(theta, 2), training(LinearRule::gradient_flow, 0.3));
  const double sum = 1 - std::exp(-0.3 * 2.5 * 4), difference = 1 - std::exp(-0.3 * 1.5 * 4);
  const Matrix response = dynamics.train_response(4.0);
  EXPECT_NEAR(response[0], 0.5 * (sum + difference), 1e-14);
  EXPECT_NEAR(response[1], 0.5 * (sum - difference), 1e-14);
  EXPECT_NEAR(dynamics.eigenvalues()[0], 1.5, 1e-14);
  EXPECT_NEAR(dynamics.exponential_bound(4.0), 1 - difference, 1e-14);
  EXPECT_NEAR(dynamics.residual_norm(4.0), 1 - difference, 1e-14);
}

TEST(LinearDynamics, ModesEqualTheIterationOfTheUpdateRule) {
  const Index train = 5, points = 8;
  const Matrix joint = random_kernel(points, 12, 3), start{.3, -.8, 1.1, .2, -.5, .9, .1, -1.3}, y{1, -1, .5, 0, 2};
  const Matrix theta = block(joint, points, 0, train, 0, train), cross = block(joint, points, 5, 3, 0, train);
  for (const LinearRule rule : {LinearRule::gradient_descent, LinearRule::heavy_ball, LinearRule::nesterov}) {
    for (const double curvature : {1.0, 0.4}) {
      LinearTraining choice = training(rule, 0.15, 0.8);
      choice.curvature = curvature;
      const LinearDynamics dynamics(view(theta, train), choice);
      ASSERT_TRUE(dynamics.stable());
      for (const int t : {1, 2, 17, 400}) {
        const Matrix expected = iterate(joint, points, train, start, y, choice, t);
        const Matrix at_train = theory::linearised_outputs(view(dynamics.train_response(t), train),
                                                           {1, start.data(), start.data()}, view(y, train));
        const Matrix at_test = theory::linearised_outputs(view(dynamics.response(view(cross, 3), t), 3),
                                                          {1, start.data() + train, start.data()}, view(y, train));
        for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(at_train[i], expected[i], 1e-12) << t;
        for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(at_test[i], expected[5 + i], 1e-12) << t;
      }
    }
  }
}

TEST(LinearDynamics, MomentumOneStepLateIsAnotherDynamics) {
  const Matrix joint = random_kernel(4, 6, 5), start{.3, -.8, 1.1, .2}, y{1, -1, .5, 0};
  const LinearTraining heavy = training(LinearRule::heavy_ball, 0.1);
  LinearTraining late = heavy;
  late.rule = LinearRule::nesterov;
  const Matrix response = LinearDynamics(view(joint, 4), heavy).train_response(9);
  const Matrix f = theory::linearised_outputs(view(response, 4), {1, start.data(), start.data()}, view(y, 4));
  const Matrix expected = iterate(joint, 4, 4, start, y, late, 9);
  double gap = 0;
  for (std::size_t i = 0; i < 4; ++i) gap = std::max(gap, std::abs(f[i] - expected[i]));
  EXPECT_GT(gap, 1e-3);
}

TEST(LinearDynamics, SmallStepsTendToGradientFlow) {
  const double lambda = 1.3, time = 2.0;
  const double flow = theory::mode_response(training(LinearRule::gradient_flow, 1.0), lambda, time).residual;
  EXPECT_NEAR(flow, std::exp(-lambda * time), 1e-15);
  double previous = 0;
  for (const double eta : {1e-2, 1e-3, 1e-4}) {
    const auto gd = theory::mode_response(training(LinearRule::gradient_descent, eta), lambda, std::round(time / eta));
    // first order: log(1 - x) = -x - x^2/2
    EXPECT_NEAR((gd.residual - flow) / eta, -0.5 * lambda * lambda * time * flow, 2 * eta);
    if (previous != 0) {
      EXPECT_NEAR((gd.residual - flow) / previous, 0.1, 0.01);
    }
    previous = gd.residual - flow;
  }
}

TEST(LinearDynamics, MomentumTendsToGradientFlowOfTheEnlargedRate) {
  // eta / (1 - mu) is the rate of heavy ball and Nesterov in the limit of small steps
  for (const LinearRule rule : {LinearRule::heavy_ball, LinearRule::nesterov}) {
    const auto mode = theory::mode_response(training(rule, 1e-5, 0.5), 1.3, 1e5);
    EXPECT_NEAR(mode.residual, std::exp(-1.3 * 2.0), 1e-4);
  }
}

TEST(LinearDynamics, TinyEigenvaluesKeepTheirDigits) {
  for (const LinearRule rule : {LinearRule::gradient_descent, LinearRule::gradient_flow}) {
    const auto mode = theory::mode_response(training(rule, 0.25), 1e-18, 1000);
    EXPECT_NEAR(mode.weight, 250.0, 1e-10);
    EXPECT_EQ(theory::mode_response(training(rule, 0.25), 0.0, 1000).weight, 250.0);
    EXPECT_EQ(theory::mode_response(training(rule, 0.25), 0.0, 1000).residual, 1.0);
  }
  // heavy ball without a force: velocity 1 + mu + ..., w = eta sum_t (1 - mu^t) / (1 - mu)
  const double mu = 0.9, eta = 0.25;
  double expected = 0;
  for (int t = 1; t <= 50; ++t) expected += eta * (1 - std::pow(mu, t)) / (1 - mu);
  EXPECT_NEAR(theory::mode_response(training(LinearRule::heavy_ball, eta, mu), 0.0, 50).weight, expected, 1e-11);
}

TEST(LinearDynamics, EveryRuleReachesThePseudoInverse) {
  // rank 3 of 5: the same two inputs twice
  const Index train = 5, points = 7;
  const Matrix joint = random_kernel(points, 3, 8);
  const Matrix theta = block(joint, points, 0, train, 0, train), cross = block(joint, points, 5, 2, 0, train);
  for (const LinearRule rule : kRules) {
    const LinearDynamics dynamics(view(theta, train), training(rule, 0.2, 0.5));
    ASSERT_TRUE(dynamics.stable());
    EXPECT_EQ(dynamics.eigenvalues()[0], 0.0);
    EXPECT_EQ(dynamics.eigenvalues()[1], 0.0);
    const Matrix limit = dynamics.response(view(cross, 2), kForever);
    const Matrix late = dynamics.response(view(cross, 2), 20000);
    // A Theta = Theta(x, X), since Theta(x, X) lies in the row space
    for (std::size_t p = 0; p < 2; ++p)
      for (std::size_t j = 0; j < 5; ++j) {
        double sum = 0;
        for (std::size_t i = 0; i < 5; ++i) sum += limit[p * 5 + i] * theta[i * 5 + j];
        EXPECT_NEAR(sum, cross[p * 5 + j], 1e-12);
        EXPECT_NEAR(late[p * 5 + j], limit[p * 5 + j], 1e-9);
      }
  }
}

TEST(LinearDynamics, StabilityEndsWhereTheIterationExplodes) {
  for (const LinearRule rule : {LinearRule::gradient_descent, LinearRule::heavy_ball, LinearRule::nesterov}) {
    const LinearDynamics probe(view({2.5}, 1), training(rule, 0.1, 0.7));
    const double edge = probe.largest_stable_rate();
    for (const double factor : {0.98, 1.02}) {
      const LinearDynamics dynamics(view({2.5}, 1), training(rule, factor * edge, 0.7));
      EXPECT_EQ(dynamics.stable(), factor < 1);
      if (factor < 1) {
        EXPECT_LT(dynamics.residual_norm(3000), 1e-6);
      } else {
        EXPECT_GT(dynamics.residual_norm(3000), 1e6);
        EXPECT_THROW(dynamics.residual_norm(kForever), RecipeError);
      }
    }
  }
  EXPECT_EQ(LinearDynamics(view({2.5}, 1), training(LinearRule::gradient_flow, 50)).largest_stable_rate(), kForever);
}

TEST(LinearDynamics, ExponentialBoundsGradientDescent) {
  const Matrix theta = random_kernel(6, 9, 21);
  LinearDynamics dynamics(view(theta, 6), training(LinearRule::gradient_descent, 0.1));
  ASSERT_LT(0.1 * (dynamics.eigenvalues().front() + dynamics.eigenvalues().back()), 2.0);
  for (const double t : {1.0, 10.0, 100.0}) {
    EXPECT_LE(dynamics.residual_norm(t), dynamics.exponential_bound(t));
    EXPECT_GT(dynamics.residual_norm(t), 0.0);
  }
}

TEST(LinearDynamics, CurvatureFollowsTheLossConventions) {
  using theory::output_curvature;
  EXPECT_EQ(output_curvature(LossKind::half_squared, Reduction::sum, 6, 3), 1.0);
  EXPECT_EQ(output_curvature(LossKind::squared, Reduction::sum, 6, 3), 2.0);
  EXPECT_DOUBLE_EQ(output_curvature(LossKind::squared, Reduction::mean_entries, 6, 3), 2.0 / 18);
  EXPECT_DOUBLE_EQ(output_curvature(LossKind::half_squared, Reduction::mean, 6, 3), 1.0 / 6);
  EXPECT_EQ(output_curvature(LossKind::half_squared, Reduction::dataset_sum, 6, 3), 1.0);
  EXPECT_THROW(output_curvature(LossKind::logistic, Reduction::sum, 6, 3), RecipeError);
}

TEST(LinearDynamics, ExpectedLossIsTheMeanOverInitialOutputs) {
  // exact average by linearity: trace of the covariance of f_t - y, from the response matrix
  const Index n = 5, outputs = 2;
  const Matrix theta = random_kernel(n, 8, 31), nngp = random_kernel(n, 7, 32);
  const Matrix y{1, -1, .5, 0, 2, .3, -.7, .4, 1.1, -.2};
  LinearTraining choice = training(LinearRule::heavy_ball, 0.1);
  choice.curvature = 0.3;
  const LinearDynamics dynamics(view(theta, n), choice);
  for (const double t : {0.0, 3.0, 40.0}) {
    const Matrix response = dynamics.train_response(t);
    const auto k = view(nngp, n);
    const theory::EnsembleMoments moments = theory::ensemble_moments(view(response, n), {k, k, k}, view(y, n));
    double expected = 0;
    for (std::size_t i = 0; i < 5; ++i) {
      expected += 0.15 * static_cast<double>(outputs) * moments.covariance[i * 5 + i];
      for (std::size_t o = 0; o < 2; ++o) expected += 0.15 * std::pow(moments.mean[i * 2 + o] - y[i * 2 + o], 2);
    }
    EXPECT_NEAR(dynamics.expected_train_loss(k, view(y, n), t), expected, 1e-12);
  }
}

/// Section of pinned values: two training inputs, one test input, ReLU with two hidden layers.
struct Pinned {
  theory::KernelPair train, cross, test;
  Matrix y{1, -0.5};
};

Pinned pinned(bool readout_only) {
  MlpShape shape;
  shape.input_dim = 2;
  shape.widths = {64, 64};
  shape.activation = Relu{};
  InitChoice choice;
  choice.sigma_w = {std::sqrt(2.0)};
  choice.sigma_b = 0.1;
  if (readout_only) choice.train_weights = {false, false, true};
  const Network network = make_network(shape, choice);
  const Matrix x{1, 0, 0.6, 0.8}, at{-0.28, 0.96};
  return {theory::infinite_width_kernels(network, view(x, 2)),
          theory::infinite_width_kernels(network, view(at, 1), view(x, 2)),
          theory::infinite_width_kernels(network, view(at, 1))};
}

theory::EnsembleMoments moments_at(const Pinned& p, const LinearTraining& choice, double t) {
  const LinearDynamics dynamics(view(p.train.ntk, 2), choice);
  const Matrix response = dynamics.response(view(p.cross.ntk, 1), t);
  return theory::ensemble_moments(view(response, 1),
                                  {view(p.test.nngp, 1), view(p.cross.nngp, 1), view(p.train.nngp, 2)}, view(p.y, 2));
}

TEST(LinearDynamics, EnsembleMomentsEqualThePinnedValues) {
  using test::golden;
  const Pinned p = pinned(false);
  const std::string name = "gd_dynamics";
  const auto check = [&](const theory::EnsembleMoments& m, const std::string& mean, const std::string& variance) {
    EXPECT_NEAR(m.mean[0], golden(name, mean), 1e-12);
    EXPECT_NEAR(m.covariance[0], golden(name, variance), 1e-12);
  };
  check(moments_at(p, training(LinearRule::gradient_descent, 0.2), 10), "mean_gd", "var_gd");
  check(moments_at(p, training(LinearRule::gradient_flow, 0.2), 10), "mean_gf_t2", "var_gf_t2");
  check(moments_at(p, training(LinearRule::gradient_descent, 0.2), kForever), "mean_inf", "var_inf");
}

TEST(LinearDynamics, TrainingTheReadoutEndsInTheGaussianProcessPosterior) {
  const Pinned p = pinned(true);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_DOUBLE_EQ(p.train.ntk[i], p.train.nngp[i]);
  const theory::EnsembleMoments m = moments_at(p, training(LinearRule::gradient_descent, 0.2), kForever);
  EXPECT_NEAR(m.mean[0], test::golden("gd_dynamics", "nngp_post_mean"), 1e-12);
  EXPECT_NEAR(m.covariance[0], test::golden("gd_dynamics", "nngp_post_var"), 1e-12);
}

TEST(LinearDynamics, TheReadoutLimitEqualsCholeskySolutions) {
  const Index train = 6, points = 9, outputs = 2;
  const Matrix joint = random_kernel(points, 20, 41);
  const Matrix k = block(joint, points, 0, 6, 0, 6), cross = block(joint, points, 6, 3, 0, 6);
  const Matrix test = block(joint, points, 6, 3, 6, 3), y{1, -1, .5, 0, 2, .3, -.7, .4, 1.1, -.2, .6, -.9};
  const Matrix response =
      LinearDynamics(view(k, train), training(LinearRule::nesterov, 0.1)).response(view(cross, 3), kForever);
  const theory::EnsembleMoments m =
      theory::ensemble_moments(view(response, 3), {view(test, 3), view(cross, 3), view(k, train)}, view(y, train));
  Matrix factor = k, solved(static_cast<std::size_t>(train * 3));  // K^-1 K(X, x)
  for (std::size_t p = 0; p < 3; ++p)
    for (std::size_t i = 0; i < 6; ++i) solved[i * 3 + p] = cross[p * 6 + i];
  ASSERT_EQ(LAPACKE_dposv(LAPACK_ROW_MAJOR, 'L', 6, 3, factor.data(), 6, solved.data(), 3), 0);
  for (std::size_t p = 0; p < 3; ++p) {
    for (std::size_t o = 0; o < static_cast<std::size_t>(outputs); ++o) {
      double mean = 0;
      for (std::size_t i = 0; i < 6; ++i) mean += solved[i * 3 + p] * y[i * 2 + o];
      EXPECT_NEAR(m.mean[p * 2 + o], mean, 1e-10);
    }
    for (std::size_t q = 0; q < 3; ++q) {
      double covariance = test[p * 3 + q];
      for (std::size_t i = 0; i < 6; ++i) covariance -= solved[i * 3 + p] * cross[q * 6 + i];
      EXPECT_NEAR(m.covariance[p * 3 + q], covariance, 1e-10);
    }
  }
}

TEST(LinearDynamics, MembersArePredictedFromTheirOwnStart) {
  const Matrix theta = random_kernel(3, 5, 51), response = LinearDynamics(view(theta, 3), {}).train_response(4);
  const Matrix y{1, -1, .5, 0, 2, .3}, start{.1, .2, .3, .4, .5, .6, -1, 1, 2, -2, 0, 3};
  const Matrix both = theory::linearised_outputs(view(response, 3), {2, start.data(), start.data()}, view(y, 3));
  for (std::size_t member = 0; member < 2; ++member) {
    const double* own = start.data() + 6 * member;
    const Matrix alone = theory::linearised_outputs(view(response, 3), {1, own, own}, view(y, 3));
    for (std::size_t e = 0; e < 6; ++e) EXPECT_EQ(both[6 * member + e], alone[e]);
  }
}

TEST(LinearDynamics, ImpossibleRequestsAreRefused) {
  EXPECT_THROW(LinearDynamics(view({1, 2, 2, 1}, 2), {}), RecipeError);  // eigenvalue -1
  EXPECT_THROW(LinearDynamics(view({std::nan("")}, 1), {}), RecipeError);
  EXPECT_THROW(LinearDynamics(view({1}, 1), training(LinearRule::heavy_ball, 0.1, 1.0)), RecipeError);
  EXPECT_THROW(LinearDynamics(view({1}, 1), training(LinearRule::gradient_descent, -0.1)), RecipeError);
  EXPECT_THROW(theory::mode_response({}, 1.0, 1.5), RecipeError);
  EXPECT_THROW(theory::mode_response({}, 1.0, -1), RecipeError);
  EXPECT_NO_THROW(theory::mode_response(training(LinearRule::gradient_flow, 0.1), 1.0, 1.5));
}

}  // namespace
}  // namespace widelab
