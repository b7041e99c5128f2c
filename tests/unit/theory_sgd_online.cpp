// Streams of fresh examples, tails, finite windows, valleys.
#include <gtest/gtest.h>

#include <array>
#include <boost/math/special_functions/erf.hpp>
#include <cmath>
#include <utility>

#include "host/theory/finite_window.hpp"
#include "host/theory/sgd_online.hpp"
#include "host/theory/sgd_quadratic.hpp"
#include "host/theory/valley.hpp"
#include "tests/unit/sgd_noise_golden.hpp"
#include "widelab/base/errors.hpp"

namespace widelab {
namespace {

using test::expect_relative;
using test::golden_value;
using test::kGoldenTolerance;
using test::numbers;
using test::sgd_noise_golden;
using theory::KestenProblem;
using theory::WindowVariance;
using Vector = std::vector<double>;

const Vector kVariances{2, 1, 0.5, 0.1};

TEST(SgdOnline, ValuesEqualTheReferences) {
  const theory::OnlineLaw law = theory::online_stationary({kVariances, 0.15, 0.5, 2});
  const Vector expected = numbers(sgd_noise_golden("online_linreg_gauss_diag").at("value"));
  ASSERT_EQ(law.variances.size(), expected.size());
  double loss = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    expect_relative(law.variances[i], expected[i], kGoldenTolerance);
    loss += 0.5 * kVariances[i] * expected[i];
  }
  expect_relative(law.excess_loss, loss, kGoldenTolerance);
  for (const Index batch : {2, 8})
    expect_relative(theory::online_critical_rate(kVariances, batch),
                    golden_value("online_linreg_eta_crit_B" + std::to_string(batch)), kGoldenTolerance);
}

TEST(SgdOnline, StepsLeadToTheStationaryLawBelowTheCriticalRateAlone) {
  const theory::OnlineRegression problem{kVariances, 0.15, 0.5, 2};
  const Vector stationary = theory::online_stationary(problem).variances;
  const Vector after = theory::online_after(problem, stationary);
  Vector way(kVariances.size());
  for (int step = 0; step < 3000; ++step) way = theory::online_after(problem, way);
  for (std::size_t i = 0; i < stationary.size(); ++i) {
    expect_relative(after[i], stationary[i], 1e-13);
    expect_relative(way[i], stationary[i], 1e-12);
  }
  for (const Index batch : {1, 8}) {
    const double critical = theory::online_critical_rate(kVariances, batch);
    const auto radius = [&](double eta) { return theory::online_mean_square_radius({kVariances, eta, 0.5, batch}); };
    EXPECT_NEAR(radius(critical), 1, 1e-11);
    EXPECT_LT(radius(0.99 * critical), 1);
    EXPECT_GT(radius(1.01 * critical), 1);
  }
}

TEST(SgdOnline, IsotropicInputsHaveTheirClosedForm) {
  for (const double d : {1.0, 10.0})
    for (const Index batch : {1, 4}) {
      const auto b = static_cast<double>(batch);
      const Vector h(static_cast<std::size_t>(d), 1.0);
      const double critical = 2 / (1 + (d + 1) / b);
      expect_relative(theory::online_critical_rate(h, batch), critical, 1e-13);
      const double eta = 0.4 * critical;
      expect_relative(theory::online_stationary({h, eta, 0.7, batch}).variances[0],
                      eta * 0.7 / (b * (2 - eta * (1 + (d + 1) / b))), 1e-12);
      EXPECT_THROW(theory::online_stationary({h, 1.01 * critical, 0.7, batch}), RecipeError);
    }
}

TEST(SgdOnline, TailExponentOfFinitelyManyFactorsIsExact) {
  // 2^alpha + 2 2^-alpha = 3: alpha = 1.
  expect_relative(theory::kesten_exponent_of({2, 0.5, -0.5}), 1, 1e-13);
  EXPECT_TRUE(std::isinf(theory::kesten_exponent_of({1, -0.5, 0.9})));
  EXPECT_THROW(theory::kesten_exponent_of({2, 0.5}), RecipeError);
  EXPECT_THROW(theory::kesten_exponent_of({}), RecipeError);
  // |1 - x^2 / 2| with x at the quantiles of a normal law: that of a stream of inputs.
  Vector factors;
  for (int k = 0; k < 400000; ++k) {
    const double x = std::sqrt(2.0) * boost::math::erf_inv(2 * (k + 0.5) / 400000 - 1);
    factors.push_back(1 - x * x / 2);
  }
  expect_relative(theory::kesten_exponent_of(factors), theory::kesten_exponent({0.5, 1.0, 1, 1}), 1e-3);
}

TEST(SgdOnline, TailExponentEqualsTheReference) {
  expect_relative(theory::kesten_exponent({0.5, 1.0, 1, 1}), golden_value("kesten_tail_index_B1"), kGoldenTolerance);
  EXPECT_EQ(theory::kesten_exponent({0.25, 2.0, 1, 1}), theory::kesten_exponent({0.5, 1.0, 1, 1}));
}

/// Batch and dimension.
constexpr std::array<std::pair<Index, Index>, 4> kTails{{{1, 1}, {2, 1}, {7, 1}, {2, 3}}};

// The second moment diverges where the tail exponent is 2.
TEST(SgdOnline, TailExponentIsTwoAtTheEdgeOfMeanSquareStability) {
  for (const auto& [batch, dimension] : kTails) {
    const double edge = theory::online_critical_rate(Vector(static_cast<std::size_t>(dimension), 1.0), batch);
    expect_relative(theory::kesten_exponent({edge, 1.0, batch, dimension}), 2.0, 1e-11,
                    std::to_string(dimension) + " " + std::to_string(batch));
  }
}

/// E g^2 - 1 over eta, g = (1 - a t)^2 + a^2 t u, a = eta / B, by the moments of chi^2 laws.
double fourth_moment_growth(double eta, double batch, double dimension) {
  const double a = eta / batch, n = dimension - 1;
  double t[5] = {1}, u[3] = {1};
  for (int k = 1; k < 5; ++k) t[k] = t[k - 1] * (batch + 2 * (k - 1));
  for (int k = 1; k < 3; ++k) u[k] = u[k - 1] * (n + 2 * (k - 1));
  const double even = -4 * a * t[1] + 6 * a * a * t[2] - 4 * a * a * a * t[3] + a * a * a * a * t[4];
  const double mixed = 2 * a * a * u[1] * (t[1] - 2 * a * t[2] + a * a * t[3]) + a * a * a * a * u[2] * t[2];
  return (even + mixed) / eta;
}

TEST(SgdOnline, TailExponentIsFourWhereTheFourthMomentDiverges) {
  for (const auto& [batch, dimension] : kTails) {
    const auto growth = [&](double eta) {
      return fourth_moment_growth(eta, static_cast<double>(batch), static_cast<double>(dimension));
    };
    double low = 0, high = 2;
    for (int k = 0; k < 60; ++k) (growth(0.5 * (low + high)) < 0 ? low : high) = 0.5 * (low + high);
    expect_relative(theory::kesten_exponent({low, 1.0, batch, dimension}), 4.0, 1e-11,
                    std::to_string(dimension) + " " + std::to_string(batch));
  }
}

TEST(SgdOnline, TailExponentsOutOfReachAreNamed) {
  EXPECT_THROW(theory::kesten_exponent({5.0, 1.0, 1, 1}), RecipeError);    // E log|1 - 5 x^2| > 0
  EXPECT_THROW(theory::kesten_exponent({1e-4, 1.0, 10, 1}), RecipeError);  // beyond 1000
  EXPECT_LT(theory::kesten_exponent({1.5, 1.0, 1, 1}), 1.0);
  EXPECT_GT(theory::kesten_exponent({0.02, 1.0, 1, 1}), 50.0);
}

TEST(SgdWindow, FactorsEqualTheReferences) {
  expect_relative(theory::ar1_window_variance(0.99, 200).centred, golden_value("ar1_window_variance_ratio"),
                  kGoldenTolerance);
  const Vector walk = numbers(sgd_noise_golden("rw_epoch_var_factors").at("value"));
  expect_relative(theory::walk_window_variance(200).centred, walk[0], kGoldenTolerance);
  expect_relative(theory::walk_window_variance(200).detrended, walk[1], kGoldenTolerance);
  const Vector bridge = numbers(sgd_noise_golden("bridge_epoch_var_factors").at("value"));
  expect_relative(theory::bridge_window_variance(200).centred, bridge[0], kGoldenTolerance);
  expect_relative(theory::bridge_window_variance(200).detrended, bridge[1], kGoldenTolerance);
}

/// Both variances from the covariance of positions: trace of the projected matrix over W.
template <class Covariance>
WindowVariance projected(Index window, Covariance&& covariance) {
  const auto w = static_cast<double>(window);
  double diagonal = 0, mean = 0, slope = 0, spread = 0;
  for (Index i = 0; i < window; ++i) {
    const double u = static_cast<double>(i) - (w - 1) / 2;
    spread += u * u;
    diagonal += covariance(i, i);
    for (Index j = 0; j < window; ++j) {
      mean += covariance(i, j) / w;
      slope += u * (static_cast<double>(j) - (w - 1) / 2) * covariance(i, j);
    }
  }
  return {(diagonal - mean) / w, (diagonal - mean - slope / spread) / w};
}

void expect_window(const WindowVariance& got, const WindowVariance& expected) {
  expect_relative(got.centred, expected.centred, 1e-11);
  expect_relative(got.detrended, expected.detrended, 1e-11);
}

TEST(SgdWindow, FactorsAreTracesOfProjectedCovariances) {
  constexpr Index kWindow = 37;
  expect_window(theory::ar1_window_variance(0.9, kWindow), projected(kWindow, [](Index i, Index j) {
                  return std::pow(0.9, static_cast<double>(std::abs(i - j)));
                }));
  expect_window(theory::walk_window_variance(kWindow),
                projected(kWindow, [](Index i, Index j) { return static_cast<double>(std::min(i, j)); }));
  expect_window(theory::bridge_window_variance(kWindow), projected(kWindow, [](Index i, Index j) {
                  const auto a = static_cast<double>(std::min(i, j)), b = static_cast<double>(std::max(i, j));
                  return a * (kWindow - b) / (kWindow - 1.0);
                }));
}

TEST(SgdWindow, MomentumGoesThroughItsAutocorrelation) {
  theory::QuadraticMode mode;
  mode.training.rule = theory::LinearRule::heavy_ball;
  const Vector rho = autocorrelation(mode, 40);
  expect_window(theory::window_variance(rho, 40),
                projected(40, [&](Index i, Index j) { return rho[static_cast<std::size_t>(std::abs(i - j))]; }));
  EXPECT_THROW(theory::window_variance(rho, 50), RecipeError);
  EXPECT_THROW(theory::ar1_window_variance(1.0, 50), RecipeError);
  EXPECT_THROW(theory::walk_window_variance(1), RecipeError);
}

theory::ValleyModel valley(theory::ValleyNoise noise, double along) {
  return {noise, 0.05, 1.0, along, [](double x) { return 2 + 1.5 * std::sin(x); }};
}

TEST(SgdValley, PotentialEqualsTheReference) {
  expect_relative(valley_potential(valley(theory::ValleyNoise::proportional, 0.02), 2.0),
                  golden_value("valley_Leff_prop"), kGoldenTolerance);
}

// L_SGD' = <y^2> / 2 by lambda, with <y^2> of the additive law at that curvature.
TEST(SgdValley, PotentialIsTheWorkOfTheVarianceAcross) {
  for (const auto noise : {theory::ValleyNoise::proportional, theory::ValleyNoise::white}) {
    const theory::ValleyModel model = valley(noise, 0.02);
    theory::QuadraticMode mode;
    mode.training.learning_rate = 0.05;
    mode.curvature = 3.0;
    mode.gradient_noise = noise == theory::ValleyNoise::white ? 1.0 : 3.0;
    const double step = 1e-4;
    const double slope = (valley_potential(model, 3 + step) - valley_potential(model, 3 - step)) / (2 * step);
    expect_relative(slope, 0.5 * stationary_mode(mode).parameter, 1e-8);  // step^2 and rounding / step
  }
}

TEST(SgdValley, MeanCurvaturesEqualThePublishedOnes) {
  using theory::ValleyNoise;
  EXPECT_NEAR(valley_density(valley(ValleyNoise::proportional, 0.02), 512).mean_curvature, 0.5199, 5e-5);
  EXPECT_NEAR(valley_density(valley(ValleyNoise::white, 0.1), 512).mean_curvature, 0.5726, 5e-5);
  EXPECT_NEAR(flatness_power_density(valley(ValleyNoise::white, 0.1), 512).mean_curvature, 0.5749, 5e-5);
  EXPECT_NEAR(flatness_power_density(valley(ValleyNoise::white, 1.0), 512).mean_curvature, 1.65, 5e-3);
}

TEST(SgdValley, DensityIsNormalisedAndItsGridConverged) {
  const theory::CircleDensity coarse = valley_density(valley(theory::ValleyNoise::proportional, 0.02), 200);
  double total = 0;
  for (const double p : coarse.density) total += p * 2 * 3.141592653589793 / 200;
  expect_relative(total, 1.0, 1e-13);
  expect_relative(valley_density(valley(theory::ValleyNoise::proportional, 0.02), 1000).mean_curvature,
                  coarse.mean_curvature, 1e-12);
  theory::ValleyModel sharp = valley(theory::ValleyNoise::white, 0.1);
  sharp.learning_rate = 0.6;
  EXPECT_THROW(valley_density(sharp, 100), RecipeError);
}

}  // namespace
}  // namespace widelab
