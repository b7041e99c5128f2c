// The eigen-system of a kernel on given examples as a spectrum: against closed forms, its sums, and what it refuses.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "host/theory/empirical_spectrum.hpp"
#include "tests/support/random_problem.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::theory {
namespace {

constexpr Index kExamples = 12;

double angle(Index frequency, Index example) {
  return 2 * std::numbers::pi * static_cast<double>(frequency * example) / static_cast<double>(kExamples);
}

TEST(EmpiricalSpectrum, CirculantKernelsHaveFourierEigenvectors) {
  // K_ij = 1 + 0.5 cos(2 pi (i - j) / N): eigenvalue N once, N / 4 twice, and 0.
  std::vector<double> kernel, targets;
  for (Index i = 0; i < kExamples; ++i) {
    for (Index j = 0; j < kExamples; ++j) kernel.push_back(1 + 0.5 * std::cos(angle(1, i - j)));
    targets.push_back(3 + 2 * std::sin(angle(1, i)));  // powers 9 and 2
    targets.push_back(std::cos(angle(2, i)));          // power 1/2 where the kernel has no eigenvalue
  }
  const FeatureSpectrum spectrum = empirical_spectrum(kernel, targets, kExamples);
  ASSERT_EQ(spectrum.groups.size(), 12u);
  EXPECT_NEAR(spectrum.groups[0].eigenvalue, 1, 1e-14);
  EXPECT_NEAR(spectrum.groups[0].target_power, 9, 1e-12);
  EXPECT_NEAR(spectrum.groups[1].eigenvalue, 0.25, 1e-14);
  EXPECT_NEAR(spectrum.groups[2].eigenvalue, 0.25, 1e-14);
  EXPECT_NEAR(spectrum.groups[1].target_power + spectrum.groups[2].target_power, 2, 1e-12);
  double rest = 0;
  for (std::size_t k = 3; k < 12; ++k) {
    EXPECT_EQ(spectrum.groups[k].eigenvalue, 0);
    rest += spectrum.groups[k].target_power;
  }
  EXPECT_NEAR(rest, 0.5, 1e-12);
}

TEST(EmpiricalSpectrum, TraceAndPowerAreThoseOfTheExamples) {
  const std::vector<double> rows = test::normals<double>(kExamples, 5, 3),
                            targets = test::normals<double>(kExamples, 2, 4);
  std::vector<double> kernel;
  double trace = 0, power = 0;
  for (Index i = 0; i < kExamples; ++i)
    for (Index j = 0; j < kExamples; ++j) {
      double sum = 0;
      for (Index k = 0; k < 5; ++k)
        sum += rows[static_cast<std::size_t>(5 * i + k)] * rows[static_cast<std::size_t>(5 * j + k)];
      kernel.push_back(sum);
      if (i == j) trace += sum / kExamples;
    }
  for (const double y : targets) power += y * y / kExamples;
  const FeatureSpectrum spectrum = empirical_spectrum(kernel, targets, kExamples);
  EXPECT_NEAR(spectrum.trace(), trace, 1e-13 * trace);
  EXPECT_NEAR(spectrum.target_power(), power, 1e-13 * power);
  for (std::size_t k = 5; k < 12; ++k) EXPECT_EQ(spectrum.groups[k].eigenvalue, 0) << "rank 5";
}

TEST(EmpiricalSpectrum, RefusesSizesAndNumbersThatCannotBe) {
  EXPECT_THROW(empirical_spectrum({1, 0, 0}, {1, 1}, 2), RecipeError);
  EXPECT_THROW(empirical_spectrum({1, 0, 0, 1}, {1, 1, 1}, 2), RecipeError);
  EXPECT_THROW(empirical_spectrum({1, 0, 0, NAN}, {1, 1}, 2), RecipeError);
  EXPECT_THROW(empirical_spectrum({1, 0, 0, 1}, {1, HUGE_VAL}, 2), RecipeError);
  EXPECT_THROW(empirical_spectrum({}, {}, 0), RecipeError);
}

}  // namespace
}  // namespace widelab::theory
