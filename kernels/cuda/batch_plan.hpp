// How an op cuts an ensemble into batches of members, tiles of inputs and panels of weights. Pure host code.
#pragma once

#include <algorithm>
#include <string>

#include "kernels/cuda/support/arena.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/base/types.hpp"
#include "widelab/model/mlp_shape.hpp"

namespace widelab::cuda {

/// What a plan is made for. `members` of the ensemble is absent on purpose: a member's bits must not depend on it.
struct BatchWork {
  Index rows = 1;  ///< inputs in x1
  Index cols = 0;  ///< inputs in x2; 0 = none
  Index multiprocessors = 1;
  double limit = 0;  ///< bytes of workspace
};

struct BatchPlan {
  Index slots = 1;       ///< members in flight
  Index tile = 1;        ///< inputs in flight, of each of x1 and x2
  bool hold = true;      ///< a batch's weights are staged once and kept
  Index panel_rows = 0;  ///< else: output units whose weights are staged at a time
  double bytes = 0;
};

inline constexpr Index kMaxSlots = 128;

/// Members whose products fill the device together: a product of m x n is about (m/128)(n/128) blocks.
inline Index slots_to_fill(const MlpShape& shape, Index tile, Index multiprocessors) {
  const Index widest = *std::max_element(shape.widths.begin(), shape.widths.end());
  const Index blocks = ceil_div(widest, 128) * ceil_div(tile, 128);
  return std::clamp<Index>(multiprocessors / blocks, 1, kMaxSlots);
}

/// The first that fits of: all inputs at once, then halves, quarters ...; weights held, then panels of 8192 down to 64
/// output units; as many members as fill the device, then fewer. bytes(plan) is the workspace that `plan` takes.
/// PlanError when one input of one member does not fit.
template <class Bytes>
BatchPlan make_batch_plan(const MlpShape& shape, const BatchWork& work, const std::string& op, Bytes&& bytes) {
  BatchPlan plan;
  for (Index tile = std::max(work.rows, work.cols);; tile = ceil_div(tile, 2)) {
    for (Index panel = 16384; panel >= 64; panel /= 2) {
      plan.tile = tile;
      plan.hold = panel == 16384;
      plan.panel_rows = plan.hold ? 0 : panel;
      for (plan.slots = slots_to_fill(shape, tile, work.multiprocessors);; plan.slots = ceil_div(plan.slots, 2)) {
        plan.bytes = bytes(plan);
        if (plan.bytes <= work.limit) return plan;
        if (plan.slots == 1) break;
      }
    }
    if (tile == 1) break;
  }
  throw PlanError(op + " of one member and one input needs " + std::to_string(plan.bytes * 1e-9) +
                  " GB of workspace on the device, more than the limit of " + std::to_string(work.limit * 1e-9) +
                  " GB: use a narrower network, fp32, or a larger memory limit");
}

/// Rows of a panel of layer `layer`.
inline Index panel_rows(const MlpShape& shape, const BatchPlan& plan, Index layer) {
  return plan.hold ? shape.fan_out(layer) : std::min(plan.panel_rows, shape.fan_out(layer));
}

}  // namespace widelab::cuda
