// Sampling by epochs: additive noise in closed form, and the average over all orders of the examples.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <random>

#include "host/theory/sgd_epochs.hpp"
#include "host/theory/sgd_regression.hpp"
#include "host/theory/shuffled_modes.hpp"
#include "tests/unit/sgd_noise_golden.hpp"
#include "widelab/base/errors.hpp"

namespace widelab {
namespace {

using test::expect_relative;
using test::golden_value;
using test::kGoldenTolerance;
using theory::EpochMap;
using theory::EpochOrders;
using theory::LinearRule;
using theory::LinearTraining;
using theory::ModeMoments;
using theory::PhaseMoments;
using theory::QuadraticSamples;
using theory::ShuffledMode;
using Vector = std::vector<double>;

constexpr std::array kRules{LinearRule::gradient_descent, LinearRule::heavy_ball, LinearRule::nesterov};

LinearTraining training(LinearRule rule, double rate, double momentum = 0.6) {
  LinearTraining out;
  out.rule = rule;
  out.learning_rate = rate;
  out.momentum = momentum;
  return out;
}

TEST(ShuffledModes, ValuesEqualTheReferences) {
  const ShuffledMode mode{training(LinearRule::gradient_descent, 0.1), 0.2, 1.0, 10, 1};
  expect_relative(theory::shuffled_average(mode), golden_value("epoch_shuffle_var_phase_avg"), kGoldenTolerance);
  expect_relative(theory::shuffled_noise_autocovariance(1.0, 10, 3), golden_value("epoch_noise_autocov_lag3"),
                  kGoldenTolerance);
}

/// Q(n) + ... of the page, without momentum and for N = M B, in long double by plain sums.
long double plain_phase(long double a, int steps, int phase) {
  const auto q = [&](int n) {
    long double squares = 0, sum = 0, power = 1;
    for (int k = 0; k < n; ++k, power *= a) {
      squares += power * power;
      sum += power;
    }
    return steps / (steps - 1.0L) * (squares - sum * sum / steps);
  };
  return std::pow(a, 2.0L * phase) * q(steps) / (1 - std::pow(a, 2.0L * steps)) + q(phase);
}

TEST(ShuffledModes, PhasesAreThoseOfPlainSums) {
  for (const double h : {0.02, 2.0, 9.0, 13.0}) {
    const ShuffledMode mode{training(LinearRule::gradient_descent, 0.1), h, 1.0, 8, 1};
    const std::vector<ModeMoments> phases = theory::shuffled_phases(mode, theory::shuffled_boundary(mode));
    for (int n = 0; n <= 8; ++n)
      expect_relative(phases[static_cast<std::size_t>(n)].parameter,
                      static_cast<double>(0.01L * plain_phase(1 - 0.1L * static_cast<long double>(h), 8, n)), 1e-11);
  }
}

TEST(ShuffledModes, FlatDirectionsAreABridge) {
  const ShuffledMode mode{training(LinearRule::gradient_descent, 0.1), 1e-8, 0.7, 30, 1};
  const ModeMoments boundary = theory::shuffled_boundary(mode);
  // eta^3 c h M^2 / 24 for M >> 1; exactly M (M + 1) instead of M^2
  expect_relative(boundary.parameter, 1e-3 * 0.7 * 1e-8 * 30 * 31 / 24, 1e-6);
  const std::vector<ModeMoments> phases = theory::shuffled_phases(mode, boundary);
  for (Index n = 1; n < 30; ++n)
    expect_relative(phases[static_cast<std::size_t>(n)].parameter, theory::bridge_variance(0.1, 0.7, 30, n), 1e-6);
  expect_relative(theory::shuffled_average(mode), theory::bridge_average(0.1, 0.7, 30), 1e-6);
  expect_relative(theory::stationary_mode(mode.with_replacement()).parameter / theory::shuffled_average(mode),
                  3 / (0.1 * 1e-8 * 31), 1e-6);
}

TEST(ShuffledModes, SharpDirectionsForgetTheEpoch) {
  const ShuffledMode mode{training(LinearRule::gradient_descent, 0.1), 10.0, 0.7, 400, 1};  // 1 - eta h = 0
  expect_relative(theory::shuffled_phases(mode, theory::shuffled_boundary(mode))[200].parameter, 0.01 * 0.7, 1e-12);
}

/// Examples of equal curvature h and gradients of zero mean, in one dimension.
QuadraticSamples equal_curvature(double h, const Vector& gradients) {
  return {static_cast<Index>(gradients.size()), 1, gradients, Vector(gradients.size(), h)};
}

// The two ways to the additive limit share no formula: covariances of noises, and averages over all orders.
TEST(ShuffledModes, EqualTheAverageOverAllOrders) {
  const Vector gradients{0.9, -0.3, 0.5, -1.4, 0.1, 0.2};
  double square = 0;
  for (const double g : gradients) square += g * g / 6;
  for (const LinearRule rule : kRules)
    for (const Index batch : {1, 2, 3})
      for (const double h : {0.05, 3.0}) {
        const ShuffledMode mode{training(rule, 0.1), h, square, 6, batch};
        const EpochMap map(equal_curvature(h, gradients), mode.training, batch, EpochOrders::all());
        const std::vector<PhaseMoments> phases = map.phases(map.stationary());
        const std::vector<ModeMoments> expected = theory::shuffled_phases(mode, theory::shuffled_boundary(mode));
        ASSERT_EQ(phases.size(), expected.size());
        for (std::size_t n = 0; n < phases.size(); ++n) {
          expect_relative(phases[n].covariance[0], expected[n].parameter, 1e-10);
          EXPECT_NEAR(phases[n].mean[0], 0.0, 1e-13);
        }
      }
}

TEST(ShuffledModes, ExamplesLeftOverWeakenTheAnticorrelation) {
  const Vector gradients{0.9, -0.3, 0.5, -1.4, 0.1, 0.2, 0.4, -0.4};  // two of eight are left over
  double square = 0;
  for (const double g : gradients) square += g * g / 8;
  for (const LinearRule rule : kRules) {
    const ShuffledMode mode{training(rule, 0.1), 0.5, square, 8, 3};
    const EpochMap map(equal_curvature(0.5, gradients), mode.training, 3, EpochOrders::all());
    EXPECT_EQ(map.orders(), 560);
    expect_relative(map.boundary(map.stationary()).covariance[0], theory::shuffled_boundary(mode).parameter, 1e-10);
    const ModeMoments after = theory::shuffled_after(mode, {}, 3);
    expect_relative(map.boundary(map.after(map.at_rest({0}), 3)).covariance[0], after.parameter, 1e-11);
  }
}

TEST(ShuffledModes, MistakesAreNamed) {
  EXPECT_THROW(theory::shuffled_boundary({training(LinearRule::gradient_descent, 0.1), 1.0, 1.0, 5, 3}), RecipeError);
  EXPECT_THROW(theory::shuffled_boundary({training(LinearRule::gradient_descent, 0.1), 0.0, 1.0, 6, 3}), RecipeError);
  EXPECT_THROW(theory::shuffled_boundary({training(LinearRule::gradient_descent, 0.1), 21.0, 1.0, 6, 3}), RecipeError);
}

struct Data {
  Index examples = 0, dim = 0;
  Vector x, y, minimiser;
  MatrixView<const double> inputs() const { return matrix_view(x.data(), examples, dim); }
  QuadraticSamples samples(double decay = 0) const { return theory::regression_samples(inputs(), y, decay, minimiser); }
};

/// Inputs of scales 1, 0.3, 0.1; the minimiser of the mean loss by elimination on the normal equations.
Data scaled_data(Index examples, unsigned seed) {
  std::mt19937_64 bits(seed);
  std::normal_distribution<double> normal;
  Data data{examples, 3, {}, {}, Vector(3)};
  for (Index n = 0; n < examples; ++n) {
    for (const double scale : {1.0, 0.3, 0.1}) data.x.push_back(scale * normal(bits));
    data.y.push_back(normal(bits));
  }
  for (int sweep = 0; sweep < 4000; ++sweep)  // Gauss and Seidel
    for (std::size_t i = 0; i < 3; ++i) {
      double slope = 0, curvature = 0;
      for (std::size_t n = 0; n < static_cast<std::size_t>(examples); ++n) {
        double error = -data.y[n];
        for (std::size_t j = 0; j < 3; ++j) error += data.x[3 * n + j] * data.minimiser[j];
        slope += error * data.x[3 * n + i];
        curvature += data.x[3 * n + i] * data.x[3 * n + i];
      }
      data.minimiser[i] -= slope / curvature;
    }
  return data;
}

/// Plain training on the data in one order, from w and PyTorch's velocity v; parameters at every phase.
std::vector<Vector> trained(const Data& data, const LinearTraining& t, Index batch, const std::vector<Index>& order,
                            Vector& w, Vector& v) {
  std::vector<Vector> path{w};
  const double mu = t.rule == LinearRule::gradient_descent ? 0.0 : t.momentum;
  for (Index step = 0; step < data.examples / batch; ++step) {
    Vector g(w.size());
    for (Index slot = step * batch; slot < (step + 1) * batch; ++slot) {
      const auto n = static_cast<std::size_t>(order[static_cast<std::size_t>(slot)]);
      double error = -data.y[n];
      for (std::size_t i = 0; i < w.size(); ++i) error += data.x[n * w.size() + i] * w[i];
      for (std::size_t i = 0; i < w.size(); ++i) g[i] += error * data.x[n * w.size() + i] / static_cast<double>(batch);
    }
    for (std::size_t i = 0; i < w.size(); ++i) {
      v[i] = mu * v[i] + g[i];
      w[i] -= t.learning_rate * (t.rule == LinearRule::nesterov ? g[i] + mu * v[i] : v[i]);
    }
    path.push_back(w);
  }
  return path;
}

// Two epochs of every pair of orders of four examples, from one point.
TEST(EpochMap, TransientsEqualTrainingInAllOrders) {
  const Data data = scaled_data(4, 1);
  const Vector start{0.5, -0.2, 0.1};
  for (const LinearRule rule : kRules)
    for (const Index batch : {1, 2}) {
      const LinearTraining t = training(rule, 0.3);
      std::vector<Index> first{0, 1, 2, 3};
      std::array<Vector, 5> mean, second;
      for (auto& m : mean) m.assign(3, 0.0);
      for (auto& s : second) s.assign(9, 0.0);
      do {
        Vector w0 = start, v0(3);
        trained(data, t, batch, first, w0, v0);
        std::vector<Index> next{0, 1, 2, 3};
        do {
          Vector w = w0, v = v0;
          const std::vector<Vector> path = trained(data, t, batch, next, w, v);
          for (std::size_t n = 0; n < path.size(); ++n)
            for (std::size_t i = 0; i < 3; ++i) {
              mean[n][i] += (path[n][i] - data.minimiser[i]) / 576;
              for (std::size_t j = 0; j < 3; ++j)
                second[n][3 * i + j] += (path[n][i] - data.minimiser[i]) * (path[n][j] - data.minimiser[j]) / 576;
            }
        } while (std::next_permutation(next.begin(), next.end()));
      } while (std::next_permutation(first.begin(), first.end()));

      const EpochMap map(data.samples(), t, batch, EpochOrders::all());
      EXPECT_EQ(map.orders(), batch == 1 ? 24 : 6);
      Vector e = start;
      double size = 1;
      for (std::size_t i = 0; i < 3; ++i) {
        e[i] -= data.minimiser[i];
        size += e[i] * e[i];
      }
      const double tolerance = 576 * 2.2e-16 * size;  // of a sum of so many squares about w*
      const std::vector<PhaseMoments> phases = map.phases(map.after(map.at_rest(e), 1));
      ASSERT_EQ(phases.size(), static_cast<std::size_t>(4 / batch + 1));
      for (std::size_t n = 0; n < phases.size(); ++n)
        for (std::size_t i = 0; i < 3; ++i) {
          EXPECT_NEAR(phases[n].mean[i], mean[n][i], tolerance);
          for (std::size_t j = 0; j < 3; ++j)
            EXPECT_NEAR(phases[n].covariance[3 * i + j], second[n][3 * i + j] - mean[n][i] * mean[n][j], tolerance);
        }
    }
}

// N = 7, B = 1, eta = 0.1, inputs of scales 1, 0.3, 0.1: curvatures that differ between examples alone leave a variance
// at the boundary, ever more of it in flatter directions.
TEST(EpochMap, PerSampleCurvatureRulesTheBoundaryOfFlatDirections) {
  const Data data = scaled_data(7, 5);
  const LinearTraining t = training(LinearRule::gradient_descent, 0.1);
  const EpochMap map(data.samples(), t, 1, EpochOrders::all());
  EXPECT_EQ(map.orders(), 5040);
  const PhaseMoments whole = map.boundary(map.stationary());
  const EpochMap plain(theory::with_mean_curvature(data.samples()), t, 1, EpochOrders::all());
  const PhaseMoments additive = plain.boundary(plain.stationary());
  double ratio[3];
  for (std::size_t i = 0; i < 3; ++i) ratio[i] = whole.covariance[4 * i] / additive.covariance[4 * i];
  std::printf("  boundary over additive: %.3f %.3f %.3f\n", ratio[0], ratio[1], ratio[2]);
  EXPECT_GT(ratio[1], 2.0);
  EXPECT_GT(ratio[2], 5 * ratio[1]);

  // the law itself: carried through all orders by plain training, mean and second moments return
  Vector mean(3), second(9);
  std::vector<Index> order(7);
  std::iota(order.begin(), order.end(), Index{0});
  do {
    std::array<Vector, 4> image;  // of w* + m, and of w* + m + e_i
    for (std::size_t c = 0; c < 4; ++c) {
      Vector w = data.minimiser, v(3);
      for (std::size_t i = 0; i < 3; ++i) w[i] += whole.mean[i] + (c == i + 1 ? 1.0 : 0.0);
      trained(data, t, 1, order, w, v);
      image[c] = w;
    }
    for (std::size_t i = 0; i < 3; ++i) {
      const double ei = image[0][i] - data.minimiser[i];
      mean[i] += ei / 5040;
      for (std::size_t j = 0; j < 3; ++j) {
        double moved = ei * (image[0][j] - data.minimiser[j]);
        for (std::size_t k = 0; k < 3; ++k)
          for (std::size_t l = 0; l < 3; ++l)
            moved += (image[k + 1][i] - image[0][i]) * whole.covariance[3 * k + l] * (image[l + 1][j] - image[0][j]);
        second[3 * i + j] += moved / 5040;
      }
    }
  } while (std::next_permutation(order.begin(), order.end()));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(mean[i], whole.mean[i], 1e-12);
    for (std::size_t j = 0; j < 3; ++j)
      EXPECT_NEAR(second[3 * i + j] - mean[i] * mean[j], whole.covariance[3 * i + j], 1e-12);
  }
}

TEST(EpochMap, MeanCurvatureGivesTheAdditiveLaw) {
  const Data data = scaled_data(6, 3);
  const LinearTraining t = training(LinearRule::gradient_descent, 0.1);
  QuadraticSamples samples = theory::with_mean_curvature(data.samples());
  const EpochMap map(samples, t, 2, EpochOrders::all());
  const theory::Eigenbasis basis(matrix_view<const double>(samples.curvatures.data(), 3, 3));
  Vector noise(9);
  for (std::size_t n = 0; n < 6; ++n)
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = 0; j < 3; ++j)
        noise[3 * i + j] += samples.gradients[3 * n + i] * samples.gradients[3 * n + j] / 6;
  const Vector c = basis.into(matrix_view<const double>(noise.data(), 3, 3));
  const std::vector<PhaseMoments> phases = map.phases(map.stationary());
  for (std::size_t i = 0; i < 3; ++i) {
    const ShuffledMode mode{t, basis.values()[i], c[4 * i], 6, 2};
    const std::vector<ModeMoments> expected = theory::shuffled_phases(mode, theory::shuffled_boundary(mode));
    for (std::size_t n = 0; n < phases.size(); ++n)
      expect_relative(basis.into(matrix_view<const double>(phases[n].covariance.data(), 3, 3))[4 * i],
                      expected[n].parameter, 1e-9);
  }
}

// First order in eta for any batch size: the exact bias over it tends to 1 linearly.
TEST(EpochMap, BiasOfSmallStepsHasItsClosedForm) {
  const Data data = scaled_data(6, 4);
  for (const Index batch : {1, 2, 3}) {
    double error[2];
    for (int k = 0; k < 2; ++k) {
      const double rate = k == 0 ? 2e-3 : 1e-3;
      const EpochMap map(data.samples(), training(LinearRule::gradient_descent, rate), batch, EpochOrders::all());
      const Vector bias = theory::epoch_bias(data.samples(), rate, batch);
      error[k] = map.boundary(map.stationary()).mean[0] / bias[0] - 1;
    }
    EXPECT_LT(std::abs(error[1]), 0.05);
    EXPECT_NEAR(error[0] / error[1], 2.0, 0.1) << batch;
  }
}

TEST(EpochMap, SampledOrdersAgreeWithAllWithinTheirErrors) {
  const Data data = scaled_data(7, 5);
  const LinearTraining t = training(LinearRule::heavy_ball, 0.05);
  const EpochMap all(data.samples(), t, 1, EpochOrders::all());
  const EpochMap some(data.samples(), t, 1, EpochOrders::sampled(1600, 7));
  const std::vector<PhaseMoments> exact = all.phases(all.stationary()), drawn = some.phases(some.stationary());
  const EpochMap same(data.samples(), t, 1, EpochOrders::sampled(1600, 7));
  EXPECT_EQ(same.boundary(same.stationary()).covariance, some.boundary(some.stationary()).covariance);
  for (std::size_t n = 0; n < exact.size(); ++n)
    for (std::size_t e = 0; e < 9; e += 4) {
      const double error = drawn[n].covariance_error[e];
      EXPECT_EQ(exact[n].covariance_error[e], 0.0);
      EXPECT_GT(error, 0.0);
      EXPECT_LT(error, 0.1 * exact[n].covariance[e]);
      // 24 numbers, errors with 15 degrees of freedom: beyond 5 in one of 300 tests
      EXPECT_LT(std::abs(drawn[n].covariance[e] - exact[n].covariance[e]), 5 * error) << n << " " << e;
    }
}

TEST(EpochMap, PhaseZeroIsTheBoundaryAndPhaseMTheNextOne) {
  const Data data = scaled_data(6, 6);
  const EpochMap map(data.samples(0.1), training(LinearRule::nesterov, 0.1), 2, EpochOrders::all());
  const EpochMap::State start = map.at_rest({0.3, 0.2, 0.1}), later = map.after(start, 1);
  const std::vector<PhaseMoments> phases = map.phases(start);
  for (std::size_t e = 0; e < 9; ++e) {
    EXPECT_NEAR(phases.front().covariance[e], 0.0, 1e-15);
    EXPECT_NEAR(phases.back().covariance[e], map.boundary(later).covariance[e], 1e-14);
  }
}

// Independent steps: the average of products of single examples' maps against the closure of linear regression.
TEST(EpochMap, IndependentBatchesAreTheSecondMomentClosure) {
  const Data data = scaled_data(9, 9);
  for (const LinearRule rule : kRules)
    for (const bool replaced : {true, false}) {
      theory::RegressionSgd sgd;
      sgd.training = training(rule, 0.2, 0.5);
      sgd.sampling = replaced ? theory::BatchSampling::with_replacement : theory::BatchSampling::without_replacement;
      sgd.batch = 2;
      sgd.weight_decay = 0.1;
      const theory::RegressionNoise noise(data.inputs(), data.y, sgd);
      const EpochMap map(theory::regression_samples(data.inputs(), data.y, 0.1, noise.minimiser()), sgd.training, 2,
                         replaced ? EpochOrders::with_replacement() : EpochOrders::without_replacement());
      const PhaseMoments rest = map.boundary(map.stationary());
      const Vector expected = noise.stationary().parameter;
      const theory::RegressionMoments later = noise.after(noise.at({1, 1, 1}), 3 * 4 + 2);
      Vector start{1, 1, 1};
      for (std::size_t i = 0; i < 3; ++i) start[i] -= noise.minimiser()[i];
      const std::vector<PhaseMoments> phases = map.phases(map.after(map.at_rest(start), 3));
      for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_NEAR(rest.mean[i], 0, 1e-13);
        EXPECT_NEAR(phases[2].mean[i], later.mean[i], 1e-13);
        for (std::size_t j = 0; j < 3; ++j) {
          EXPECT_NEAR(rest.covariance[3 * i + j], expected[3 * i + j], 1e-12);
          EXPECT_NEAR(phases[2].covariance[3 * i + j],
                      later.second.parameter[3 * i + j] - later.mean[i] * later.mean[j], 1e-13);
        }
      }
    }
}

TEST(EpochMap, OneFixedOrderHasNoVariance) {
  const Data data = scaled_data(6, 7);
  const EpochMap map(data.samples(), training(LinearRule::gradient_descent, 0.1), 2, EpochOrders::fixed());
  const PhaseMoments moments = map.boundary(map.stationary());
  for (const double entry : moments.covariance) EXPECT_NEAR(entry, 0.0, 1e-12);
  Vector w = data.minimiser, v(3);
  for (std::size_t i = 0; i < 3; ++i) w[i] += moments.mean[i];
  const Vector before = w;
  trained(data, training(LinearRule::gradient_descent, 0.1), 2, {0, 1, 2, 3, 4, 5}, w, v);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(w[i], before[i], 1e-12);
}

TEST(EpochMap, MistakesAreNamed) {
  const Data data = scaled_data(12, 8);
  const auto message = [&](double rate, Index batch, const EpochOrders& orders) -> std::string {
    try {
      EpochMap(data.samples(), training(LinearRule::gradient_descent, rate), batch, orders).stationary();
    } catch (const RecipeError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message(0.1, 1, EpochOrders::all()).find("take a sample"), std::string::npos);
  EXPECT_NE(message(0.1, 13, EpochOrders::fixed()).find("batch = 13"), std::string::npos);
  EXPECT_NE(message(0.1, 1, EpochOrders::sampled(100, 1)).find("orders = 100"), std::string::npos);
  EXPECT_NE(message(30.0, 1, EpochOrders::sampled(160, 1)).find("learning_rate = 30"), std::string::npos);
  const QuadraticSamples wide{2, 50, Vector(100), Vector(5000)};
  EXPECT_THROW(EpochMap(wide, training(LinearRule::gradient_descent, 0.1), 1, EpochOrders::all()), RecipeError);
}

}  // namespace
}  // namespace widelab
