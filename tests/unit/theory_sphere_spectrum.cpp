// Dot-product kernels on the sphere: eigenvalues against references and closed forms, learning curves, the staircase,
// multiple descent, the polynomial regime and tangent features; planted faults.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "host/theory/sphere_spectrum.hpp"
#include "tests/unit/regression_golden.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/math/activation_names.hpp"

namespace widelab {
namespace {

using namespace theory;

constexpr double kReference = 1e-9, kPi = 3.141592653589793;

void expect_relative(double measured, double expected, double tolerance) {
  EXPECT_NEAR(measured, expected, tolerance * std::abs(expected));
}

/// A ReLU network of `depth` hidden layers whose readout has sigma_w^2 = 2, on inputs of |x|^2 = d.
Network relu_network(Index dimension, Index depth, double hidden_gain2 = 1, double bias2 = 0) {
  MlpShape shape;
  shape.input_dim = dimension;
  shape.widths.assign(static_cast<std::size_t>(depth), 1);
  InitChoice choice;
  choice.sigma_w.assign(static_cast<std::size_t>(depth) + 1, std::sqrt(2.0));
  choice.sigma_w.front() = std::sqrt(hidden_gain2);
  choice.sigma_b = std::sqrt(bias2);
  return make_network(shape, choice);
}

/// Kernels of the references; "ntk-bias" is a network with the variances 1/2 less its readout's bias.
SphereKernel kernel_of(std::string_view name, Index dimension) {
  if (name == "ntk") return network_kernel(relu_network(dimension, 1), NetworkKernel::ntk);
  if (name != "ntk-bias") return parse_sphere_kernel(std::string(name));
  SphereKernel kernel = network_kernel(relu_network(dimension, 1, 0.5, 0.5), NetworkKernel::ntk);
  kernel.value = [value = kernel.value](double angle) { return value(angle) - 0.5; };
  return kernel;
}

TEST(SphereSpectrum, MultiplicitiesAreKnown) {
  EXPECT_EQ(sphere_multiplicity(20, 0), 1);
  EXPECT_EQ(sphere_multiplicity(20, 1), 20);
  EXPECT_EQ(sphere_multiplicity(20, 2), 209);
  EXPECT_EQ(sphere_multiplicity(20, 3), 1520);
  EXPECT_EQ(sphere_multiplicity(40, 3), 11440);
  EXPECT_EQ(sphere_multiplicity(45, 3), 16170);
  for (int l = 0; l < 40; ++l) EXPECT_EQ(sphere_multiplicity(3, l), 2 * l + 1);
  for (const Index d : {4, 20, 100000}) {
    const auto dim = static_cast<double>(d);
    EXPECT_EQ(sphere_multiplicity(d, 2), (dim + 2) * (dim - 1) / 2);
  }
  EXPECT_TRUE(std::isfinite(sphere_multiplicity(kMostSphereDimension, kMostDegrees)));
}

void expect_values(const std::vector<double>& measured, const test::SphereValues& expected) {
  for (std::size_t i = 0; i < expected.degrees.size(); ++i) {
    const double value = measured.at(static_cast<std::size_t>(expected.degrees[i]));
    if (expected.values[i] == 0) {
      EXPECT_EQ(value, 0) << expected.name << " degree " << expected.degrees[i];
    } else {
      expect_relative(value, expected.values[i], kReference);
    }
  }
}

TEST(SphereSpectrum, EigenvaluesEqualTheReferences) {
  for (const test::SphereValues& row : test::kReluTangentEigenvalues)
    expect_values(sphere_spectrum(kernel_of(row.name, row.dimension), row.dimension, 6).eigenvalue, row);
  for (const test::SphereValues& row : test::kKernelEigenvalues)
    expect_values(sphere_spectrum(kernel_of(row.name, row.dimension), row.dimension, 6).eigenvalue, row);
  for (const test::SphereValues& row : test::kReluFunkHecke) expect_values(funk_hecke(Relu{}, row.dimension, 6), row);
}

TEST(SphereSpectrum, TheExponentialHasBesselEigenvalues) {
  for (const Index d : {3, 20, 400}) {
    const double nu = 0.5 * static_cast<double>(d) - 1;
    const SphereKernel kernel = exponential_kernel();
    SphereKernel by_angle = kernel;
    by_angle.log_taylor = nullptr;
    const SphereSpectrum series = sphere_spectrum(kernel, d, 6), quadrature = sphere_spectrum(by_angle, d, 6);
    double tail_rounding = 0;
    for (int l = 0; l <= 6; ++l) {
      const auto at = static_cast<std::size_t>(l);
      const double bessel = std::exp(std::lgamma(nu + 1) + nu * std::log(2.0)) * std::cyl_bessel_i(nu + l, 1.0);
      if (d < 300) expect_relative(series.eigenvalue[at], bessel, 1e-12);
      const double rounding = 1e-14 * std::exp(0.5) / std::sqrt(series.multiplicity[at]);
      EXPECT_NEAR(quadrature.eigenvalue[at], series.eigenvalue[at], rounding + 1e-13 * series.eigenvalue[at]);
      tail_rounding += rounding * series.multiplicity[at];
    }
    EXPECT_NEAR(quadrature.tail, series.tail, tail_rounding + 1e-13);
  }
}

TEST(SphereSpectrum, ReluHasItsClosedFormsAndParity) {
  for (const Index dimension : {3, 20, 1000}) {
    const auto d = static_cast<double>(dimension);
    const std::vector<double> xi = funk_hecke(Relu{}, dimension, 25);
    const double mean = 0.5 * std::sqrt(d / kPi) * std::exp(std::lgamma(0.5 * d) - std::lgamma(0.5 * d + 0.5));
    expect_relative(xi[0], mean, 1e-12);
    expect_relative(xi[1], 0.5 / std::sqrt(d), 1e-13);
    for (std::size_t l = 3; l < xi.size(); l += 2) EXPECT_EQ(xi[l], 0) << dimension << " " << l;
    for (std::size_t l = 2; l <= 6; l += 2) EXPECT_NE(xi[l], 0);
  }
}

TEST(SphereSpectrum, TracesAddUp) {
  for (const Index d : {5, 30}) {
    for (const SphereKernel& kernel :
         {exponential_kernel(), inverse_kernel(1.5), inverse_kernel(20), first_layer_tangent_kernel(),
          network_kernel(relu_network(d, 3), NetworkKernel::ntk),
          network_kernel(relu_network(d, 2), NetworkKernel::nngp)}) {
      const SphereSpectrum spectrum = sphere_spectrum(kernel, d, 12);
      expect_relative(with_target(spectrum, {}).trace(), kernel.value(0), 1e-12);
      EXPECT_GE(spectrum.tail, 0);
    }
    // |x|^2 = d: E sigma^2 of relu is 1/2 in every dimension
    expect_relative(with_target(activation_spectrum(Relu{}, d, 12), {}).trace(), 0.5, 1e-12);
  }
}

TEST(SphereSpectrum, SmallTailsKeepTheirDigits) {
  // the tail of exp beyond degree 12 is about 1 / 13!, far below the rounding of h(1) = e
  const SphereSpectrum less = sphere_spectrum(exponential_kernel(), 50, 12);
  const SphereSpectrum more = sphere_spectrum(exponential_kernel(), 50, 24);
  double sum = more.tail;
  for (std::size_t l = 13; l <= 24; ++l) sum += more.eigenvalue[l] * more.multiplicity[l];
  expect_relative(less.tail, sum, 1e-12);
  EXPECT_LT(less.tail, 1e-9);
  EXPECT_GT(less.tail, 0);
}

TEST(SphereSpectrum, OneHiddenReluLayerNeverLearnsDegreeThreeAndTwoDo) {
  const Index d = 20;
  for (const NetworkKernel kind : {NetworkKernel::nngp, NetworkKernel::ntk}) {
    const SphereSpectrum one = sphere_spectrum(network_kernel(relu_network(d, 1), kind), d, 9);
    for (const std::size_t l : {3u, 5u, 7u, 9u}) EXPECT_EQ(one.eigenvalue[l], 0);
    EXPECT_EQ(learned_fractions(one, 0)[3], 0);
    const SphereKernel deeper = network_kernel(relu_network(d, 2), kind);
    const SphereSpectrum two = sphere_spectrum(deeper, d, 9);
    const double weight = two.eigenvalue[3] * two.multiplicity[3] / deeper.value(0);
    EXPECT_NEAR(weight, kind == NetworkKernel::ntk ? 0.060 : 0.027, 5e-4);
  }
  const SphereSpectrum biased = sphere_spectrum(kernel_of("ntk-bias", d), d, 9);
  EXPECT_GT(biased.eigenvalue[3] * biased.multiplicity[3], 1e-3);
}

/// Kernel regression of a target with powers 0, .4, .3, .2, .1.
FeatureRegression kernel_regression(const SphereSpectrum& spectrum, double examples, double ridge, double noise) {
  FeatureRegression regression;
  regression.spectrum = with_target(spectrum, {0, 0.4, 0.3, 0.2, 0.1});
  regression.examples = examples;
  regression.ridge = ridge;
  regression.noise_variance = noise;
  return regression;
}

FeatureRegression problem_of(const test::RegressionValue& row) {
  if (row.neurons > 0)
    return neural_tangent_regression(
        {row.dimension, row.neurons, row.examples, row.ridge, row.noise_variance, {0, 0.5, 0.4, 0, 0.1}, row.degrees});
  return kernel_regression(sphere_spectrum(kernel_of(row.kernel, row.dimension), row.dimension, row.degrees),
                           row.examples, row.ridge, row.noise_variance);
}

/// Largest relative distance of the measured risk from a reference.
double distance(const RegressionRisk& risk, const test::RegressionValue& row) {
  double worst = 0;
  const auto add = [&](double measured, double expected) {
    worst = std::max(worst, std::abs(measured - expected) / (expected == 0 ? 1 : std::abs(expected)));
  };
  add(risk.nu1, row.nu1);
  add(risk.nu2, row.nu2);
  add(risk.df1, row.df1);
  add(risk.df2, row.df2);
  add(risk.upsilon, row.upsilon);
  add(risk.bias, row.bias);
  add(risk.variance, row.variance);
  add(risk.excess, row.excess);
  add(risk.ensemble_excess, row.ensemble_excess);
  add(risk.train, row.train);
  add(risk.norm2, row.norm2);
  return worst;
}

TEST(SphereRegression, KernelRegressionEqualsTheReferences) {
  for (const test::RegressionValue& row : test::kKernelRegression)
    EXPECT_LT(distance(regression_risk(problem_of(row)), row), kReference) << row.kernel << " n = " << row.examples;
}

TEST(SphereRegression, TangentFeaturesEqualTheReferences) {
  for (const test::RegressionValue& row : test::kTangentRegression)
    EXPECT_LT(distance(regression_risk(problem_of(row)), row), kReference) << "N = " << row.neurons;
}

TEST(SphereRegression, PlantedFaultsAreNoticed) {
  const auto excess_moves = [](const test::RegressionValue& row, const std::function<void(FeatureRegression&)>& fault) {
    FeatureRegression regression = problem_of(row);
    fault(regression);
    return std::abs(regression_risk(regression).excess / row.excess - 1);
  };
  for (const test::RegressionValue& row : test::kTangentRegression) {
    EXPECT_GT(excess_moves(row, [](FeatureRegression& r) { r.spectrum.groups[2].multiplicity += 1; }), 1e-6);
    EXPECT_GT(excess_moves(row, [](FeatureRegression& r) { r.ridge *= r.examples; }), 1e-2);
    EXPECT_GT(excess_moves(row, [](FeatureRegression& r) { r.noise_variance *= 2; }), 1e-2);
  }
  const test::RegressionValue& row = test::kKernelRegression[7];
  ASSERT_EQ(row.kernel, "exp");
  EXPECT_GT(excess_moves(row, [](FeatureRegression& r) { r.spectrum.groups[2].multiplicity += 1; }), 1e-4);
  EXPECT_GT(excess_moves(row, [](FeatureRegression& r) { r.ridge *= r.examples; }), 1e-5);
  EXPECT_GT(excess_moves(row, [](FeatureRegression& r) { r.noise_variance *= 2; }), 1e-2);
}

TEST(SphereRegression, DegreesAreLearnedOneAfterTheOther) {
  const SphereSpectrum spectrum = sphere_spectrum(exponential_kernel(), 20, 24);
  const auto fractions = [&](double examples) {
    return learned_fractions(spectrum, regression_risk(kernel_regression(spectrum, examples, 1e-6, 0.05)).nu2);
  };
  const std::vector<double> at_210 = fractions(210), at_1540 = fractions(1540);
  const std::vector<double> expected_210{.959, .516, .042, .002}, expected_1540{.998, .968, .554, .046};
  for (std::size_t l = 1; l <= 4; ++l) {
    EXPECT_NEAR(at_210[l], expected_210[l - 1], 5.1e-4);
    EXPECT_NEAR(at_1540[l], expected_1540[l - 1], 5.1e-4);
  }
}

TEST(SphereRegression, TheStaircaseStandsAtItsPlateaus) {
  const SphereSpectrum spectrum = sphere_spectrum(exponential_kernel(), 400, 24);
  const auto excess = [&](double power) {
    return regression_risk(kernel_regression(spectrum, std::pow(400, power), 1e-9, 0)).excess;
  };
  EXPECT_NEAR(excess(1.5), 0.6177, 5.1e-5);
  EXPECT_NEAR(excess(2.5), 0.2717, 5.1e-5);
  EXPECT_NEAR(excess(3.5), 0.0173, 5.1e-5);
}

TEST(SphereRegression, SmallTailsGiveMultipleDescent) {
  struct Peak {
    Index dimension;
    double examples, height;
  };
  for (const Peak& peak : {Peak{20, 22, 2.19}, Peak{20, 231, 1.40}, Peak{20, 1756, 0.83}, Peak{100, 105, 2.06},
                           Peak{100, 5230, 1.24}, Peak{100, 177860, 0.68}}) {
    const SphereSpectrum spectrum = sphere_spectrum(inverse_kernel(20), peak.dimension, 12);
    const auto excess = [&](double examples) {
      return regression_risk(kernel_regression(spectrum, examples, 1e-12, 0.2)).excess;
    };
    EXPECT_NEAR(excess(peak.examples), peak.height, 5.1e-3);
    EXPECT_GT(excess(peak.examples), excess(0.8 * peak.examples));
    EXPECT_GT(excess(peak.examples), excess(1.25 * peak.examples));
  }
}

TEST(PolynomialRegime, EqualsTheReferences) {
  for (const test::PolynomialValue& row : test::kPolynomialRegime)
    expect_relative(polynomial_risk({row.ratio, 0.5, row.tail_trace, row.ridge, 0.5, 0.2, 0.1}).excess, row.excess,
                    kReference);
}

TEST(PolynomialRegime, IsTheLimitOfFiniteDimensions) {
  // exp, l = 2, n = B(d, 2), ridge 1e-6: mu_2 = 1/2, tail e - 5/2
  const double limit = polynomial_risk({1, 0.5, std::exp(1.0) - 2.5, 1e-6, 0.3, 0.3, 0.05}).excess;
  EXPECT_NEAR(limit, 0.5255, 5.1e-5);
  const std::vector<Index> dimensions{20, 50, 100, 300, 1000};
  const std::vector<double> expected{.5922, .5514, .5383, .5297, .5268};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const SphereSpectrum spectrum = sphere_spectrum(exponential_kernel(), dimensions[i], 24);
    const double examples = sphere_multiplicity(dimensions[i], 2);
    EXPECT_NEAR(regression_risk(kernel_regression(spectrum, examples, 1e-6, 0.05)).excess, expected[i], 5.1e-5);
  }
}

TEST(PolynomialRegime, ThresholdWithoutTailOrRidgeIsRefused) {
  EXPECT_THROW(polynomial_risk({1, 0.5, 0, 0, 0.5, 0.2, 0.1}), RecipeError);
  EXPECT_THROW(polynomial_risk({0, 0.5, 0, 0.1, 0.5, 0.2, 0.1}), RecipeError);
  EXPECT_THROW(polynomial_risk({1, 0.5, -1, 0.1, 0.5, 0.2, 0.1}), RecipeError);
  // past the threshold the degree is known exactly, and noise alone is left: sigma^2 / (psi - 1)
  expect_relative(polynomial_risk({4, 0.5, 0, 0, 0.5, 0, 0.3}).excess, 0.1, 1e-15);
}

TEST(TangentFeatures, WideLimitAtLinearSizesIsLinearRidge) {
  // eigenvalue h'(0) / d = 1 / (4 d), tail h(1) - h'(0) = 1/4; n = 2 d, ridge 0.01, noise 0.1, unit linear target
  const double limit = polynomial_risk({2, 0.25, 0.25, 0.01, 1, 0, 0.1}).excess;
  EXPECT_NEAR(limit, 0.234132, 5.1e-7);
  const auto finite = [](Index d) {
    NeuralTangentRegression problem{d, kInfinitelyManyFeatures, 2 * static_cast<double>(d), 0.01, 0.1, {0, 1}, 24};
    return regression_risk(neural_tangent_regression(problem)).excess;
  };
  EXPECT_NEAR(finite(30), 0.2381, 5.1e-5);
  EXPECT_NEAR(finite(100), 0.2354, 5.1e-5);
  EXPECT_NEAR(finite(1000), 0.2343, 5.1e-5);
}

TEST(SphereSpectrum, ImpossibleRequestsAreRefused) {
  EXPECT_THROW(sphere_spectrum(exponential_kernel(), 2, 4), RecipeError);
  EXPECT_THROW(sphere_spectrum(exponential_kernel(), 10, kMostDegrees + 1), RecipeError);
  EXPECT_THROW(funk_hecke(Relu{}, kMostSphereDimension + 1, 4), RecipeError);
  EXPECT_THROW(inverse_kernel(1), RecipeError);
  EXPECT_THROW(parse_sphere_kernel("inverse(20"), RecipeError);
  EXPECT_THROW(parse_sphere_kernel("inverse"), RecipeError);
  const SphereKernel negative{"negative", [](double angle) { return -std::cos(angle); }, {}};
  EXPECT_THROW(sphere_spectrum(negative, 10, 4), RecipeError);
  const SphereKernel steep{"steep", [](double angle) { return std::cos(3e4 * angle); }, {}};
  EXPECT_THROW(sphere_spectrum(steep, 10, 4), RecipeError);
  try {
    parse_sphere_kernel("expo");
    ADD_FAILURE();
  } catch (const RecipeError& error) {
    EXPECT_NE(std::string(error.what()).find("did you mean \"exp\""), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace widelab
