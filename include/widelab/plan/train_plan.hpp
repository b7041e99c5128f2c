// Which engine trains a network, with how many bytes, and why: pure functions of shapes and limits.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include "widelab/base/errors.hpp"
#include "widelab/base/types.hpp"
#include "widelab/model/mlp_shape.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/plan/device_limits.hpp"

namespace widelab {

/// automatic: make_train_plan chooses. fused: a member in fast memory for a whole range of steps. gemm: matrix products
/// of a library. reference: the textbook in double.
enum class TrainEngine : std::uint8_t { automatic, fused, gemm, reference };

inline const char* engine_name(TrainEngine engine) {
  constexpr const char* kNames[] = {"automatic", "fused", "gemm", "reference"};
  return kNames[static_cast<std::size_t>(engine)];
}

struct TrainWorkload {
  Index members = 1;
  Index batch = 1;  ///< the largest of the members'
  int scalar_bytes = 4;
  int moments = 0;            ///< of the update rule
  bool displacement = false;  ///< theta_0 and D are stored beside the parameters
  TrainEngine engine = TrainEngine::automatic;
  bool on_gpu = false;
};

struct TrainPlan {
  TrainEngine engine = TrainEngine::fused;
  Index window = 1;           ///< steps of the lazy low-rank window; 1 = update at each step. A plan never takes more
                              ///< by itself: nothing was gained on a CPU (bench/baselines, train.md)
  double state_bytes = 0;     ///< of one member: parameters, moments, displacement
  double fast_bytes = 0;      ///< what one member needs at hand: parameters, moments and activations of a batch
  double flops_per_step = 0;  ///< of one member, matrix products only: 6 B P - 2 B d n_1
  std::string reason;
};

/// Numbers that the fused body keeps of a batch: inputs and targets, features and slopes of every layer, two
/// backward signals, outputs. Batch rows are padded to 16.
inline double fused_activation_count(const MlpShape& shape, Index batch) {
  const double rows = 16.0 * static_cast<double>(ceil_div(batch, 16));
  double units = static_cast<double>(shape.input_dim), widest = static_cast<double>(shape.outputs);
  for (const Index n : shape.widths) {
    units += static_cast<double>(n) * (shape.layer_norm ? 3.0 : 2.0);
    widest = std::fmax(widest, static_cast<double>(n));
  }
  return rows * (units + 2.0 * widest + 3.0 * static_cast<double>(shape.outputs));
}

inline double train_flops(const MlpShape& shape, Index batch) {
  const double first = static_cast<double>(shape.input_dim) * static_cast<double>(shape.widths.front());
  double weights = 0;
  for (Index l = 0; l < shape.layers(); ++l)
    weights += static_cast<double>(shape.fan_in(l)) * static_cast<double>(shape.fan_out(l));
  return static_cast<double>(batch) * (6.0 * weights - 2.0 * first);
}

// Where fused and gemm cross on a CPU: between 2.7 and 4.5 times the fast memory by the crossover rows of
// bench/end_to_end (bench/baselines). A member that needs more is trained by matrix products of the library.
inline constexpr double kFusedCpuOverflow = 3.0;

// Scalars of shared memory that a block of the device keeps for itself: a run of a tile for each of 256 threads, the
// lanes of its sums, and what rounding its arrays up takes.
inline constexpr double kGpuBlockScratch = 1200;
/// Chooses the engine. An engine that was asked for and cannot be had is a PlanError with the inequality.
inline TrainPlan make_train_plan(const MlpShape& shape, const TrainWorkload& work, const DeviceLimits& limits) {
  TrainPlan plan;
  const double parameters = static_cast<double>(ParamLayout(shape).size);
  const double copies = 1.0 + work.moments + (work.displacement ? 2.0 : 0.0);
  plan.state_bytes = parameters * copies * work.scalar_bytes;
  plan.fast_bytes = plan.state_bytes + fused_activation_count(shape, work.batch) * work.scalar_bytes;
  if (work.on_gpu) plan.fast_bytes += kGpuBlockScratch * work.scalar_bytes;
  plan.flops_per_step = train_flops(shape, work.batch);
  const double room =
      limits.fast_bytes > 0 ? limits.fast_bytes : (work.on_gpu ? kHopperSharedBytes : kDefaultFastBytes);
  const double limit = work.on_gpu ? room : room * kFusedCpuOverflow;
  const std::string numbers = std::to_string(static_cast<Index>(plan.fast_bytes)) + " bytes a member, " +
                              std::to_string(static_cast<Index>(limit)) +
                              (work.on_gpu ? " bytes of shared memory" : " bytes: 3 times a core's cache");
  const bool fits = plan.fast_bytes <= limit;
  plan.engine = work.engine;
  if (work.engine == TrainEngine::automatic) {
    plan.engine = fits ? TrainEngine::fused : TrainEngine::gemm;
    plan.reason = (fits ? "fits: " : "does not fit: ") + numbers;
  } else if (work.engine == TrainEngine::fused && work.on_gpu && !fits) {
    throw PlanError("train.engine = \"fused\": " + numbers +
                    ": take \"gemm\" or \"auto\", a narrower network or a smaller batch");
  } else {
    plan.reason = "asked for; " + numbers;
  }
  return plan;
}

}  // namespace widelab
