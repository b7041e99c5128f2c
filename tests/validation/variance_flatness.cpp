// The experiment `variance-flatness` where what it should find is known: a linear network with one trained layer, whose
// SGD is linear dynamics; and what fp32 leaves of it.
#include <gtest/gtest.h>

#include <cmath>

#include "host/experiments/experiments.hpp"
#include "host/experiments/flatness_cell.hpp"
#include "host/experiments/linear_null.hpp"
#include "host/experiments/run.hpp"

namespace widelab::experiments {
namespace {

using estimators::Estimate;

class Flatness {
 public:
  explicit Flatness(const std::vector<std::string>& settings, double least_resolution = kLeastResolution)
      : recipe_(io::Recipe::parse("schema = 1\nexperiment = \"variance-flatness\"\n", "test",
                                  variance_flatness().schema(), settings)),
        setup_(make_run_setup(recipe_, 1e9, false)),
        cell_(make_flatness_cell(setup_, setup_.sweep.cells.front())) {
    cell_.least_resolution = least_resolution;
    const auto backend = runtime::make_backend("cpu");
    const SampleTask task = flatness_task(cell_, *backend);
    rows_ = {task.replicates, task.numbers, {}};
    rows_.values.resize(static_cast<std::size_t>(task.replicates * task.numbers));
    task.measure(0, task.replicates, rows_.values.data());
  }

  const FlatnessCell& cell() const { return cell_; }
  const Samples& rows() const { return rows_; }
  Estimate number(FlatnessNumber which) const { return rows_.mean(cell_.number(which)); }
  double z(FlatnessNumber which, double expected = 0) const {
    return (number(which).value - expected) / number(which).se;
  }

  /// Mean over networks of number(row).
  template <class Number>
  Estimate over_networks(const Number& number) const {
    Samples one{rows_.replicates, 1, {}};
    for (Index r = 0; r < rows_.replicates; ++r) one.values.push_back(number(r));
    return one.mean(0);
  }

  /// Variance across replicas over that of linear theory under `order`: mean over modes.
  Estimate ratio(std::size_t time, OrderKind order) const {
    theory::LinearTraining training;
    training.learning_rate = cell_.effective_rate();
    return over_networks([&](Index r) {
      double sum = 0;
      for (Index i = 0; i < cell_.modes; ++i) {
        const theory::ShuffledMode mode{training, rows_.at(r, cell_.mode(i, ModeNumber::curvature)),
                                        rows_.at(r, cell_.mode(i, ModeNumber::noise)),
                                        cell_.training.data.train.examples, cell_.batch()};
        sum += rows_.at(r, cell_.variance(time, i)) / mode_variance(mode, order, cell_.times[time]) /
               static_cast<double>(cell_.modes);
      }
      return sum;
    });
  }

 private:
  io::Recipe recipe_;
  RunSetup setup_;
  FlatnessCell cell_;
  Samples rows_;
};

std::vector<std::string> with(std::vector<std::string> all, const std::vector<std::string>& settings) {
  all.insert(all.end(), settings.begin(), settings.end());
  return all;
}

/// f = A W B x, W trained: linear regression with noisy targets.
std::vector<std::string> linear(const std::vector<std::string>& settings) {
  return with(
      {"model.activation=identity", "model.widths=[12, 10]", "model.outputs=4",
       "model.train_layers=[false, true, false]", "data.dimension=14", "data.examples=200", "data.target.noise=0.5",
       "train.reduction=mean", "train.precision=fp64", "train.batch=10", "train.learning_rate=0.02", "train.steps=1600",
       "flatness.window=10", "flatness.every=1", "flatness.modes=20", "flatness.replicas=60", "seeds.replicates=24"},
      settings);
}

// Every claim of the null model where it must hold: SGD of a linear network is linear dynamics.
TEST(VarianceFlatness, OfALinearNetworkIsThatOfLinearDynamics) {
  for (const char* order : {"epochs", "iid"}) {
    const Flatness of(linear({std::string("train.order=") + order}));
    EXPECT_LT(std::fabs(of.z(FlatnessNumber::psi_nonlinear)), 4) << order;
    EXPECT_LT(of.number(FlatnessNumber::psi_nonlinear).se, 0.05);
    // Without the gradient at the checkpoint and with a noise covariance of H's own eigenvectors something is missing.
    EXPECT_GT(of.z(FlatnessNumber::psi_excess), 8) << order;
    // A quadratic loss: widths are those of parabolas, and noise that is C ~ H.
    EXPECT_NEAR(of.number(FlatnessNumber::curvature_exponent).value, -2, 0.01);
    EXPECT_NEAR(of.number(FlatnessNumber::noise_exponent).value, 1, 0.05);
    EXPECT_EQ(of.number(FlatnessNumber::checkpoint).value, 1400);
  }
}

TEST(VarianceFlatness, ReplicasOfALinearNetworkHaveThePredictedVariance) {
  const Flatness shuffled(linear({"train.order=epochs"})), iid(linear({"train.order=iid"}));
  const auto z = [](const Estimate& e) { return (e.value - 1) / e.se; };
  for (std::size_t t = 0; t < 3; ++t) {  // within an epoch
    EXPECT_LT(std::fabs(z(shuffled.rows().mean(shuffled.cell().replica(t, ReplicaNumber::ratio)))), 4) << t;
    EXPECT_LT(std::fabs(z(iid.rows().mean(iid.cell().replica(t, ReplicaNumber::ratio)))), 4) << t;
    // The sampling modes exchanged.
    EXPECT_LT(z(shuffled.ratio(t, OrderKind::iid)), -15) << t;
    EXPECT_GT(z(iid.ratio(t, OrderKind::epochs)), 10) << t;
  }
  // Between epochs what differs between examples' curvatures is left, and nothing else (host/theory/sgd_epochs.hpp).
  EXPECT_GT(shuffled.ratio(3, OrderKind::epochs).value, 1.02);
  EXPECT_LT(shuffled.ratio(3, OrderKind::epochs).value, 1.3);
  for (std::size_t t = 3; t < 5; ++t)
    EXPECT_LT(std::fabs(z(iid.rows().mean(iid.cell().replica(t, ReplicaNumber::ratio)))), 4) << t;
}

/// A relu network on classes: what the experiment is for, small.
std::vector<std::string> classes(const std::vector<std::string>& settings) {
  return with({"model.activation=relu",    "model.widths=[10, 9]",
               "model.outputs=3",          "model.parametrization=standard",
               "data.law=mixture",         "data.components=3",
               "data.dimension=8",         "data.examples=203",
               "data.target.kind=classes", "data.target.label_coding=one-hot",
               "train.loss=cross-entropy", "train.reduction=mean",
               "train.batch=10",           "train.learning_rate=0.1",
               "train.steps=1200",         "flatness.window=10",
               "flatness.every=2",         "flatness.directions=60",
               "flatness.modes=20",        "flatness.replicas=20",
               "seeds.replicates=12"},
              settings);
}

/// Over networks: variance of a component in `a` over that in `b`, the same networks in another precision.
Estimate variance_ratio(const Flatness& a, const Flatness& b, std::size_t i) {
  const Index at = a.cell().component(i, ComponentNumber::variance);
  return a.over_networks([&](Index r) { return a.rows().at(r, at) / b.rows().at(r, at); });
}

TEST(VarianceFlatness, SinglePrecisionIsEnoughWhereNoiseIsFarAboveRounding) {
  const Flatness single(classes({"train.precision=fp32"})), twice(classes({"train.precision=fp64"}));
  EXPECT_EQ(single.number(FlatnessNumber::unresolved).value, 0);
  EXPECT_EQ(single.number(FlatnessNumber::unresolved_modes).value, 0);
  for (const FlatnessNumber which :
       {FlatnessNumber::psi_window, FlatnessNumber::psi_replica, FlatnessNumber::psi_null,
        FlatnessNumber::psi_linearised, FlatnessNumber::time_exponent, FlatnessNumber::noise_exponent}) {
    const Estimate a = single.number(which), b = twice.number(which);
    EXPECT_LT(std::fabs(a.value - b.value), 0.01 * b.se) << static_cast<int>(which);
  }
  for (std::size_t i = 0; i < single.cell().components.size(); ++i)
    EXPECT_NEAR(variance_ratio(single, twice, i).value, 1, 1e-4) << i;
}

// Steps near the rounding of the weights: what is left out is what fp32 gets wrong.
TEST(VarianceFlatness, WhatRoundingMakesIsLeftOut) {
  const std::string tiny = "train.learning_rate=1e-6";
  const Flatness twice(classes({"train.precision=fp64", tiny})), enforced(classes({"train.precision=fp32", tiny})),
      ignored(classes({"train.precision=fp32", tiny}), 0);
  EXPECT_EQ(twice.number(FlatnessNumber::unresolved).value, 0);
  EXPECT_GT(enforced.number(FlatnessNumber::unresolved).value, 0.5);
  EXPECT_LT(enforced.number(FlatnessNumber::unresolved).value, 1);
  EXPECT_GT(enforced.number(FlatnessNumber::unresolved_modes).value, 0.1);
  for (std::size_t i = 0; i < twice.cell().components.size(); ++i)
    if (const Estimate ratio = variance_ratio(enforced, twice, i); ratio.count >= 6) {
      EXPECT_LT(std::fabs(ratio.value - 1), 0.1 + 4 * ratio.se) << i;
    }
  // The planted fault.
  const Estimate flattest = variance_ratio(ignored, twice, twice.cell().components.size() - 1);
  EXPECT_GT(flattest.value - 4 * flattest.se, 1.2);
  const Index boundary = twice.cell().replica(3, ReplicaNumber::ratio);
  EXPECT_GT(ignored.rows().mean(boundary).value, 1.2 * twice.rows().mean(boundary).value);
}

}  // namespace
}  // namespace widelab::experiments
