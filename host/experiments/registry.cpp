#include "host/experiments/experiments.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/base/nearest.hpp"

namespace widelab::experiments {
namespace {

const std::vector<const Experiment*>& all() {
  static const std::vector<const Experiment*> list{&ntk_limit(),
                                                   &ntk_map(),
                                                   &train(),
                                                   &ntk_dynamics(),
                                                   &kernel_drift(),
                                                   &coord_check(),
                                                   &trained_double_descent(),
                                                   &staircase(),
                                                   &double_descent(),
                                                   &lazy_gap(),
                                                   &pool_regression(),
                                                   &sgd_stationary(),
                                                   &langevin(),
                                                   &mislabelled_phases(),
                                                   &transient_freezing(),
                                                   &epoch_bridge(),
                                                   &effective_landscape(),
                                                   &activity_weight_duality(),
                                                   &sharpness_and_batch(),
                                                   &variance_flatness()};
  return list;
}

}  // namespace

std::vector<std::string> experiment_names() {
  std::vector<std::string> names;
  for (const Experiment* experiment : all()) names.push_back(experiment->schema().experiment);
  return names;
}

const Experiment& find_experiment(const std::string& name) {
  for (const Experiment* experiment : all())
    if (experiment->schema().experiment == name) return *experiment;
  std::string list;
  for (const std::string& known : experiment_names()) list += (list.empty() ? "" : ", ") + known;
  throw RecipeError("experiment = \"" + name + "\" is unknown: did you mean \"" +
                    nearest_name(name, experiment_names()) + "\"? Known: " + list);
}

}  // namespace widelab::experiments
