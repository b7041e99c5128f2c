// One cell of `mislabelled-phases`: networks trained on data of which some labels are wrong, and what their gradients
// say of the two kinds of examples.
#pragma once

#include <string>
#include <vector>

#include "host/experiments/sample_job.hpp"
#include "host/experiments/training_cell.hpp"

namespace widelab::experiments {

/// Numbers of a network in one epoch, averages over snapshots in it. Losses and gradients are of single examples of the
/// training set, with the labels that they are trained on.
enum class PhaseNumber : std::uint8_t {
  alignment,        ///< R_cw: cosine of the mean gradients of rightly and of wrongly labelled examples
  strength,         ///< rho = n_w |g_w| / (n_c |g_c|)
  batch_alignment,  ///< mean cosine of the gradients of two batches
  batch_amplitude,  ///< mean norm of a batch's gradient
  noise_trace,      ///< tr C of one example
  gradient_square,  ///< |g|^2
  separability,     ///< probability that a wrongly labelled example has the larger loss
  right_loss,       ///< mean loss of rightly labelled examples
  wrong_loss,       ///< mean loss of wrongly labelled ones
  wrong_fitted,     ///< share of wrongly labelled examples that are put where their label says
  test_error,       ///< share of test examples in a wrong class
  count_
};
inline constexpr std::size_t kPhaseNumbers = static_cast<std::size_t>(PhaseNumber::count_);

/// Epochs at which one network changes its phase; NaN where it does not. Phases after Feng and Tu 2021 (MLST 2 043001),
/// with criteria of ours:
///   I    until the least test error: right labels are learned
///   III  from the first to the last epoch with R_cw > 0: wrong labels are learned, rightly labelled examples agree
///   IV   from the first epoch after III with R_cw < 0 and more than 95 % of the wrong labels fitted
/// II lies between I and III.
enum class PhaseBoundary : std::uint8_t { least_error, first_agreement, last_agreement, both_fitted, count_ };
inline constexpr std::size_t kPhaseBoundaries = static_cast<std::size_t>(PhaseBoundary::count_);

struct PhasesCell {
  TrainingCell training;
  std::vector<bool> wrong;    ///< by training example
  std::vector<Index> epochs;  ///< observed ones, from 0, ascending
  Index snapshots = 1;        ///< in each of them
  std::string fingerprint;

  Index batch() const { return training.spec.member(0).batch; }
  Index steps_per_epoch() const { return training.data.train.examples / batch(); }
  Index number(std::size_t epoch, PhaseNumber which) const {
    return static_cast<Index>(epoch * kPhaseNumbers + static_cast<std::size_t>(which));
  }
  Index boundary(PhaseBoundary which) const {
    return static_cast<Index>(epochs.size() * kPhaseNumbers + static_cast<std::size_t>(which));
  }
  Index numbers() const { return boundary(PhaseBoundary::count_); }
};

/// Keys of `[phases]`.
std::vector<io::KeySpec> phases_keys();

/// Throws RecipeError where targets are no classes, the loss is not cross-entropy or squared, or batches leave no
/// epoch.
PhasesCell make_phases_cell(const RunSetup& setup, const io::Cell& at);

SampleTask phases_task(const PhasesCell& cell, runtime::Backend& backend);
CellPlan plan_phases_cell(const PhasesCell& cell, const std::string& name);

/// Probability that a number of the second kind is larger than one of the first, ties counted half: the area under the
/// ROC curve (Mann and Whitney 1947). NaN where a kind is empty.
double separability(const std::vector<double>& values, const std::vector<bool>& second_kind);

/// The boundaries from a network's numbers in every observed epoch (epochs x kPhaseNumbers).
std::vector<double> phase_boundaries(const std::vector<Index>& epochs, const double* numbers);

}  // namespace widelab::experiments
