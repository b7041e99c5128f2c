// The deterministic equivalent: reference values, identities between its outputs, limits, planted faults, refusals.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>

#include "host/theory/registry.hpp"
#include "host/theory/spectra.hpp"
#include "tests/unit/feature_regression_golden.hpp"
#include "tests/unit/regression_golden.hpp"
#include "widelab/base/errors.hpp"

namespace widelab {
namespace {

using nlohmann::json;
using test::feature_regression_golden;
using theory::FeatureRegression;
using theory::FeatureSpectrum;
using theory::FlowRisk;
using theory::gradient_flow_risk;
using theory::kInfinitelyManyFeatures;
using theory::regression_risk;
using theory::RegressionRisk;
using theory::RiskTerms;

constexpr double kTolerance = 1e-9;  // of the reference values: 15 digits behind an ill-conditioned fixed point

bool agree(double value, double expected, double tolerance = kTolerance) {
  return std::abs(value - expected) <= tolerance * std::abs(expected);
}

/// Names of the fields of `expected` that `risk` does not reproduce.
std::string wrong_fields(const RegressionRisk& risk, const json& expected) {
  const std::vector<std::pair<std::string, double>> fields{{"nu1", risk.nu1},
                                                           {"nu2", risk.nu2},
                                                           {"df1", risk.df1},
                                                           {"df2", risk.df2},
                                                           {"Upsilon", risk.upsilon},
                                                           {"bias", risk.bias},
                                                           {"var", risk.variance},
                                                           {"excess", risk.excess},
                                                           {"train", risk.train},
                                                           {"norm2", risk.norm2},
                                                           {"ens_inf", risk.ensemble_excess}};
  std::string wrong;
  std::size_t compared = 0;
  for (const auto& [name, value] : fields) {
    if (!expected.contains(name)) continue;
    ++compared;
    if (!agree(value, expected.at(name).get<double>())) wrong += name + " ";
  }
  return compared == expected.size() ? wrong : "fields that are not compared ";
}

/// Mei and Montanari's ReLU features: n = psi2, p = psi1, ridge = psi2 lambda, one eigenvalue mu_1^2 and a tail mu_*^2.
FeatureRegression mei_montanari(const json& params) {
  FeatureRegression problem;
  problem.examples = params.at("psi2");
  problem.features = params.at("psi1");
  problem.ridge = problem.examples * params.at("lam").get<double>();
  problem.noise_variance = params.at("tau2");
  problem.spectrum.groups = {{0.25, 1.0, params.at("F1sq").get<double>()}};
  problem.spectrum.tail_trace = (std::numbers::pi - 2) / (4 * std::numbers::pi);
  problem.spectrum.tail_power = params.at("Fstar2");
  return problem;
}

FeatureRegression power_law(const json& params) {
  FeatureRegression problem;
  problem.spectrum = theory::power_law_spectrum(params.at("D"), 1.5, 1.0);
  problem.examples = params.at("n");
  problem.features = params.at("p").is_string() ? kInfinitelyManyFeatures : params.at("p").get<double>();
  problem.ridge = params.value("lam", 0.0);
  problem.noise_variance = params.at("sigma2");
  return problem;
}

FeatureRegression two_scale(const json& params) {
  FeatureRegression problem;
  problem.spectrum = theory::grouped_spectrum(params.at("s"), params.at("m"), params.at("b"));
  problem.examples = params.at("n");
  problem.noise_variance = params.at("sigma2");
  return problem;
}

struct Case {
  FeatureRegression problem;
  json expected;
};

std::vector<Case> regression_cases() {
  std::vector<Case> cases;
  for (const json& entry : feature_regression_golden("rf_mei_montanari_full"))
    cases.push_back({mei_montanari(entry.at("params")), entry.at("value")});
  for (const json& entry : feature_regression_golden("rf_powerlaw"))
    cases.push_back({power_law(entry.at("params")), entry.at("value")});
  return cases;
}

std::string describe(const FeatureRegression& problem) {
  return "n = " + std::to_string(problem.examples) + ", p = " + std::to_string(problem.features) +
         ", ridge = " + std::to_string(problem.ridge);
}

/// Spectra with and without tails, null directions and gaps, at sizes and ridges that surround every threshold.
std::vector<FeatureRegression> assorted_problems() {
  FeatureSpectrum gapped = theory::grouped_spectrum({3, 0.5, 1e-3, 0}, {1, 12, 80, 5}, {0.5, 0.3, 0.15, 0.05});
  FeatureSpectrum tailed = gapped, tail_only;
  tailed.tail_trace = 0.7;
  tailed.tail_power = 0.2;
  tail_only.tail_trace = 1.3;
  tail_only.tail_power = 1;
  std::vector<FeatureRegression> problems;
  for (const FeatureSpectrum& spectrum : {gapped, tailed, tail_only, theory::power_law_spectrum(300, 1.5, 1)})
    for (const double n : {7.0, 13.0, 60.0, 200.0})
      for (const double p : {5.0, 40.0, 60.0, 150.0, 1e5, kInfinitelyManyFeatures})
        for (const double ridge : {0.0, 1e-13, 1e-6, 1e-2, 3.0})
          if (ridge > 0 || n != p) problems.push_back({spectrum, n, p, ridge, 0.4});
  return problems;
}

TEST(DeterministicEquivalent, EqualsTheReferences) {
  for (const Case& c : regression_cases())
    EXPECT_EQ(wrong_fields(regression_risk(c.problem), c.expected), "") << describe(c.problem);
}

TEST(DeterministicEquivalent, PlantedFaultsAreRejected) {
  std::size_t ridges = 0;
  for (const Case& c : regression_cases()) {
    FeatureRegression noisy = c.problem, repeated = c.problem, swapped = c.problem;
    noisy.noise_variance *= 2;
    EXPECT_NE(wrong_fields(regression_risk(noisy), c.expected), "") << describe(c.problem);
    repeated.spectrum.groups.back().multiplicity += 1;
    EXPECT_NE(wrong_fields(regression_risk(repeated), c.expected), "") << describe(c.problem);
    swapped.ridge /= std::isinf(swapped.features) ? swapped.examples : swapped.features;
    if (swapped.ridge == c.problem.ridge) continue;  // at ridge 0 and p = 1 the conventions coincide
    EXPECT_NE(wrong_fields(regression_risk(swapped), c.expected), "") << describe(c.problem);
    ++ridges;
  }
  EXPECT_GE(ridges, 18u);
}

TEST(DeterministicEquivalent, TermsAddUpAndAreNotNegative) {
  for (const FeatureRegression& problem : assorted_problems()) {
    const RegressionRisk risk = regression_risk(problem);
    const RiskTerms& t = risk.terms;
    for (const double term : {t.bias2, t.features, t.data, t.features_data, t.data_noise, t.features_data_noise})
      EXPECT_GE(term, 0) << describe(problem);
    EXPECT_TRUE(agree(t.bias2 + t.features + t.data + t.features_data, risk.bias, 1e-12)) << describe(problem);
    EXPECT_TRUE(agree(t.data_noise + t.features_data_noise, risk.variance, 1e-12)) << describe(problem);
    EXPECT_TRUE(agree(t.bias2 + t.data + t.data_noise, risk.ensemble_excess, 1e-12)) << describe(problem);
    EXPECT_NEAR(risk.variance * (1 - risk.upsilon), problem.noise_variance * risk.upsilon,
                1e-14 * (risk.variance + problem.noise_variance))
        << describe(problem);
  }
}

TEST(DeterministicEquivalent, SolvesTheFixedPoint) {
  for (const FeatureRegression& problem : assorted_problems()) {
    if (problem.ridge < 1e-6) continue;  // the product of the factors loses their digits
    const RegressionRisk risk = regression_risk(problem);
    const double by_data = 1 - risk.df1 / problem.examples, by_features = 1 - risk.df1 / problem.features;
    const double rounding = 1e-13 * (1 / by_data + 1 / by_features);
    EXPECT_NEAR(risk.nu2 * by_data * by_features * problem.examples / problem.ridge, 1, rounding) << describe(problem);
    EXPECT_NEAR(risk.nu1 / (risk.nu2 * by_features), 1, rounding) << describe(problem);
  }
}

TEST(DeterministicEquivalent, EnsembleIsKernelRegressionAtTheEffectiveRidge) {
  for (const FeatureRegression& problem : assorted_problems()) {
    const RegressionRisk risk = regression_risk(problem);
    FeatureRegression kernel = problem;
    kernel.features = kInfinitelyManyFeatures;
    kernel.ridge = risk.effective_ridge;
    const RegressionRisk expected = regression_risk(kernel);
    EXPECT_TRUE(agree(risk.ensemble_excess, expected.excess, 1e-10)) << describe(problem);
    EXPECT_TRUE(agree(risk.nu2, expected.nu2, 1e-10) || problem.ridge == 0) << describe(problem);
  }
}

TEST(DeterministicEquivalent, RidgelessEnsemblesAreFlatPastTheThreshold) {
  FeatureRegression problem{theory::power_law_spectrum(500, 1.5, 1), 100, 101, 0, 0.3};
  const RegressionRisk first = regression_risk(problem);
  for (const double p : {130.0, 400.0, 1e6, kInfinitelyManyFeatures}) {
    problem.features = p;
    const RegressionRisk risk = regression_risk(problem);
    EXPECT_TRUE(agree(risk.ensemble_excess, first.ensemble_excess, 1e-13)) << p;
    EXPECT_TRUE(agree(risk.terms.bias2, first.terms.bias2, 1e-13)) << p;
    EXPECT_LT(risk.excess, 0.5 * first.excess) << p;
  }
}

TEST(DeterministicEquivalent, MeansOfNetworksKeepWhatFeaturesDoNotAdd) {
  for (const FeatureRegression& problem : assorted_problems()) {
    const RegressionRisk risk = regression_risk(problem);
    const double drawn = risk.terms.features + risk.terms.features_data + risk.terms.features_data_noise;
    EXPECT_EQ(risk.excess_of_mean(1), risk.excess);
    EXPECT_TRUE(agree(risk.excess_of_mean(4), risk.ensemble_excess + drawn / 4, 1e-12)) << describe(problem);
    if (std::isinf(problem.features)) {
      EXPECT_EQ(drawn, 0);
    }
  }
}

TEST(DeterministicEquivalent, TrainingErrorIsThatOfCrossValidation) {
  for (const FeatureRegression& problem : assorted_problems()) {
    const RegressionRisk risk = regression_risk(problem);
    const double n = problem.examples, p = problem.features, test = risk.excess + problem.noise_variance;
    double left = 0;  // ridge / (n nu_1), the mean of ridge / (ridge + eigenvalue of the kernel matrix)
    if (problem.ridge > 0) left = problem.ridge / (n * risk.nu1);
    if (problem.ridge == 0) left = std::max(0.0, 1 - std::min(p, risk.df1) / n);
    EXPECT_NEAR(risk.train, left * left * test, 1e-11 * left * left * test + 1e-20) << describe(problem);
  }
  FeatureRegression past{theory::power_law_spectrum(100, 1, 1), 20, 30, 0, 0.1};
  EXPECT_EQ(regression_risk(past).train, 0);
}

/// d/d ridge of min_a sum (y - f)^2 + ridge |a|^2 is |a|^2, whatever the spectrum.
TEST(DeterministicEquivalent, NormIsTheSlopeOfTheObjective) {
  const auto objective = [](const FeatureRegression& problem) {
    const RegressionRisk risk = regression_risk(problem);
    return problem.examples * risk.train + problem.ridge * risk.norm2;
  };
  for (const FeatureRegression& problem : assorted_problems()) {
    if (problem.ridge < 1e-2) continue;
    const double step = 1e-4;  // truncation step^2, rounding eps / step of an objective that may exceed the slope
    FeatureRegression more = problem, less = problem;
    more.ridge *= 1 + step;
    less.ridge *= 1 - step;
    const double slope = (objective(more) - objective(less)) / (more.ridge - less.ridge);
    const double rounding = 1e-15 * objective(problem) / (step * problem.ridge);
    EXPECT_NEAR(regression_risk(problem).norm2, slope, 1e-7 * slope + 10 * rounding) << describe(problem);
  }
}

TEST(DeterministicEquivalent, SmallRidgesTendToTheLeastNorm) {
  for (const FeatureRegression& problem : assorted_problems()) {
    if (problem.ridge > 0) continue;
    FeatureRegression small = problem;
    small.ridge = 1e-13;
    const RegressionRisk limit = regression_risk(problem), risk = regression_risk(small);
    EXPECT_TRUE(agree(risk.excess, limit.excess, 1e-8)) << describe(problem);
    EXPECT_TRUE(agree(risk.norm2, limit.norm2, 1e-8)) << describe(problem);
    EXPECT_TRUE(agree(risk.ensemble_excess, limit.ensemble_excess, 1e-8)) << describe(problem);
    EXPECT_NEAR(risk.train, limit.train, 1e-8 * limit.train + 1e-18) << describe(problem);
  }
}

/// Least squares on Gaussian data, n and d large: noise d / (n - d) below the threshold, Hastie et al. 2019 above.
TEST(DeterministicEquivalent, IsotropicLeastSquaresHasTheKnownRisk) {
  FeatureRegression problem{theory::grouped_spectrum({1}, {50}, {2}), 200, kInfinitelyManyFeatures, 0, 0.3};
  EXPECT_TRUE(agree(regression_risk(problem).excess, 0.3 * 50 / 150, 1e-14));
  EXPECT_TRUE(agree(regression_risk(problem).train, 0.3 * 0.75, 1e-14));
  EXPECT_TRUE(agree(regression_risk(problem).norm2, 2 + 0.3 * 50 / 150, 1e-14));
  problem.examples = 20;
  EXPECT_TRUE(agree(regression_risk(problem).bias, 2 * (1 - 20.0 / 50), 1e-13));
  EXPECT_TRUE(agree(regression_risk(problem).variance, 0.3 * 20 / 30, 1e-13));
  EXPECT_TRUE(agree(regression_risk(problem).norm2, 2 * 20.0 / 50 + 0.3 * 20 / 30, 1e-13));
  // 50 features see all 50 directions, n = 200: ordinary least squares, of infinite mean norm
  problem = {theory::grouped_spectrum({1}, {50}, {2}), 200, 50, 0, 0.3};
  EXPECT_TRUE(agree(regression_risk(problem).excess, 0.3 * 50 / 150, 1e-13));
  EXPECT_TRUE(std::isinf(regression_risk(problem).norm2));
}

TEST(DeterministicEquivalent, TailsAreManySmallEigenvalues) {
  const double trace = 0.6, count = 1e9;
  FeatureRegression problem{theory::grouped_spectrum({1, 0.1}, {5, 20}, {0.6, 0.4}), 30, 45, 1e-3, 0.2};
  FeatureRegression explicit_tail = problem;
  problem.spectrum.tail_trace = trace;
  problem.spectrum.tail_power = 0.3;
  explicit_tail.spectrum.groups.push_back({trace / count, count, 0.3});
  const RegressionRisk risk = regression_risk(problem), expected = regression_risk(explicit_tail);
  EXPECT_TRUE(agree(risk.bias, expected.bias, 1e-6));
  EXPECT_TRUE(agree(risk.variance, expected.variance, 1e-6));
  EXPECT_TRUE(agree(risk.norm2, expected.norm2, 1e-6));
  EXPECT_TRUE(agree(risk.train, expected.train, 1e-6));
  EXPECT_TRUE(agree(risk.terms.features_data, expected.terms.features_data, 1e-6));
  problem.ridge = explicit_tail.ridge = 0;
  const FlowRisk flow = gradient_flow_risk(problem, 40), flow_expected = gradient_flow_risk(explicit_tail, 40);
  EXPECT_TRUE(agree(flow.signal, flow_expected.signal, 1e-6));
  EXPECT_TRUE(agree(flow.noise, flow_expected.noise, 1e-6));
  EXPECT_TRUE(agree(flow.ensemble_signal, flow_expected.ensemble_signal, 1e-6));
  EXPECT_TRUE(agree(flow.ensemble_noise, flow_expected.ensemble_noise, 1e-6));
}

struct FlowCase {
  FeatureRegression problem;
  double time;
  std::vector<std::pair<std::string, double>> expected;
};

std::vector<FlowCase> flow_cases() {
  std::vector<FlowCase> cases;
  const auto add = [&](const FeatureRegression& problem, const json& entry) {
    FlowCase& c = cases.emplace_back(FlowCase{problem, entry.at("params").at("t"), {}});
    for (const auto& [name, value] : entry.at("value").items()) c.expected.emplace_back(name, value);
  };
  for (const json& entry : feature_regression_golden("gf_two_scale")) add(two_scale(entry.at("params")), entry);
  for (const json& entry : feature_regression_golden("rf_gradient_flow_powerlaw"))
    add(power_law(entry.at("params")), entry);
  for (const test::IsotropicFlow& entry : test::kIsotropicFlow)  // integrals over Marchenko and Pastur's law
    cases.push_back({{theory::grouped_spectrum({1}, {100 * entry.aspect}, {1}), 100, kInfinitelyManyFeatures, 0, 0.25},
                     entry.time,
                     {{"signal", entry.bias}, {"noise", entry.variance}}});
  return cases;
}

std::string wrong_fields(const FlowRisk& risk, const FlowCase& c) {
  std::string wrong;
  for (const auto& [name, expected] : c.expected) {
    double value = std::numeric_limits<double>::quiet_NaN();
    if (name == "signal") value = risk.signal;
    if (name == "noise") value = risk.noise;
    if (name == "single") value = risk.excess();
    if (name == "ensemble_inf") value = risk.ensemble_excess();
    // a quadrature is accurate relative to where it starts, the power of the target
    const double absolute = 1e-12 * c.problem.spectrum.target_power();
    if (!(std::abs(value - expected) <= kTolerance * std::abs(expected) + absolute)) wrong += name + " ";
  }
  return wrong;
}

TEST(DeterministicFlow, EqualsTheReferences) {
  for (const FlowCase& c : flow_cases())
    EXPECT_EQ(wrong_fields(gradient_flow_risk(c.problem, c.time), c), "") << describe(c.problem) << " t = " << c.time;
}

TEST(DeterministicFlow, PlantedFaultsAreRejected) {
  std::size_t moving = 0;
  for (const FlowCase& c : flow_cases()) {
    const std::string where = describe(c.problem) + " t = " + std::to_string(c.time);
    FeatureRegression noisy = c.problem, repeated = c.problem;
    noisy.noise_variance *= 2;
    EXPECT_NE(wrong_fields(gradient_flow_risk(noisy, c.time), c), "") << where;
    repeated.spectrum.groups.front().multiplicity += 1;
    EXPECT_NE(wrong_fields(gradient_flow_risk(repeated, c.time), c), "") << where;
    if (wrong_fields(gradient_flow_risk(c.problem, 2 * c.time), c).empty()) continue;  // the flow has ended
    EXPECT_NE(wrong_fields(gradient_flow_risk(c.problem, c.time * c.problem.examples), c), "") << where;  // sum loss
    ++moving;
  }
  EXPECT_GE(moving, 30u);  // of 31
}

TEST(DeterministicFlow, StartsAtTheTarget) {
  for (const FeatureRegression& problem : assorted_problems()) {
    if (problem.ridge > 0) continue;
    const double power = problem.spectrum.target_power();
    const FlowRisk start = gradient_flow_risk(problem, 0);
    EXPECT_EQ(start.signal, power);
    EXPECT_EQ(start.ensemble_signal, power);
    EXPECT_EQ(start.noise, 0);
    EXPECT_EQ(start.ensemble_noise, 0);
    // a = t Z^T y / n: noise adds t^2 / n (tr S^2 + (tr S)^2 / p), and only the first to an ensemble
    const double t = 1e-7;
    double square = 0;
    for (const auto& group : problem.spectrum.groups) square += group.multiplicity * std::pow(group.eigenvalue, 2);
    const double trace = problem.spectrum.trace(), scale = problem.noise_variance * t * t / problem.examples;
    const FlowRisk early = gradient_flow_risk(problem, t);
    EXPECT_NEAR(early.signal, power, 1e-5 * power) << describe(problem);
    EXPECT_NEAR(early.noise, scale * (square + trace * trace / problem.features),
                1e-5 * scale * (square + trace * trace / problem.features))
        << describe(problem);
    EXPECT_NEAR(early.ensemble_noise, scale * square, 1e-5 * scale * square + 1e-30) << describe(problem);
  }
}

TEST(DeterministicFlow, EndsAtTheLeastNorm) {
  for (const FeatureRegression& problem : assorted_problems()) {
    if (problem.ridge > 0) continue;
    const RegressionRisk end = regression_risk(problem);
    for (const double t : {1e12, std::numeric_limits<double>::infinity()}) {
      const FlowRisk flow = gradient_flow_risk(problem, t);
      const double rounding = 1e-11 * (problem.spectrum.target_power() + end.excess);
      EXPECT_NEAR(flow.signal, end.bias, rounding) << describe(problem) << " t = " << t;
      EXPECT_NEAR(flow.noise, end.variance, rounding) << describe(problem) << " t = " << t;
      EXPECT_NEAR(flow.ensemble_excess(), end.ensemble_excess, rounding) << describe(problem) << " t = " << t;
    }
  }
}

TEST(DeterministicFlow, ManyFeaturesAreTheirKernel) {
  FeatureRegression problem{theory::power_law_spectrum(100, 1.5, 1), 40, 1e13, 0, 0.2};
  FeatureRegression kernel = problem;
  kernel.features = kInfinitelyManyFeatures;
  const FlowRisk risk = gradient_flow_risk(problem, 100), expected = gradient_flow_risk(kernel, 100);
  EXPECT_TRUE(agree(risk.signal, expected.signal, 1e-10));
  EXPECT_TRUE(agree(risk.noise, expected.noise, 1e-10));
  EXPECT_TRUE(agree(expected.ensemble_signal, expected.signal, 1e-14));
  EXPECT_TRUE(agree(expected.ensemble_noise, expected.noise, 1e-14));
}

/// Risk falls, rises, falls and rises: the two scales are learned, and their noise fitted, one after the other.
TEST(DeterministicFlow, TwoScalesDescendTwice) {
  const FeatureRegression problem{theory::grouped_spectrum({1, 0.01}, {150}, {0.5}), 300, kInfinitelyManyFeatures, 0,
                                  0.3};
  const auto excess = [&](double t) { return gradient_flow_risk(problem, t).excess(); };
  EXPECT_NEAR(excess(1), 0.75372, 5e-6);
  EXPECT_NEAR(excess(10), 1.05667, 5e-6);
  EXPECT_NEAR(excess(300), 0.83307, 5e-6);
  EXPECT_NEAR(excess(3000), 1.63674, 5e-6);
}

std::string refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const RecipeError& error) {
    return error.what();
  }
  return "";
}

TEST(DeterministicEquivalent, RefusesWhatHasNoAnswer) {
  const FeatureRegression good{theory::grouped_spectrum({1, 0.1}, {5, 20}, {0.6, 0.4}), 10, 20, 0, 0.2};
  const auto with = [&](const std::function<void(FeatureRegression&)>& change) {
    FeatureRegression problem = good;
    change(problem);
    return refusal([&] { regression_risk(problem); });
  };
  EXPECT_EQ(with([](FeatureRegression&) {}), "");
  EXPECT_NE(with([](auto& f) { f.features = 10; }).find("infinite"), std::string::npos);
  EXPECT_NE(with([](auto& f) { f.examples = 25, f.features = 40; }).find("infinite"), std::string::npos);
  EXPECT_NE(with([](auto& f) { f.ridge = -1; }).find("ridge"), std::string::npos);
  EXPECT_NE(with([](auto& f) { f.ridge = std::nan(""); }).find("ridge"), std::string::npos);
  EXPECT_NE(with([](auto& f) { f.noise_variance = -1; }).find("noise"), std::string::npos);
  EXPECT_NE(with([](auto& f) { f.examples = 0; }).find("n = 0"), std::string::npos);
  EXPECT_NE(with([](auto& f) { f.examples = kInfinitelyManyFeatures; }).find("finite"), std::string::npos);
  EXPECT_NE(with([](auto& f) { f.features = -3; }).find("p = -3"), std::string::npos);
  EXPECT_NE(with([](auto& f) { f.spectrum.groups[0].eigenvalue = -1; }).find("eigenvalue"), std::string::npos);
  EXPECT_NE(with([](auto& f) { f.spectrum.groups[0].multiplicity = 0; }).find("multiplicity"), std::string::npos);
  EXPECT_NE(with([](auto& f) { f.spectrum.groups.clear(); }).find("no positive eigenvalue"), std::string::npos);
  EXPECT_NE(with([](auto& f) { f.spectrum.tail_power = -1; }).find("tail_power"), std::string::npos);
  EXPECT_NE(refusal([&] { gradient_flow_risk(good, -1); }).find("time"), std::string::npos);
  EXPECT_NE(refusal([&] {
              theory::grouped_spectrum({1, 2, 3}, {1, 2}, {1});
            }).find("multiplicities has 2"),
            std::string::npos);
  FeatureRegression threshold = good;  // a time at which rounding hides what is left of the singularity
  threshold.features = threshold.examples;
  threshold.spectrum.tail_trace = 0.1;
  EXPECT_NE(refusal([&] { gradient_flow_risk(threshold, 1e100); }).find("shorter time"), std::string::npos);
  FeatureRegression ridged = good;
  ridged.ridge = 1;
  EXPECT_NE(refusal([&] { gradient_flow_risk(ridged, 1); }).find("ridge"), std::string::npos);
}

TEST(FeatureLaws, TakeListsSeparatedByColons) {
  const auto values = [](const std::string& law, const std::vector<std::string>& arguments) {
    return json::parse(theory::evaluate_json(law, arguments)).at("points").at(0).at("values");
  };
  const FeatureRegression problem{theory::grouped_spectrum({1, 0.01}, {150}, {0.4, 0.6}), 300, 200, 0.5, 0.3};
  std::vector<std::string> arguments{"eigenvalues=1:0.01", "multiplicities=150", "powers=0.4:0.6", "n=300", "p=200",
                                     "noise=0.3"};
  FeatureRegression flow = problem;
  flow.ridge = 0;
  arguments.emplace_back("time=7");
  EXPECT_EQ(values("feature-flow", arguments).at("excess"), gradient_flow_risk(flow, 7).excess());
  arguments.back() = "ridge=0.5";
  const json risk = values("feature-regression", arguments);
  const RegressionRisk expected = regression_risk(problem);
  EXPECT_EQ(risk.at("excess"), expected.excess);
  EXPECT_EQ(risk.at("train"), expected.train);
  EXPECT_EQ(risk.at("variance_features_data"), expected.terms.features_data);
}

}  // namespace
}  // namespace widelab
