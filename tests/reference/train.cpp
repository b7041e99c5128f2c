// The oracle of training on networks so small that every number was worked out by hand or in closed form.
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <limits>
#include <utility>
#include <vector>

#include "tests/support/small_training.hpp"
#include "widelab/base/errors.hpp"

namespace {

using namespace widelab;
using test::one_unit;
using test::SmallTraining;

constexpr double kEps = std::numeric_limits<double>::epsilon();

void expect_near(const std::vector<double>& actual, const std::vector<double>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t k = 0; k < actual.size(); ++k)
    EXPECT_NEAR(actual[k], expected[k], 10 * kEps * (1 + std::abs(expected[k]))) << "entry " << k;
}

/// v x with v trained from v_0, x and y chosen: the loss (1/2)(v x - y)^2 has curvature h = x^2.
SmallTraining linear_model(double v, std::vector<double> x, std::vector<double> y, Index members = 1) {
  return SmallTraining(one_unit(Identity{}, false), std::move(x), std::move(y), {1, 0, v, 0}, members);
}

// x = 2, y = 1, w = 3/2, v = 1/2: z = h = 3, f = 3/2, f - y = 1/2; df/dv = 3, df/dw = v x = 1. eta = 1/10.
TEST(ReferenceTrain, OneStepOfOneUnit) {
  for (const Activation& activation : {Activation(Identity{}), Activation(Relu{})}) {
    SmallTraining t(one_unit(activation, true), {2}, {1}, {1.5, 0, 0.5, 0});
    t.run(0, 1);
    expect_near(t.theta(), {1.5 - 0.05, 0, 0.5 - 0.15, 0});
    SmallTraining twice(one_unit(activation, true), {2}, {1}, {1.5, 0, 0.5, 0});
    twice.rule.loss = LossKind::squared;  // without the half
    twice.run(0, 1);
    expect_near(twice.theta(), {1.5 - 0.1, 0, 0.5 - 0.3, 0});
  }
}

TEST(ReferenceTrain, ADeadUnitDoesNotMove) {
  SmallTraining t(one_unit(Relu{}, true), {2}, {1}, {-1.5, 0, 0.5, 0});
  t.run(0, 5);
  EXPECT_EQ(t.theta(), (std::vector<double>{-1.5, 0, 0.5, 0}));
}

// sigma_w = 2, sigma_b = 1/2, w = 3, b = -1, v = -1/2, c = 4, x = 1: f = -3.5 (hand_numbers.cpp), df/d(w, b, v, c) =
// (-2, -1/2, 11, 1/2). y = -4: f - y = 1/2. Rates 1, 2 (bias), 1/2 (readout), 0; eta = 1/10.
TEST(ReferenceTrain, RatesOfWeightsAndBiases) {
  MlpShape shape;
  shape.widths = {1};
  InitChoice choice;
  choice.sigma_w = {2.0};
  choice.sigma_b = 0.5;
  Network network = make_network(shape, choice);
  network.layers[0].bias_rate = 2;
  network.layers[1].weight_rate = 0.5;
  network.layers[1].bias_rate = 0;
  SmallTraining t(network, {1}, {-4}, {3, -1, -0.5, 4});
  t.run(0, 1);
  expect_near(t.theta(), {3 + 0.1, -1 + 0.05, -0.5 - 0.275, 4});
}

// v = 1 on x = (1, 2), y = (0, 0), two outputs (1, 3): g_o = v_o sum x^2 = (5, 15), times c.
TEST(ReferenceTrain, Reductions) {
  const auto step = [](Reduction reduction, Index batch) {
    SmallTraining t(test::one_identity_unit(2, false), {1, 2}, {0, 0, 0, 0}, {1, 0, 1, 3, 0, 0});
    t.rule.reduction = reduction;
    t.settings[0].batch = batch;
    t.run(1, 2);  // `fixed`: a batch of one holds example 1 at step 1
    const std::vector<double> theta = t.theta();
    return std::vector<double>{(1 - theta[2]) / 0.1, (3 - theta[3]) / 0.1};
  };
  const auto near = [](const std::vector<double>& g, double first) {
    EXPECT_NEAR(g[0], first, 1e-13);
    EXPECT_NEAR(g[1], 3 * first, 1e-13);
  };
  near(step(Reduction::sum, 2), 5);
  near(step(Reduction::mean, 2), 2.5);
  near(step(Reduction::mean_entries, 2), 1.25);
  near(step(Reduction::dataset_sum, 2), 5);
  near(step(Reduction::sum, 1), 4);
  near(step(Reduction::mean, 1), 4);
  near(step(Reduction::mean_entries, 1), 2);
  near(step(Reduction::dataset_sum, 1), 8);
}

/// The sequence a_{t+2} = p a_{t+1} - q a_t by its roots.
double second_order(double p, double q, double a0, double a1, int t) {
  const std::complex<double> root = std::sqrt(std::complex<double>(p * p / 4 - q));
  const std::complex<double> plus = p / 2 + root, minus = p / 2 - root;
  const std::complex<double> a = (a1 - minus * a0) / (plus - minus);
  return std::real(a * std::pow(plus, t) + (a0 - a) * std::pow(minus, t));
}

constexpr double kV0 = 0.75, kCurvature = 4, kMu = 0.8;

/// Largest distance of v_t, t = 1 .. 30, from the closed form; v_{t+1} = p v_t - q v_{t-1}.
double distance_from_recurrence(OptimiserKind kind, double p, double q, double v1) {
  SmallTraining t = linear_model(kV0, {2}, {0});
  t.rule.update.kind = kind;
  t.rule.update.momentum = kMu;
  double distance = 0;
  for (int step = 1; step <= 30; ++step) {
    t.run(step - 1, step);
    distance = std::max(distance, std::abs(t.theta()[2] - second_order(p, q, kV0, v1, step)));
  }
  return distance;
}

constexpr double kA = 1 - 0.1 * kCurvature;             // 1 - eta h
constexpr double kRecurrenceTolerance = 30 * 8 * kEps;  // 30 steps of a contraction, a few roundings each

// Heavy ball on a parabola (Polyak 1964): v_{t+1} = (1 + mu - eta h) v_t - mu v_{t-1}, v_1 = (1 - eta h) v_0.
TEST(ReferenceTrain, HeavyBallOnAParabola) {
  EXPECT_LT(distance_from_recurrence(OptimiserKind::heavy_ball, kMu + kA, kMu, kA * kV0), kRecurrenceTolerance);
}

// Nesterov in PyTorch's form: eliminating the velocity gives v_{t+1} = (1 + mu)(1 - eta h) v_t - mu (1 - eta h) v_{t-1}
// with v_1 = (1 - eta h (1 + mu)) v_0.
TEST(ReferenceTrain, NesterovOnAParabola) {
  EXPECT_LT(distance_from_recurrence(OptimiserKind::nesterov, (1 + kMu) * kA, kMu * kA,
                                     (1 - 0.1 * kCurvature * (1 + kMu)) * kV0),
            kRecurrenceTolerance);
}

// Momentum one step late (a step with the velocity before it takes in the gradient): v_1 = v_0 and then
// v_{t+1} = (1 + mu) v_t - (mu + eta h) v_{t-1}. Nesterov one step late is heavy ball.
TEST(ReferenceTrain, MomentumOffByOneStepIsSeen) {
  EXPECT_GT(distance_from_recurrence(OptimiserKind::heavy_ball, 1 + kMu, kMu + 1 - kA, kV0),
            1e6 * kRecurrenceTolerance);
  EXPECT_GT(distance_from_recurrence(OptimiserKind::nesterov, kMu + kA, kMu, kA * kV0), 1e6 * kRecurrenceTolerance);
}

// Hinge with y = 1, x = 2, v = -1 has gradient -2 until v = 1/2. Adam's corrected moments of a constant gradient are
// the gradient and its square, at every step: each step is eta |g| / (|g| + epsilon), close to eta sign(g).
TEST(ReferenceTrain, AdamUnderAConstantGradient) {
  SmallTraining t = linear_model(-1, {2}, {1});
  t.rule.loss = LossKind::hinge;
  t.rule.update.kind = OptimiserKind::adam;
  t.rule.update.epsilon = 1e-3;
  for (int step = 1; step <= 10; ++step) {
    t.run(step - 1, step);
    EXPECT_NEAR(t.theta()[2], -1 + step * 0.1 * 2 / (2 + 1e-3), 1e-13) << "step " << step;
  }
}

// Adam on (1/2) v^2, v_0 = 1, eta = 1/2, b1 = 1/2, b2 = 3/4, epsilon = 0. Step 0: g = 1, v^ = s^ = 1, v = 1/2. Step 1:
// g = 1/2: first moment 1/4 + 1/4 = 1/2 over 3/4 = 2/3, second 3/16 + 1/16 = 1/4 over 7/16 = 4/7.
TEST(ReferenceTrain, TwoStepsOfAdam) {
  SmallTraining t = linear_model(1, {1}, {0});
  t.rule.update = {OptimiserKind::adam, false, 0.9, 0.5, 0.75, 0.0};
  t.settings[0].learning_rate = 0.5;
  t.run(0, 2);
  EXPECT_NEAR(t.theta()[2], 0.5 - 0.5 * (2.0 / 3) / std::sqrt(4.0 / 7), 1e-14);
  expect_near({t.moments[2], t.moments[6]}, {0.5, 0.25});
}

TEST(ReferenceTrain, SignDescent) {
  SmallTraining t = linear_model(1, {3}, {0});
  t.rule.update.kind = OptimiserKind::sign;
  t.run(0, 3);
  expect_near(t.theta(), {1, 0, 0.7, 0});
}

// Hinge beyond its margin (v x y = 4 > 1) has no gradient: what is left is decay, lambda = 1/2, eta = 1/10, v = 2.
TEST(ReferenceTrain, CoupledAndDecoupledDecay) {
  const auto after = [](OptimiserKind kind, bool decoupled) {
    SmallTraining t = linear_model(2, {2}, {1});
    t.rule.loss = LossKind::hinge;
    t.rule.update.kind = kind;
    t.rule.update.decoupled_decay = decoupled;
    t.settings[0].weight_decay = 0.5;
    t.run(0, 2);
    return t.theta()[2];
  };
  const double shrunk = 2 * 0.95 * 0.95;
  for (const OptimiserKind kind : {OptimiserKind::sgd, OptimiserKind::heavy_ball, OptimiserKind::nesterov,
                                   OptimiserKind::adam, OptimiserKind::sign})
    EXPECT_NEAR(after(kind, true), shrunk, 1e-14) << static_cast<int>(kind);
  EXPECT_NEAR(after(OptimiserKind::sgd, false), shrunk, 1e-14);
  EXPECT_NEAR(after(OptimiserKind::heavy_ball, false), 1.9 - 0.1 * (0.9 * 1 + 0.95), 1e-14);
  EXPECT_NEAR(after(OptimiserKind::nesterov, false), 1.81 - 0.1 * (0.905 + 0.9 * (0.9 * 1 + 0.905)), 1e-14);
  EXPECT_NEAR(after(OptimiserKind::sign, false), 1.8, 1e-14);
  EXPECT_NEAR(after(OptimiserKind::adam, false), 1.8, 0.01);  // close to sign descent
}

TEST(ReferenceTrain, UntrainedParametersNeitherDecayNorDiffuse) {
  SmallTraining t = linear_model(2, {2}, {1});
  t.rule.update.kind = OptimiserKind::langevin;
  t.settings[0].weight_decay = 0.5;
  t.settings[0].temperature = 1;
  t.parameters[1] = t.parameters[3] = 0.25;
  t.run(0, 10);
  EXPECT_EQ(t.theta()[0], 1.0);
  EXPECT_EQ(t.theta()[1], 0.25);
  EXPECT_NE(t.theta()[2], 2.0);
  EXPECT_EQ(t.theta()[3], 0.25);
}

// A parabola of curvature 1: v is multiplied by 1 - eta factor(t).
TEST(ReferenceTrain, TheScheduleMultipliesTheRate) {
  SmallTraining t = linear_model(1, {1}, {0});
  t.rule.schedule.kind = ScheduleKind::step;
  t.rule.schedule.period = 2;
  t.rule.schedule.drop = 0.5;
  t.rule.schedule.warmup = 1;
  t.run(0, 5);
  expect_near({t.theta()[2]}, {(1 - 0.05) * (1 - 0.1) * (1 - 0.05) * (1 - 0.05) * (1 - 0.025)});
}

// ULA adds sqrt(2 eta T) xi to a step of descent, SGLD sqrt(eta T) xi to half of one; every weight and bias has the
// draw that is registered for it.
TEST(ReferenceTrain, LangevinStepsUseTheRegisteredDraws) {
  MlpShape shape;
  shape.input_dim = 6;
  shape.widths = {5, 2};
  InitChoice choice;
  choice.sigma_b = 0.5;
  const Network network = make_network(shape, choice);
  const ParamLayout layout(shape);
  std::vector<double> theta(static_cast<std::size_t>(layout.size));
  for (std::size_t p = 0; p < theta.size(); ++p) theta[p] = std::sin(static_cast<double>(p));
  for (const bool sgld : {false, true}) {
    SmallTraining t(network, {1, 2, 3, -1, -2, 0.5}, {1}, theta), plain = t;
    t.rule.update.kind = sgld ? OptimiserKind::sgld : OptimiserKind::langevin;
    t.settings[0].temperature = 0.3;
    if (sgld) plain.settings[0].learning_rate /= 2;
    t.run(7, 8);
    plain.run(7, 8);
    const DrawId& id = t.settings[0].ids.noise;
    std::vector<double> expected = plain.theta();
    const double deviation = std::sqrt(sgld ? 0.03 : 0.06);
    for (Index l = 0, p = 0; l < 3; ++l) {
      const Index cols = shape.fan_in(l);
      for (Index k = 0; k < cols * shape.fan_out(l); ++k) {
        const Draw4 four = langevin_draw4(id, l, k / cols, cols, k % cols / 4, 7);
        expected[static_cast<std::size_t>(p++)] += deviation * static_cast<double>(four.v[k % cols % 4]);
      }
      for (Index i = 0; i < shape.fan_out(l); ++i)
        expected[static_cast<std::size_t>(p++)] += deviation * static_cast<double>(langevin_bias_draw(id, l, i, 7));
    }
    expect_near(t.theta(), expected);
  }
}

// Increments of 1e-20 are lost on 1 but not in the displacement.
TEST(ReferenceTrain, DisplacementKeepsWhatPlaceLoses) {
  const auto make = [] {
    SmallTraining t = linear_model(1, {1}, {0});
    t.settings[0].learning_rate = 1e-20;
    return t;
  };
  SmallTraining in_place = make(), beside = make();
  beside.use_displacement();
  in_place.run(0, 100);
  beside.run(0, 100);
  EXPECT_EQ(in_place.theta()[2], 1.0);
  EXPECT_EQ(beside.theta()[2], 1.0);
  EXPECT_NEAR(beside.displacement[2], -1e-18, 1e-30);
  EXPECT_EQ(beside.start[2], 1.0);
}

TEST(ReferenceTrain, DisplacementFollowsTheSameTrajectory) {
  SmallTraining in_place = linear_model(1, {2}, {0.5}), beside = in_place;
  beside.use_displacement();
  in_place.run(0, 20);
  beside.run(0, 20);
  expect_near(beside.theta(), in_place.theta());
  for (std::size_t p = 0; p < beside.parameters.size(); ++p)
    EXPECT_EQ(beside.parameters[p], beside.start[p] + beside.displacement[p]);
}

// v <- (1 - eta h) v = -9 v from v = 1 with x = 1: |f| = 9^t exceeds 400 at t = 3, after three updates.
TEST(ReferenceTrain, ADivergedMemberStopsAloneAndIsNotTouchedAgain) {
  SmallTraining t = linear_model(1, {1}, {0}, 3), alone = linear_model(1, {1}, {0});
  t.rule.divergence_limit = 400;
  t.settings[1].learning_rate = 10;
  t.status[2] = {TrainStatus::converged, 4, 0.5};
  t.run(0, 8);
  alone.run(0, 8);
  EXPECT_EQ(t.theta(0), alone.theta());
  EXPECT_EQ(t.status[0].status, TrainStatus::running);
  EXPECT_EQ(t.status[1].status, TrainStatus::diverged);
  EXPECT_EQ(t.status[1].step, 3);
  EXPECT_EQ(t.status[1].quantity, 729);
  EXPECT_EQ(t.theta(1)[2], -729);
  EXPECT_EQ(t.theta(2)[2], 1);
  EXPECT_EQ(t.status[2].step, 4);
  EXPECT_EQ(t.status[2].quantity, 0.5);
  t.run(8, 12);
  EXPECT_EQ(t.theta(1)[2], -729);
  EXPECT_EQ(t.status[1].step, 3);
}

TEST(ReferenceTrain, OutputsThatAreNotNumbersEndAMember) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  SmallTraining t = linear_model(1, {infinity, nan, 3}, {0, 0, 0});
  t.run(5, 6);
  EXPECT_EQ(t.status[0].status, TrainStatus::diverged);
  EXPECT_EQ(t.status[0].step, 5);
  EXPECT_TRUE(std::isnan(t.status[0].quantity));
  SmallTraining other = linear_model(1, {3, infinity}, {0, 0});
  other.rule.divergence_limit = infinity;
  other.run(0, 1);
  EXPECT_EQ(other.status[0].quantity, infinity);
  EXPECT_EQ(other.theta()[2], 1);
}

TEST(ReferenceTrain, SegmentsChangeNoBit) {
  for (const OptimiserKind kind :
       {OptimiserKind::sgd, OptimiserKind::adam, OptimiserKind::nesterov, OptimiserKind::langevin}) {
    SmallTraining whole(one_unit(Tanh{}, true), {1, 2, -1, 0.5}, {0, 1, 1, 0}, {0.3, 0, 0.7, 0}, 2);
    whole.rule.update.kind = kind;
    whole.rule.order = OrderKind::epochs;
    whole.rule.dropout_keep = 0.8;
    whole.rule.schedule = {ScheduleKind::cosine, 3, 20, 0.1, 1, 0.1};
    for (MemberSettings& s : whole.settings) {
      s.batch = 3;
      s.temperature = 0.01;
      s.label_noise = 0.2;
    }
    SmallTraining cut = whole;
    whole.run(0, 17);
    for (const auto& [first, last] : {std::pair{0, 1}, {1, 9}, {9, 9}, {9, 17}}) cut.run(first, last);
    EXPECT_EQ(whole.parameters, cut.parameters);
    EXPECT_EQ(whole.moments, cut.moments);
    EXPECT_NE(whole.theta(0), whole.theta(1));
  }
}

// A mask of one unit: the example is seen (scaled by 1 / keep, or not) or not seen at all.
TEST(ReferenceTrain, DropoutMasksTheFeature) {
  const double keep = 0.5, x = 2, y = 1, v = 0.75;
  int kept_steps = 0;
  for (Index step = 0; step < 20; ++step)
    for (const bool scaled : {true, false}) {
      SmallTraining t = linear_model(v, {x}, {y});
      t.rule.dropout_keep = keep;
      t.rule.dropout_scaled = scaled;
      t.run(step, step + 1);
      const bool kept = dropout_keeps(t.settings[0].ids.noise, keep, 0, 1, 0, 0, step);
      const double h = kept ? (scaled ? x / keep : x) : 0;
      expect_near({t.theta()[2]}, {v - 0.1 * (v * h - y) * h});
      kept_steps += kept;
    }
  EXPECT_GT(kept_steps, 4);
  EXPECT_LT(kept_steps, 36);
}

TEST(ReferenceTrain, LabelNoiseOfSquaredLossesShiftsTheTarget) {
  SmallTraining t = linear_model(0.75, {2}, {1});
  t.settings[0].label_noise = 0.3;
  t.run(4, 5);
  const double y = noisy_target(t.settings[0].ids.label_noise, 0.3, 1, 0, 1, 0, 4);
  EXPECT_NE(y, 1);
  expect_near({t.theta()[2]}, {0.75 - 0.1 * (1.5 - y) * 2});
  EXPECT_EQ(t.targets[0], 1);
}

// Certain noise, p = 1: a sign flips; of three labels the true one always gives way, to either other.
TEST(ReferenceTrain, LabelNoiseOfOtherLossesMovesTheLabel) {
  SmallTraining binary = linear_model(0, {1}, {1});
  binary.rule.loss = LossKind::logistic;
  binary.settings[0].label_noise = 1;
  binary.run(0, 1);
  expect_near({binary.theta()[2]}, {-0.05});  // y = -1: slope 1/2

  for (Index step = 0; step < 10; ++step) {  // each slot has its own noise: slope -y / 2 at v = 0
    SmallTraining t = linear_model(0, {1, 10}, {1, 1});
    t.rule.loss = LossKind::logistic;
    t.settings[0].label_noise = 0.5;
    t.run(step, step + 1);
    const DrawId& id = t.settings[0].ids.label_noise;
    expect_near({t.theta()[2]}, {0.05 * (label_shift(id, 0.5, 0, 1, step) ? -1 : 1) +
                                 0.5 * (label_shift(id, 0.5, 1, 1, step) ? -1 : 1)});
  }

  int first = 0;
  for (Index step = 0; step < 20; ++step) {
    SmallTraining t(test::one_identity_unit(3, true), {1}, {0, 1, 0}, {1, 0, 0, 0, 0, 0, 0, 0});
    t.rule.loss = LossKind::cross_entropy;
    t.settings[0].label_noise = 1;
    t.run(step, step + 1);
    const bool to_last = label_shift(t.settings[0].ids.label_noise, 1, 0, 3, step) == 1;
    const double third = 0.1 / 3;
    expect_near({t.parameters[2], t.parameters[3], t.parameters[4]},
                {-third + (to_last ? 0 : 0.1), -third, -third + (to_last ? 0.1 : 0)});
    first += to_last;
  }
  EXPECT_GT(first, 2);
  EXPECT_LT(first, 18);
}

TEST(ReferenceTrain, TheOrderChoosesTheExamples) {
  for (const OrderKind kind : {OrderKind::iid, OrderKind::fresh, OrderKind::epochs, OrderKind::fixed}) {
    const std::vector<double> x{1, 10, 100, 1000, 10000};
    SmallTraining t = linear_model(0, x, {1, 1, 1, 1, 1});
    t.rule.order = kind;
    t.settings[0].batch = 2;
    t.settings[0].learning_rate = 1;
    t.run(3, 4);  // v = 0: the increment is the sum of the batch's x
    const StepOrder order({kind, t.settings[0].ids.order, 5, 2}, 3);
    expect_near({t.theta()[2]},
                {x[static_cast<std::size_t>(order.example(0))] + x[static_cast<std::size_t>(order.example(1))]});
  }
}

TEST(ReferenceTrain, ATableChoosesTheExamples) {
  SmallTraining t = linear_model(0, {1, 10, 100}, {1, 1, 1});
  t.rule.order = OrderKind::file;
  t.order_table = {0, 1, 2, 2, 1, 0};
  t.settings[0].batch = 2;
  t.settings[0].learning_rate = 1;
  SmallTraining late = t;
  t.run(1, 2);
  EXPECT_EQ(t.theta()[2], 200);
  EXPECT_THROW(late.run(2, 4), RecipeError);  // the table has three steps
}

TEST(ReferenceTrain, AsksBeforeItTrains) {
  SmallTraining t = linear_model(1, {1}, {0});
  t.settings[0].batch = 2;
  EXPECT_THROW(t.run(0, 1), RecipeError);
}

}  // namespace
