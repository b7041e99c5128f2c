// The random parts of a training step by the oracle, against exact averages: masks and moved labels by enumeration,
// Langevin dynamics on a parabola by the variance of its discrete chain. Members differ in their ids alone. Fixed
// seeds; each check is |z| < 5: 30 of them raise a false alarm for one seed in 60000. Every check has a faulty twin.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "tests/support/small_training.hpp"

namespace {

using namespace widelab;
using test::SmallTraining;
using Vector = std::vector<double>;

constexpr double kZ = 5.0;

/// A law with finitely many values: what an enumeration collects.
struct Law {
  Vector values, probabilities;

  void add(double value, double probability) {
    values.push_back(value);
    probabilities.push_back(probability);
  }
  double central_moment(int order, double mean) const {
    double sum = 0;
    for (std::size_t k = 0; k < values.size(); ++k) sum += probabilities[k] * std::pow(values[k] - mean, order);
    return sum;
  }
  double mean() const { return central_moment(1, 0); }
  double variance() const { return central_moment(2, mean()); }
};

/// The larger |z| of the sample's mean and of its mean square distance from the exact mean.
double worst_z(const Vector& sample, double mean, double variance, double fourth) {
  double first = 0, second = 0;
  for (const double x : sample) {
    first += x - mean;
    second += (x - mean) * (x - mean) - variance;
  }
  const double n = static_cast<double>(sample.size());
  return std::max(std::abs(first) / std::sqrt(n * variance),
                  std::abs(second) / std::sqrt(n * (fourth - variance * variance)));
}

double worst_z(const Vector& sample, const Law& law) {
  return worst_z(sample, law.mean(), law.variance(), law.central_moment(4, law.mean()));
}

/// z of the covariance of x_{2 i} and x_{2 i + 1}, independent under the null.
double pair_covariance_z(const Vector& sample, double mean, double variance) {
  double sum = 0;
  for (std::size_t i = 0; i + 1 < sample.size(); i += 2) sum += (sample[i] - mean) * (sample[i + 1] - mean);
  return std::abs(sum) / (variance * std::sqrt(static_cast<double>(sample.size()) / 2));
}

/// Fault: members 2 i and 2 i + 1 have the same ids.
void share_ids(SmallTraining& t) {
  for (std::size_t m = 1; m < t.settings.size(); m += 2) t.settings[m].ids = t.settings[m - 1].ids;
}

/// Parameter `p` of every member.
Vector column(const SmallTraining& t, std::size_t p) {
  const std::size_t size = t.parameters.size() / t.settings.size();
  Vector out;
  for (std::size_t m = 0; m < t.settings.size(); ++m) out.push_back(t.parameters[m * size + p]);
  return out;
}

// Dropout ------------------------------------------------------------------------------------------------------------

constexpr double kKeep = 0.7, kReadout[] = {0.5, -1.25}, kX[] = {1, -2}, kY[] = {0.5, 1};

/// Two linear units, h = (x, x), on two examples: f = (v_0 h_0 + v_1 h_1) / sqrt(2) (NTK scaling), readout trained.
SmallTraining two_units(bool scaled, Index members) {
  MlpShape shape;
  shape.widths = {2};
  shape.activation = Identity{};
  InitChoice choice;
  choice.train_bias = false;
  choice.train_weights = {false, true};
  SmallTraining t(make_network(shape, choice), {kX[0], kX[1]}, {kY[0], kY[1]},
                  {1, 1, 0, 0, kReadout[0], kReadout[1], 0}, members);
  t.rule.dropout_keep = kKeep;
  t.rule.dropout_scaled = scaled;
  return t;
}

/// Law of v_0 after a step, over the 16 masks of two examples and two units.
Law dropout_law(bool scaled, double keep) {
  const double m = 1 / std::sqrt(2.0), factor = scaled ? 1 / keep : 1.0;
  Law law;
  for (unsigned masks = 0; masks < 16; ++masks) {
    double probability = 1, gradient = 0;
    for (unsigned s = 0; s < 2; ++s) {
      double h[2], f = 0;
      for (unsigned i = 0; i < 2; ++i) {
        const bool kept = (masks >> (2 * s + i)) & 1u;
        probability *= kept ? keep : 1 - keep;
        h[i] = kept ? factor * kX[s] : 0;
        f += m * kReadout[i] * h[i];
      }
      gradient += (f - kY[s]) * m * h[0];
    }
    law.add(kReadout[0] - 0.1 * gradient, probability);
  }
  return law;
}

Vector dropout_sample(bool scaled, bool shared_ids) {
  SmallTraining t = two_units(scaled, 40000);
  if (shared_ids) share_ids(t);
  t.run(3, 4);
  return column(t, 4);
}

TEST(TrainNoise, DropoutStepsHaveTheirEnumeratedLaw) {
  for (const bool scaled : {true, false}) {
    const Vector sample = dropout_sample(scaled, false);
    EXPECT_LT(worst_z(sample, dropout_law(scaled, kKeep)), kZ);
    EXPECT_GT(worst_z(sample, dropout_law(!scaled, kKeep)), kZ);
    EXPECT_GT(worst_z(sample, dropout_law(scaled, 1 - kKeep)), kZ);
  }
}

TEST(TrainNoise, DropoutOfTwoMembersIsIndependent) {
  const Law law = dropout_law(true, kKeep);
  EXPECT_LT(pair_covariance_z(dropout_sample(true, false), law.mean(), law.variance()), kZ);
  EXPECT_GT(pair_covariance_z(dropout_sample(true, true), law.mean(), law.variance()), kZ);
}

// The average of scaled dropout at one example is the step without dropout plus a ridge: E g = (f - y) h_0 m
// + (1 / keep - 1) m^2 h_0^2 v_0 (Wager, Wang and Liang 2013).
TEST(TrainNoise, ScaledDropoutIsAnAdaptiveRidgeOnAverage) {
  double gradient = 0;
  for (int s = 0; s < 2; ++s) {
    const double m = 1 / std::sqrt(2.0), f = m * (kReadout[0] + kReadout[1]) * kX[s];
    gradient += (f - kY[s]) * m * kX[s] + (1 / kKeep - 1) * 0.5 * kX[s] * kX[s] * kReadout[0];
  }
  EXPECT_NEAR(dropout_law(true, kKeep).mean(), kReadout[0] - 0.1 * gradient, 1e-15);
}

// Label noise --------------------------------------------------------------------------------------------------------

/// v x with x = (1, -2) and one step: under noise of deviation sigma on the targets, v moves by a normal of variance
/// eta^2 sigma^2 (1 + 4).
Vector target_noise_sample(double sigma, bool shared_ids) {
  SmallTraining t(test::one_unit(Identity{}, false), {kX[0], kX[1]}, {kY[0], kY[1]}, {1, 0, 0.5, 0}, 40000);
  for (MemberSettings& s : t.settings) s.label_noise = sigma;
  if (shared_ids) share_ids(t);
  t.run(9, 10);
  return column(t, 2);
}

TEST(TrainNoise, NoisyTargetsHaveTheirMeanAndVariance) {
  const double sigma = 0.8, mean = 0.5 - 0.1 * ((0.5 - 0.5) + (-1 - 1) * -2.0), variance = 0.01 * sigma * sigma * 5;
  const Vector sample = target_noise_sample(sigma, false);
  EXPECT_LT(worst_z(sample, mean, variance, 3 * variance * variance), kZ);
  EXPECT_LT(pair_covariance_z(sample, mean, variance), kZ);
  EXPECT_GT(worst_z(target_noise_sample(1.05 * sigma, false), mean, variance, 3 * variance * variance), kZ);
  EXPECT_GT(pair_covariance_z(target_noise_sample(sigma, true), mean, variance), kZ);
}

/// One linear unit and three outputs, readout (1, 0, -1/2), one example of class 1 with x = 1: the law of readout 2.
Law moved_label_law(double p) {
  const double f[] = {1, 0, -0.5};
  const double total = std::exp(f[0]) + std::exp(f[1]) + std::exp(f[2]), softmax = std::exp(f[2]) / total;
  Law law;
  law.add(f[2] - 0.1 * softmax, 1 - p / 2);
  law.add(f[2] - 0.1 * (softmax - 1), p / 2);  // of two other labels, one is 2
  return law;
}

Vector moved_label_sample(double p) {
  SmallTraining t(test::one_identity_unit(3, false), {1}, {0, 1, 0}, {1, 0, 1, 0, -0.5, 0, 0, 0}, 40000);
  t.rule.loss = LossKind::cross_entropy;
  for (MemberSettings& s : t.settings) s.label_noise = p;
  t.run(9, 10);
  return column(t, 4);
}

TEST(TrainNoise, MovedLabelsHaveTheirEnumeratedLaw) {
  EXPECT_LT(worst_z(moved_label_sample(0.3), moved_label_law(0.3)), kZ);
  EXPECT_GT(worst_z(moved_label_sample(0.33), moved_label_law(0.3)), kZ);
}

// One output, logistic loss: the sign of the target changes with probability p.
TEST(TrainNoise, MovedSignsHaveTheirEnumeratedLaw) {
  const double p = 0.2, slope = 1 / (1 + std::exp(0.5));
  const auto sample = [&](double probability) {
    SmallTraining t(test::one_unit(Identity{}, false), {1}, {1}, {1, 0, 0.5, 0}, 40000);
    t.rule.loss = LossKind::logistic;
    for (MemberSettings& s : t.settings) s.label_noise = probability;
    t.run(2, 3);
    return column(t, 2);
  };
  Law law;
  law.add(0.5 + 0.1 * slope, 1 - p);
  law.add(0.5 - 0.1 * (1 - slope), p);
  EXPECT_LT(worst_z(sample(p), law), kZ);
  EXPECT_GT(worst_z(sample(1.15 * p), law), kZ);
}

// Langevin dynamics --------------------------------------------------------------------------------------------------

constexpr double kEta = 0.1, kTemperature = 0.6, kH = 4;

/// v after `steps` steps on U = (1/2) h v^2, h = x^2 = 4, from v = 0.
SmallTraining chain(OptimiserKind kind, double temperature, Index members, bool shared_ids = false) {
  SmallTraining t(test::one_unit(Identity{}, false), {2}, {0}, {1, 0, 0, 0}, members);
  t.rule.update.kind = kind;
  for (MemberSettings& s : t.settings) {
    s.learning_rate = kEta;
    s.temperature = temperature;
  }
  if (shared_ids) share_ids(t);
  return t;
}

/// Stationary variance of v <- (1 - a) v + N(0, noise): noise / (1 - (1 - a)^2). ULA has a = eta h, noise = 2 eta T:
/// (T / h) / (1 - eta h / 2). SGLD has half of both: (T / h) / (1 - eta h / 4).
double stationary_variance(OptimiserKind kind) {
  const double halved = kind == OptimiserKind::sgld ? 0.5 : 1.0;
  return kTemperature / kH / (1 - halved * kEta * kH / 2);
}

double chain_z(OptimiserKind kind, double temperature, double variance) {
  SmallTraining t = chain(kind, temperature, 10000);
  t.run(0, 30);  // what is left of the start: 0.6^60 or, SGLD, 0.8^60 = 2e-6 of the variance
  return worst_z(column(t, 2), 0, variance, 3 * variance * variance);
}

// Noise sqrt(eta T) instead of sqrt(2 eta T) is half the temperature. The variance of the continuous dynamics, T / h,
// is 20 % (SGLD 10 %) below that of the chain.
TEST(TrainNoise, LangevinOnAParabolaHasItsDiscreteVariance) {
  for (const OptimiserKind kind : {OptimiserKind::langevin, OptimiserKind::sgld}) {
    const double variance = stationary_variance(kind);
    EXPECT_LT(chain_z(kind, kTemperature, variance), kZ);
    EXPECT_GT(chain_z(kind, kTemperature / 2, variance), kZ);
    EXPECT_GT(chain_z(kind, kTemperature, kTemperature / kH), kZ);
  }
}

// Given v, the next step's noise is new: v_{t+1} - (1 - eta h) v_t has no covariance with v_t. Noise that repeats from
// step to step has.
TEST(TrainNoise, LangevinStepsAreIndependent) {
  SmallTraining t = chain(OptimiserKind::langevin, kTemperature, 10000);
  t.run(0, 30);
  const Vector before = column(t, 2);
  SmallTraining repeated = t;
  t.run(30, 31);
  repeated.run(29, 30);  // the noise of step 29 once more
  const double variance = stationary_variance(OptimiserKind::langevin), a = kEta * kH;
  const auto z = [&](const Vector& after) {
    double sum = 0;
    for (std::size_t m = 0; m < after.size(); ++m) sum += before[m] * (after[m] - (1 - a) * before[m]);
    return std::abs(sum) / std::sqrt(static_cast<double>(after.size()) * variance * 2 * kEta * kTemperature);
  };
  EXPECT_LT(z(column(t, 2)), kZ);
  EXPECT_GT(z(column(repeated, 2)), kZ);
}

TEST(TrainNoise, LangevinMembersAreIndependent) {
  const double variance = stationary_variance(OptimiserKind::langevin);
  for (const bool shared : {false, true}) {
    SmallTraining t = chain(OptimiserKind::langevin, kTemperature, 4000, shared);
    t.run(0, 30);
    const double z = pair_covariance_z(column(t, 2), 0, variance);
    if (shared) {
      EXPECT_GT(z, kZ);
    } else {
      EXPECT_LT(z, kZ);
    }
  }
}

}  // namespace
