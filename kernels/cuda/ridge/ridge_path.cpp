#include "widelab/ops/ridge_path.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/cuda/ridge/member_solver.hpp"
#include "kernels/cuda/ridge/small_path.hpp"
#include "kernels/cuda/workspace_limit.hpp"
#include "widelab/ops/ridge_checks.hpp"

namespace widelab::cuda {
namespace {

/// One member after the other; workspace and solvers are those of a plan.
class LargeRidgePath {
 public:
  LargeRidgePath(Context& context, const RidgePathProblem& problem, const RidgeWorkload& work, const RidgePlan& plan)
      : batch_(context, problem, work, plan.segments, 1), solver_(context, batch_, plan) {}

  template <class Memory>
  void take_buffers(Memory& memory) {
    batch_.take_buffers(memory);
    solver_.take_buffers(memory);
  }
  /// Of the workspace, and with what the libraries take beside it.
  double workspace_bytes() {
    ByteCounter counter;
    take_buffers(counter);
    return counter.bytes();
  }
  double bytes() { return workspace_bytes() + solver_.library_bytes(); }

  void run(Index member) {
    batch_.begin(member, 1);
    solver_.run();
  }

 private:
  RidgeBatch batch_;
  MemberSolver solver_;
};

/// The plan of one member for this device: the planner knows neither the panels of an op nor the libraries' workspace,
/// so it is asked again with less room as long as that helps. PlanError where nothing fits.
RidgePlan plan_for_device(Context& context, const RidgePathProblem& problem, const RidgeWorkload& work) {
  const double limit = workspace_limit(context, problem.limits);
  DeviceLimits limits;
  limits.workers = 1;
  limits.workspace_bytes = limit;
  for (double last = HUGE_VAL;;) {
    const RidgePlan plan = make_ridge_plan(work, limits);
    const double bytes = LargeRidgePath(context, problem, work, plan).bytes();
    if (bytes <= limit) return plan;
    if (bytes >= last)
      throw PlanError("a ridge path of " + std::to_string(work.examples) + " examples and " +
                      std::to_string(problem.columns()) + " columns needs " + std::to_string(bytes * 1e-9) +
                      " GB of workspace on the device, more than the limit of " + std::to_string(limit * 1e-9) +
                      " GB: take fewer examples, smaller sizes, or a larger memory limit");
    last = bytes;
    limits.workspace_bytes -= bytes - limit;
  }
}

void run_large(Context& context, const RidgePathProblem& problem, const RidgeWorkload& work,
               const std::vector<Index>& members) {
  if (members.empty()) return;
  const RidgePlan plan = plan_for_device(context, problem, work);
  LargeRidgePath path(context, problem, work, plan);
  context.arena.reserve(path.workspace_bytes(), "ridge_path");
  path.take_buffers(context.arena);
  for (const Index member : members) path.run(member);
}

std::vector<Index> all_members(const RidgePathProblem& problem) {
  std::vector<Index> members(static_cast<std::size_t>(problem.members));
  std::iota(members.begin(), members.end(), Index{0});
  return members;
}

/// As many members in flight as fit, down to one; returns those that are left to be solved. A workspace too small for
/// one leaves all of them.
std::vector<Index> run_small(Context& context, const RidgePathProblem& problem, const RidgeWorkload& work) {
  const double limit = workspace_limit(context, problem.limits);
  for (Index slots = kMostSmallSlots; slots > 0; slots /= 2) {
    SmallRidgePath path(context, problem, work, slots);
    ByteCounter counter;
    path.take_buffers(counter);
    if (counter.bytes() > (slots > 1 ? std::min(limit, kMostSmallBytes) : limit)) continue;
    context.arena.reserve(counter.bytes(), "ridge_path");
    path.take_buffers(context.arena);
    return path.run();
  }
  return all_members(problem);
}

}  // namespace

void ridge_path(Context& context, const RidgePathProblem& problem) {
  check_ridge_path(problem);
  const DeviceGuard guard(context);
  const RidgeWorkload work = ridge_workload(problem);
  // What is too ill-conditioned for a block is solved again, alone.
  if (solved_by_blocks(work))
    run_large(context, problem, work, run_small(context, problem, work));
  else
    run_large(context, problem, work, all_members(problem));
  synchronise(context);
}

}  // namespace widelab::cuda
