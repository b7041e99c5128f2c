// One cell of `variance-flatness`: variances of one hidden-to-hidden layer's weights under SGD against the flatness of
// the loss along the same directions (Feng and Tu 2021, PNAS 118 e2015617118), seen three ways.
//
// A network is trained to its checkpoint: the end of an epoch, `window` steps before train.steps, or the first one
// before that with a training loss below train.converged_loss. From there
//   window    the network goes on for `window` steps. PCA of the layer's weights before every update: variances
//             sigma_i^2, directions p_i, correlation times tau_i; along p_i, at the end of the window, e-fold width F_i
//             of the mean training loss, curvature H_ii, noise C_ii of one example's gradient;
//   replicas  go on from the same checkpoint and differ in the order of their batches alone: variances across replicas
//             along leading eigenvectors of the layer's Hessian there, free of drift and of PCA, beside linear theory;
//   nulls     linear dynamics with Gaussian noise (linear_null.hpp), of the same length, sampling and PCA; F_i is
//             measured on the network along their directions. One knows of the network only the spectrum of that
//             Hessian, with C ~ H^null_exponent; one is SGD linearised at the checkpoint, with its gradient, Hessian
//             and C as they are measured.
// Exponents are least-squares slopes of logarithms, one a network: sigma^2 ~ F^-psi and so on. Component 0, the drift,
// never counts.
#pragma once

#include <string>
#include <vector>

#include "host/experiments/sample_job.hpp"
#include "host/experiments/training_cell.hpp"

namespace widelab::experiments {

/// Numbers of one network.
enum class FlatnessNumber : std::uint8_t {
  checkpoint,         ///< its step
  checkpoint_loss,    ///< mean training loss there
  train_loss,         ///< at the end of the window
  drift_share,        ///< of the window's variance: component 0
  drift_cosine,       ///< |cos| of component 0 with the window's mean weights
  psi_window,         ///< sigma^2 ~ F^-psi over components
  psi_replica,        ///< across replicas at half an epoch, over eigenvectors of the Hessian
  psi_null,           ///< of the linear null with C ~ H^null_exponent
  psi_linearised,     ///< of SGD linearised at the checkpoint: measured gradient, H and C
  psi_excess,         ///< psi_window - psi_null
  psi_nonlinear,      ///< psi_window - psi_linearised
  psi_drift_free,     ///< psi_window - psi_replica
  variance_exponent,  ///< sigma^2 ~ H^a along components
  null_variance_exponent,
  noise_exponent,       ///< C ~ H^gamma along components
  mode_noise_exponent,  ///< C ~ H^gamma along eigenvectors of the Hessian
  curvature_exponent,   ///< H ~ F^b along components
  time_exponent,        ///< tau ~ F^c along components
  null_time_exponent,
  unresolved,        ///< share of components whose variance is not kLeastResolution times that of rounding
  unresolved_modes,  ///< the same of eigenvectors and times of the replicas
  endless,           ///< share of components along which the loss does not grow e-fold
  count_
};
inline constexpr std::size_t kFlatnessNumbers = static_cast<std::size_t>(FlatnessNumber::count_);

/// Numbers of one component of PCA.
enum class ComponentNumber : std::uint8_t {
  variance,
  flatness,
  curvature,
  noise,
  time,
  resolution,  ///< variance in the window by the noise of batches over that by rounding, of a flat direction
  null_variance,
  null_flatness,
  null_time,
  linearised_variance,
  linearised_flatness,
  count_
};
inline constexpr std::size_t kComponentNumbers = static_cast<std::size_t>(ComponentNumber::count_);

/// Numbers of one eigenvector of the layer's Hessian at the checkpoint.
enum class ModeNumber : std::uint8_t { curvature, noise, flatness, count_ };
inline constexpr std::size_t kModeNumbers = static_cast<std::size_t>(ModeNumber::count_);

/// Numbers of the replicas at one time.
enum class ReplicaNumber : std::uint8_t {
  trace,         ///< of the covariance of the layer's weights across replicas
  displacement,  ///< square of the layer's mean displacement, without the replicas' share of it: drift
  ratio,         ///< mean over eigenvectors of measured over predicted variance
  median_ratio,
  psi,                ///< variance ~ F^-psi
  variance_exponent,  ///< variance ~ H^a
  count_
};
inline constexpr std::size_t kReplicaNumbers = static_cast<std::size_t>(ReplicaNumber::count_);

/// Rounding of stored weights is noise as well: a random walk with ulp^2 / 12 a step and weight. Variances below this
/// many times its own, in the window (components) or at that time (replicas), are not measured: NaN.
inline constexpr double kLeastResolution = 10;

struct FlatnessCell {
  TrainingCell training;
  Index layer = 1;
  Index window = 0;               ///< W, steps
  Index latest = 0;               ///< latest checkpoint: train.steps - W
  std::vector<Index> components;  ///< 0, 1, 1 + every, ..
  Index modes = 0, replicas = 0;
  std::vector<double> epochs;  ///< of the replicas' times
  std::vector<Index> times;    ///< the same in steps after the checkpoint
  double null_exponent = 1;
  double least_resolution = kLeastResolution;
  std::uint64_t branch_key = 0, null_key = 0;
  std::string fingerprint;

  Index batch() const { return training.spec.member(0).batch; }
  Index steps_per_epoch() const { return training.data.train.examples / batch(); }
  Index layer_size() const { return training.network().shape.fan_in(layer) * training.network().shape.fan_out(layer); }
  /// eta of the layer on the mean loss.
  double effective_rate() const;

  Index number(FlatnessNumber which) const { return static_cast<Index>(which); }
  Index component(std::size_t i, ComponentNumber which) const {
    return static_cast<Index>(kFlatnessNumbers + i * kComponentNumbers + static_cast<std::size_t>(which));
  }
  Index mode(Index i, ModeNumber which) const {
    return component(components.size(), ComponentNumber::variance) + i * static_cast<Index>(kModeNumbers) +
           static_cast<Index>(which);
  }
  Index replica(std::size_t time, ReplicaNumber which) const {
    return mode(modes, ModeNumber::curvature) + static_cast<Index>(time * kReplicaNumbers) + static_cast<Index>(which);
  }
  Index variance(std::size_t time, Index i) const {
    return replica(times.size(), ReplicaNumber::trace) + static_cast<Index>(time) * modes + i;
  }
  Index predicted(std::size_t time, Index i) const {
    return variance(times.size(), 0) + variance(time, i) - variance(0, 0);
  }
  Index numbers() const { return predicted(times.size(), 0); }
};

/// Keys of `[flatness]`.
std::vector<io::KeySpec> flatness_keys();

/// Throws RecipeError where the layer does not lie between hidden layers or has no exact Hessian, for noise other than
/// that of batches, and for a training that has no room for its window.
FlatnessCell make_flatness_cell(const RunSetup& setup, const io::Cell& at);

SampleTask flatness_task(const FlatnessCell& cell, runtime::Backend& backend);
CellPlan plan_flatness_cell(const FlatnessCell& cell, const std::string& name);

}  // namespace widelab::experiments
