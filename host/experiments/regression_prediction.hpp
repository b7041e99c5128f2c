// What theory says about the numbers of a regression cell.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "host/experiments/regression_cell.hpp"
#include "host/theory/deterministic_equivalent.hpp"

namespace widelab::experiments {

/// Predicted RiskNumbers, NaN where there is none.
using PredictedRisk = std::array<double, kRiskNumbers>;

/// Random features with inputs and weights on the sphere: the deterministic equivalent at finite d (Gegenbauer
/// spectrum). Projections: the same with the covariance's spectrum; linear models: at p = infinity. Isotropic Gaussian
/// coordinates at ridge 0: the exact means at finite n and d. Tangent features on the sphere: the mapping of
/// neural_tangent_regression, a conjecture. None elsewhere, and none where the mean is infinite.
class RegressionPrediction {
 public:
  explicit RegressionPrediction(const RegressionRecipe& recipe);

  PredictedRisk at(std::size_t size, std::size_t filter) const;
  /// The excess risk in the limit n, N, d -> infinity at fixed ratios (Mei and Montanari 2019); NaN but for ridges of
  /// random features whose target has no constant part.
  double limit_excess(std::size_t size, std::size_t filter) const;
  /// Formula and source.
  const std::string& source() const { return source_; }
  /// Whether the prediction is a conjecture: shown, and not held against the measurement.
  bool conjecture() const { return recipe_.kind == RegressionKind::tangent; }

 private:
  PredictedRisk exact_linear(std::size_t size) const;
  PredictedRisk equivalent(std::size_t size, std::size_t filter) const;
  bool infinite_mean(std::size_t size, std::size_t filter) const;

  RegressionRecipe recipe_;
  bool known_ = false;
  theory::FeatureRegression problem_;  ///< without features and ridge
  std::string source_ = "none";
};

}  // namespace widelab::experiments
