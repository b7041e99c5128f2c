#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/engine/online_feed.hpp"
#include "host/engine/training_job.hpp"
#include "host/runtime/devices.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/plan/storage_plan.hpp"

namespace widelab::engine {
namespace {

// A segment should last about a second: Ctrl-C and checkpoints come between segments.
constexpr double kSegmentFlopsCpu = 3e10, kSegmentFlopsGpu = 1e13;
// Members beyond these keep no device busier.
constexpr double kMembersPerWorker = 16, kMembersGpu = 4096;
constexpr double kDefaultBatchBytes = 1e9;

void check_steps(const TrainingSpec& spec) {
  if (spec.observed.empty()) throw RecipeError("observe.steps = []: name at least one step");
  for (std::size_t i = 0; i < spec.observed.size(); ++i)
    if (spec.observed[i] < (i == 0 ? 0 : spec.observed[i - 1] + 1))
      throw RecipeError(
          fmt::format("observe.steps: {} at position {}; steps begin at 0 and increase", spec.observed[i], i + 1));
}

void check_rest(const TrainingSpec& spec) {
  WIDELAB_REQUIRE(spec.member != nullptr && spec.replicates >= 1, "a training needs members");
  const auto d = static_cast<std::size_t>(spec.task.network.shape.input_dim);
  WIDELAB_REQUIRE(spec.evaluation_inputs.size() == d * static_cast<std::size_t>(spec.evaluation_count) &&
                      spec.kernel_inputs.size() == d * static_cast<std::size_t>(spec.kernel_count),
                  "evaluation and kernel inputs have N x d numbers");
  const ObserverNeeds needs = needs_of(spec);
  WIDELAB_REQUIRE(!needs.outputs || spec.evaluation_count > 0, "an observer needs evaluation inputs");
  WIDELAB_REQUIRE(!needs.ntk || spec.kernel_count > 0, "an observer needs kernel inputs");
  const bool online = spec.task.rule.order == OrderKind::online;
  WIDELAB_REQUIRE(online == (spec.online != nullptr), "online samples are given for the order online, and only then");
  if (online && needs.train_outputs)
    throw RecipeError(
        "train.order = \"online\" has no training set: measure the loss on test inputs, and leave train.converged_loss "
        "at 0");
}

struct Evaluation {
  double flops = 0;      ///< of one member, once: matrix products
  double workspace = 0;  ///< bytes, of a batch
};

/// Outputs and kernels that observers need.
Evaluation evaluation_cost(const TrainingSpec& spec, const ObserverNeeds& needs, Index train_examples, Index members) {
  Evaluation out;
  DeviceLimits limits = spec.task.limits;
  limits.workspace_bytes *= 1 - kBatchShareOfMemory;
  const auto add = [&](Index rows, bool backward) {
    if (rows == 0) return;
    KernelWorkload work;
    work.rows = rows;
    work.backward = backward;
    work.weights_given = true;
    work.scalar_bytes = spec.task.precision == Precision::fp64 ? 8 : 4;
    out.flops += workload_flops(spec.task.network.shape, work);
    work.members = members;
    out.workspace = std::max(out.workspace, make_storage_plan(spec.task.network.shape, work, limits).total_bytes);
  };
  if (needs.outputs) add(spec.evaluation_count, false);
  if (needs.train_outputs) add(train_examples, false);
  if (needs.ntk) add(spec.kernel_count, true);
  return out;
}

struct MemberSums {
  MemberSettings largest;  ///< the member with the largest batch
  double examples = 0;     ///< sum over members of batch sizes
};

MemberSums scan_members(const TrainingSpec& spec) {
  MemberSums out;
  for (Index r = 0; r < spec.replicates; ++r) {
    const MemberSettings member = spec.member(static_cast<std::uint32_t>(r));
    if (r == 0 || member.batch > out.largest.batch) out.largest = member;
    out.examples += static_cast<double>(member.batch);
  }
  return out;
}

/// `examples`: of all members, in one step.
double data_bytes(const TrainingSpec& spec, double examples) {
  const MlpShape& shape = spec.task.network.shape;
  double numbers = static_cast<double>(spec.evaluation_inputs.size() + spec.kernel_inputs.size());
  if (spec.online)
    numbers += std::min(OnlineFeed::kNumbers, examples * static_cast<double>(spec.observed.back()) *
                                                  static_cast<double>(shape.input_dim + shape.outputs));
  for (const TrainSet& set : spec.task.datasets) numbers += static_cast<double>(set.inputs.size() + set.targets.size());
  return numbers * (2 * 8 + (spec.task.precision == Precision::fp32 ? 4 : 0));  // here, in the trainer, and narrowed
}

double member_bytes(const TrainingSpec& spec, const ObserverNeeds& needs, Index entries, Index train_examples) {
  const double parameters = static_cast<double>(ParamLayout(spec.task.network.shape).size);
  const double scalar = spec.task.precision == Precision::fp64 ? 8 : 4;
  const double copies = 1 + moment_count(spec.task.rule.update.kind) + 2;
  const double k = static_cast<double>(spec.task.network.shape.outputs);
  const double n = static_cast<double>(spec.kernel_count);
  const double record = static_cast<double>(entries) * static_cast<double>(spec.observed.size());
  double now = 0, first = 0;  // evaluated numbers
  if (needs.outputs) now += k * static_cast<double>(spec.evaluation_count);
  if (needs.ntk) now += n * n;
  first = now;
  if (needs.train_outputs) now += k * static_cast<double>(train_examples);
  // What a checkpoint holds is there as arrays, as the file's image, and once more while it is read back.
  constexpr double kCheckpointCopies = 3;
  return parameters * copies * (scalar + 8 * kCheckpointCopies) + 8 * (record + first) * (1 + kCheckpointCopies) +
         8 * now + (needs.parameters ? 3 * 8 * parameters : 0);
}

}  // namespace

ObserverNeeds needs_of(const TrainingSpec& spec) {
  ObserverNeeds all;
  for (const auto& observer : spec.observers) {
    const ObserverNeeds one = observer->needs();
    all.outputs |= one.outputs;
    all.train_outputs |= one.train_outputs;
    all.ntk |= one.ntk;
    all.parameters |= one.parameters;
  }
  all.train_outputs |= spec.converged_loss > 0;
  return all;
}

TrainingCost training_cost(const TrainingSpec& spec, bool on_gpu) {
  check_steps(spec);
  check_rest(spec);
  const ObserverNeeds needs = needs_of(spec);
  const MemberSums members = scan_members(spec);
  TrainTask task = spec.task;
  task.datasets.clear();
  task.members = {members.largest};
  TrainingCost cost;
  cost.plan = plan_training(task, on_gpu);
  for (const auto& observer : spec.observers) cost.entries += observer->entries();
  Index train_examples = 0;
  for (const TrainSet& set : spec.task.datasets) train_examples = std::max(train_examples, set.examples);
  cost.member_bytes = member_bytes(spec, needs, cost.entries, train_examples);

  const double limit = spec.task.limits.workspace_bytes;
  const double room = limit > 0 ? kBatchShareOfMemory * limit : kDefaultBatchBytes;
  if (limit > 0 && cost.member_bytes > room)
    throw PlanError(
        fmt::format("one member in training takes {:.3g} GB, more than half of the {:.3g} GB that may be used: fewer "
                    "observed steps or entries, a narrower network, or a larger --memory",
                    cost.member_bytes * 1e-9, limit * 1e-9));
  const double most = on_gpu ? kMembersGpu : kMembersPerWorker * std::max(1, spec.task.limits.workers);
  const double fit = std::min({room / cost.member_bytes, most, static_cast<double>(spec.replicates)});
  cost.batch = spec.members_at_once > 0 ? spec.members_at_once : std::max<Index>(1, static_cast<Index>(fit));
  const double step_flops = std::max(1.0, cost.plan.flops_per_step) * static_cast<double>(cost.batch);
  const double steps = (on_gpu ? kSegmentFlopsGpu : kSegmentFlopsCpu) / step_flops;
  cost.steps_cut = spec.steps_at_once > 0 ? spec.steps_at_once : std::max<Index>(1, static_cast<Index>(steps));

  const double replicates = static_cast<double>(spec.replicates), last = static_cast<double>(spec.observed.back());
  const double times = static_cast<double>(spec.observed.size());
  const double parameters = static_cast<double>(ParamLayout(spec.task.network.shape).size);
  double units = 0;
  for (const Index n : spec.task.network.shape.widths) units += static_cast<double>(n);
  const Evaluation evaluation = evaluation_cost(spec, needs, train_examples, cost.batch);
  cost.bytes = static_cast<double>(cost.batch) * cost.member_bytes + data_bytes(spec, members.examples) +
               std::max(evaluation.workspace, cost.plan.fast_bytes * std::max(1, spec.task.limits.workers));
  cost.flops = cost.plan.flops_per_step * last * members.examples / static_cast<double>(members.largest.batch) +
               replicates * times * evaluation.flops;
  cost.draws = replicates * parameters;
  if (is_noisy(spec.task.rule.update.kind)) cost.draws += replicates * last * parameters;
  if (spec.task.rule.dropout_keep < 1) cost.draws += members.examples * last * units;
  return cost;
}

}  // namespace widelab::engine
