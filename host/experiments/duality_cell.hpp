// One cell of `activity-weight-duality`: a change of what enters a layer and a change of its weights that do the same
// to its pre-activations, and the generalisation gap split along the layer's Hessian (Feng, Zhang and Tu 2023, Nature
// Machine Intelligence 5, 908).
//
// Layer W (from 0: `layer`) with input a. Each test example k is paired with the nearest training example of its class
// (Euclidean, in the network's inputs); da_k = a(test) - a(train), and
//   dW_k = W da_k a^T / |a|^2   has   (W + dW_k) a = W (a + da_k),   so   l(test, W) = l(train, W + dW_k) exactly.
// With dl_k = l(test) - l(train), g_k = dl_k dW_k / |dW_k|^2 and the eigenvectors u_n of the layer's Hessian of the
// training loss, the mean of dl_k is the sum over n of <g_kn w_kn> = mu_gn mu_wn + c_n sigma_gn sigma_wn, g_kn =
// u_n.g_k and w_kn = u_n.dW_k: sigma_g the factor of sharpness, sigma_w that of size.
#pragma once

#include <string>
#include <vector>

#include "host/experiments/sample_job.hpp"
#include "host/experiments/training_cell.hpp"

namespace widelab::experiments {

/// Numbers of one network; means are over pairs.
enum class DualityNumber : std::uint8_t {
  steps,       ///< of training
  train_loss,  ///< of the data set, mean over examples
  test_loss,
  gap,             ///< mean of dl_k
  factors,         ///< sum over n of c_n sigma_gn sigma_wn: means dropped
  identity_error,  ///< largest |l(test, W) - l(train, W + dW_k)|
  split_error,     ///< |sum over n of <g_kn w_kn> - gap|
  share_10,        ///< of the gap along the 10 leading eigenvectors
  share_50,
  share_200,
  sharpness_exponent,  ///< a of sigma_g ~ lambda^a over the leading eigenvectors with lambda > 0, least squares of logs
  size_exponent,       ///< the same of sigma_w
  mean_correlation,    ///< of c_n over the same
  weight_norm,         ///< |W|
  count_
};
inline constexpr std::size_t kDualityNumbers = static_cast<std::size_t>(DualityNumber::count_);

/// Numbers of one direction.
enum class DirectionNumber : std::uint8_t { curvature, sharpness, size, correlation, contribution, count_ };
inline constexpr std::size_t kDirectionNumbers = static_cast<std::size_t>(DirectionNumber::count_);

struct DualityCell {
  TrainingCell training;
  Index layer = 1;
  Index shown = 0;  ///< leading directions that are reported one by one, and that exponents are fitted to
  std::string fingerprint;

  Index number(DualityNumber which) const { return static_cast<Index>(which); }
  Index direction(Index n, DirectionNumber which) const {
    return static_cast<Index>(kDualityNumbers) + n * static_cast<Index>(kDirectionNumbers) + static_cast<Index>(which);
  }
  Index numbers() const { return direction(shown, DirectionNumber::curvature); }
};

/// Keys of `[duality]`.
std::vector<io::KeySpec> duality_keys();

/// Throws RecipeError where targets are no classes, for LayerNorm and residual branches, and layers that are not there.
DualityCell make_duality_cell(const RunSetup& setup, const io::Cell& at);

SampleTask duality_task(const DualityCell& cell, runtime::Backend& backend);
CellPlan plan_duality_cell(const DualityCell& cell, const std::string& name);

/// The numbers of a network with these parameters (P) after `steps` steps: a row of the cell.
std::vector<double> duality_row(const DualityCell& cell, runtime::Backend& backend,
                                const std::vector<double>& parameters, Index steps);

}  // namespace widelab::experiments
