// One cell of `sharpness-and-batch`: measures of flatness of trained networks, and of the same functions with other
// parameters.
//
// Rescaling a ReLU layer (weights and biases times alpha, the next layer's weights over alpha) leaves every output
// unchanged, so that a measure which it changes says nothing of the function (Dinh et al. 2017): the negative control
// of all measures here.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "host/experiments/sample_job.hpp"
#include "host/experiments/training_cell.hpp"

namespace widelab::experiments {

/// Of the mean training loss L at parameters w (all trained ones).
enum class Flatness : std::uint8_t {
  sharpness,          ///< largest eigenvalue of the Hessian
  trace,              ///< of the Hessian, Hutchinson's estimate
  batch_sharpness,    ///< mean over batches of g_B.H_B g_B / |g_B|^2 (Andreyev and Beneventano 2024)
  random_directions,  ///< mean rise of L along random directions of length rho |w|
  row_normalised,     ///< the same, each direction's part for a unit rescaled to the norm of that unit's incoming
                      ///< weights (Yang et al. 2026 take -log10 of it)
  relative_trace,     ///< sum over layers of |W_l|^2 tr H_l (after Petzka et al. 2021)
  count_
};
inline constexpr std::size_t kFlatnessMeasures = static_cast<std::size_t>(Flatness::count_);

/// What else is kept of a network.
enum class TrainedNumber : std::uint8_t {
  steps,
  train_loss,
  test_loss,
  train_error,
  test_error,
  output_change,
  count_
};
inline constexpr std::size_t kTrainedNumbers = static_cast<std::size_t>(TrainedNumber::count_);

struct SharpnessCell {
  TrainingCell training;
  double rescaling = 1;  ///< alpha
  Index layer = 0;       ///< rescaled, and the one above it inversely
  Index directions = 1, batches = 1;
  double radius = 0;  ///< rho
  std::string fingerprint;

  Index number(TrainedNumber which) const { return static_cast<Index>(which); }
  /// variant 0: as trained; 1: rescaled.
  Index flatness(std::size_t variant, Flatness which) const {
    return static_cast<Index>(kTrainedNumbers + variant * kFlatnessMeasures + static_cast<std::size_t>(which));
  }
  Index numbers() const { return flatness(2, Flatness::sharpness); }
};

/// Keys of `[sharpness]`.
std::vector<io::KeySpec> sharpness_keys();

/// Throws RecipeError for activations that are not positively homogeneous and for LayerNorm and residual branches,
/// where rescaling would change the function.
SharpnessCell make_sharpness_cell(const RunSetup& setup, const io::Cell& at);

SampleTask sharpness_task(const SharpnessCell& cell, runtime::Backend& backend);
CellPlan plan_sharpness_cell(const SharpnessCell& cell, const std::string& name);

/// The same function: layer's weights and biases times alpha, the next layer's weights over it.
std::vector<double> rescaled(const Network& network, std::vector<double> parameters, Index layer, double alpha);

/// All measures at these parameters; `replicate` chooses directions and probes.
std::array<double, kFlatnessMeasures> flatness_measures(const SharpnessCell& cell, runtime::Backend& backend,
                                                        const std::vector<double>& parameters, std::uint32_t replicate);

}  // namespace widelab::experiments
