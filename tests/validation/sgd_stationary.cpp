// The experiment `sgd-stationary` against the exact second-moment closure, and planted faults of that closure.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>

#include "host/estimators/hill.hpp"
#include "host/estimators/joint_test.hpp"
#include "host/experiments/experiments.hpp"
#include "host/experiments/run.hpp"
#include "host/experiments/stationary_prediction.hpp"

namespace widelab::experiments {
namespace {

constexpr double kFalseAlarm = 1e-3;

/// Chains of a recipe's only cell.
class Chains {
 public:
  explicit Chains(const std::vector<std::string>& settings)
      : recipe_(io::Recipe::parse("schema = 1\nexperiment = \"sgd-stationary\"\n", "test", sgd_stationary().schema(),
                                  with_defaults(settings))),
        setup_(make_run_setup(recipe_, 1e9, false)),
        cell_(make_stationary_cell(setup_, setup_.sweep.cells.front())) {
    const auto backend = runtime::make_backend("cpu");
    const SampleTask task = stationary_task(cell_, *backend);
    rows_ = {task.replicates, task.numbers, {}};
    rows_.values.resize(static_cast<std::size_t>(task.replicates * task.numbers));
    task.measure(0, task.replicates, rows_.values.data());
  }

  const StationaryCell& cell() const { return cell_; }
  const Samples& rows() const { return rows_; }

  /// Whether a cell's law, changed by `fault`, agrees with the chains: all entries of the covariance jointly.
  bool agrees(const std::function<void(theory::RegressionSgd&)>& fault = {}) const {
    StationaryCell other = cell_;
    if (fault) fault(other.regression.sgd);
    return agree(predict_stationary(other).numbers, cell_.product(0, 0), cell_.product(cell_.dimension(), 0));
  }
  /// The same for other columns of the row.
  bool agree(const std::vector<double>& predicted, Index first, Index last) const {
    estimators::GroupSample sample = rows_.groups(), part;
    part.groups = sample.groups;
    part.counts = sample.counts;
    part.entries = last - first;
    for (Index g = 0; g < sample.groups; ++g)
      for (Index k = first; k < last; ++k) part.values.push_back(sample.at(g, k));
    return estimators::joint_test(part, {predicted.data() + first, predicted.data() + last}, {.rounding = 1e-12})
        .consistent(kFalseAlarm);
  }

 private:
  static std::vector<std::string> with_defaults(const std::vector<std::string>& settings) {
    std::vector<std::string> all{
        "model.activation=identity", "model.width=4",      "model.sigma_w=[1.0]",   "model.train_layers=[false, true]",
        "data.dimension=4",          "data.examples=32",   "data.target.noise=0.5", "train.reduction=mean",
        "train.precision=fp64",      "train.order=iid",    "train.optimiser=sgd",   "train.batch=4",
        "train.learning_rate=0.2",   "train.steps=400",    "chain.burn_in=150",     "chain.lags=[0, 1, 5]",
        "seeds.replicates=400",      "train.momentum=0.8", "observe.count=6"};
    all.insert(all.end(), settings.begin(), settings.end());
    return all;
  }

  io::Recipe recipe_;
  RunSetup setup_;
  StationaryCell cell_;
  Samples rows_;
};

TEST(SgdStationary, EqualsTheClosureAndNotItsFaults) {
  const Chains chains({});
  EXPECT_TRUE(chains.agrees());
  EXPECT_FALSE(chains.agrees([](theory::RegressionSgd& sgd) { sgd.batch *= 2; }));
  EXPECT_FALSE(chains.agrees([](theory::RegressionSgd& sgd) { sgd.training.learning_rate /= 2; }));
  EXPECT_FALSE(
      chains.agrees([](theory::RegressionSgd& sgd) { sgd.sampling = theory::BatchSampling::without_replacement; }));
  // Noise that is frozen at the minimum is an approximation, and seen as one.
  const StationaryPrediction predicted = predict_stationary(chains.cell());
  std::vector<double> frozen = predicted.numbers;
  for (Index i = 0; i < chains.cell().dimension(); ++i)
    frozen[static_cast<std::size_t>(chains.cell().product(i, i))] =
        predicted.frozen_variance[static_cast<std::size_t>(i)];
  EXPECT_FALSE(chains.agree(frozen, chains.cell().product(0, 0), chains.cell().product(chains.cell().dimension(), 0)));
}

TEST(SgdStationary, MeansCorrelationsAndTransientsAgree) {
  const Chains chains({});
  const StationaryCell& cell = chains.cell();
  const std::vector<double> numbers = predict_stationary(cell).numbers;
  EXPECT_TRUE(chains.agree(numbers, cell.mean(0), cell.mean(cell.dimension())));
  EXPECT_TRUE(chains.agree(numbers, cell.along(0), cell.along(cell.lags.size())));
  EXPECT_TRUE(chains.agree(numbers, cell.excess_at(1), cell.excess_at(cell.observed.size())));
  std::vector<double> shifted = numbers;  // the planted fault: correlations one step late
  shifted[static_cast<std::size_t>(cell.along(1))] = numbers[static_cast<std::size_t>(cell.along(0))];
  EXPECT_FALSE(chains.agree(shifted, cell.along(0), cell.along(cell.lags.size())));
}

TEST(SgdStationary, EveryRuleAndConventionEqualsItsClosure) {
  for (const std::vector<std::string>& settings : std::vector<std::vector<std::string>>{
           {"train.optimiser=heavy-ball", "train.learning_rate=0.05"},
           {"train.optimiser=nesterov", "train.learning_rate=0.05"},
           {"train.order=fresh", "train.batch=8"},
           {"train.weight_decay=0.1"},
           {"train.label_noise=0.7"},
           {"train.loss=squared", "train.reduction=sum", "train.learning_rate=0.025", "train.weight_decay=0.4"},
           {"train.optimiser=langevin", "train.temperature=0.05", "train.learning_rate=0.1"},
           {"train.optimiser=sgld", "train.temperature=0.05", "train.learning_rate=0.2"},
           {"model.activation=relu", "model.width=5"}}) {
    const Chains chains(settings);
    EXPECT_TRUE(chains.agrees()) << settings.front();
  }
}

TEST(SgdStationary, StreamsEqualTheOnlineClosureAndNotItsFaults) {
  const auto with = [&](std::vector<std::string> more, int chains) {
    more.insert(more.begin(), {"train.order=online", "data.law=gaussian"});
    more.push_back("seeds.replicates=" + std::to_string(chains));
    return more;
  };
  // Fewer features than inputs: what they cannot express is noise. Label noise; sums instead of means.
  for (const std::vector<std::string>& settings :
       std::vector<std::vector<std::string>>{{"train.learning_rate=0.2"},
                                             {"model.width=3", "train.learning_rate=0.2"},
                                             {"train.label_noise=0.7", "data.spectrum=power-law"},
                                             {"train.reduction=sum", "train.learning_rate=0.05", "model.depth=2",
                                              "model.train_layers=[false, false, true]"}})
    EXPECT_TRUE(Chains(with(settings, 150)).agrees()) << settings.front();
  const Chains chains(with({}, 400));
  const StationaryCell& cell = chains.cell();
  const std::vector<double> numbers = predict_stationary(cell).numbers;
  EXPECT_TRUE(chains.agree(numbers, cell.along(0), cell.along(cell.lags.size())));
  EXPECT_TRUE(chains.agree(numbers, cell.excess_at(1), cell.excess_at(cell.observed.size())));
  EXPECT_FALSE(chains.agrees([](theory::RegressionSgd& sgd) { sgd.batch *= 2; }));
  EXPECT_FALSE(chains.agrees([](theory::RegressionSgd& sgd) { sgd.training.learning_rate /= 2; }));
  // The planted fault: 32 examples over and over are no stream.
  const Chains set({"data.law=gaussian"});
  EXPECT_FALSE(set.agree(numbers, cell.product(0, 0), cell.product(cell.dimension(), 0)));
}

TEST(SgdStationary, StreamsOfHeavyTailsAreNotJudged) {
  const auto at = [](double rate) {
    return predict_stationary(
        Chains({"train.order=online", "data.law=gaussian", "data.spectrum=power-law", "seeds.replicates=2",
                "train.steps=200", "chain.lags=[0]", "train.learning_rate=" + std::to_string(rate)})
            .cell());
  };
  const StationaryPrediction light = at(0.02);
  EXPECT_GT(light.least_tail_exponent, 4);
  EXPECT_TRUE(std::isnan(light.tail_exponent));  // unequal variances
  // Inside the edge of its own closure, and beyond that of isotropic inputs of the largest variance.
  const StationaryPrediction heavy = at(0.95 * light.critical_learning_rate);
  EXPECT_TRUE(heavy.stable());
  EXPECT_LT(heavy.least_tail_exponent, 2);
}

/// Largest distance of means, products and excess losses from their prediction, in standard errors of both.
double largest_z(const Chains& chains, const StationaryPrediction& predicted) {
  const StationaryCell& cell = chains.cell();
  double worst = 0;
  const auto look = [&](Index first, Index last) {
    for (Index k = first; k < last; ++k) {
      const estimators::Estimate seen = chains.rows().mean(k);
      const auto at = static_cast<std::size_t>(k);
      worst =
          std::max(worst, std::fabs(seen.value - predicted.numbers[at]) / std::hypot(seen.se, predicted.errors[at]));
    }
  };
  look(cell.excess_at(1), cell.excess_at(cell.observed.size()));
  look(cell.mean(0), cell.product(cell.dimension(), 0));
  look(cell.excess(), cell.numbers());
  return worst;
}

TEST(SgdStationary, ShuffledEpochsEqualTheMapOfAnEpoch) {
  for (const std::vector<std::string>& rule :
       std::vector<std::vector<std::string>>{{"train.learning_rate=0.2"},
                                             {"train.learning_rate=0.2", "train.weight_decay=0.1"},
                                             {"train.learning_rate=0.05", "train.optimiser=heavy-ball"}}) {
    std::vector<std::string> settings{"train.order=epochs", "chain.burn_in=160"};
    settings.insert(settings.end(), rule.begin(), rule.end());
    const Chains chains(settings);
    const StationaryPrediction predicted = predict_stationary(chains.cell());
    EXPECT_LT(largest_z(chains, predicted), 4.5) << rule.back();  // 20 entries, correlated: p < 2e-4
    // The planted fault: independent batches without replacement.
    StationaryCell fresh = chains.cell();
    fresh.training.train.rule.order = OrderKind::fresh;
    EXPECT_GT(largest_z(chains, predict_stationary(fresh)), 10) << rule.back();
  }
}

/// Chains in one direction, batches of one example, at a share of the critical learning rate.
Chains one_direction(double share) {
  const std::vector<std::string> settings{"data.law=gaussian",   "model.width=1",   "data.dimension=1", "train.batch=1",
                                          "chain.tail_times=50", "train.steps=300", "chain.burn_in=200"};
  const auto with = [&](const std::string& rate, const std::string& replicates) {
    std::vector<std::string> all = settings;
    all.insert(all.end(), {rate, replicates});
    return Chains(all);
  };
  const Chains any = with("train.learning_rate=0.1", "seeds.replicates=2");
  const double rate = share * predict_stationary(any.cell()).critical_learning_rate;
  return with("train.learning_rate=" + std::to_string(rate), "seeds.replicates=2000");
}

// The tail is a power law, beyond the edge of mean-square stability (exponent 2) as well.
TEST(SgdStationary, TailsHaveKestensExponent) {
  for (const double share : {0.8, 1.1}) {
    const Chains chains = one_direction(share);
    const StationaryCell& cell = chains.cell();
    std::vector<double> distances;
    for (Index r = 0; r < chains.rows().replicates; ++r)
      for (Index t = 0; t < cell.tail_times; ++t) distances.push_back(chains.rows().at(r, cell.distance(t)));
    const estimators::Estimate seen =
        estimators::tail_exponent(distances, static_cast<std::size_t>(cell.tail_times), 0.003);
    const double exponent = predict_stationary(cell).tail_exponent;
    EXPECT_LT(std::fabs(seen.value - exponent), 4 * seen.se) << share;
    // The planted fault: three quarters of the learning rate.
    StationaryCell slower = cell;
    slower.regression.sgd.training.learning_rate *= 0.75;
    EXPECT_GT(std::fabs(seen.value - predict_stationary(slower).tail_exponent), 4 * seen.se) << share;
    std::printf("  %g of the critical learning rate: Hill %.3f +- %.3f, Kesten %.3f\n", share, seen.value, seen.se,
                exponent);
  }
}

TEST(SgdStationary, MomentumInAnotherFormIsSeen) {
  const Chains chains({"train.optimiser=heavy-ball", "train.learning_rate=0.05"});
  EXPECT_FALSE(chains.agrees([](theory::RegressionSgd& sgd) { sgd.training.rule = theory::LinearRule::nesterov; }));
  // v scaled by 1 - mu, as other libraries have it.
  EXPECT_FALSE(chains.agrees([](theory::RegressionSgd& sgd) { sgd.training.learning_rate *= 1 - 0.8; }));
}

}  // namespace
}  // namespace widelab::experiments
