// Do traces from random probes have the truth in their error bars as often as they say? Each acceptance region is that
// of a binomial count at a false-alarm rate of 1e-4; two planted faults are rejected.
#include "host/estimators/spectral_density.hpp"

#include <gtest/gtest.h>

#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <functional>

#include "host/estimators/significance.hpp"
#include "tests/support/known_spectrum.hpp"

namespace {

using namespace widelab;
using namespace widelab::estimators;

constexpr double kFalseAlarm = 1e-4;
constexpr Index kTrials = 600, kProbes = 12, kSize = 60, kSteps = 16;

std::vector<double> eigenvalues() {
  std::vector<double> out;
  for (Index i = 0; i < kSize; ++i) {
    const double t = static_cast<double>(i) / (kSize - 1);
    out.push_back(i < 5 ? 4 + t : t * t - 0.2);
  }
  return out;
}

const test::KnownSpectrum& matrix() {
  static const test::KnownSpectrum a(eigenvalues(), kSize);  // eigenvectors that no coordinate dominates
  return a;
}

double exact_trace(const std::function<double(double)>& f) {
  double sum = 0;
  for (const double x : eigenvalues()) sum += f(x);
  return sum;
}

/// Independent repetitions of one sample.
const std::vector<SpectralSample>& trials() {
  static const std::vector<SpectralSample> all = [] {
    std::vector<SpectralSample> out;
    for (std::uint32_t t = 0; t < kTrials; ++t)
      out.push_back(sample_spectrum(kSize, matrix(), {kProbes, kSteps, {41, t}}));
    return out;
  }();
  return all;
}

/// Are as many 95 % intervals as announced around the truth?
bool coverage_is_honest(const std::function<Estimate(std::uint32_t trial)>& estimate, double truth,
                        double se_factor = 1) {
  const double t = boost::math::quantile(boost::math::students_t(kProbes - 1), 0.975);
  Index hits = 0;
  for (std::uint32_t trial = 0; trial < kTrials; ++trial) {
    const Estimate e = estimate(trial);
    hits += std::abs(e.value - truth) < t * se_factor * e.se ? 1 : 0;
  }
  const auto [lo, hi] = binomial_acceptance(kTrials, 0.95, kFalseAlarm);
  return lo <= hits && hits <= hi;
}

bool covers(const std::function<double(double)>& f, double se_factor = 1) {
  return coverage_is_honest([&](std::uint32_t trial) { return spectral_trace(trials()[trial], f); }, exact_trace(f),
                            se_factor);
}

double square(double x) { return x * x; }
double resolvent(double x) { return 1 / (1 + x); }
double heat(double x) { return std::exp(-3 * x); }

TEST(SpectralDensity, TracesCoverTheTruth) {
  EXPECT_TRUE(covers([](double x) { return x; }));
  EXPECT_TRUE(covers(square));
  EXPECT_TRUE(covers(resolvent));
  EXPECT_TRUE(covers(heat));
}

TEST(SpectralDensity, DensitiesCoverTheTruth) {
  for (const double x : {0.0, 0.3, 4.05}) {
    const auto smeared = [x](double node) { return std::exp(-square(node - x) / 0.18) / std::sqrt(2 * M_PI * 0.09); };
    EXPECT_TRUE(coverage_is_honest(
        [&](std::uint32_t trial) { return spectral_density(trials()[trial], std::vector<double>{x}, 0.09)[0]; },
        exact_trace(smeared) / kSize))
        << x;
  }
}

TEST(SpectralDensity, HutchinsonCoversTheTruth) {
  EXPECT_TRUE(coverage_is_honest(
      [](std::uint32_t trial) {
        return hutchinson_trace(kSize, matrix(), kProbes, {42, trial});
      },
      exact_trace([](double x) { return x; })));
}

TEST(SpectralDensity, WrongErrorsAndWeightsAreRejected) {
  EXPECT_FALSE(covers(square, 0.7));
  const auto faulty = [](std::uint32_t trial) {
    SpectralSample sample = trials()[trial];
    for (QuadratureRule& rule : sample.probes) {
      double total = 0;
      for (double& w : rule.weights) total += w = std::sqrt(w);  // first components, not their squares
      for (double& w : rule.weights) w /= total;
    }
    return spectral_trace(sample, heat);
  };
  EXPECT_FALSE(coverage_is_honest(faulty, exact_trace(heat)));
}

}  // namespace
