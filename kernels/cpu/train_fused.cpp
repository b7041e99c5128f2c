#include "kernels/cpu/train_fused.hpp"

#include <omp.h>

#include <vector>

#include "kernels/cpu/cpu_block.hpp"
#include "kernels/cpu/parallel.hpp"
#include "kernels/shared/fused_setup.hpp"
#include "kernels/shared/train_fused.hpp"
#include "widelab/base/contract.hpp"

namespace widelab::cpu {
namespace {

/// A member of a group, by number.
struct Place {
  std::size_t group;
  Index member;
};

/// What a thread keeps from member to member.
template <class T>
struct FusedWorker {
  CpuBlock<T> block;
  Buffer<T> workspace;
};

}  // namespace

template <class T>
void train_fused(const TrainProblem<T>& problem, TileKind tiles) {
  WIDELAB_REQUIRE(can_run(tiles), "this processor lacks the instruction set");
  const std::vector<StepFactors> factors = fused_step_factors(problem.rule, problem.steps);
  const FusedRule rule = fused_rule(problem.rule, problem.steps, factors.data());
  std::vector<FusedNetworkArrays<T>> arrays;
  std::vector<Place> places;
  for (std::size_t g = 0; g < problem.groups.size(); ++g) {
    arrays.emplace_back(*problem.groups[g].network);
    for (Index m = 0; m < problem.groups[g].members; ++m)
      if (problem.groups[g].status[m].status == TrainStatus::running) places.push_back({g, m});
  }
  std::vector<FusedWorker<T>> workers;
  for (int w = 0; w < worker_count(problem.limits.workers); ++w)
    workers.push_back({CpuBlock<T>(tile_set<T>(tiles)), {}});
#pragma omp parallel for schedule(dynamic, 1) num_threads(static_cast <int>(workers.size()))
  for (std::size_t p = 0; p < places.size(); ++p) {
    FusedWorker<T>& worker = workers[static_cast<std::size_t>(omp_get_thread_num())];
    const FusedNetwork<T> network = arrays[places[p].group].view();
    FusedMember<T> member = fused_member(problem, problem.groups[places[p].group], places[p].member);
    member.network = &network;
    member.rule = &rule;
    worker.workspace.resize(static_cast<std::size_t>(fused_workspace(network, member.settings.batch).size));
    member.workspace = worker.workspace.data();
    train_fused_member(worker.block, member);
  }
}

template void train_fused(const TrainProblem<float>&, TileKind);
template void train_fused(const TrainProblem<double>&, TileKind);

}  // namespace widelab::cpu
