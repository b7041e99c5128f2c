// Draws and predictions of feature regressions and staircases, without a recipe: what their validations share.
#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "host/estimators/joint_test.hpp"
#include "host/experiments/regression_cell.hpp"
#include "host/experiments/regression_prediction.hpp"
#include "host/experiments/staircase_cell.hpp"
#include "host/runtime/backend.hpp"
#include "widelab/rng/replicate_ids.hpp"

namespace widelab::experiments::test {

inline Samples empty_samples(Index replicates, std::size_t numbers) {
  Samples samples;
  samples.replicates = replicates;
  samples.numbers = static_cast<Index>(numbers);
  samples.values.resize(static_cast<std::size_t>(replicates) * numbers);
  return samples;
}

/// For limits of wide networks, which do not depend on its widths.
inline Network relu_network(Index depth, double sigma_b, Index dimension) {
  MlpShape shape;
  shape.input_dim = dimension;
  shape.widths.assign(static_cast<std::size_t>(depth), 8);
  InitChoice choice;
  choice.sigma_w = {std::sqrt(2.0)};
  choice.sigma_b = sigma_b;
  return make_network(shape, choice);
}

/// A linear model on independent normal coordinates, all alike in variance and target, without any filter yet.
inline RegressionRecipe linear_model(Index dimension, Index examples) {
  RegressionRecipe recipe;
  recipe.kind = RegressionKind::linear;
  recipe.dimension = dimension;
  recipe.examples = examples;
  recipe.sizes = {dimension};
  recipe.sphere_inputs = false;
  recipe.eigenvalues = {1};
  recipe.counts = {dimension};
  recipe.target_power = {1};
  recipe.noise_variance = 0.25;
  return recipe;
}

/// The two scales of epoch-wise double descent: 150 coordinates of variance 1, 150 of variance 0.01.
inline RegressionRecipe two_scales() {
  RegressionRecipe recipe = linear_model(300, 300);
  recipe.eigenvalues = {1, 0.01};
  recipe.counts = {150, 150};
  recipe.target_power = {0.5, 0.5};
  recipe.noise_variance = 0.3;
  recipe.times = {1, 10, 300, 3000};
  return recipe;
}

/// Random ReLU features of inputs and weights on the sphere, in Mei and Montanari's convention.
inline RegressionRecipe relu_features(Index dimension, Index examples, std::vector<Index> sizes,
                                      std::vector<double> ridges) {
  RegressionRecipe recipe;
  recipe.dimension = dimension;
  recipe.examples = examples;
  recipe.sizes = std::move(sizes);
  recipe.convention = theory::RidgeConvention::mei_montanari;
  recipe.ridges = std::move(ridges);
  recipe.target_power = {0, 1};
  recipe.noise_variance = 0.25;
  return recipe;
}

/// A regression's cell, drawn under `name`.
inline RegressionCell regression_cell(RegressionRecipe recipe, std::uint64_t seed, const std::string& name) {
  RegressionCell cell;
  cell.recipe = std::move(recipe);
  cell.init_key = role_key(seed, "init", name);
  cell.data_key = role_key(seed, "data", name);
  cell.noise_key = role_key(seed, "label_noise", name);
  cell.limits.workers = 2;
  return cell;
}

inline Samples draw(const RegressionCell& cell, Index replicates) {
  Samples samples = empty_samples(replicates, cell.entries() * kRiskNumbers);
  constexpr Index kAtOnce = 20;
  for (Index first = 0; first < replicates; first += kAtOnce)
    measure_regressions(
        cell, [](const RidgePathProblem& problem) { cpu::ridge_path(problem); }, first,
        std::min(kAtOnce, replicates - first), samples.values.data() + first * samples.numbers);
  return samples;
}

/// Predictions for all numbers of a row; NaN where there is none.
inline std::vector<double> predictions(const RegressionRecipe& recipe) {
  std::vector<double> out;
  const RegressionPrediction prediction(recipe);
  for (std::size_t s = 0; s < recipe.sizes.size(); ++s)
    for (std::size_t f = 0; f < recipe.filters(); ++f) {
      const PredictedRisk risk = prediction.at(s, f);
      out.insert(out.end(), risk.begin(), risk.end());
    }
  return out;
}

inline StaircaseCell keyed(StaircaseCell cell, std::uint64_t seed, const std::string& name) {
  cell.data_key = role_key(seed, "data", name);
  cell.noise_key = role_key(seed, "label_noise", name);
  cell.init_key = role_key(seed, "init", name);
  return cell;
}

/// Replicates x numbers.
inline Samples draw(const StaircaseCell& cell, Index replicates) {
  const auto backend = runtime::make_backend("cpu");
  Samples samples = empty_samples(replicates, cell.sizes.size() * cell.numbers_per_size());
  constexpr Index kAtOnce = 20;
  for (Index first = 0; first < replicates; first += kAtOnce)
    measure_staircase(cell, curve_solver(*backend), first, std::min(kAtOnce, replicates - first),
                      samples.values.data() + first * samples.numbers);
  return samples;
}

/// Excess risk, training error, and coefficients on their stair, from .05 to .95; NaN elsewhere. Nearer to 0 and 1
/// coefficients scatter so little that the equivalent's own error, of relative order 1/d in 1 - L, shows.
inline std::vector<double> predictions(const StaircaseCell& cell) {
  std::vector<double> out(cell.sizes.size() * cell.numbers_per_size(), std::numeric_limits<double>::quiet_NaN());
  for (std::size_t s = 0; s < cell.sizes.size(); ++s) {
    const StairPrediction prediction = predict_staircase(cell, s);
    const auto keep = [&](Index column, std::size_t number) {
      out[static_cast<std::size_t>(column)] = prediction.numbers[number];
    };
    for (const StairNumber which : {StairNumber::excess, StairNumber::train})
      keep(cell.number(s, which), static_cast<std::size_t>(which));
    for (std::size_t l = 1; l < cell.degrees(); ++l)
      if (std::abs(prediction.numbers[kStairNumbers + l] - 0.5) < 0.45) keep(cell.learned(s, l), kStairNumbers + l);
  }
  return out;
}

/// Columns of `samples` that are predicted to be neither unknown nor 0, judged together.
inline estimators::JointVerdict judge_together(const Samples& samples, const std::vector<double>& predicted,
                                               std::uint64_t key) {
  estimators::GroupSample chosen;
  std::vector<double> values;
  std::vector<Index> columns;
  for (std::size_t k = 0; k < predicted.size(); ++k)
    if (std::isfinite(predicted[k]) && predicted[k] > 1e-12) {
      columns.push_back(static_cast<Index>(k));
      values.push_back(predicted[k]);
    }
  chosen.groups = samples.replicates;
  chosen.entries = static_cast<Index>(columns.size());
  chosen.counts.assign(static_cast<std::size_t>(samples.replicates), 1.0);
  for (Index r = 0; r < samples.replicates; ++r)
    for (const Index column : columns) chosen.values.push_back(samples.at(r, column));
  estimators::JointOptions options;
  options.key = key;
  return estimators::joint_test(chosen, values, options);
}

}  // namespace widelab::experiments::test
