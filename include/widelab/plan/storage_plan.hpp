// How an op on an ensemble will use memory and threads: a pure function of shapes and limits, computed before a run,
// printed, stored with the result, and computed again, identically, by the op itself.
#pragma once

#include <algorithm>
#include <string>

#include "widelab/base/errors.hpp"
#include "widelab/base/types.hpp"
#include "widelab/model/mlp_shape.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/plan/device_limits.hpp"

namespace widelab {

/// Output units per tile of a weight matrix, and units per fp64-accumulated chunk of a Gram.
inline constexpr Index kUnitTile = 512;
/// Columns, and of few inputs rows as well, of one block of a kernel matrix of `inputs` inputs: small enough that the
/// blocks on and below the diagonal keep several workers busy, large enough for an efficient matrix product.
constexpr Index kernel_block(Index inputs) { return inputs <= 256 ? 64 : 128; }

/// What is asked of the kernel ops.
struct KernelWorkload {
  Index members = 1;
  Index rows = 1;              ///< N1
  Index cols = 0;              ///< N2; 0 = symmetric problem
  bool backward = true;        ///< false: features only (forward, nngp)
  bool of_loss = false;        ///< backward signals of a loss, one row an input, not one for each output
  bool weights_given = false;  ///< weights are stored already, so none are drawn
  bool elementwise_init = true;
  int scalar_bytes = 4;  ///< 4: fp32, 8: fp64
};

struct StoragePlan {
  bool hold_weights = false;        ///< a member's drawn weights are kept from the forward to the backward pass
  bool members_in_parallel = true;  ///< one member a worker; otherwise the workers share one member
  Index members_at_once = 1;
  Index input_tile = 1;         ///< inputs whose signals are held at once (two tiles, if less than all)
  double bytes_per_member = 0;  ///< workspace of a member in flight
  double total_bytes = 0;       ///< workspace of all members in flight
  double flops = 0;             ///< of the whole workload, matrix products only
  double draws = 0;             ///< random numbers of the whole workload
  std::string reason;
};

/// Rows of backward signals that an input has.
inline Index backward_rows(const MlpShape& shape, const KernelWorkload& work) {
  return !work.backward ? 0 : work.of_loss ? 1 : shape.outputs;
}

/// Bytes of the signals (h_l, phi'_l, dz_l, and LayerNorm's normalised z_l) of `inputs` inputs.
inline double signal_bytes(const MlpShape& shape, const KernelWorkload& work, Index inputs) {
  double units = 0, widest = 0;
  for (const Index n : shape.widths) {
    units += static_cast<double>(n);
    widest = std::max(widest, static_cast<double>(n));
  }
  const double outputs = static_cast<double>(shape.outputs) * (work.of_loss ? 2.0 : 1.0);  // f, and d loss / d f
  const double copies = 1.0 + (work.backward ? 1.0 + static_cast<double>(backward_rows(shape, work)) : 0.0) +
                        (shape.layer_norm ? 1.0 : 0.0);
  // `widest`: the pre-activations of the layer at work and of the one below it.
  return static_cast<double>(inputs) * work.scalar_bytes *
         (units * copies + widest * (shape.depth() > 1 ? 2.0 : 1.0) + outputs);
}

/// A member's weights, or tiles of them, one for each of the threads that share the member.
inline double weight_bytes(const MlpShape& shape, const KernelWorkload& work, bool hold, int threads) {
  if (work.weights_given) return 0;
  if (hold) return static_cast<double>(ParamLayout(shape).size) * work.scalar_bytes;
  double fan_in = 0;
  for (Index l = 0; l < shape.layers(); ++l) fan_in = std::max(fan_in, static_cast<double>(shape.fan_in(l)));
  return (fan_in * kUnitTile * threads + static_cast<double>(shape.outputs) * fan_in) * work.scalar_bytes;
}

/// Matrix-product operations of the workload: forward, backward, and the Grams of both signals.
inline double workload_flops(const MlpShape& shape, const KernelWorkload& work) {
  const double n1 = static_cast<double>(work.rows), n2 = static_cast<double>(work.cols);
  const double inputs = n1 + n2, rows = static_cast<double>(backward_rows(shape, work));
  const double pairs = work.cols ? n1 * n2 : 0.5 * n1 * (n1 + 1);
  double total = 0;
  for (Index l = 0; l < shape.layers(); ++l) {
    const double a = static_cast<double>(shape.fan_in(l)), b = static_cast<double>(shape.fan_out(l));
    total += 2 * inputs * a * b;
    if (work.backward) {
      if (l > 0 && l < shape.depth()) total += 2 * inputs * rows * a * b;
      total += 2 * pairs * (a + (l < shape.depth() ? b * rows : 0));
    }
  }
  return total * static_cast<double>(work.members);
}

/// Chooses, in this order of preference: weights held and one member a worker; weights held and workers sharing a
/// member; weights regenerated; inputs in tiles. Throws PlanError with the inequality when nothing fits.
inline StoragePlan make_storage_plan(const MlpShape& shape, const KernelWorkload& work, const DeviceLimits& limits) {
  const int workers = std::max(1, limits.workers);
  const double budget = limits.workspace_bytes > 0 ? limits.workspace_bytes : 1e300;
  StoragePlan plan;
  plan.flops = workload_flops(shape, work);
  const Index inputs = work.rows + work.cols;
  const double all_signals = signal_bytes(shape, work, inputs);
  const auto settle = [&](bool hold, bool parallel, Index tile, double signals, const std::string& reason) {
    plan.hold_weights = hold && !work.weights_given;
    plan.members_in_parallel = parallel;
    plan.members_at_once = parallel ? std::min<Index>(workers, work.members) : 1;
    plan.input_tile = tile;
    plan.bytes_per_member = signals + weight_bytes(shape, work, hold, parallel ? 1 : workers);
    plan.total_bytes = plan.bytes_per_member * static_cast<double>(plan.members_at_once);
    const double passes = hold || work.weights_given || !work.backward ? 1.0 : 2.0;
    plan.draws = work.weights_given
                     ? 0
                     : passes * static_cast<double>(ParamLayout(shape).size) * static_cast<double>(work.members);
    plan.reason = reason;
    return plan.total_bytes <= budget;
  };
  const bool many = work.members >= workers;
  if (many && settle(true, true, inputs, all_signals, "every worker holds a member")) return plan;
  if (settle(true, false, inputs, all_signals,
             many ? "a member for each worker does not fit: workers share one member"
                  : "fewer members than workers: workers share one member"))
    return plan;
  const bool can_regenerate = work.weights_given || work.elementwise_init;
  if (can_regenerate) {
    if (many && settle(false, true, inputs, all_signals, "weights do not fit: regenerated in tiles")) return plan;
    if (settle(false, false, inputs, all_signals, "weights do not fit: regenerated in tiles, workers share one member"))
      return plan;
  }
  for (Index tile = ceil_div(std::max(work.rows, work.cols), 2); tile >= 1; tile = tile > 1 ? ceil_div(tile, 2) : 0) {
    const double two_tiles = 2 * signal_bytes(shape, work, tile);
    for (const bool hold : {true, false}) {
      if (!hold && !can_regenerate) continue;
      if (settle(hold, false, tile, two_tiles, "signals do not fit: inputs in tiles of " + std::to_string(tile)))
        return plan;
    }
  }
  throw PlanError("one member needs " + std::to_string(plan.bytes_per_member * 1e-9) +
                  " GB of workspace, more than the limit of " + std::to_string(budget * 1e-9) +
                  " GB: use a narrower network, fewer inputs, fp32, or a larger memory limit");
}

}  // namespace widelab
