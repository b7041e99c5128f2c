// The loop over the members of an ensemble, as the storage plan lays it out.
#pragma once

#include <vector>

#include "kernels/cpu/parallel.hpp"
#include "kernels/cpu/signals.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/plan/storage_plan.hpp"

namespace widelab::cpu {

/// A worker's memory, kept from member to member.
template <class T>
struct Worker {
  Buffer<T> held;
  Signals<T> first, second;
};

inline bool elementwise_init(const Network& network) {
  for (const LayerScale& layer : network.layers)
    if (!is_elementwise(layer.weight_law)) return false;
  return true;
}

/// The plan that an op on this machine follows. Weights of other than elementwise laws have to be stored.
template <class T>
StoragePlan plan_here(const Network& network, const MemberWeights<T>& weights, Index rows, Index cols,
                      BackwardSignals backward, DeviceLimits limits) {
  WIDELAB_REQUIRE(weights.stored || elementwise_init(network),
                  "orthogonal and file weights must be stored before a kernel op");
  limits.workers = worker_count(limits.workers);
  KernelWorkload work;
  work.members = weights.members;
  work.rows = rows;
  work.cols = cols;
  work.backward = backward != BackwardSignals::none;
  work.of_loss = backward == BackwardSignals::of_loss;
  work.weights_given = weights.stored != nullptr;
  work.scalar_bytes = static_cast<int>(sizeof(T));
  return make_storage_plan(network.shape, work, limits);
}

/// body(member, weights of the member, worker) for every member, in parallel if the plan says so.
template <class T, class Body>
void for_each_member(const Network& network, const MemberWeights<T>& weights, const StoragePlan& plan,
                     const Body& body) {
  use_single_threaded_blas();
  const ParamLayout layout(network.shape);
  std::vector<Worker<T>> workers(static_cast<std::size_t>(plan.members_in_parallel ? omp_get_max_threads() : 1));
  parallel_for(weights.members, plan.members_in_parallel, [&](Index e) {
    Worker<T>& worker = workers[static_cast<std::size_t>(plan.members_in_parallel ? omp_get_thread_num() : 0)];
    if (plan.hold_weights) worker.held.resize(static_cast<std::size_t>(layout.size));
    WeightTiles<T> tiles(network, layout, weights.stored ? weights.stored + e * layout.size : nullptr,
                         weights.init ? weights.init[e] : DrawId{}, plan.hold_weights ? worker.held.data() : nullptr);
    body(e, tiles, worker);
  });
}

}  // namespace widelab::cpu
