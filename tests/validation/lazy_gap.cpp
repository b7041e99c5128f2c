// Numbers of the experiment `lazy-gap`: overlaps and escapes that are known, risks of regressions against their
// deterministic equivalent, and the distance of a network from its linearisation in the lazy limit.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "host/experiments/experiments.hpp"
#include "host/experiments/lazy_gap_regression.hpp"
#include "host/experiments/lazy_gap_statistics.hpp"
#include "host/experiments/run.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::experiments {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A recipe with its only cell.
class Fixed {
 public:
  explicit Fixed(const std::vector<std::string>& settings)
      : recipe_(io::Recipe::parse("schema = 1\nexperiment = \"lazy-gap\"\n", "test", lazy_gap().schema(), settings)),
        setup_(make_run_setup(recipe_, 1e9, false)) {}
  Fixed(const Fixed&) = delete;

  GapCell cell() const { return make_gap_cell(setup_, at()); }
  Samples regressions() const {
    const auto backend = runtime::make_backend("cpu");
    const SampleTask task =
        gap_regression_task(setup_, at(), cell(), [&](const RidgePathProblem& one) { backend->ridge_path(one); });
    Samples rows{task.replicates, task.numbers, {}};
    rows.values.resize(static_cast<std::size_t>(task.replicates * task.numbers));
    task.measure(0, task.replicates, rows.values.data());
    return rows;
  }
  estimators::SampleSink networks() const {
    const auto backend = runtime::make_backend("cpu");
    const auto job = make_gap_training(setup_, at(), cell(), *backend);
    job->advance(job->target());
    return read_gap(cell(), job->state());
  }

 private:
  const io::Cell& at() const { return setup_.sweep.cells.front(); }

  io::Recipe recipe_;
  RunSetup setup_;
};

std::vector<std::string> with(std::vector<std::string> settings, const std::vector<std::string>& more) {
  settings.insert(settings.end(), more.begin(), more.end());
  return settings;
}

const std::vector<std::string> kSmall{"model.width=6",      "data.dimension=5",     "data.examples=8",
                                      "train.steps=40",     "train.batch=4",        "data.test_examples=10",
                                      "seeds.replicates=4", "observe.spacing=list", "observe.steps=[0, 3, 10, 40]"};

/// The numbers of a network that has the direction as the weights of neuron 2, or something else.
std::vector<double> overlaps_of(const GapCell& cell, const std::vector<double>& weights) {
  std::vector<double> parameters(static_cast<std::size_t>(ParamLayout(cell.training.network().shape).size), 0.3);
  std::copy(weights.begin(), weights.end(), parameters.begin() + 2 * cell.test().dimension);
  engine::MemberView view;
  view.parameters = parameters;
  const auto& observer = cell.training.spec.observers.front();
  std::vector<double> out(static_cast<std::size_t>(observer->entries()));
  observer->observe(view, out);
  return out;
}

TEST(LazyGap, APlantedNeuronHasOverlapOne) {
  const GapCell cell = Fixed(kSmall).cell();
  std::vector<double> planted = cell.hidden.directions;
  for (double& w : planted) w *= -7;
  EXPECT_NEAR(overlaps_of(cell, planted)[static_cast<std::size_t>(cell.largest(0))], 1, 1e-12);
  std::rotate(planted.begin(), planted.begin() + 1, planted.end());
  EXPECT_LT(overlaps_of(cell, planted)[static_cast<std::size_t>(cell.largest(0))], 0.99);
}

TEST(LazyGap, ChanceOverlapIsTheClosedFormWhereThereIsOne) {
  EXPECT_NEAR(mean_largest_cosine(1, 2), 2 / std::numbers::pi, 1e-7);
  for (const Index n : {1, 2, 5, 40}) {
    const auto count = static_cast<double>(n);
    EXPECT_NEAR(mean_largest_cosine(n, 3), count / (count + 1), 1e-7) << "|cos| is uniform in three dimensions";
  }
  EXPECT_NEAR(mean_largest_cosine(1, 32), std::exp(std::lgamma(16.0) - std::lgamma(16.5)) / std::sqrt(std::numbers::pi),
              1e-7);
}

TEST(LazyGap, EscapesAreFirstPassagesAndCensoredOnesStayCensored) {
  const GapCell cell = Fixed(kSmall).cell();
  const std::vector<std::vector<double>> paths{
      {0.2, 0.3, 0.8, 0.9}, {0.2, 0.9, 0.1, 0.9}, {0.2, 0.3, 0.4, 0.5}, {0.9, 0.9, 0.9, 0.9}};
  estimators::SampleSink sink(cell.numbers(), 4);
  for (std::size_t r = 0; r < paths.size(); ++r) {
    std::vector<double> values(static_cast<std::size_t>(4 * cell.numbers()), 0.0);
    for (std::size_t t = 0; t < 4; ++t) values[t * static_cast<std::size_t>(cell.numbers()) + 1] = paths[r][t];
    sink.add({static_cast<std::uint32_t>(r), {}, values});
  }
  const std::vector<double> steps = escape_steps(cell, sink);
  EXPECT_EQ(steps, (std::vector<double>{10, 3, kInfinity, 0}));
  EXPECT_EQ(escaped_share(steps, 3).value, 0.5);
  EXPECT_EQ(escaped_share(steps, 40).value, 0.75);
  EXPECT_GT(escaped_share({0, 0}, 0).se, 0);
  EXPECT_EQ(escape_quantile(steps, 0.5, 1).value, 3);
  EXPECT_EQ(escape_quantile(steps, 0.75, 1).value, 10);
  EXPECT_EQ(escape_quantile(steps, 0.75, 1).high, kInfinity);
  EXPECT_EQ(escape_quantile({5, kInfinity, kInfinity}, 0.5, 1).value, kInfinity);
}

TEST(LazyGap, IntervalsOfEscapeQuantilesCoverAndNarrowOnesDoNot) {
  // Quantile 1/4 of 101 values: the rank is binomial, so that two standard deviations, rounded outwards, cover 95 %.
  std::uint64_t state = 12345;
  const auto uniform = [&state] {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<double>(state >> 11) * 0x1p-53;
  };
  int covered = 0, by_narrow = 0;
  constexpr int kTrials = 1000;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> values;
    for (int k = 0; k < 101; ++k) values.push_back(uniform());
    const EscapeQuantile wide = escape_quantile(values, 0.25, 1.96), narrow = escape_quantile(values, 0.25, 0.5);
    covered += wide.low <= 0.25 && 0.25 <= wide.high ? 1 : 0;
    by_narrow += narrow.low <= 0.25 && 0.25 <= narrow.high ? 1 : 0;
  }
  // Four standard deviations of a binomial (1000, 0.95) below it.
  EXPECT_GT(covered, 950 - 4 * std::sqrt(1000 * 0.95 * 0.05));
  EXPECT_LT(by_narrow, 950 - 4 * std::sqrt(1000 * 0.95 * 0.05));
}

TEST(LazyGap, RisksAreThoseOfHandNumbersAndAConstantHasRiskOne) {
  data::Dataset test;
  test.examples = 4;
  test.outputs = 1;
  test.targets = {1, -1, 3, -3};
  const std::vector<double> zero(4, 0.0), right = test.targets, half{0.5, -0.5, 1.5, -1.5};
  EXPECT_EQ(test_variance(test), 5);
  EXPECT_EQ(normalised_risk({zero.data(), zero.data()}, test).value, 1);
  EXPECT_EQ(normalised_risk({zero.data(), zero.data()}, test).se, 0);
  EXPECT_EQ(normalised_risk({half.data(), half.data()}, test).value, 0.25);
  const estimators::Estimate mixed = normalised_risk({zero.data(), right.data()}, test);
  EXPECT_EQ(mixed.value, 0.5);
  EXPECT_NEAR(mixed.se, 0.5, 1e-12);  // of two networks with risks 0 and 1; every example has half of its square
  EXPECT_FALSE(normalised_risk({zero.data()}, test).defined());
}

const std::vector<std::string> kRegression{
    "model.width=96", "data.dimension=12",   "data.examples=200",     "gap.regressions=48", "data.test_examples=2000",
    "gap.ridge=0.3",  "model.sigma_w=[1.3]", "data.target.noise=0.2", "seeds.replicates=2", "observe.count=2"};

double z_of(const Fixed& measured, const Fixed& predicted) {
  const Samples rows = measured.regressions();
  std::vector<const double*> outputs;
  for (Index r = 0; r < rows.replicates; ++r) outputs.push_back(rows.values.data() + r * rows.numbers + 1);
  const estimators::Estimate risk = normalised_risk(outputs, measured.cell().test());
  return (risk.value - predicted_regression_risk(predicted.cell())) / risk.se;
}

TEST(LazyGap, RandomFeaturesHaveTheRiskOfTheDeterministicEquivalent) {
  const std::string random = "gap.learner=random-features";
  for (const char* link : {"hermite(1)", "hermite(2)", "hermite-series(0,0.7,0.5,0,0.5)"}) {
    const std::vector<std::string> settings =
        with(kRegression, {random, std::string("data.target.link=\"") + link + "\""});
    EXPECT_LT(std::fabs(z_of(Fixed(settings), Fixed(settings))), 3.5) << link;
  }
  // Wrong target, ridge, gain, number of examples, noise.
  const Fixed measured(with(kRegression, {random, "data.target.link=hermite(1)"}));
  for (const char* fault : {"data.target.link=hermite(2)", "gap.ridge=3.0", "model.sigma_w=[0.3]", "data.examples=150",
                            "data.target.noise=0.4"}) {
    const Fixed wrong(with(kRegression, {random, "data.target.link=hermite(1)", fault}));
    EXPECT_GT(std::fabs(z_of(measured, wrong)), 5) << fault;
  }
}

TEST(LazyGap, RegressionsOnlineSeeTheExamplesOfTheStream) {
  const std::vector<std::string> settings =
      with(kRegression, {"gap.learner=random-features", "train.order=online", "train.batch=20", "train.steps=10"});
  EXPECT_EQ(Fixed(settings).cell().regression_examples, 200);
  EXPECT_LT(std::fabs(z_of(Fixed(settings), Fixed(settings))), 3.5);
}

TEST(LazyGap, WithoutAKnownSpectrumThereIsNoPrediction) {
  const std::vector<std::string> settings = with(kRegression, {"gap.learner=random-features"});
  EXPECT_TRUE(std::isfinite(predicted_regression_risk(Fixed(settings).cell())));
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"data.law=gaussian", "data.target.kind=hermite"},
        {"model.sigma_b=1.0"},
        {"model.activation=erf"}})
    EXPECT_TRUE(std::isnan(predicted_regression_risk(Fixed(with(settings, more)).cell()))) << more.front();
}

/// Slope of the mean squared distance between networks and linearisations between two values of gamma0.
estimators::Estimate slope(const std::vector<std::string>& more) {
  std::vector<Samples> found;
  for (const char* richness : {"0.01", "0.02"}) {
    const std::vector<std::string> settings =
        with(kSmall, with({"train.precision=fp64", "model.parametrization=ntk", "model.width=24", "seeds.replicates=16",
                           "train.reduction=mean", "data.test_examples=200", std::string("model.richness=") + richness},
                          more));
    const Fixed network(settings), linearised(with(settings, {"gap.learner=linearised"}));
    found.push_back(distances(network.cell(), network.networks(), linearised.networks()));
  }
  return log_slopes(found[0], found[1], 2).mean(found[0].numbers - 1);
}

TEST(LazyGap, InTheLazyLimitTheSquaredDistanceGrowsAsRichnessSquaredOrWithKinksAsRichness) {
  EXPECT_EQ(lazy_slope(Gelu{}), 2);
  EXPECT_EQ(lazy_slope(Relu{}), 1);
  const estimators::Estimate uncentred = slope({"model.activation=gelu", "gap.centred=false"});
  EXPECT_GT(std::fabs(uncentred.value - 2), 0.05 + 4 * uncentred.se) << "outputs at the start grow as 1 / gamma0";
  for (const char* order : {"train.order=iid", "train.order=online"}) {
    // The next order is a relative O(gamma0), a few hundredths here.
    const estimators::Estimate smooth = slope({order, "model.activation=gelu"});
    EXPECT_NEAR(smooth.value, 2, 0.05 + 4 * smooth.se) << order;
    const estimators::Estimate kinked = slope({order, "model.activation=relu"});
    EXPECT_NEAR(kinked.value, 1, 0.05 + 4 * kinked.se) << order;
    EXPECT_GT(std::fabs(kinked.value - 2), 0.05 + 4 * kinked.se) << "kinks are seen";
  }
}

TEST(LazyGap, NetworksHaveExamplesOfTheirOwnAndCommonDirections) {
  const std::vector<std::string> online = with(kSmall, {"train.order=online"});
  const GapCell cell = Fixed(online).cell();
  const engine::TrainSet first = cell.training.spec.online(0, 0, 160), next = cell.training.spec.online(1, 0, 160);
  EXPECT_EQ(cell.training.spec.online(0, 100, 60).targets,
            std::vector<double>(first.targets.begin() + 100, first.targets.end()));
  for (const double y : first.targets) {
    EXPECT_EQ(std::count(next.targets.begin(), next.targets.end(), y), 0);
    EXPECT_EQ(std::count(cell.test().targets.begin(), cell.test().targets.end(), y), 0);
  }
}

}  // namespace
}  // namespace widelab::experiments
