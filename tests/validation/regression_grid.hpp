// The verification grid of least squares: what the tests regression_grid_features and regression_grid_kernels share.
// The grid and its rules were written down before it was first run.
//
// Rules. Every cell has kRuns independent runs, and seeds of its own. A number whose mean is more than kSuspect
// standard errors from its prediction is drawn again, with a new seed and four times the runs. It then either agrees,
// or is a bias of the equivalent: reported in per cent, times d, and asserted only to be one that is known (kKnown; see
// DEVIATIONS.md). All other numbers of a cell are judged together by chi^2 and max|z|; chance fails a correct program
// in at most kFamily of the choices of seeds, shared evenly among the cells of both tests; a cell rejected so is drawn
// again as well. Predictions with a fault go the same way, on the same draws, and must be rejected.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <iterator>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tests/validation/regression_draws.hpp"

namespace widelab::experiments::grid {

constexpr Index kRuns = 200;
constexpr double kSuspect = 3.5, kFamily = 0.01;
constexpr std::uint64_t kFirstSeed = 101, kSecondSeed = 202;
constexpr std::size_t kCells = 14;                                 ///< of the grid: half of them in each test
constexpr double kChance = kFamily / static_cast<double>(kCells);  ///< of rejecting a right cell

constexpr const char* kRiskNames[] = {"signal",      "noise", "same data", "same data, noise", "same features",
                                      "independent", "train", "norm",      "resolvent",        "condition"};
constexpr const char* kStairNames[] = {"excess", "signal", "noise", "train", "norm", "condition"};

struct Case {
  std::string name;
  Index dimension = 0;
  std::function<Samples(std::uint64_t seed, Index runs)> draw;
  std::vector<double> predicted;
  std::vector<std::string> labels;
};

inline Case regression_case(const std::string& name, const RegressionRecipe& recipe) {
  Case out{name,
           recipe.dimension,
           [recipe, name](std::uint64_t seed, Index runs) {
             return test::draw(test::regression_cell(recipe, seed, name), runs);
           },
           test::predictions(recipe),
           {}};
  for (const Index size : recipe.sizes)
    for (const std::string& filter : recipe.filter_labels())
      for (const char* number : kRiskNames)
        out.labels.push_back("N = " + std::to_string(size) + ", " + filter + ", " + number);
  return out;
}

inline Case staircase_case(const std::string& name, const StaircaseCell& cell) {
  Case out{name,
           cell.dimension,
           [cell, name](std::uint64_t seed, Index runs) { return test::draw(test::keyed(cell, seed, name), runs); },
           test::predictions(cell),
           {}};
  for (const Index size : cell.sizes) {
    const std::string at = "n = " + std::to_string(size) + ", ";
    for (const char* number : kStairNames) out.labels.push_back(at + number);
    for (std::size_t l = 0; l < cell.degrees(); ++l) out.labels.push_back(at + "degree " + std::to_string(l));
  }
  return out;
}

/// Random ReLU features at n = 3 d.
inline RegressionRecipe relu_features(Index d, std::vector<double> ridges) {
  std::vector<Index> sizes;
  for (const Index twentieths : {10, 30, 48, 60, 72, 120}) sizes.push_back(twentieths * d / 20);
  return test::relu_features(d, 3 * d, std::move(sizes), std::move(ridges));
}

struct Deviation {
  std::size_t number;
  double z;
};

inline double z_of(const Samples& samples, std::size_t number, double predicted) {
  const estimators::Estimate mean = samples.mean(static_cast<Index>(number));
  return (mean.value - predicted) / mean.se;
}

inline bool judged(double predicted) { return std::isfinite(predicted) && predicted > 1e-12; }

inline std::vector<Deviation> deviations(const Samples& samples, const std::vector<double>& predicted) {
  std::vector<Deviation> out;
  for (std::size_t k = 0; k < predicted.size(); ++k)
    if (judged(predicted[k]) && std::abs(z_of(samples, k, predicted[k])) > kSuspect)
      out.push_back({k, z_of(samples, k, predicted[k])});
  return out;
}

/// Biases of the equivalent that DEVIATIONS.md reports; none but these may be found.
struct KnownBias {
  const char *cell, *number;
};
constexpr KnownBias kKnown[] = {
    {"linear, d = 40", "time=10, signal"},
    {"linear, d = 40", "time=10, same data"},
    {"random features", "ridge=0.0001, train"},
    {"kernel exp", "all together"},
};

inline bool known(const std::string& cell, const std::string& number) {
  return std::any_of(std::begin(kKnown), std::end(kKnown), [&](const KnownBias& bias) {
    return cell.starts_with(bias.cell) && number.find(bias.number) != std::string::npos;
  });
}

inline void report_bias(const Case& cell, const Samples& samples, std::size_t number) {
  const double predicted = cell.predicted[number];
  const estimators::Estimate mean = samples.mean(static_cast<Index>(number));
  const double bias = mean.value / predicted - 1;
  std::printf("    %s, %s: bias %+.2f +- %.2f %%, times d = %.1f\n", cell.name.c_str(), cell.labels[number].c_str(),
              100 * bias, 100 * mean.se / predicted, bias * static_cast<double>(cell.dimension));
}

/// Draws what is suspect again; returns the predictions without those that turned out to be biases.
inline std::vector<double> examine(const Case& cell, const Samples& first) {
  std::vector<double> rest = cell.predicted;
  const std::vector<Deviation> suspects = deviations(first, cell.predicted);
  if (suspects.empty()) return rest;
  const Samples again = cell.draw(kSecondSeed, 4 * kRuns);
  for (const Deviation& suspect : suspects) {
    const double z = z_of(again, suspect.number, cell.predicted[suspect.number]);
    std::printf("    %s, %s: z = %.1f, with new seeds and four times the runs %.1f%s\n", cell.name.c_str(),
                cell.labels[suspect.number].c_str(), suspect.z, z, std::abs(z) <= kSuspect ? ": gone" : "");
    if (std::abs(z) <= kSuspect) continue;
    report_bias(cell, again, suspect.number);
    EXPECT_TRUE(known(cell.name, cell.labels[suspect.number])) << cell.name << ", " << cell.labels[suspect.number];
    rest[suspect.number] = std::numeric_limits<double>::quiet_NaN();
  }
  return rest;
}

/// The cells of a test, which defines them.
std::vector<Case> cells();

class RegressionGridCell : public testing::TestWithParam<std::size_t> {};

TEST_P(RegressionGridCell, AgreesWithTheEquivalent) {
  const std::vector<Case> all = cells();
  ASSERT_EQ(all.size(), kCells / 2);
  const Case& cell = all[GetParam()];
  const Samples first = cell.draw(kFirstSeed, kRuns);
  const std::vector<double> rest = examine(cell, first);
  double squares = 0, numbers = 0;
  for (std::size_t k = 0; k < rest.size(); ++k)
    if (judged(rest[k])) {
      squares += std::pow(z_of(first, k, rest[k]), 2);
      numbers += 1;
    }
  const estimators::JointVerdict verdict =
      test::judge_together(first, rest, role_key(kFirstSeed, "bootstrap", cell.name));
  std::printf("  %s: %g numbers, rms z %.2f, max|z| = %.2f (p = %.3g), chi^2/dof = %.2f (p = %.3g)\n",
              cell.name.c_str(), numbers, std::sqrt(squares / numbers), verdict.max_z, verdict.max_z_p,
              verdict.chi2 / verdict.dof, verdict.chi2_p);
  if (verdict.consistent(kChance)) return;
  const Samples again = cell.draw(kSecondSeed, 4 * kRuns);
  const bool gone =
      test::judge_together(again, rest, role_key(kSecondSeed, "bootstrap", cell.name)).consistent(kFamily);
  std::printf("    jointly rejected; with new seeds and four times the runs %s\n", gone ? "not" : "again:");
  for (std::size_t k = 0; k < rest.size() && !gone; ++k)
    if (judged(rest[k]) && std::abs(z_of(again, k, rest[k])) > 2) report_bias(cell, again, k);
  EXPECT_TRUE(gone || known(cell.name, "all together")) << cell.name << " " << verdict.status;
}

INSTANTIATE_TEST_SUITE_P(Grid, RegressionGridCell, testing::Range(std::size_t{0}, kCells / 2));

/// Predictions of `faulty` beside draws of the right cell.
inline void expect_rejected(const Samples& samples, const Case& faulty, const char* fault) {
  const estimators::JointVerdict verdict =
      test::judge_together(samples, faulty.predicted, role_key(kFirstSeed, "bootstrap", faulty.name));
  EXPECT_FALSE(verdict.consistent(kChance)) << faulty.name << ": " << fault;
}

inline void expect_faults_rejected(const RegressionRecipe& recipe) {
  const Samples samples = regression_case("with a fault", recipe).draw(kFirstSeed, kRuns);
  RegressionRecipe swapped = recipe, noisy = recipe;
  swapped.convention = theory::RidgeConvention::sum;
  noisy.noise_variance *= 2;
  expect_rejected(samples, regression_case("with a fault", swapped), "ridge convention swapped");
  expect_rejected(samples, regression_case("with a fault", noisy), "noise variance doubled");
}

}  // namespace widelab::experiments::grid
