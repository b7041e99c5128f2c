// One cell of `lazy-gap`: networks with initial weights and examples of their own on a target with hidden directions,
// their linearisations, or least squares on the features that they start with.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/estimators/sample_sink.hpp"
#include "host/experiments/linearisation.hpp"

namespace widelab::experiments {

/// What learns. All learners of otherwise equal cells have the same initial weights and examples.
enum class Learner { network, linearised, random_features, tangent };

struct GapCell {
  Learner learner = Learner::network;
  TrainingCell training;    ///< of regressions: their data, network and keys
  HiddenDirections hidden;  ///< the same for all networks
  bool centred = true;      ///< outputs are f - f_0
  double gamma = 1;         ///< linearised: see linearise
  double escape_overlap = 0.5;
  bool online = false;
  bool isotropic_start = false;  ///< first-layer neurons are independent and isotropic
  Index examples = 0;            ///< that a network sees: its training set, or all of its stream

  Index regressions = 0, regression_examples = 0;  ///< replicates of a regression, and examples of each
  double ridge = 0;                                ///< lambda of |y - Z a|^2 + lambda |a|^2
  double noise_variance = 0;
  bool sphere_inputs = false;  ///< uniform on the sphere of radius sqrt(d)

  bool regression() const { return learner == Learner::random_features || learner == Learner::tangent; }
  const data::Dataset& test() const { return training.data.test; }
  std::size_t times() const { return training.spec.observed.size(); }
  /// Of test targets, label noise included; NaN where the target's power is not known.
  double target_variance() const;

  // Numbers of a network at one observed step: over first-layer neurons the root mean square of the cosines with each
  // direction, the largest |cosine| with each, the training loss (finite sets), the outputs on the test examples.
  Index rms(Index direction) const { return direction; }
  Index largest(Index direction) const { return hidden.count + direction; }
  Index train_loss() const { return 2 * hidden.count; }
  Index first_output() const { return 2 * hidden.count + (online ? 0 : 1); }
  Index numbers() const { return first_output() + test().examples; }
};

/// Keys of `[gap]`.
std::vector<io::KeySpec> gap_keys();

/// The recipe with "learner" among seeds.shared where it is swept.
io::Recipe with_shared_learners(const RunSetup& setup);

/// The cell with the first of its training sets. Throws RecipeError for several outputs, a target without directions,
/// losses that are not squared, networks that a regression's features would not be those of, and a stream longer than
/// the counters of its random numbers.
GapCell make_gap_cell(const RunSetup& setup, const io::Cell& at);

/// Networks or linearisations, trained. `cell` is not a regression.
std::unique_ptr<engine::SegmentedJob> make_gap_training(const RunSetup& setup, const io::Cell& at, GapCell cell,
                                                        runtime::Backend& backend);

CellPlan plan_gap_training(const GapCell& cell, const std::string& name);

estimators::SampleSink read_gap(const GapCell& cell, const io::ArrayFile& file);

}  // namespace widelab::experiments
