#include "host/engine/kernel_sampler.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/ops/init.hpp"
#include "widelab/ops/law_exact_ntk.hpp"

namespace widelab::engine {
namespace {

// Results of a batch stay near the last-level cache, and a batch is short enough for a prompt answer to Ctrl-C.
constexpr double kBatchResultBytes = 64e6;
constexpr Index kBatchMembers = 1024;
constexpr double kBatchFlops = 1e11;
constexpr double kFlopsPerDraw = 30;  // a normal takes about as long as this many operations of a matrix product

bool draws_elementwise(const Network& network) {
  return std::all_of(network.layers.begin(), network.layers.end(),
                     [](const LayerScale& s) { return is_elementwise(s.weight_law); });
}

KernelWorkload workload(const KernelTask& task, Index members) {
  KernelWorkload work;
  work.members = members;
  work.rows = task.examples;
  work.weights_given = !draws_elementwise(task.network);
  work.scalar_bytes = task.precision == Precision::fp64 ? 8 : 4;
  return work;
}

/// Work of the law-exact sampler: two passes over the units of every layer, each unit with N forward and N O backward
/// draws.
KernelCost law_exact_cost(const KernelTask& task, Index members) {
  const double n = static_cast<double>(task.examples), columns = n * static_cast<double>(task.network.shape.outputs);
  double units = 0;
  for (const Index width : task.network.shape.widths) units += static_cast<double>(width);
  KernelCost cost;
  cost.plan.reason = "sampled in law: no weight matrices, memory independent of the width";
  cost.plan.flops = static_cast<double>(members) * units * (6 * n * n + 4 * columns * columns + 8 * n * columns);
  cost.draws = static_cast<double>(members) * units * (3 * n + 2 * columns);
  cost.flops = cost.plan.flops;
  const double layers = static_cast<double>(task.network.shape.layers());
  // Five small matrices a layer; 16 lanes of compensated sums of one pass; a worker's block of 512 units.
  const double small = layers * (3 * n * n + 2 * n * columns + columns * columns);
  const double lanes = 16 * 2 * (std::max(n * n, columns * columns) + n * columns);
  const double per_member = 8 * (small + lanes + 512 * (3 * n + 3 * columns));
  cost.plan.members_at_once = std::min<Index>(members, std::max(1, task.limits.workers));
  cost.plan.bytes_per_member = per_member;
  cost.plan.total_bytes = per_member * static_cast<double>(cost.plan.members_at_once);
  return cost;
}

/// Bytes that drawing weights to be stored takes: normals, Q and LAPACKE's copy of it for a matrix at a time each
/// worker.
double init_workspace(const KernelTask& task) {
  double largest = 0;
  const MlpShape& shape = task.network.shape;
  for (Index l = 0; l < shape.layers(); ++l)
    if (task.network.layers[static_cast<std::size_t>(l)].weight_law == InitKind::orthogonal)
      largest = std::max(largest, static_cast<double>(shape.fan_in(l)) * static_cast<double>(shape.fan_out(l)));
  return 3 * 8 * largest * std::max(1, task.limits.workers);
}

/// A network whose parameters 64-bit integers cannot count has no plan.
void check_countable(const MlpShape& shape) {
  double parameters = 0;
  for (Index l = 0; l < shape.layers(); ++l)
    parameters += (static_cast<double>(shape.fan_in(l)) + 1) * static_cast<double>(shape.fan_out(l));
  if (parameters > 1e15)
    throw PlanError("one network has " + std::to_string(parameters * 1e-15) +
                    "e15 parameters: use a narrower network, or " +
                    "measure.method = \"law-exact\", which stores no weights");
}

}  // namespace

KernelCost kernel_cost(const KernelTask& task, Index members) {
  const double n = static_cast<double>(task.examples);
  const double columns =
      task.method == KernelMethod::law_exact ? n * static_cast<double>(task.network.shape.outputs) : n;
  const double result = 8 * (2 * n * n + (columns > n ? columns * columns : 0));
  const bool exact = task.method == KernelMethod::law_exact;
  if (!exact) check_countable(task.network.shape);
  KernelCost cost = exact ? law_exact_cost(task, members) : KernelCost{};
  if (!exact) cost.flops = workload_flops(task.network.shape, workload(task, members));
  const double stored = !exact && !draws_elementwise(task.network)
                            ? static_cast<double>(ParamLayout(task.network.shape).size) * workload(task, 1).scalar_bytes
                            : 0;
  const double work = cost.flops + kFlopsPerDraw * (exact ? cost.draws
                                                          : static_cast<double>(ParamLayout(task.network.shape).size) *
                                                                static_cast<double>(members));
  const double flops_each = std::max(1.0, work / static_cast<double>(std::max<Index>(1, members)));
  double fit = std::min({static_cast<double>(members), static_cast<double>(kBatchMembers),
                         kBatchResultBytes / (result + stored), kBatchFlops / flops_each});
  // A batch never starves the workers.
  fit = std::max(fit, std::min(static_cast<double>(members), static_cast<double>(std::max(1, task.limits.workers))));
  cost.batch = std::max<Index>(1, static_cast<Index>(fit));
  if (!exact) {
    cost.plan = make_storage_plan(task.network.shape, workload(task, cost.batch), task.limits);
    const double batches = static_cast<double>(members) / static_cast<double>(cost.batch);
    cost.draws = cost.plan.draws * batches;
    if (stored > 0)
      cost.draws = static_cast<double>(ParamLayout(task.network.shape).size) * static_cast<double>(members);
  }
  const double given = task.file_weights ? 8 * static_cast<double>(task.file_weights->size()) : 0;
  const double inputs =
      given + static_cast<double>(task.inputs.size()) * (8 + (task.precision == Precision::fp32 ? 4 : 0));
  cost.workspace = std::max(cost.plan.total_bytes, init_workspace(task));
  cost.bytes = cost.workspace + static_cast<double>(cost.batch) * (result + stored) + inputs;
  return cost;
}

KernelSampler::KernelSampler(runtime::Backend& backend, KernelTask task) : backend_(backend), task_(std::move(task)) {
  if (task_.precision == Precision::fp32) narrow_inputs_.assign(task_.inputs.begin(), task_.inputs.end());
}

void KernelSampler::run(std::uint64_t key, Index first, Index count,
                        const std::function<void(const MemberKernels&)>& sink) {
  const Index batch = kernel_cost(task_, std::max<Index>(1, count)).batch;
  const auto entries = static_cast<std::size_t>(task_.examples * task_.examples);
  for (Index done = 0; done < count; done += batch) {
    std::vector<DrawId> ids;
    for (Index r = first + done; r < first + std::min(count, done + batch); ++r)
      ids.push_back({key, static_cast<std::uint32_t>(r)});
    ntk_.resize(ids.size() * entries);
    nngp_.resize(ids.size() * entries);
    if (task_.method == KernelMethod::law_exact)
      sample_law_exact(ids);
    else if (task_.precision == Precision::fp32)
      sample_weights<float>(ids, narrow_inputs_);
    else
      sample_weights<double>(ids, task_.inputs);
    for (std::size_t e = 0; e < ids.size(); ++e) {
      MemberKernels member{
          ids[e].replicate, true, {ntk_.data() + e * entries, entries}, {nngp_.data() + e * entries, entries}};
      const auto finite = [](double x) { return std::isfinite(x); };
      member.finite = std::all_of(member.ntk.begin(), member.ntk.end(), finite) &&
                      std::all_of(member.nngp.begin(), member.nngp.end(), finite);
      sink(member);
    }
  }
}

template <class T>
void KernelSampler::sample_weights(const std::vector<DrawId>& ids, const std::vector<T>& inputs) {
  NtkProblem<T> problem;
  problem.network = &task_.network;
  problem.weights.members = static_cast<Index>(ids.size());
  problem.weights.init = ids.data();
  std::vector<T> stored;
  if (!draws_elementwise(task_.network)) {
    const Index size = ParamLayout(task_.network.shape).size;
    stored.resize(ids.size() * static_cast<std::size_t>(size));
    if (task_.file_weights)
      std::copy_n(task_.file_weights->begin() + ids.front().replicate * size, stored.size(), stored.begin());
    else
      backend_.init(InitProblem<T>{&task_.network, ids.data(), problem.weights.members, stored.data()});
    problem.weights.stored = stored.data();
  }
  problem.x1 = matrix_view<const T>(inputs.data(), task_.examples, task_.network.shape.input_dim);
  problem.blocks = NtkBlocks::trace;
  problem.ntk = ntk_.data();
  problem.nngp = nngp_.data();
  problem.limits = task_.limits;
  backend_.ntk(problem);
}

void KernelSampler::sample_law_exact(const std::vector<DrawId>& ids) {
  const Index n = task_.examples, outputs = task_.network.shape.outputs, columns = n * outputs;
  std::vector<double> full(outputs == 1 ? 0 : ids.size() * static_cast<std::size_t>(columns * columns));
  LawExactProblem problem;
  problem.network = &task_.network;
  problem.init = ids.data();
  problem.members = static_cast<Index>(ids.size());
  problem.inputs = matrix_view<const double>(task_.inputs.data(), n, task_.network.shape.input_dim);
  problem.ntk = outputs == 1 ? ntk_.data() : full.data();
  problem.nngp = nngp_.data();
  backend_.law_exact_ntk(problem);
  if (outputs == 1) return;
  for (std::size_t e = 0; e < ids.size(); ++e)
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < n; ++j) {
        double trace = 0;
        for (Index o = 0; o < outputs; ++o)
          trace += full[e * columns * columns + (i * outputs + o) * columns + j * outputs + o];
        ntk_[e * n * n + i * n + j] = trace / static_cast<double>(outputs);
      }
}

}  // namespace widelab::engine
