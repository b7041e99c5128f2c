// The trained infinite ensemble by Monte Carlo: f_0 drawn from the Gaussian process on training and test points
// together, each draw taken through the pathwise prediction; means and covariances judged jointly against the formula.
// False-alarm rate of each check: kFalseAlarm. Planted faults must be rejected at the same number of draws.
#include <gtest/gtest.h>
#include <lapacke.h>

#include <cmath>
#include <cstdio>

#include "host/estimators/grouped_moments.hpp"
#include "host/estimators/joint_test.hpp"
#include "host/theory/infinite_width.hpp"
#include "host/theory/langevin.hpp"
#include "host/theory/linear_dynamics.hpp"
#include "tests/statistical/theory_monte_carlo.hpp"

namespace widelab {
namespace {

using Matrix = std::vector<double>;

constexpr double kFalseAlarm = 1e-3;
constexpr Index kTrain = 6, kTest = 3, kPoints = kTrain + kTest, kOutputs = 2, kDraws = 40000;

MatrixView<const double> view(const Matrix& data, Index rows) {
  return matrix_view(data.data(), rows, static_cast<Index>(data.size()) / rows);
}

/// Points on the circle |x|^2 = 2; the first kTrain are trained.
struct Problem {
  theory::KernelPair train, cross, test;
  Matrix joint_nngp;  ///< kPoints x kPoints
  Matrix targets;     ///< kTrain x kOutputs
};

Problem make_problem() {
  MlpShape shape;
  shape.input_dim = 2;
  shape.widths = {64, 64};
  shape.activation = Erf{};
  shape.outputs = kOutputs;
  InitChoice choice;
  choice.sigma_w = {1.5};
  choice.sigma_b = 0.2;
  const Network network = make_network(shape, choice);
  Matrix x, y;
  for (Index p = 0; p < kPoints; ++p) {
    const double angle = p < kTrain ? 0.9 * static_cast<double>(p) : 0.4 + 1.3 * static_cast<double>(p - kTrain);
    x.insert(x.end(), {std::sqrt(2.0) * std::cos(angle), std::sqrt(2.0) * std::sin(angle)});
    if (p < kTrain) y.insert(y.end(), {std::cos(2 * angle), std::sin(angle)});
  }
  const auto all = view(x, kPoints);
  const auto train = matrix_view<const double>(x.data(), kTrain, Index{2});
  const auto test = matrix_view<const double>(x.data() + 2 * kTrain, kTest, Index{2});
  return {theory::infinite_width_kernels(network, train), theory::infinite_width_kernels(network, test, train),
          theory::infinite_width_kernels(network, test), theory::infinite_width_kernels(network, all).nngp, y};
}

/// Lower Cholesky factor.
Matrix cholesky(Matrix k, Index n) {
  EXPECT_EQ(LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', static_cast<int>(n), k.data(), static_cast<int>(n)), 0);
  return k;
}

/// One f_0 on all points, points x outputs.
Matrix draw_outputs(const Matrix& factor, test::NormalSource& normal) {
  Matrix f(static_cast<std::size_t>(kPoints * kOutputs));
  for (std::size_t o = 0; o < kOutputs; ++o) {
    Matrix g(static_cast<std::size_t>(kPoints));
    for (double& entry : g) entry = normal();
    for (std::size_t i = 0; i < kPoints; ++i)
      for (std::size_t j = 0; j <= i; ++j) f[i * kOutputs + o] += factor[i * kPoints + j] * g[j];
  }
  return f;
}

/// [f_pred | products of deviations from `mean`, all pairs of (point, output)] grouped over draws.
estimators::GroupSample simulate(const Problem& problem, const Matrix& response, const Matrix& mean) {
  const Matrix factor = cholesky(problem.joint_nngp, kPoints);
  test::NormalSource normal(2024);
  estimators::GroupedMoments moments(Matrix(6 + 21), 1, 256);
  for (Index draw = 0; draw < kDraws; ++draw) {
    const Matrix f0 = draw_outputs(factor, normal);
    const Matrix f = theory::linearised_outputs(view(response, kTest), {1, f0.data() + kTrain * kOutputs, f0.data()},
                                                view(problem.targets, kTrain));
    Matrix row = f;
    for (std::size_t a = 0; a < 6; ++a)
      for (std::size_t b = a; b < 6; ++b) row.push_back((f[a] - mean[a]) * (f[b] - mean[b]));
    moments.add(draw, row);
  }
  return moments.group_sample(estimators::Statistic::mean);
}

/// The same entries from mean M x k and covariance M x M of one output.
Matrix predicted(const Matrix& mean, const Matrix& covariance) {
  Matrix out = mean;
  for (std::size_t a = 0; a < 6; ++a)
    for (std::size_t b = a; b < 6; ++b)
      out.push_back(a % kOutputs == b % kOutputs ? covariance[a / kOutputs * kTest + b / kOutputs] : 0.0);
  return out;
}

bool agrees(const estimators::GroupSample& sample, const Matrix& prediction) {
  const auto v = estimators::joint_test(sample, prediction, {.resamples = 4000, .key = 5});
  std::printf("  max|z| %.2f, p %.3g; chi2 %.1f on %.0f, p %.3g %s\n", v.max_z, v.max_z_p, v.chi2, v.dof, v.chi2_p,
              v.status.c_str());
  return v.consistent(kFalseAlarm);
}

TEST(LinearDynamicsStatistics, MeanAndCovarianceAreThoseOfTheDrawsAndFaultsAreRejected) {
  const Problem problem = make_problem();
  theory::LinearTraining training;
  training.learning_rate = 0.05;
  const theory::LinearDynamics dynamics(view(problem.train.ntk, kTrain), training);
  ASSERT_TRUE(dynamics.stable());
  for (const double t : {5.0, theory::kForever}) {
    const Matrix a = dynamics.response(view(problem.cross.ntk, kTest), t);
    const theory::EnsembleMoments m = theory::ensemble_moments(
        view(a, kTest),
        {view(problem.test.nngp, kTest), view(problem.cross.nngp, kTest), view(problem.train.nngp, kTrain)},
        view(problem.targets, kTrain));
    const estimators::GroupSample sample = simulate(problem, a, m.mean);
    EXPECT_TRUE(agrees(sample, predicted(m.mean, m.covariance))) << t;

    // K + A K A^T alone, by a kernel between test and training points that is zero
    const Matrix none(static_cast<std::size_t>(kTest * kTrain));
    const theory::EnsembleMoments no_cross = theory::ensemble_moments(
        view(a, kTest), {view(problem.test.nngp, kTest), view(none, kTest), view(problem.train.nngp, kTrain)},
        view(problem.targets, kTrain));
    EXPECT_FALSE(agrees(sample, predicted(m.mean, no_cross.covariance))) << "without the cross terms, t = " << t;

    theory::LinearTraining faster = training;
    faster.learning_rate *= 1.5;
    if (t == theory::kForever) continue;  // the limit does not know the learning rate
    const Matrix fast =
        theory::LinearDynamics(view(problem.train.ntk, kTrain), faster).response(view(problem.cross.ntk, kTest), t);
    EXPECT_FALSE(agrees(simulate(problem, fast, m.mean), predicted(m.mean, m.covariance))) << "learning rate 1.5 eta";
  }
}

/// Variance over independent chains after `steps` of the update rule written out.
test::Estimate chain_variance(const theory::LangevinQuadratic& p, double start, int steps) {
  test::NormalSource normal(7);
  Matrix ends;
  for (int chain = 0; chain < 100000; ++chain) {
    double theta = std::sqrt(start) * normal();
    for (int t = 0; t < steps; ++t) {
      const double g = p.curvature * theta + std::sqrt(p.gradient_noise) * normal();
      theta -= p.sgld ? 0.5 * p.learning_rate * g : p.learning_rate * g;
      theta += std::sqrt((p.sgld ? 1.0 : 2.0) * p.learning_rate * p.temperature) * normal();
    }
    ends.push_back(theta);
  }
  return test::variance_of(ends);
}

TEST(LinearDynamicsStatistics, LangevinChainsHaveTheDiscreteVarianceAndNotTheGibbsOne) {
  constexpr double kPass = 4.0, kReject = 7.0;
  for (const bool sgld : {false, true}) {
    const theory::LangevinQuadratic p{
        .sgld = sgld, .curvature = 3, .learning_rate = 0.2, .temperature = 0.7, .gradient_noise = 0.4};
    for (const int steps : {2, 20}) {
      const test::Estimate measured = chain_variance(p, 1.5, steps);
      EXPECT_LT(std::abs(measured.z(theory::langevin_variance_at(p, 1.5, steps))), kPass) << sgld << " " << steps;
      EXPECT_GT(std::abs(measured.z(p.temperature / p.curvature)), kReject) << sgld << " " << steps;
    }
  }
}

}  // namespace
}  // namespace widelab
