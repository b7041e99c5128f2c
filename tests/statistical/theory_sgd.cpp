// The exact laws of SGD's noise against plain simulation: second moments of linear regression, correlations, streams of
// fresh examples, Langevin dynamics, tails, valleys. Each is rejected with a fault planted in the prediction.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "host/theory/sgd_online.hpp"
#include "host/theory/sgd_regression.hpp"
#include "host/theory/valley.hpp"
#include "tests/statistical/sgd_chains.hpp"

namespace widelab {
namespace {

using test::agrees;
using test::Chain;
using test::ChainData;
using test::ChainMomentum;
using test::ChainRule;
using test::ChainSampling;
using test::measured;
using test::Vector;
using theory::BatchSampling;
using theory::LinearRule;
using theory::RegressionNoise;
using theory::RegressionSgd;

constexpr std::size_t kLag = 5;

RegressionSgd as_theory(const ChainRule& rule) {
  RegressionSgd sgd;
  sgd.training.rule = rule.momentum == ChainMomentum::none         ? LinearRule::gradient_descent
                      : rule.momentum == ChainMomentum::heavy_ball ? LinearRule::heavy_ball
                                                                   : LinearRule::nesterov;
  sgd.training.learning_rate = rule.rate;
  sgd.training.momentum = rule.mu;
  sgd.sampling =
      rule.sampling == ChainSampling::fresh ? BatchSampling::without_replacement : BatchSampling::with_replacement;
  sgd.batch = static_cast<Index>(rule.batch);
  sgd.weight_decay = rule.decay;
  sgd.label_noise = rule.label_noise;
  sgd.injected_noise = rule.injected;
  return sgd;
}

RegressionNoise noise_of(const ChainData& data, const RegressionSgd& sgd) {
  const auto n = static_cast<Index>(data.examples), d = static_cast<Index>(data.dim);
  return {matrix_view(data.x.data(), n, d), data.y, sgd};
}

/// Upper triangle of S, then the trace of E[e_{t+5} e_t^T].
Vector entries_of(const RegressionNoise& noise, const theory::StateCovariance& s) {
  const auto d = static_cast<std::size_t>(s.dim);
  const Vector lagged = noise.autocovariance(s, kLag);
  Vector entries;
  double trace = 0;
  for (std::size_t i = 0; i < d; ++i) {
    for (std::size_t j = i; j < d; ++j) entries.push_back(s.parameter[i * d + j]);
    trace += lagged[i * d + i];
  }
  entries.push_back(trace);
  return entries;
}

Vector predicted(const ChainData& data, const RegressionSgd& sgd) {
  const RegressionNoise noise = noise_of(data, sgd);
  return entries_of(noise, noise.stationary());
}

/// The same numbers as time averages over one chain that starts at w* and first runs `burn` steps.
Vector chain_average(const ChainData& data, const ChainRule& rule, const Vector& minimiser, std::size_t burn,
                     std::size_t steps, std::uint64_t seed) {
  const std::size_t d = data.dim;
  Chain chain(data, rule, minimiser, seed);
  for (std::size_t t = 0; t < burn; ++t) chain.step();
  Vector sums(d * (d + 1) / 2 + 1), past(kLag * d);
  for (std::size_t t = 0; t < steps + kLag; ++t, chain.step()) {
    std::size_t at = 0;
    for (std::size_t i = 0; i < d; ++i) {
      const double e = chain.w()[i] - minimiser[i];
      double& before = past[t % kLag * d + i];
      if (t >= kLag) sums.back() += e * before;
      for (std::size_t j = i; j < d && t < steps; ++j) sums[at++] += e * (chain.w()[j] - minimiser[j]);
      before = e;
    }
  }
  for (double& sum : sums) sum /= static_cast<double>(steps);
  return sums;
}

estimators::GroupSample simulated(const ChainData& data, const ChainRule& rule, std::size_t chains) {
  const Vector minimiser = noise_of(data, as_theory(rule)).minimiser();
  return measured(chains, data.dim * (data.dim + 1) / 2 + 1,
                  [&](std::uint64_t seed) { return chain_average(data, rule, minimiser, 400, 600, seed); });
}

ChainData regression_data() { return ChainData::normal(64, Vector(6, 1.0), 1.0, 11); }

struct Case {
  const char* name;
  ChainRule rule;
};

struct Fault {
  const char* name;
  RegressionSgd sgd;
};

/// Every mistake that `sgd` can be taken for.
std::vector<Fault> faults_of(const RegressionSgd& sgd) {
  std::vector<Fault> faults{{"  lr / B halved", sgd}};
  faults.back().sgd.training.learning_rate *= 0.5;
  if (sgd.batch > 1) {
    faults.push_back({"  sampling exchanged", sgd});
    faults.back().sgd.sampling = sgd.sampling == BatchSampling::with_replacement ? BatchSampling::without_replacement
                                                                                 : BatchSampling::with_replacement;
  }
  if (sgd.training.rule != LinearRule::gradient_descent) {
    faults.push_back({"  momentum form swapped", sgd});
    faults.back().sgd.training.rule =
        sgd.training.rule == LinearRule::heavy_ball ? LinearRule::nesterov : LinearRule::heavy_ball;
    faults.push_back({"  dampened momentum", sgd});  // v <- mu v + (1 - mu) g
    faults.back().sgd.training.learning_rate *= 1 - sgd.training.momentum;
  }
  if (sgd.weight_decay + sgd.label_noise > 0) {
    faults.push_back({"  decay or label noise dropped", sgd});
    faults.back().sgd.weight_decay = faults.back().sgd.label_noise = 0;
  }
  return faults;
}

// N = 64, d = 6, 1024 chains of 600 steps after 400: all 21 entries of the covariance and a correlation at lag 5.
TEST(SgdStatistics, RegressionHasItsExactCovarianceAndNotTheFrozenOne) {
  const ChainData data = regression_data();
  const ChainMomentum none = ChainMomentum::none, heavy = ChainMomentum::heavy_ball;
  const ChainSampling iid = ChainSampling::with_replacement, fresh = ChainSampling::fresh;
  const std::vector<Case> cases{{"iid B=1", {none, iid, 1, 0.05}},
                                {"iid B=4", {none, iid, 4, 0.25}},
                                {"fresh B=8", {none, fresh, 8, 0.3}},
                                {"iid B=4, decay 0.1", {none, iid, 4, 0.2, 0.0, 0.1}},
                                {"heavy ball 0.8, iid B=4", {heavy, iid, 4, 0.05, 0.8}},
                                {"heavy ball 0.7, fresh B=16, decay", {heavy, fresh, 16, 0.1, 0.7, 0.05}},
                                {"nesterov 0.8, iid B=4", {ChainMomentum::nesterov, iid, 4, 0.05, 0.8}},
                                {"iid B=4, label noise 0.6", {none, iid, 4, 0.15, 0.0, 0.0, 0.6}}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const RegressionSgd sgd = as_theory(c.rule);
    ASSERT_LT(noise_of(data, sgd).mean_square_radius(), 1.0);
    const estimators::GroupSample sample = simulated(data, c.rule, 1024);
    EXPECT_TRUE(agrees(sample, predicted(data, sgd), c.name));

    const RegressionNoise noise = noise_of(data, sgd);
    EXPECT_FALSE(agrees(sample, entries_of(noise, noise.frozen_noise()), "  frozen noise"));
    for (const Fault& fault : faults_of(sgd)) EXPECT_FALSE(agrees(sample, predicted(data, fault.sgd), fault.name));
  }
}

// Posterior of N = 50, d = 3; T = 1. Minibatches widen it, and so do steps.
TEST(SgdStatistics, SgldOnAPosteriorHasItsExactCovarianceAndNotTheGibbsOne) {
  const ChainData data = ChainData::normal(50, Vector(3, 1.0), 1.0, 12);
  const theory::SgldPosterior posterior{0.004, 1.0, 1.0, 1.0};
  const RegressionSgd sgd = theory::sgld_regression(posterior, 50, 5);
  ChainRule rule;
  rule.batch = 5;
  rule.rate = sgd.training.learning_rate;
  rule.decay = sgd.weight_decay;
  rule.injected = 0.004;
  const estimators::GroupSample sample = simulated(data, rule, 1024);
  EXPECT_TRUE(agrees(sample, predicted(data, sgd), "SGLD eps .004, B=5"));
  RegressionSgd full = theory::sgld_regression(posterior, 50, 50, BatchSampling::without_replacement);
  EXPECT_FALSE(agrees(sample, predicted(data, full), "  no noise of minibatches"));
  RegressionSgd quiet = sgd;
  quiet.injected_noise = 0;
  EXPECT_FALSE(agrees(sample, predicted(data, quiet), "  no injected noise"));
}

// Fresh inputs N(0, diag(2, 1, .5, .1)), B = 2, eta = .15, s2 = .5.
TEST(SgdStatistics, StreamsHaveTheirExactVariances) {
  const Vector h{2, 1, 0.5, 0.1};
  constexpr double kEta = 0.15;
  const estimators::GroupSample sample = measured(2048, 4, [&](std::uint64_t seed) {
    test::NormalSource normal(seed);
    Vector w(4), sums(4), x(4), g(4);
    for (int t = 0; t < 900; ++t) {
      g.assign(4, 0.0);
      for (int slot = 0; slot < 2; ++slot) {
        double error = std::sqrt(0.5) * normal();
        for (std::size_t i = 0; i < 4; ++i) {
          x[i] = std::sqrt(h[i]) * normal();
          error += x[i] * w[i];
        }
        for (std::size_t i = 0; i < 4; ++i) g[i] += error * x[i] / 2;
      }
      for (std::size_t i = 0; i < 4; ++i) {
        w[i] -= kEta * g[i];
        if (t >= 500) sums[i] += w[i] * w[i] / 400;
      }
    }
    return sums;
  });
  EXPECT_TRUE(agrees(sample, theory::online_stationary({h, kEta, 0.5, 2}).variances, "stream B=2"));
  EXPECT_FALSE(agrees(sample, theory::online_stationary({h, kEta / 2, 0.5, 2}).variances, "  lr / B halved"));
  Vector additive;
  for (const double variance : h) additive.push_back(kEta * 0.5 / (2 * (2 - kEta * variance)));
  EXPECT_FALSE(agrees(sample, additive, "  additive noise"));
}

/// Hill's estimate of a tail exponent from the `kept` largest values.
double hill(Vector values, std::size_t kept) {
  std::partial_sort(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(kept) + 1, values.end(),
                    std::greater<>());
  double sum = 0;
  for (std::size_t k = 0; k < kept; ++k) sum += std::log(values[k] / values[kept]);
  return static_cast<double>(kept) / sum;
}

// One input, B = 1, eta = 1/2: the tail's exponent is 2.904. 32 groups of chains; each group's Hill estimate stands on
// its 0.1 % largest values.
TEST(SgdStatistics, TailsHaveKestensExponent) {
  constexpr double kEta = 0.5;
  Vector estimates;
  for (std::uint64_t group = 1; group <= 32; ++group) {
    test::NormalSource normal(group);
    Vector values;
    double w = 0;
    for (int t = 0; t < 500000; ++t) {
      const double x = normal();
      w -= kEta * x * (x * w + normal());
      if (t >= 100 && t % 2 == 0) values.push_back(std::abs(w));
    }
    estimates.push_back(hill(values, values.size() / 1000));
  }
  const test::Estimate alpha = test::mean_of(estimates);
  const auto z = [&](const theory::KestenProblem& problem) { return alpha.z(theory::kesten_exponent(problem)); };
  std::printf("  Hill %.3f +- %.3f; Kesten %.3f\n", alpha.value, alpha.error, theory::kesten_exponent({kEta, 1, 1, 1}));
  EXPECT_LT(std::abs(z({kEta, 1.0, 1, 1})), 4.0);
  EXPECT_GT(std::abs(z({kEta, 1.0, 2, 1})), 4.0);        // batch doubled
  EXPECT_GT(std::abs(z({0.8 * kEta, 1.0, 1, 1})), 4.0);  // learning rate
}

// lambda(x) = 2 + 1.5 sin x, noise in proportion to it across the valley. Slow along x (adiabatic to 1 %, a tenth of
// the error of this simulation).
TEST(SgdStatistics, ValleysAreFoundAtTheirFlatPlaces) {
  constexpr double kEta = 0.05, kAcross = 0.25, kAlong = 0.005;
  const estimators::GroupSample sample = measured(128, 1, [&](std::uint64_t seed) {
    test::NormalSource normal(seed);
    double x = -1.5707963267948966, y = 0, sum = 0;
    constexpr int kBurn = 20000, kSteps = 40000;
    for (int t = 0; t < kBurn + kSteps; ++t) {
      const double lambda = 2 + 1.5 * std::sin(x), slope = 1.5 * std::cos(x);
      x -= kEta * (0.5 * slope * y * y + std::sqrt(kAlong) * normal());
      y -= kEta * (lambda * y + std::sqrt(kAcross * lambda) * normal());
      if (t >= kBurn) sum += lambda / kSteps;
    }
    return Vector{sum};
  });
  theory::ValleyModel model{theory::ValleyNoise::proportional, kEta, kAcross, kAlong,
                            [](double x) { return 2 + 1.5 * std::sin(x); }};
  EXPECT_TRUE(agrees(sample, {theory::valley_density(model, 512).mean_curvature}, "noise ~ curvature"));
  model.noise = theory::ValleyNoise::white;
  EXPECT_FALSE(agrees(sample, {theory::valley_density(model, 512).mean_curvature}, "  white noise"));
  EXPECT_FALSE(agrees(sample, {2.0}, "  no effective potential"));
}

}  // namespace
}  // namespace widelab
