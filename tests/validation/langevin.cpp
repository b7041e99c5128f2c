// The experiment `langevin` against the exact law of a readout at finite steps, the Gibbs law of small ones and the
// posterior of wide networks, and planted faults of each.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "host/estimators/joint_test.hpp"
#include "host/estimators/zero_limit_fit.hpp"
#include "host/experiments/experiments.hpp"
#include "host/experiments/langevin_summary.hpp"
#include "host/experiments/run.hpp"

namespace widelab::experiments {
namespace {

constexpr double kFalseAlarm = 1e-3;

/// Chains of a recipe's only cell.
class Chains {
 public:
  explicit Chains(const std::vector<std::string>& settings)
      : recipe_(io::Recipe::parse("schema = 1\nexperiment = \"langevin\"\n", "test", langevin().schema(), settings)),
        setup_(make_run_setup(recipe_, 1e9, false)),
        cell_(make_langevin_cell(setup_, setup_.sweep.cells.front())),
        predicted_(predict_langevin(cell_)) {
    const auto backend = runtime::make_backend("cpu");
    const SampleTask task = langevin_task(cell_, *backend);
    rows_ = {task.replicates, task.numbers, {}};
    rows_.values.resize(static_cast<std::size_t>(task.replicates * task.numbers));
    task.measure(0, task.replicates, rows_.values.data());
  }

  const LangevinCell& cell() const { return cell_; }
  const LangevinPrediction& predicted() const { return predicted_; }
  LangevinChains measured() const { return {cell_, predicted_, rows_}; }

  /// Whether the law of a readout at a step size, changed by `fault`, agrees: means and variances at all points.
  bool agrees(const std::function<void(LangevinCell&)>& fault = {}) const {
    LangevinCell other = cell_;
    if (fault) fault(other);
    return agrees_with(predict_langevin(other).step);
  }
  bool agrees_with(const PosteriorMoments& law) const {
    std::vector<double> expected;
    for (std::size_t p = 0; p < law.mean.size(); ++p) expected.push_back(law.mean[p] - predicted_.gibbs.mean[p]);
    for (std::size_t p = 0; p < law.mean.size(); ++p) expected.push_back(law.variance[p] + expected[p] * expected[p]);
    return estimators::joint_test(measured().about_gibbs_mean(), expected, {.rounding = 1e-12}).consistent(kFalseAlarm);
  }

 private:
  io::Recipe recipe_;
  RunSetup setup_;
  LangevinCell cell_;
  LangevinPrediction predicted_;
  Samples rows_;
};

std::vector<std::string> with(std::vector<std::string> base, const std::vector<std::string>& more) {
  base.insert(base.end(), more.begin(), more.end());
  return base;
}

const std::vector<std::string> kReadout{"model.width=4",
                                        "model.activation=erf",
                                        "model.train_layers=[false, true]",
                                        "data.examples=8",
                                        "data.test_examples=3",
                                        "data.target.noise=0.3",
                                        "train.temperature=0.8",
                                        "train.reduction=dataset-sum",
                                        "train.order=fresh",
                                        "train.precision=fp64",
                                        "train.steps=1000",
                                        "train.learning_rate=0.05",
                                        "chain.burn_in=200",
                                        "chain.thin=2",
                                        "seeds.replicates=200"};

TEST(Langevin, ReadoutsHaveTheLawOfTheirStepAndNotTheGibbsLaw) {
  const Chains chains(kReadout);
  EXPECT_TRUE(chains.agrees());
  EXPECT_FALSE(chains.agrees_with(chains.predicted().gibbs));  // the step's bias left out
  EXPECT_FALSE(chains.agrees([](LangevinCell& cell) { cell.readout->sgd.injected_noise /= 2; }));
  // sgld's halved rate taken for langevin's.
  EXPECT_FALSE(chains.agrees([](LangevinCell& cell) { cell.readout->sgd.training.learning_rate /= 2; }));
}

TEST(Langevin, MinibatchesAndBothRulesAgree) {
  for (const std::vector<std::string>& settings : std::vector<std::vector<std::string>>{
           {"train.batch=2"},
           {"train.batch=2", "train.order=iid", "train.optimiser=sgld"},
           {"train.optimiser=sgld", "train.learning_rate=0.08"},
           {"chain.prior=weight-decay", "train.weight_decay=0.5", "train.reduction=mean", "train.loss=squared",
            "train.temperature=0.1", "train.learning_rate=0.1"}}) {
    const Chains chains(with(kReadout, settings));
    EXPECT_TRUE(chains.agrees()) << settings.front();
  }
  const Chains noisy(with(kReadout, {"train.batch=2"}));
  EXPECT_FALSE(noisy.agrees([](LangevinCell& cell) { cell.readout->sgd.batch = 8; }));  // gradient noise left out
}

TEST(Langevin, TheMeanOfAChainIsWorthWhatItsCorrelationsSay) {
  const Chains chains(kReadout);
  const LangevinChains measured = chains.measured();
  double worst = 0, naive = 0;
  for (Index p = 0; p < chains.cell().points(); ++p) {
    const estimators::Estimate time = measured.log_autocorrelation_time(p);
    const double exact = chains.predicted().autocorrelation_time[static_cast<std::size_t>(p)];
    worst = std::max(worst, std::fabs(time.value - std::log(exact)) / time.se);
    naive = std::max(naive, std::fabs(time.value) / time.se);  // the planted fault: independent draws
    const estimators::Estimate size = measured.effective_size(p);
    // A finite chain's own mean and truncation hide some tau / n of tau: 10 of n / tau x tau / n draws.
    const auto draws = static_cast<double>(chains.cell().draws());
    EXPECT_NEAR(size.value, draws / exact, 4 * size.se + 10);
    // Stationary chains of one law: their finite length is all that R-hat sees.
    const estimators::Estimate rhat = measured.rhat(p);
    EXPECT_NEAR(rhat.value, 1 + (exact - 1) / draws, 4 * rhat.se + (exact / draws) * (exact / draws));
  }
  EXPECT_LT(worst, 4);
  EXPECT_GT(naive, 4);
}

/// Ratios to the Gibbs law at several step sizes, and at none.
struct Ratios {
  estimators::StepCurve spread, loss, virial;

  explicit Ratios(const std::vector<std::string>& settings, const std::vector<double>& rates) {
    for (const double rate : rates) {
      const Chains chains(with(settings, {"train.learning_rate=" + std::to_string(rate)}));
      const LangevinChains measured = chains.measured();
      add(spread, rate, measured.variance_ratio());
      add(loss, rate, measured.loss_ratio());
      add(virial, rate, measured.mean(chains.cell().virial()));
    }
  }
  static void add(estimators::StepCurve& curve, double rate, const estimators::Estimate& value) {
    curve.x.push_back(rate);
    curve.y.push_back(value.value);
    curve.se.push_back(value.se);
  }
  /// Distance from 1 in standard errors: of the largest step's value, and of the limit.
  static double at_largest(const estimators::StepCurve& curve) {
    return std::fabs(curve.y.back() - 1) / curve.se.back();
  }
  static double at_zero(const estimators::StepCurve& curve, int degree) {
    const estimators::ZeroLimit fit = estimators::fit_zero_limit(curve, degree);
    return fit.ok() ? std::fabs(fit.limit.value - 1) / fit.limit.se : INFINITY;
  }
};

TEST(Langevin, ExtrapolatedStepsReachTheGibbsLawAndLargeOnesDoNot) {
  const Ratios ratios(kReadout, {0.02, 0.04, 0.06});
  for (const estimators::StepCurve* curve : {&ratios.spread, &ratios.loss, &ratios.virial}) {
    EXPECT_LT(Ratios::at_zero(*curve, 2), 4);
    EXPECT_GT(Ratios::at_largest(*curve), 4);
  }
}

const std::vector<std::string> kWide{"model.width=8",
                                     "data.examples=5",
                                     "data.test_examples=3",
                                     "train.temperature=0.5",
                                     "train.reduction=dataset-sum",
                                     "train.steps=5000",
                                     "chain.burn_in=700",
                                     "chain.thin=10",
                                     "seeds.replicates=64"};

// f is linear in the readout: E theta.grad U = p T holds in the Gibbs law of a network of any width.
TEST(Langevin, NetworksOfAnyWidthObeyTheVirialOfTheirReadout) {
  const Ratios ratios(kWide, {0.01, 0.02, 0.04});
  EXPECT_LT(Ratios::at_zero(ratios.virial, 1), 4);
  EXPECT_GT(Ratios::at_largest(ratios.virial), 4);
}

TEST(Langevin, WideNetworksApproachTheGaussianPosterior) {
  double before = 0;
  for (const char* width : {"model.width=8", "model.width=64"}) {
    const Chains chains(with(kWide, {width, "train.learning_rate=0.02", "train.steps=3000"}));
    const estimators::Estimate projection = chains.measured().mean_projection();
    const double z = std::fabs(projection.value - 1) / projection.se;
    if (before == 0) {
      EXPECT_GT(z, 4) << "narrow networks are no Gaussian process";
    } else {
      // c / n of the narrow networks, with the next order of the same size as the first at n = 8.
      EXPECT_LT(std::fabs(projection.value - 1), before / 8 * 2 + 4 * projection.se);
      // The planted fault: twice the noise in K (K + T)^-1 y.
      const LangevinCell& cell = chains.cell();
      LangevinCell other = cell;
      other.target.curvature /= 2;
      const PosteriorMoments wrong = predict_langevin(other).gibbs;
      double along = 0, norm = 0;
      for (std::size_t p = 0; p < wrong.mean.size(); ++p) {
        along += wrong.mean[p] * chains.predicted().gibbs.mean[p];
        norm += chains.predicted().gibbs.mean[p] * chains.predicted().gibbs.mean[p];
      }
      EXPECT_GT(std::fabs(projection.value - along / norm), before / 8 * 2 + 4 * projection.se);
    }
    before = std::fabs(projection.value - 1);
  }
}

}  // namespace
}  // namespace widelab::experiments
