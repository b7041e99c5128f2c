// The cell that the training experiments share: data, network and rule of a recipe at one point of its sweep, the
// observers that an experiment adds, and the job that trains its replicates.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "host/engine/training_job.hpp"
#include "host/estimators/observers.hpp"
#include "host/estimators/training_statistics.hpp"
#include "host/experiments/experiment.hpp"
#include "host/experiments/recipe_target.hpp"
#include "host/experiments/recipe_training.hpp"

namespace widelab::experiments {

/// `[seeds]`, `[train]`, `[observe]`, data, target and model: every key of a training experiment but its own.
struct TrainingKeyDefaults {
  TrainingDefaults train;
  int replicates = 100, examples = 16, dimension = 8, test_examples = 16;
  std::string target = "linear";
};
std::vector<io::KeySpec> all_training_keys(const TrainingKeyDefaults& defaults);

/// A cell before any network is drawn.
struct TrainingCell {
  engine::TrainingSpec spec;
  LearningData data;
  TrainingRecipe train;
  double learning_rate = 0;  ///< eta of every network; NaN where each has its own (own_kernel, sharpness)
  double curvature = 0;      ///< second derivative of the objective by an output; 0 where it changes
  std::uint64_t init_key = 0;
  bool on_gpu = false;
  estimators::Keep keep = estimators::Keep::mean;
  std::vector<estimators::ObservedQuantity> quantities;  ///< in the order of spec.observers

  const Network& network() const { return spec.task.network; }
};

/// Draws the data and resolves the learning rate. No observer, and no evaluation inputs yet. Throws RecipeError where
/// the targets do not suit the loss, and what make_learning_data and network_from throw.
TrainingCell make_training_cell(const RunSetup& setup, const io::Cell& cell);

/// What a result of trained networks says first: experiment, counted ("networks"), title, data, and conventions, those
/// of training before `conventions` ("; errors: over networks").
io::Attributes training_attributes(const RunSetup& setup, const TrainingCell& first, const std::string& counted,
                                   const std::string& conventions);

/// Before anything of that size is made: PlanError if `bytes` for `what` ("the examples") are more than may be used.
void require_room(const io::Recipe& recipe, const DeviceLimits& limits, double bytes, const std::string& what);

/// Order online: every network reads a part of the law of its own (as many data sets as replicates), as many examples
/// as its steps need, after those of the network before it. Returns that number. RecipeError beyond the 2^32 examples
/// that one seed numbers.
Index give_own_streams(const io::Recipe& recipe, TrainingCell& cell);

/// Adds an observer; `shift` and `order` as in ObservedQuantity.
void observe_with(TrainingCell& cell, std::shared_ptr<const engine::Observer> observer, int order = 2,
                  std::vector<double> shift = {});

/// Training and test inputs one after another, the usual evaluation inputs.
std::vector<double> all_inputs(const LearningData& data);

/// What the usual observers need: test rows after the training rows of the evaluation inputs, targets, rule.
estimators::ObserverContext observer_context(const TrainingCell& cell);

/// `result_numbers`: numbers that the cell adds to the result.
CellPlan plan_training_cell(const TrainingCell& cell, const std::string& name, double result_numbers);

/// Settings of a replicate as the job trains it: learning rates per step, also where each network has its own. Backend
/// outlives it.
std::function<MemberSettings(std::uint32_t replicate)> trained_members(const TrainingCell& cell,
                                                                       runtime::Backend& backend);

/// The job; its file's attributes say how far the increments of the first step are from being lost in rounding.
std::unique_ptr<engine::SegmentedJob> make_training_job(const TrainingCell& cell, runtime::Backend& backend);

/// A TrainingJob that owns the sink of its records.
std::unique_ptr<engine::SegmentedJob> make_job_with_sink(engine::TrainingSpec spec, runtime::Backend& backend,
                                                         std::unique_ptr<engine::RecordSink> sink);

/// A data set as the trainer takes it.
engine::TrainSet train_set(const data::Dataset& set);

/// The statistics in a finished cell's file.
estimators::TrainingStatistics read_training_statistics(const TrainingCell& cell, const io::ArrayFile& file);

}  // namespace widelab::experiments
