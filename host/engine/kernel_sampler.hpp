// Kernels of random networks, replicate after replicate, in batches that fit in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "host/runtime/backend.hpp"
#include "widelab/model/parametrization.hpp"
#include "widelab/ops/ntk.hpp"
#include "widelab/plan/storage_plan.hpp"

namespace widelab::engine {

/// `weights`: networks with explicit weights. `law_exact`: the same law, sampled without weights.
enum class KernelMethod { weights, law_exact };

struct KernelTask {
  Network network;
  std::vector<double> inputs;  ///< N x d, row-major
  Index examples = 0;          ///< N
  Precision precision = Precision::fp32;
  KernelMethod method = KernelMethod::weights;
  DeviceLimits limits;
  /// InitKind::file: networks x ParamLayout::size; replicate r has row r. Null for laws that are drawn.
  std::shared_ptr<const std::vector<double>> file_weights;
};

/// One network's kernels: ntk is the mean over outputs of the diagonal blocks; both N x N, row-major.
struct MemberKernels {
  std::uint32_t replicate = 0;
  bool finite = true;  ///< false: some entry is NaN or Inf; such a member is reported, not averaged
  std::span<const double> ntk, nngp;
};

/// Bytes, operations and random numbers that `members` networks of the task take; stated before a run.
struct KernelCost {
  StoragePlan plan;      ///< of one batch
  Index batch = 1;       ///< networks computed in one call
  double workspace = 0;  ///< bytes while a batch is computed: of the kernel op or of drawing stored weights
  double bytes = 0;      ///< workspace, results of a batch, and the inputs
  double flops = 0;      ///< of all members
  double draws = 0;      ///< random numbers of all members
};

/// Pure function of its arguments. Throws PlanError when one network does not fit.
KernelCost kernel_cost(const KernelTask& task, Index members);

class KernelSampler {
 public:
  KernelSampler(runtime::Backend& backend, KernelTask task);

  /// Networks with replicate numbers [first, first + count) of the init role's key, in increasing order, to `sink`.
  /// What the sink sees of a replicate does not depend on first, count or the batch it falls in.
  void run(std::uint64_t key, Index first, Index count, const std::function<void(const MemberKernels&)>& sink);

 private:
  template <class T>
  void sample_weights(const std::vector<DrawId>& ids, const std::vector<T>& inputs);
  void sample_law_exact(const std::vector<DrawId>& ids);

  runtime::Backend& backend_;
  KernelTask task_;
  std::vector<float> narrow_inputs_;  ///< the inputs in fp32
  std::vector<double> ntk_, nngp_;    ///< of the batch
};

}  // namespace widelab::engine
