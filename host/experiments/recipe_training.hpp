// `[train]` and `[observe]`, the same in every training experiment: keys, and the rule they describe.
#pragma once

#include <string>
#include <vector>

#include "host/engine/trainer.hpp"
#include "host/io/recipe.hpp"
#include "widelab/model/parametrization.hpp"
#include "widelab/ops/train.hpp"

namespace widelab::experiments {

/// Defaults of the keys in which experiments differ.
struct TrainingDefaults {
  int steps = 1000;
  std::string optimiser = "sgd";
  std::string learning_rate = "0.1";  ///< TOML literal
  std::string rate_unit = "per-step";
  std::string storage = "auto";
  int observed = 10;  ///< observe.count
  std::string spacing = "logarithmic", observe_steps = "[]";
};

std::vector<io::KeySpec> training_keys(const TrainingDefaults& defaults);

/// per_step: eta itself. limit_kernel: over curvature times the largest eigenvalue of the infinite-width NTK on the
/// training set. own_kernel, sharpness: of each network's own at the start (host/estimators/learning_rates.hpp).
enum class RateUnit { per_step, limit_kernel, own_kernel, sharpness };

/// What `[train]` says, before data and kernels are known.
struct TrainingRecipe {
  TrainRule rule;
  RateScaling rates = RateScaling::plain;
  double learning_rate = 0.1;  ///< in `unit`
  RateUnit unit = RateUnit::per_step;
  Index steps = 1;
  Index batch = 0;  ///< 0 = all examples
  double weight_decay = 0, temperature = 0, label_noise = 0;
  TrainEngine engine = TrainEngine::automatic;
  Precision precision = Precision::fp32;
  engine::WeightStorage storage = engine::WeightStorage::in_place;
  Index window = 0;
  double converged_loss = 0;
};

/// Throws RecipeError where keys contradict each other.
TrainingRecipe training_from(const io::Recipe& recipe);

/// The observed steps of `[observe]`.
std::vector<Index> observed_steps(const io::Recipe& recipe);

/// Loss, reduction, optimiser, order, unit of the learning rate and scaling, as one line of the result's conventions.
std::string describe_training(const io::Recipe& recipe);

}  // namespace widelab::experiments
