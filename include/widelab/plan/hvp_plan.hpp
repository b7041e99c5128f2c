// How the op `hvp` cuts its examples: a pure function of shapes and limits, computed before a run, and again,
// identically, by the op itself. Tiles do not depend on the number of workers or members, so neither do results.
#pragma once

#include <algorithm>
#include <string>

#include "widelab/base/errors.hpp"
#include "widelab/base/types.hpp"
#include "widelab/model/mlp_shape.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/plan/device_limits.hpp"

namespace widelab {

struct HvpWorkload {
  Index members = 1, examples = 1, vectors = 1;
  bool hessian = true;   ///< false: Gauss-Newton or gradient moment
  int scalar_bytes = 4;  ///< 4: fp32, 8: fp64
};

struct HvpPlan {
  Index tile = 1;                   ///< examples whose signals are held at once
  Index chunk = 1;                  ///< examples that one worker takes through all layers
  bool members_in_parallel = true;  ///< one member a worker; otherwise the workers share one member
  double bytes_per_member = 0;      ///< workspace of a member in flight
  double total_bytes = 0;           ///< workspace of all members in flight
  double flops = 0;                 ///< of the whole workload, matrix products only
  std::string reason;
};

/// Rows (examples times vectors) of the largest tile: enough that adding up tiles costs nothing beside the products.
inline constexpr Index kHvpRows = 4096;
inline constexpr Index kHvpTile = 1024;

/// Workspace of one member with `tile` examples at once: signals of the network and their derivatives along every
/// vector, and for fp32 the sums in fp64.
inline double hvp_bytes(const MlpShape& shape, const HvpWorkload& work, Index tile) {
  double units = static_cast<double>(shape.outputs);
  for (const Index n : shape.widths) units += static_cast<double>(n);
  const double norms = shape.layer_norm ? 1 : 0, second = work.hessian ? 1 : 0;
  const double base = 4 + norms + second;  // z, h, slope, dz; y; s phi''
  const double tangents = 3 + norms;       // of z, h and dz; of y where it is not that of z
  const double vectors = static_cast<double>(work.vectors);
  const double sums = work.scalar_bytes == 4 ? 8 * vectors * static_cast<double>(ParamLayout(shape).size) : 0;
  return static_cast<double>(tile) * units * work.scalar_bytes * (base + vectors * tangents) + sums;
}

/// Matrix products, 2 n_{l-1} n_l operations an example each, if every parameter counts: forward 1, and a vector's 4
/// for Gauss-Newton and gradient moment; the Hessian has 6 and another one backward. The lowest layer has neither
/// signals to pass down nor inputs that move.
inline double hvp_flops(const MlpShape& shape, const HvpWorkload& work) {
  const double vectors = static_cast<double>(work.vectors);
  double products = 0;
  for (Index l = 0; l < shape.layers(); ++l) {
    const double weights = static_cast<double>(shape.fan_in(l)) * static_cast<double>(shape.fan_out(l));
    products += weights * (l == 0 ? 1 + 2 * vectors : work.hessian ? 2 + 6 * vectors : 1 + 4 * vectors);
  }
  return 2 * products * static_cast<double>(work.members) * static_cast<double>(work.examples);
}

/// Throws PlanError with the inequality if not even one example fits.
inline HvpPlan make_hvp_plan(const MlpShape& shape, const HvpWorkload& work, const DeviceLimits& limits) {
  const int workers = std::max(1, limits.workers);
  const double budget = limits.workspace_bytes > 0 ? limits.workspace_bytes : 1e300;
  HvpPlan plan;
  plan.flops = hvp_flops(shape, work);
  plan.tile = std::min(work.examples, std::clamp<Index>(kHvpRows / work.vectors, 64, kHvpTile));
  while (plan.tile > 1 && hvp_bytes(shape, work, plan.tile) > budget) plan.tile = ceil_div(plan.tile, 2);
  // Some sixteen pieces of a tile, each large enough for an efficient matrix product.
  plan.chunk = std::clamp<Index>(ceil_div(plan.tile, 8), std::min<Index>(32, plan.tile), 256);
  plan.bytes_per_member = hvp_bytes(shape, work, plan.tile);
  if (plan.bytes_per_member > budget)
    throw PlanError("hvp: one example with " + std::to_string(work.vectors) + " vectors needs " +
                    std::to_string(plan.bytes_per_member * 1e-9) + " GB of workspace, more than the limit of " +
                    std::to_string(budget * 1e-9) +
                    " GB: use fewer vectors at once, a narrower network, or a larger memory limit");
  plan.members_in_parallel = work.members >= workers && plan.bytes_per_member * workers <= budget;
  plan.total_bytes = plan.bytes_per_member * (plan.members_in_parallel ? workers : 1);
  plan.reason = plan.members_in_parallel  ? "every worker holds a member"
                : work.members >= workers ? "a member for each worker does not fit: workers share one member"
                                          : "fewer members than workers: workers share one member";
  if (plan.tile < work.examples) plan.reason += ", examples in tiles of " + std::to_string(plan.tile);
  return plan;
}

}  // namespace widelab
