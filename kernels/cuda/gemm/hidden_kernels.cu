// The hidden layers of a training step: bias, normalisation, activation and dropout, and their way back.
#include "kernels/cuda/gemm/step_kernels.hpp"
#include "kernels/cuda/row_statistics.cuh"
#include "kernels/cuda/support/reductions.cuh"
#include "kernels/cuda/support/row_tiling.cuh"

namespace widelab::cuda {
namespace {

template <class T>
__device__ T completed(const HiddenTask<T>& task, Index slot, Index at, Index unit) {
  T z = task.z[at];
  if (task.bias) z += task.bias_scale * task.bias[slot * task.bias_slot + unit];
  if (task.previous) z += task.previous[at];
  return z;
}

/// One block a row.
template <class T>
__global__ void __launch_bounds__(kThreads) normalise_hidden_kernel(const __grid_constant__ HiddenTask<T> task) {
  const Index row = blockIdx.x, slot = row / task.state.batch, first = row * task.units;
  const RowStatistics found =
      complete_row(task.z + first, task.units, [&](Index j) { return completed(task, slot, first + j, j); });
  if (threadIdx.x == 0) task.statistics[row] = found;
}

template <class T>
__device__ T mask(const HiddenTask<T>& task, Index slot, Index in_batch, Index unit) {
  if (task.keep >= 1) return T(1);
  const bool kept = dropout_keeps(task.state.settings[slot].ids.noise, task.keep, task.layer, task.units, in_batch,
                                  unit, task.state.clock->step);
  return kept ? task.mask_scale : T(0);
}

template <class F, class T>
__global__ void __launch_bounds__(kThreads)
    finish_hidden_kernel(const __grid_constant__ RowTiling tiling, const __grid_constant__ HiddenTask<T> task,
                         const __grid_constant__ F phi) {
  for_each_element(tiling, [&](Index row, Index unit) {
    const Index at = row * task.units + unit, slot = row / task.state.batch;
    const T z = task.statistics ? task.z[at] : completed(task, slot, at, unit);
    if (task.keep_z && !task.statistics) task.z[at] = z;
    const T y = normalised(task.statistics, row, z);
    const T scale = unit_multiplier<T>(task.multipliers, unit) * mask(task, slot, row - slot * task.state.batch, unit);
    task.h[at] = scale * phi.value(y);
    task.slope[at] = scale * phi.first(y);
  });
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    through_hidden_kernel(const __grid_constant__ RowTiling tiling, const __grid_constant__ BackwardTask<T> task) {
  for_each_element(tiling, [&](Index row, Index unit) {
    const Index at = row * task.units + unit;
    const bool running = task.state.status[row / task.state.batch].status == TrainStatus::running;
    T g = running ? task.delta[at] * task.slope[at] : T(0);
    if (task.skip) g += task.skip[at];
    task.delta[at] = g;
  });
}

/// One block a row: the transpose of the derivative of LN, then the skip.
template <class T>
__global__ void __launch_bounds__(kThreads) through_normalised_kernel(const __grid_constant__ BackwardTask<T> task) {
  __shared__ double lanes[kThreads / 32];
  const Index row = blockIdx.x, first = row * task.units;
  const bool running = task.state.status[row / task.state.batch].status == TrainStatus::running;
  double mean = 0, overlap = 0;
  for (Index j = threadIdx.x; j < task.units; j += kThreads) {
    const T g = running ? task.delta[first + j] * task.slope[first + j] : T(0);
    task.delta[first + j] = g;
    mean += static_cast<double>(g);
    overlap += static_cast<double>(g) * static_cast<double>(normalised(task.statistics, row, task.z[first + j]));
  }
  mean = block_sum(mean, lanes) / static_cast<double>(task.units);
  overlap = block_sum(overlap, lanes) / static_cast<double>(task.units);
  const double inverse_deviation = task.statistics[row].inverse_deviation;
  for (Index j = threadIdx.x; j < task.units; j += kThreads) {
    const double y = static_cast<double>(normalised(task.statistics, row, task.z[first + j]));
    const double change = (static_cast<double>(task.delta[first + j]) - mean - y * overlap) * inverse_deviation;
    const T g = running ? static_cast<T>(change) : T(0);
    task.delta[first + j] = task.skip ? g + task.skip[first + j] : g;
  }
}

template <class T>
void finish(Context& context, const Activation& activation, const HiddenTask<T>& task) {
  const Index rows = task.state.slots * task.state.batch;
  if (task.statistics) launch(context, "normalise_hidden_kernel", row_grid(rows), normalise_hidden_kernel<T>, task);
  const RowTiling tiling = row_tiling(rows, task.units);
  visit(activation, [&](const auto& phi) {
    using F = std::decay_t<decltype(phi)>;
    launch(context, "finish_hidden_kernel", tiling.grid(), finish_hidden_kernel<F, T>, tiling, task, phi);
  });
}

template <class T>
void backward(Context& context, const BackwardTask<T>& task) {
  const Index rows = task.state.slots * task.state.batch;
  const RowTiling tiling = row_tiling(rows, task.units);
  if (task.statistics) {
    launch(context, "through_normalised_kernel", row_grid(rows), through_normalised_kernel<T>, task);
  } else {
    launch(context, "through_hidden_kernel", tiling.grid(), through_hidden_kernel<T>, tiling, task);
  }
}

}  // namespace

void finish_hidden(Context& context, const Activation& activation, const HiddenTask<float>& task) {
  finish(context, activation, task);
}
void finish_hidden(Context& context, const Activation& activation, const HiddenTask<double>& task) {
  finish(context, activation, task);
}
void through_hidden(Context& context, const BackwardTask<float>& task) { backward(context, task); }
void through_hidden(Context& context, const BackwardTask<double>& task) { backward(context, task); }

}  // namespace widelab::cuda
