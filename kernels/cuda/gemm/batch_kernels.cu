// The ends of a training step: which examples, which loss, which step sizes.
#include "kernels/cuda/gemm/step_kernels.hpp"
#include "kernels/cuda/support/launch.hpp"

namespace widelab::cuda {
namespace {

/// Blocks a multiprocessor of the kernels with one block an example or a member: room for registers, so that none
/// spills.
constexpr int kFewBlocks = 2;

__device__ inline bool is_running(const SlotState& state, Index slot) {
  return state.status[slot].status == TrainStatus::running;
}

/// Row of the data set and, for losses of labels, how far the label moves.
struct Pick {
  Index example, label, shift;
};

template <class T>
__device__ Pick pick_example(const GatherTask<T>& task, const MemberSettings& member, const TrainData<T>& data,
                             Index in_batch) {
  const Index step = task.state.clock->step;
  Pick pick{StepOrder(batch_order(task.order, member, data), step).example(in_batch), 0, 0};
  if (member.label_noise > 0 && task.loss != LossKind::half_squared && task.loss != LossKind::squared) {
    const T* y = data.targets + pick.example * task.outputs;
    for (Index o = 1; o < task.outputs; ++o)
      if (y[o] > y[pick.label]) pick.label = o;
    pick.shift = label_shift(member.ids.label_noise, member.label_noise, in_batch, task.outputs, step);
  }
  return pick;
}

template <class T>
__device__ T target(const GatherTask<T>& task, const MemberSettings& member, const TrainData<T>& data, const Pick& pick,
                    Index in_batch, Index o) {
  const T* y = data.targets + pick.example * task.outputs;
  if (member.label_noise == 0) return y[o];
  if (task.loss == LossKind::half_squared || task.loss == LossKind::squared)
    return static_cast<T>(noisy_target(member.ids.label_noise, member.label_noise, static_cast<double>(y[o]), in_batch,
                                       task.outputs, o, task.state.clock->step));
  if (pick.shift == 0) return y[o];
  if (task.outputs == 1) return -y[0];
  const Index other = (pick.label + pick.shift) % task.outputs;
  return y[o == pick.label ? other : o == other ? pick.label : o];
}

/// One block an example.
template <class T>
__global__ void __launch_bounds__(kThreads, kFewBlocks)
    gather_batch_kernel(const __grid_constant__ GatherTask<T> task) {
  __shared__ Pick pick;
  const Index row = blockIdx.x, slot = row / task.state.batch, in_batch = row - slot * task.state.batch;
  T *x = task.x + row * task.inputs, *y = task.y + row * task.outputs;
  if (!is_running(task.state, slot)) {
    for (Index j = threadIdx.x; j < task.inputs; j += kThreads) x[j] = T(0);
    for (Index o = threadIdx.x; o < task.outputs; o += kThreads) y[o] = T(0);
    return;
  }
  const MemberSettings& member = task.state.settings[slot];
  const TrainData<T> data = task.datasets[member.dataset];
  if (threadIdx.x == 0) pick = pick_example(task, member, data, in_batch);
  __syncthreads();
  const T* from = data.inputs + pick.example * task.inputs;
  for (Index j = threadIdx.x; j < task.inputs; j += kThreads) x[j] = from[j];
  for (Index o = threadIdx.x; o < task.outputs; o += kThreads) y[o] = target(task, member, data, pick, in_batch, o);
}

/// The larger magnitude; what is not a number wins.
__device__ inline double worse(double x, double y) { return isnan(x) || y <= x ? x : y; }

/// max |f| over the slot's batch, in all threads.
template <class T>
__device__ double complete_outputs(const LossTask<T>& task, Index slot, double* lanes) {
  const Index count = task.state.batch * task.outputs;
  T* f = task.f + slot * count;
  double largest = 0;
  for (Index k = threadIdx.x; k < count; k += kThreads) {
    if (task.bias) f[k] += task.bias_scale * task.bias[slot * task.bias_slot + k % task.outputs];
    largest = worse(largest, fabs(static_cast<double>(f[k])));
  }
  lanes[threadIdx.x] = largest;
  __syncthreads();
  for (int k = 0; k < kThreads; ++k) largest = worse(largest, lanes[k]);
  return largest;
}

/// One block a slot.
template <class T>
__global__ void __launch_bounds__(kThreads, kFewBlocks)
    start_backward_kernel(const __grid_constant__ LossTask<T> task) {
  __shared__ double lanes[kThreads];
  const Index slot = blockIdx.x, batch = task.state.batch, k = task.outputs;
  bool running = is_running(task.state, slot);
  if (running) {
    const double largest = complete_outputs(task, slot, lanes);
    running = isfinite(largest) && largest <= task.rule.divergence_limit;
    if (!running && threadIdx.x == 0)
      task.state.status[slot] = {TrainStatus::diverged, task.state.clock->step, largest};
  }
  T* delta = task.delta + slot * batch * k;
  if (!running) {
    for (Index i = threadIdx.x; i < batch * k; i += kThreads) delta[i] = T(0);
    for (int a = 0; a < task.clear_count; ++a) {
      const SlotArray<T> array = task.clear[a];
      for (Index i = threadIdx.x; i < array.per_slot; i += kThreads) array.data[slot * array.per_slot + i] = T(0);
    }
    return;
  }
  const MemberSettings& member = task.state.settings[slot];
  double factor = reduction_factor(task.rule.reduction, batch, task.datasets[member.dataset].examples, k);
  if (task.fold_rate)
    factor *= member.learning_rate * task.state.table[task.state.clock->step - task.state.clock->table_first].schedule;
  const T scale = static_cast<T>(factor);
  for (Index s = threadIdx.x; s < batch; s += kThreads) {
    const Index at = (slot * batch + s) * k;
    loss_slope(task.rule.loss, task.f + at, task.y + at, k, 1, task.delta + at);
    for (Index o = 0; o < k; ++o) task.delta[at + o] *= scale;
  }
}

/// Thread = (slot, array).
template <class T>
__global__ void __launch_bounds__(kThreads) prepare_steps_kernel(const __grid_constant__ PrepareTask<T> task) {
  const Index at = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x;
  if (at >= task.state.slots * task.arrays) return;
  const MemberSettings& member = task.state.settings[at / task.arrays];
  const StepFactors entry = task.state.table[task.state.clock->step - task.state.clock->table_first];
  task.steps[at] = make_update_step<T>(task.rule, member.learning_rate * entry.schedule * task.rates[at % task.arrays],
                                       member.weight_decay, member.temperature, entry.adam);
}

__global__ void advance_clock_kernel(StepClock* clock) { ++clock->step; }

template <class T>
void gather(Context& context, const GatherTask<T>& task) {
  launch(context, "gather_batch_kernel", row_grid(task.state.slots * task.state.batch), gather_batch_kernel<T>, task);
}

template <class T>
void start(Context& context, const LossTask<T>& task) {
  launch(context, "start_backward_kernel", row_grid(task.state.slots), start_backward_kernel<T>, task);
}

template <class T>
void prepare(Context& context, const PrepareTask<T>& task) {
  launch(context, "prepare_steps_kernel", elementwise_grid(task.state.slots * task.arrays), prepare_steps_kernel<T>,
         task);
}

}  // namespace

void gather_batch(Context& context, const GatherTask<float>& task) { gather(context, task); }
void gather_batch(Context& context, const GatherTask<double>& task) { gather(context, task); }
void start_backward(Context& context, const LossTask<float>& task) { start(context, task); }
void start_backward(Context& context, const LossTask<double>& task) { start(context, task); }
void prepare_steps(Context& context, const PrepareTask<float>& task) { prepare(context, task); }
void prepare_steps(Context& context, const PrepareTask<double>& task) { prepare(context, task); }

void advance_clock(Context& context, const SlotState& state) {
  launch(context, "advance_clock_kernel", Grid{1, 1, 0}, advance_clock_kernel, state.clock);
}

}  // namespace widelab::cuda
