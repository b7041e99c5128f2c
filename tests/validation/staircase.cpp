// Learning curves of kernel and random-feature regression on the sphere against the deterministic equivalent at the
// same finite dimension: excess risk, training error and the learned coefficient of every degree at once. Judged
// jointly (chi^2 and max|z|); chance fails a correct program in at most kFamily of the choices of seeds, shared evenly
// among all verdicts. Faults go through the same function at the same number of replicates. Sizes start well above the
// dimension, where tails are light; the largest have the most to say.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "tests/validation/regression_draws.hpp"

namespace widelab::experiments {
namespace {

using estimators::JointVerdict;

constexpr double kFamily = 0.01;
constexpr Index kDimension = 12, kReplicates = 128;
constexpr std::uint64_t kSeed = 11;
const std::vector<std::string> kModels{"exp", "inverse(20)", "ntk", "random-features"};
const double kShare = kFamily / static_cast<double>(kModels.size() + 1);

StaircaseCell kernel_cell(theory::SphereKernel kernel) {
  StaircaseCell cell;
  cell.dimension = kDimension;
  cell.sizes = {36, 60, 110, 180, 300};
  cell.examples = 300;
  cell.kernel = std::move(kernel);
  cell.spectrum = theory::sphere_spectrum(cell.kernel, kDimension, 40);
  cell.coefficient = cell.spectrum.eigenvalue;
  cell.ridge = 0.3;
  cell.target_power = {0, 0.4, 0.3, 0.2, 0.1};
  cell.noise_variance = 0.2;
  return cell;
}

StaircaseCell model(const std::string& name) {
  if (name == "ntk")
    return kernel_cell(theory::network_kernel(test::relu_network(1, 1.0, kDimension), theory::NetworkKernel::ntk));
  if (name != "random-features") return kernel_cell(theory::parse_sphere_kernel(name));
  StaircaseCell cell = kernel_cell(theory::exponential_kernel());
  cell.kind = StaircaseCell::Kind::random_features;
  cell.sizes = {30, 100, 220, 300, 400};
  cell.spectrum = theory::activation_spectrum(cell.activation, kDimension, 60);
  cell.coefficient = theory::funk_hecke(cell.activation, kDimension, 60);
  cell.ridge = 3;
  return cell;
}

Samples draw(const StaircaseCell& cell, const std::string& name, Index replicates = kReplicates) {
  return test::draw(test::keyed(cell, kSeed, name), replicates);
}

/// One draw of every model serves all verdicts on it.
const Samples& drawn(const std::string& name) {
  static std::map<std::string, Samples> all;
  const auto found = all.find(name);
  return found != all.end() ? found->second : all.emplace(name, draw(model(name), name)).first->second;
}

JointVerdict verdict(const Samples& samples, const StaircaseCell& assumed, const std::string& what) {
  const JointVerdict result =
      test::judge_together(samples, test::predictions(assumed), role_key(kSeed, "bootstrap", what));
  std::printf("  %s: max|z| = %.2f (p = %.2g), chi^2/dof = %.2f (p = %.2g)\n", what.c_str(), result.max_z,
              result.max_z_p, result.chi2 / result.dof, result.chi2_p);
  return result;
}

void expect_rejected(const Samples& samples, const StaircaseCell& assumed, const std::string& what) {
  const JointVerdict result = verdict(samples, assumed, what);
  EXPECT_EQ(result.status, "") << what;
  EXPECT_FALSE(result.consistent(kShare)) << what;
}

TEST(Staircase, RiskTrainingErrorAndEveryDegreeAgreeWithTheEquivalent) {
  for (const std::string& name : kModels)
    EXPECT_TRUE(verdict(drawn(name), model(name), name).consistent(kShare)) << name;
}

TEST(Staircase, AMultiplicityOffByOneIsRejected) {
  // On the plateau between the stairs of degrees 1 and 2 the risk is label noise on 1 + B(d, 1) directions.
  StaircaseCell plateau = model("inverse(20)");
  plateau.sizes = {60, 90, 120, 160};
  plateau.examples = 160;
  plateau.ridge = 0.03;
  plateau.target_power = {0, 1};
  plateau.noise_variance = 1;
  const Samples samples = draw(plateau, "plateau", 600);
  EXPECT_TRUE(verdict(samples, plateau, "plateau").consistent(kShare));
  for (const double off : {-1.0, 1.0}) {
    StaircaseCell assumed = plateau;
    assumed.spectrum.multiplicity[1] += off;
    expect_rejected(samples, assumed, "plateau, B(d, 1) off by one");
  }
}

TEST(Staircase, NoiseOfTwiceTheVarianceIsRejected) {
  for (const std::string& name : kModels) {
    StaircaseCell assumed = model(name);
    assumed.noise_variance *= 2;
    expect_rejected(drawn(name), assumed, name + ", noise doubled");
  }
}

TEST(Staircase, ARidgeReadInTheOtherConventionIsRejected) {
  for (const std::string& name : kModels) {
    StaircaseCell assumed = model(name);
    assumed.convention = theory::RidgeConvention::mean;
    expect_rejected(drawn(name), assumed, name + ", ridge as a mean");
  }
}

TEST(Staircase, AMeanRidgeGivesTheCurveOfItsSums) {
  // One factorisation for each size against the prefix of one, where both have the same ridge: at the largest size.
  StaircaseCell sum = model("exp"), mean = sum;
  mean.convention = theory::RidgeConvention::mean;
  mean.ridge = sum.ridge / static_cast<double>(sum.sizes.back());
  const Samples by_sum = draw(sum, "convention", 3), by_mean = draw(mean, "convention", 3);
  const std::size_t last = sum.sizes.size() - 1;
  for (Index r = 0; r < 3; ++r) {
    const Index excess = sum.number(last, StairNumber::excess), first = sum.number(0, StairNumber::train);
    EXPECT_NEAR(by_mean.at(r, excess), by_sum.at(r, excess), 1e-9 * by_sum.at(r, excess));
    EXPECT_LT(by_mean.at(r, first), 0.1 * by_sum.at(r, first)) << "a smaller ridge at the smallest size";
  }
}

TEST(Staircase, ReluWithoutBiasesNeverLearnsDegreeThreeWithOneHiddenLayerAndDoesWithTwo) {
  for (const theory::NetworkKernel kind : {theory::NetworkKernel::nngp, theory::NetworkKernel::ntk}) {
    StaircaseCell one = kernel_cell(theory::network_kernel(test::relu_network(1, 0, kDimension), kind)), two = one;
    two.kernel = theory::network_kernel(test::relu_network(2, 0, kDimension), kind);
    two.spectrum = theory::sphere_spectrum(two.kernel, kDimension, 40);
    two.coefficient = two.spectrum.eigenvalue;
    const Samples shallow = draw(one, "shallow", 20), deep = draw(two, "deep", 20);
    const std::size_t last = one.sizes.size() - 1;
    for (Index r = 0; r < 20; ++r) EXPECT_EQ(shallow.at(r, one.learned(last, 3)), 0.0);
    const estimators::Estimate learned = deep.mean(two.learned(last, 3));
    EXPECT_GT(learned.value, 8 * learned.se);
    EXPECT_NEAR(learned.value, predict_staircase(two, last).numbers[kStairNumbers + 3], 4 * learned.se);
    EXPECT_GT(shallow.mean(one.number(last, StairNumber::signal)).value, 0.2) << "the power of degree 3 stays";
  }
}

/// Tangent features at n = 2 d^2, on either side of N d = n.
StaircaseCell tangents(Index dimension) {
  StaircaseCell cell;
  cell.kind = StaircaseCell::Kind::tangent;
  cell.dimension = dimension;
  cell.examples = 2 * dimension * dimension;
  for (const Index quarters : {1, 2, 4, 8}) cell.sizes.push_back(quarters * cell.examples / 4);
  cell.spectrum = theory::sphere_spectrum(theory::first_layer_tangent_kernel(), dimension, theory::kMostDegrees);
  cell.coefficient = theory::funk_hecke(cell.activation, dimension, theory::kMostDegrees);
  cell.ridge = 1;
  cell.target_power = {0, 0.5, 0.5};
  cell.noise_variance = 0.2;
  return cell;
}

/// The mapping at p = `factor` N parameters.
theory::RegressionRisk mapped(const StaircaseCell& cell, std::size_t size, double factor) {
  const auto units = static_cast<double>(cell.units(size));
  theory::FeatureRegression problem =
      theory::neural_tangent_regression({cell.dimension, units, static_cast<double>(cell.examples), cell.ridge / units,
                                         cell.noise_variance, cell.target_power, theory::kMostDegrees});
  problem.features = factor * units;
  return theory::regression_risk(problem);
}

/// Largest relative deviation of the excess risk and of 1 - L_2 from the mapping.
double tangent_deviation(const StaircaseCell& cell, const Samples& samples, double factor, const char* what) {
  double largest = 0;
  for (std::size_t s = 0; s < cell.sizes.size(); ++s) {
    const theory::RegressionRisk risk = mapped(cell, s, factor);
    const double missed = 1 - theory::learned_fractions(cell.spectrum, risk.nu2)[2];
    const estimators::Estimate excess = samples.mean(cell.number(s, StairNumber::excess)),
                               learned = samples.mean(cell.learned(s, 2));
    const double of_excess = excess.value / risk.excess - 1, of_missed = (1 - learned.value) / missed - 1;
    std::printf("  %s, N d / n = %.2f: excess %+.4f +- %.4f, 1 - L_2 %+.4f +- %.4f (relative)\n", what,
                static_cast<double>(cell.sizes[s]) / static_cast<double>(cell.examples), of_excess,
                excess.se / risk.excess, of_missed, learned.se / missed);
    largest = std::max({largest, std::abs(of_excess), std::abs(of_missed)});
  }
  return largest;
}

TEST(Staircase, TangentFeaturesStayNearTheConjecturedMapping) {
  // A conjecture: its deviation is printed and held to its known order, 1.3 / d in the resolvent's trace, not judged.
  const StaircaseCell cell = tangents(12);
  const Samples samples = draw(cell, "tangent", 160);
  const double d = static_cast<double>(cell.dimension), bound = 1.3 / d;
  EXPECT_LT(tangent_deviation(cell, samples, d, "p = N d"), bound);
  EXPECT_GT(tangent_deviation(cell, samples, 1, "p = N"), 3 * bound);
  for (std::size_t s = 0; s < cell.sizes.size(); ++s) {  // the experiment predicts the same
    const theory::RegressionRisk risk = mapped(cell, s, d);
    const std::vector<double> numbers = predict_staircase(cell, s).numbers;
    EXPECT_NEAR(numbers[static_cast<std::size_t>(StairNumber::excess)], risk.excess, 1e-12 * risk.excess);
    EXPECT_NEAR(numbers[static_cast<std::size_t>(StairNumber::norm)] * static_cast<double>(cell.units(s)), risk.norm2,
                1e-12 * risk.norm2);
  }
}

}  // namespace
}  // namespace widelab::experiments
