// Additive noise on quadratics: closed forms, Lyapunov equations, transients, Langevin dynamics, laws by name.
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "host/theory/langevin.hpp"
#include "host/theory/registry.hpp"
#include "host/theory/sgd_quadratic.hpp"
#include "tests/unit/sgd_noise_golden.hpp"
#include "widelab/base/errors.hpp"

namespace widelab {
namespace {

using test::expect_relative;
using test::golden_value;
using test::kGoldenTolerance;
using theory::LinearRule;
using theory::LinearTraining;
using theory::ModeMoments;
using theory::QuadraticMode;
using theory::QuadraticSgd;
using theory::StateCovariance;
using Matrix = std::vector<double>;

constexpr std::array kRules{LinearRule::gradient_descent, LinearRule::heavy_ball, LinearRule::nesterov};

LinearTraining training(LinearRule rule, double rate, double momentum) {
  LinearTraining out;
  out.rule = rule;
  out.learning_rate = rate;
  out.momentum = momentum;
  return out;
}

MatrixView<const double> square(const Matrix& m) {
  const auto d = static_cast<Index>(std::lround(std::sqrt(static_cast<double>(m.size()))));
  return matrix_view(m.data(), d, d);
}

/// One step of a parameter under PyTorch's rules, velocity v = -u / eta.
struct Point {
  double theta = 0, v = 0;
};
Point stepped(const LinearTraining& t, Point at, double gradient) {
  const double eta = t.effective_rate(), mu = t.rule == LinearRule::gradient_descent ? 0.0 : t.momentum;
  at.v = mu * at.v + gradient;
  at.theta -= eta * (t.rule == LinearRule::nesterov ? gradient + mu * at.v : at.v);
  return at;
}

/// E over noises of +- sqrt(c), all 2^steps of them.
ModeMoments enumerated(const QuadraticMode& mode, const Point& start, int steps) {
  ModeMoments sum;
  const double eta = mode.training.effective_rate(), count = std::pow(2.0, steps);
  for (int noises = 0; noises < (1 << steps); ++noises) {
    Point at = start;
    for (int t = 0; t < steps; ++t)
      at = stepped(mode.training, at,
                   mode.curvature * at.theta + (((noises >> t) & 1) != 0 ? 1 : -1) * std::sqrt(mode.gradient_noise));
    sum.parameter += at.theta * at.theta / count;
    sum.cross += -eta * at.theta * at.v / count;
    sum.velocity += eta * eta * at.v * at.v / count;
  }
  return sum;
}

TEST(SgdQuadratic, ClosedFormsEqualTheReferences) {
  const QuadraticMode heavy{training(LinearRule::heavy_ball, 0.3, 0.9), 2.0, 0.5};
  expect_relative(theory::stationary_mode(heavy).parameter, golden_value("heavyball_var_w"), kGoldenTolerance);
  expect_relative(theory::stationary_mode(heavy).velocity, golden_value("heavyball_var_v"), kGoldenTolerance);
  expect_relative(theory::stationary_mode(heavy).cross, 0.5 * golden_value("heavyball_var_v"), kGoldenTolerance);
  const QuadraticMode nesterov{training(LinearRule::nesterov, 0.3, 0.9), 2.0, 0.5};
  expect_relative(theory::nesterov_iterate_variance(nesterov), golden_value("nesterov_var_w"), kGoldenTolerance);
}

// The parameter that is held is Nesterov's iterate plus mu times its velocity: the two variances differ.
TEST(SgdQuadratic, NesterovsIterateIsTheParameterMinusItsMomentum) {
  const QuadraticMode mode{training(LinearRule::nesterov, 0.3, 0.9), 2.0, 0.5};
  const ModeMoments m = theory::stationary_mode(mode);
  expect_relative(m.parameter - 2 * 0.9 * m.cross + 0.81 * m.velocity, theory::nesterov_iterate_variance(mode), 1e-13);
  EXPECT_GT(m.parameter, 1.2 * theory::nesterov_iterate_variance(mode));
}

TEST(SgdQuadratic, ClosedFormsEqualTheLyapunovSolution) {
  const Matrix noise{0.7};
  for (const LinearRule rule : kRules)
    for (const double mu : {0.0, 0.5, 0.95})
      for (const double step : {1e-9, 1e-3, 0.3, 1.2}) {
        const QuadraticMode mode{training(rule, 0.2, mu), step / 0.2, 0.7};
        if (!mode.stable()) continue;
        const Matrix h{mode.curvature};
        const StateCovariance s = QuadraticSgd(square(h), mode.training).stationary(square(noise));
        const ModeMoments closed = theory::stationary_mode(mode);
        // the 4 x 4 system's own condition is that of 1 - mu
        expect_relative(s.parameter[0], closed.parameter, 1e-13, std::to_string(mu) + " " + std::to_string(step));
        expect_relative(s.cross[0], closed.cross, 1e-12);
        expect_relative(s.velocity[0], closed.velocity, 1e-12);
      }
}

TEST(SgdQuadratic, TransientsEqualTheSumOverAllNoises) {
  for (const LinearRule rule : kRules)
    for (const double h : {2.0, 0.0, -0.7, 30.0}) {  // sharp, flat, hill, divergent
      const QuadraticMode mode{training(rule, 0.1, 0.6), h, 0.5};
      const ModeMoments expected = enumerated(mode, {0.4, 0.3}, 7);
      const ModeMoments got = theory::mode_after(mode, {0.16, -0.1 * 0.4 * 0.3, 0.01 * 0.3 * 0.3}, 7);
      expect_relative(got.parameter, expected.parameter, 1e-12);
      expect_relative(got.cross, expected.cross, 1e-12);
      expect_relative(got.velocity, expected.velocity, 1e-12);
    }
}

TEST(SgdQuadratic, TransientsEndInTheStationaryLaw) {
  for (const LinearRule rule : kRules) {
    const QuadraticMode mode{training(rule, 0.1, 0.6), 2.0, 0.5};
    expect_relative(theory::mode_after(mode, {3.0, 0.1, 0.2}, 1000).parameter, theory::stationary_mode(mode).parameter,
                    1e-13);
  }
}

TEST(SgdQuadratic, AutocorrelationIsThatOfTheRecursion) {
  for (const LinearRule rule : kRules) {
    const QuadraticMode mode{training(rule, 0.1, 0.6), 2.0, 0.5};
    const std::vector<double> rho = theory::autocorrelation(mode, 8);
    const ModeMoments m = theory::stationary_mode(mode);
    // E[theta_k | theta_0, v_0] is linear: follow the two basis points without noise
    Point of_theta{1, 0}, of_v{0, 1};
    for (std::size_t k = 0; k <= 8; ++k) {
      const double expected = of_theta.theta + of_v.theta * m.cross / (-0.1 * m.parameter);
      EXPECT_NEAR(rho[k], expected, 1e-13) << k;
      of_theta = stepped(mode.training, of_theta, 2.0 * of_theta.theta);
      of_v = stepped(mode.training, of_v, 2.0 * of_v.theta);
    }
  }
}

TEST(SgdQuadratic, StabilityEndsAtItsEdge) {
  for (const LinearRule rule : kRules) {
    QuadraticMode mode{training(rule, 1.0, 0.6), 1.0, 1.0};
    const double edge = mode.training.stability_limit();
    mode.curvature = 0.999 * edge;
    EXPECT_NO_THROW(theory::stationary_mode(mode));
    EXPECT_LT(theory::mode_after(mode, {1, 0, 0}, 10000).parameter, 1e6);
    mode.curvature = 1.001 * edge;
    EXPECT_THROW(theory::stationary_mode(mode), RecipeError);
    EXPECT_GT(theory::mode_after(mode, {1, 0, 0}, 10000).parameter, 1e6);
  }
}

// S = A S A + eta^2 C entry by entry, with momentum in the doubled space: plain products of matrices.
TEST(SgdQuadratic, MatrixLawIsAFixedPointOfTheStep) {
  const Matrix h{2.0, 0.3, -0.1, 0.3, 1.0, 0.2, -0.1, 0.2, 0.5}, c{1.0, 0.4, 0.1, 0.4, 0.8, -0.3, 0.1, -0.3, 0.5};
  for (const LinearRule rule : kRules) {
    const LinearTraining t = training(rule, 0.3, 0.7);
    const StateCovariance s = QuadraticSgd(square(h), t).stationary(square(c));
    const double mu = rule == LinearRule::gradient_descent ? 0.0 : 0.7;
    const double p = rule == LinearRule::nesterov ? 1 + mu : 1, q = rule == LinearRule::nesterov ? mu * mu : mu;
    std::array<double, 36> f{}, z{}, image{};
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = 0; j < 3; ++j) {
        const double one = i == j ? 1.0 : 0.0, eh = 0.3 * h[3 * i + j];
        f[6 * i + j] = one - p * eh;
        f[6 * i + j + 3] = q * one;
        f[6 * (i + 3) + j] = -eh;
        f[6 * (i + 3) + j + 3] = mu * one;
        z[6 * i + j] = s.parameter[3 * i + j];
        z[6 * i + j + 3] = s.cross[3 * i + j];
        z[6 * (j + 3) + i] = s.cross[3 * i + j];
        z[6 * (i + 3) + j + 3] = s.velocity[3 * i + j];
      }
    for (std::size_t i = 0; i < 6; ++i)
      for (std::size_t j = 0; j < 6; ++j) {
        for (std::size_t k = 0; k < 6; ++k)
          for (std::size_t l = 0; l < 6; ++l) image[6 * i + j] += f[6 * i + k] * z[6 * k + l] * f[6 * j + l];
        image[6 * i + j] += 0.09 * (i < 3 ? p : 1) * (j < 3 ? p : 1) * c[3 * (i % 3) + j % 3];
        EXPECT_NEAR(image[6 * i + j], z[6 * i + j], 1e-13);
      }
  }
}

TEST(SgdQuadratic, MatrixTransientsAndCorrelationsAreThoseOfTheModes) {
  const Matrix h{2.0, 0.0, 0.0, 0.5}, c{1.0, 0.0, 0.0, 0.3};
  const LinearTraining t = training(LinearRule::heavy_ball, 0.2, 0.8);
  const QuadraticSgd sgd(square(h), t);
  const StateCovariance after = sgd.after(StateCovariance::zero(2), square(c), 9);
  expect_relative(after.parameter[0], theory::mode_after({t, 2.0, 1.0}, {}, 9).parameter, 1e-13);
  expect_relative(after.cross[3], theory::mode_after({t, 0.5, 0.3}, {}, 9).cross, 1e-13);
  const StateCovariance s = sgd.stationary(square(c));
  const QuadraticMode first{t, 2.0, 1.0};
  expect_relative(sgd.autocovariance(s, 4)[0], s.parameter[0] * theory::autocorrelation(first, 4)[4], 1e-12);
  expect_relative(sgd.excess_loss(s), theory::mode_excess_loss(first) + theory::mode_excess_loss({t, 0.5, 0.3}), 1e-13);
  EXPECT_NEAR(sgd.autocovariance(s, 4)[1], 0.0, 1e-14);
}

TEST(SgdQuadratic, FlatDirectionsRestWithoutNoiseAndHaveNoLawWithIt) {
  const Matrix h{1.0, 1.0, 1.0, 1.0}, along{1.0, 1.0, 1.0, 1.0}, across{1.0, -1.0, -1.0, 1.0};
  const QuadraticSgd sgd(square(h), training(LinearRule::gradient_descent, 0.1, 0.0));
  EXPECT_TRUE(sgd.stable());
  const StateCovariance s = sgd.stationary(square(along));
  expect_relative(s.trace(), 0.1 * 2.0 / (2.0 * (2.0 - 0.2)), 1e-13);  // h = 2 and c = 2 along (1, 1)
  EXPECT_THROW(sgd.stationary(square(across)), RecipeError);
  expect_relative(sgd.after(StateCovariance::zero(2), square(across), 10).trace(), 10 * 0.01 * 2.0, 1e-12);
}

TEST(SgdQuadratic, LossScalesActAsLearningRates) {
  LinearTraining doubled = training(LinearRule::heavy_ball, 0.1, 0.5);
  doubled.curvature = 2.0;
  const QuadraticMode a{doubled, 1.5, 0.7}, b{training(LinearRule::heavy_ball, 0.2, 0.5), 1.5, 0.7};
  EXPECT_EQ(theory::stationary_mode(a).parameter, theory::stationary_mode(b).parameter);
}

TEST(SgdQuadratic, MistakesAreNamed) {
  const auto message = [](auto&& call) -> std::string {
    try {
      call();
    } catch (const RecipeError& error) {
      return error.what();
    }
    return "";
  };
  const auto of = [&](LinearRule rule, double rate, double mu, double h) {
    return message([&] { theory::stationary_mode({training(rule, rate, mu), h, 1.0}); });
  };
  EXPECT_NE(of(LinearRule::gradient_descent, 0.1, 0.0, 50).find("0.04"), std::string::npos);
  EXPECT_NE(of(LinearRule::gradient_descent, 0.1, 0.0, 0).find("curvature"), std::string::npos);
  EXPECT_NE(of(LinearRule::heavy_ball, 0.1, 1.0, 1).find("momentum = 1.0"), std::string::npos);
  EXPECT_NE(of(LinearRule::gradient_descent, -0.1, 0.0, 1).find("learning_rate"), std::string::npos);
  EXPECT_NE(of(LinearRule::gradient_flow, 0.1, 0.0, 1).find("no steps"), std::string::npos);
}

TEST(SgdLangevin, ValuesEqualTheReferences) {
  theory::LangevinQuadratic ula;
  ula.curvature = 3;
  ula.learning_rate = 0.1;
  ula.temperature = 0.7;
  expect_relative(theory::langevin_variance(ula) * std::pow(ula.decay(), 5), golden_value("ula_acf_lag5"),
                  kGoldenTolerance);
  theory::LangevinQuadratic sgld;
  sgld.sgld = true;
  sgld.curvature = 80;
  sgld.learning_rate = 0.004;
  sgld.gradient_noise = 5000;
  expect_relative(theory::langevin_variance(sgld), golden_value("sgld_scalar_var"), kGoldenTolerance);
}

TEST(SgdLangevin, MatricesFollowTheScalarLawInTheirEigenbasis) {
  const Matrix h{1.0, 0.6, 0.6, 1.0}, none(4), noise{2.0, 0.5, 0.5, 2.0};  // eigenvalues 1.6, 0.4 of (1, 1), (1, -1)
  for (const bool sgld : {false, true}) {
    const Matrix s = theory::langevin_covariance(square(h), square(none), 0.3, 0.7, sgld);
    const Matrix noisy = theory::langevin_covariance(square(h), square(noise), 0.3, 0.7, sgld);
    const auto scalar = [&](double curvature, double v) {
      return theory::langevin_variance({sgld, curvature, 0.3, 0.7, v});
    };
    expect_relative(s[0] + s[1], scalar(1.6, 0), 1e-13);
    expect_relative(s[0] - s[1], scalar(0.4, 0), 1e-13);
    expect_relative(noisy[0] + noisy[1], scalar(1.6, 2.5), 1e-13);
    expect_relative(noisy[0] - noisy[1], scalar(0.4, 1.5), 1e-13);
  }
}

TEST(SgdLaws, NamesGiveTheFunctions) {
  const auto value = [](const std::string& law, const std::vector<std::string>& arguments, const std::string& name) {
    const auto points = nlohmann::json::parse(theory::evaluate_json(law, arguments)).at("points");
    return points.at(0).at("values").at(name).get<double>();
  };
  expect_relative(value("sgd-stationary", {"rule=heavy-ball", "h=2", "c=0.5", "learning_rate=0.3"}, "variance"),
                  golden_value("heavyball_var_w"), kGoldenTolerance);
  expect_relative(value("sgd-regression", {"h=2:1:0.5:0.1", "batch=8"}, "critical_learning_rate"),
                  golden_value("online_linreg_eta_crit_B8"), kGoldenTolerance);
  expect_relative(value("shuffled-epochs", {"h=0.2"}, "average"), golden_value("epoch_shuffle_var_phase_avg"),
                  kGoldenTolerance);
  expect_relative(value("finite-window", {"learning_rate=0.01"}, "ratio"), golden_value("ar1_window_variance_ratio"),
                  kGoldenTolerance);
  expect_relative(value("kesten-exponent", {}, "alpha"), golden_value("kesten_tail_index_B1"), kGoldenTolerance);
  EXPECT_NEAR(value("valley", {}, "mean_curvature"), 0.5199, 5e-5);
  EXPECT_NEAR(value("valley", {"noise=white", "along=0.1"}, "mean_curvature"), 0.5726, 5e-5);
}

}  // namespace
}  // namespace widelab
