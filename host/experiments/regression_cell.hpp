// One cell of a regression experiment: replicates of two draws of features crossed with two draws of data, each with
// its own label noise, and the numbers that every term of the variance follows from.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "host/experiments/regression_recipe.hpp"
#include "host/experiments/sample_job.hpp"

namespace widelab::experiments {

/// Numbers of a replicate at one size and filter: means over what the crossed design repeats. E is over the law of x;
/// f is the fit to the target's values ("signal") or to label noise ("noise"). Products of signal and noise have mean 0
/// and are left out.
enum class RiskNumber : std::uint8_t {
  signal,     ///< E (f - f*)^2
  noise,      ///< E f^2 of the fit to the noise
  same_data,  ///< E (f - f*)(g - f*), f and g with their own features on the same data
  same_data_noise,
  same_features,  ///< on two data sets
  independent,    ///< features and data differ
  train,          ///< (1/n) sum_i residual^2, signal plus noise
  norm,           ///< |a|^2, signal plus noise, of features divided by sqrt(N) (linear: as they are)
  resolvent,      ///< (ridge / n) tr (Z Z^T + ridge)^-1, with the label noise as the random probe of the trace; NaN for
                  ///< times, at ridge 0 and without noise. Its square is train / test (generalised cross validation)
  condition,      ///< worst of the Gram matrix plus ridge
  count_
};
inline constexpr std::size_t kRiskNumbers = static_cast<std::size_t>(RiskNumber::count_);

/// The Sobol terms of the excess risk, in the order of kVarianceTerms, from kRiskNumbers numbers (measured or
/// predicted): bias^2, features, data, features x data, data x noise, features x data x noise.
inline constexpr std::array<const char*, 6> kVarianceTerms{"bias2",         "features",   "data",
                                                           "features_data", "data_noise", "features_data_noise"};
inline std::array<double, 6> variance_terms(const double* numbers) {
  const auto of = [numbers](RiskNumber which) { return numbers[static_cast<std::size_t>(which)]; };
  const double bias2 = of(RiskNumber::independent), features = of(RiskNumber::same_features) - bias2,
               data = of(RiskNumber::same_data) - bias2, data_noise = of(RiskNumber::same_data_noise);
  return {bias2,      features,
          data,       of(RiskNumber::signal) - bias2 - features - data,
          data_noise, of(RiskNumber::noise) - data_noise};
}

struct RegressionCell {
  RegressionRecipe recipe;
  std::uint64_t init_key = 0, data_key = 0, noise_key = 0;
  Index replicates = 0;
  DeviceLimits limits;
  std::string fingerprint;

  std::size_t entries() const { return recipe.sizes.size() * recipe.filters(); }
  /// Column of a row.
  Index number(std::size_t size, std::size_t filter, RiskNumber which) const {
    return static_cast<Index>((size * recipe.filters() + filter) * kRiskNumbers + static_cast<std::size_t>(which));
  }
};

RegressionCell make_regression_cell(const RunSetup& setup, const io::Cell& cell);

/// Solves ridge paths: that of a backend.
using RidgeSolver = std::function<void(const RidgePathProblem&)>;

/// Rows of replicates first .. first + count - 1: count x (entries x kRiskNumbers). A row does not depend on the
/// others.
void measure_regressions(const RegressionCell& cell, const RidgeSolver& solve, Index first, Index count, double* rows);

/// The job's task.
SampleTask regression_task(const RegressionCell& cell, RidgeSolver solve);
CellPlan plan_regression_cell(const RegressionCell& cell, const std::string& name);

}  // namespace widelab::experiments
