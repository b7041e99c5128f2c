// Sampling by epochs against plain simulation: the bridge of additive noise, and per-sample curvature of linear
// regression. Faults planted in the prediction are rejected.
#include <gtest/gtest.h>

#include <cmath>

#include "host/theory/sgd_epochs.hpp"
#include "host/theory/sgd_regression.hpp"
#include "host/theory/shuffled_modes.hpp"
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
using theory::EpochMap;
using theory::EpochOrders;
using theory::LinearRule;
using theory::LinearTraining;
using theory::ShuffledMode;

constexpr std::size_t kExamples = 40, kBatch = 4, kSteps = 10;

LinearTraining training(LinearRule rule, double momentum) {
  LinearTraining out;
  out.rule = rule;
  out.learning_rate = 0.1;
  out.momentum = momentum;
  return out;
}

/// E e^2 at the phases 0 .. M - 1 of one chain's epochs, gradient h e + mean of g over the batch.
Vector additive_chain(double h, const Vector& g, double mu, std::uint64_t seed) {
  std::mt19937_64 bits(seed);
  std::vector<std::size_t> order(kExamples);
  std::iota(order.begin(), order.end(), std::size_t{0});
  Vector sums(kSteps);
  double e = 0, v = 0;
  constexpr int kBurn = 100, kEpochs = 100;
  for (int epoch = 0; epoch < kBurn + kEpochs; ++epoch) {
    for (std::size_t last = kExamples - 1; last > 0; --last) std::swap(order[last], order[bits() % (last + 1)]);
    for (std::size_t step = 0; step < kSteps; ++step) {
      if (epoch >= kBurn) sums[step] += e * e / kEpochs;
      double gradient = h * e;
      for (std::size_t slot = 0; slot < kBatch; ++slot) gradient += g[order[step * kBatch + slot]] / kBatch;
      v = mu * v + gradient;
      e -= 0.1 * v;
    }
  }
  return sums;
}

Vector phases_of(const ShuffledMode& mode) {
  Vector values;
  for (const theory::ModeMoments& phase : theory::shuffled_phases(mode, theory::shuffled_boundary(mode)))
    values.push_back(phase.parameter);
  values.pop_back();
  return values;
}

// N = 40, B = 4, eta = 0.1, three curvatures, with and without momentum.
TEST(SgdEpochStatistics, AdditiveNoiseIsABridgeInFlatDirectionsAndNowhereStationary) {
  test::NormalSource normal(3);
  Vector g(kExamples);
  double mean = 0, square = 0;
  for (double& entry : g) mean += (entry = normal()) / kExamples;
  for (double& entry : g) {
    entry -= mean;
    square += entry * entry / kExamples;
  }
  for (const double mu : {0.0, 0.7})
    for (const double h : {0.02, 0.2, 2.0}) {
      SCOPED_TRACE(h);
      ShuffledMode mode{training(mu == 0 ? LinearRule::gradient_descent : LinearRule::heavy_ball, mu), h, square,
                        kExamples, kBatch};
      const estimators::GroupSample sample =
          measured(2048, kSteps, [&](std::uint64_t seed) { return additive_chain(h, g, mu, seed); });
      EXPECT_TRUE(agrees(sample, phases_of(mode), "shuffled"));
      EXPECT_FALSE(agrees(sample, Vector(kSteps, theory::stationary_mode(mode.with_replacement()).parameter), "  iid"));
      const ShuffledMode halved{mode.training, h, square / 2, kExamples, kBatch};
      EXPECT_FALSE(agrees(sample, phases_of(halved), "  lr / B halved"));
      Vector bridge;
      for (std::size_t n = 0; n < kSteps; ++n)
        bridge.push_back(theory::bridge_variance(0.1, mode.batch_noise(), kSteps, static_cast<Index>(n)));
      EXPECT_FALSE(agrees(sample, bridge, "  bridge without curvature"));
      if (mu == 0) continue;
      mode.training.rule = LinearRule::nesterov;
      EXPECT_FALSE(agrees(sample, phases_of(mode), "  momentum form swapped"));
    }
}

/// [E e_i, E e_i e_j] at all phases 0 .. M - 1, about w*.
Vector entries_of(const std::vector<theory::PhaseMoments>& phases) {
  Vector entries;
  for (std::size_t n = 0; n + 1 < phases.size(); ++n) {
    const Vector& m = phases[n].mean;
    entries.insert(entries.end(), m.begin(), m.end());
    for (std::size_t i = 0; i < m.size(); ++i)
      for (std::size_t j = i; j < m.size(); ++j)
        entries.push_back(phases[n].covariance[i * m.size() + j] + m[i] * m[j]);
  }
  return entries;
}

// Eight examples with inputs of scales 1 and 0.4 in batches of two, all 2520 orders in the prediction.
TEST(SgdEpochStatistics, RegressionHasTheVarianceOfItsPerSampleCurvature) {
  const ChainData data = ChainData::normal(8, {1.0, 0.4}, 1.0, 14);
  const auto inputs = matrix_view(data.x.data(), Index{8}, Index{2});
  for (const ChainMomentum form : {ChainMomentum::none, ChainMomentum::heavy_ball}) {
    ChainRule rule;
    rule.momentum = form;
    rule.sampling = ChainSampling::epochs;
    rule.batch = 2;
    rule.mu = form == ChainMomentum::none ? 0.0 : 0.6;
    rule.rate = 0.3 * (1 - rule.mu);
    LinearTraining t =
        training(form == ChainMomentum::none ? LinearRule::gradient_descent : LinearRule::heavy_ball, rule.mu);
    t.learning_rate = rule.rate;
    theory::RegressionSgd iid;
    iid.training = t;
    iid.batch = 2;
    const theory::RegressionNoise with_replacement(inputs, data.y, iid);
    const Vector minimiser = with_replacement.minimiser();
    const theory::QuadraticSamples samples = theory::regression_samples(inputs, data.y, 0.0, minimiser);
    constexpr std::size_t kPhases = 4, kEntries = 5;
    const estimators::GroupSample sample = measured(2048, kPhases * kEntries, [&](std::uint64_t seed) {
      Chain chain(data, rule, minimiser, seed);
      Vector sums(kPhases * kEntries);
      constexpr int kBurn = 150, kEpochs = 150;
      for (int epoch = 0; epoch < kBurn + kEpochs; ++epoch)
        for (std::size_t n = 0; n < kPhases; ++n, chain.step()) {
          if (epoch < kBurn) continue;
          const double a = chain.w()[0] - minimiser[0], b = chain.w()[1] - minimiser[1];
          double* at = sums.data() + n * kEntries;
          for (const double value : {a, b, a * a, a * b, b * b}) *at++ += value / kEpochs;
        }
      return sums;
    });
    const EpochMap map(samples, t, 2, EpochOrders::all());
    EXPECT_TRUE(agrees(sample, entries_of(map.phases(map.stationary())), "epoch map"));
    const EpochMap additive(theory::with_mean_curvature(samples), t, 2, EpochOrders::all());
    EXPECT_FALSE(agrees(sample, entries_of(additive.phases(additive.stationary())), "  per-sample curvature dropped"));
    Vector independent;
    const theory::StateCovariance s = with_replacement.stationary();
    for (std::size_t n = 0; n < kPhases; ++n)
      independent.insert(independent.end(), {0, 0, s.parameter[0], s.parameter[1], s.parameter[3]});
    EXPECT_FALSE(agrees(sample, independent, "  sampling exchanged"));
    LinearTraining half = t;
    half.learning_rate *= 0.5;
    const EpochMap slower(samples, half, 2, EpochOrders::all());
    EXPECT_FALSE(agrees(sample, entries_of(slower.phases(slower.stationary())), "  lr / B halved"));
  }
}

}  // namespace
}  // namespace widelab
