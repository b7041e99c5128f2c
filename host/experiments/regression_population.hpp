// The population side of a regression: values of its target, and exact inner products of features and target over the
// law of the inputs.
#pragma once

#include <span>
#include <vector>

#include "host/estimators/population_risk.hpp"
#include "host/experiments/regression_recipe.hpp"
#include "widelab/rng/replicate_ids.hpp"

namespace widelab::experiments {

class RegressionPopulation {
 public:
  explicit RegressionPopulation(const RegressionRecipe& recipe);

  /// One draw of features: weights (units x d; none for linear models) and their products v with the target.
  struct Features {
    std::vector<double> weights, target;
  };
  Features draw(const DrawId& init) const;

  /// a^T U b of coefficients of two draws, block by block.
  void products(const Features& a, const Features& b, std::span<const estimators::ProductBlock> blocks) const;

  /// f*(x), x an input (d numbers) with E|x|^2 = d.
  double target(const double* x) const;

 private:
  estimators::Units units(const Features& features) const;
  void linear_products(std::span<const estimators::ProductBlock> blocks) const;
  void projection_products(const Features& a, const Features& b,
                           std::span<const estimators::ProductBlock> blocks) const;

  RegressionRecipe recipe_;
  std::vector<double> amplitudes_;            ///< F_l
  estimators::ZonalSeries target_, profile_;  ///< f* over x_1 / sqrt(d) (sphere); v over the cosine
  estimators::FeatureOverlap overlap_;
  std::vector<double> variance_, slope_;  ///< of each coordinate, and the target's coefficient on it
};

}  // namespace widelab::experiments
