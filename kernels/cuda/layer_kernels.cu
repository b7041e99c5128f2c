#include "kernels/cuda/layer_kernels.hpp"

#include "kernels/cuda/row_statistics.cuh"
#include "kernels/cuda/support/reductions.cuh"
#include "kernels/cuda/support/row_tiling.cuh"

namespace widelab::cuda {
namespace {

/// z of one element with bias and residual stream added.
template <class T>
__device__ T completed(const FeatureTask<T>& task, Index slot, Index at, Index unit) {
  T z = task.z[at];
  if (task.bias) z += task.bias_scale * task.bias[slot * task.units + unit];
  if (task.previous) z += task.previous[at];
  return z;
}

/// One block a row.
template <class T>
__global__ void __launch_bounds__(kThreads) normalise_rows_kernel(FeatureTask<T> task) {
  const Index row = blockIdx.x, slot = row / task.inputs, first = row * task.units;
  const RowStatistics found =
      complete_row(task.z + first, task.units, [&](Index j) { return completed(task, slot, first + j, j); });
  if (threadIdx.x == 0) task.statistics[row] = found;
}

template <bool kComplete, class F, class T>
__global__ void __launch_bounds__(kThreads)
    features_kernel(const __grid_constant__ RowTiling tiling, const __grid_constant__ FeatureTask<T> task,
                    const __grid_constant__ F phi) {
  for_each_element(tiling, [&](Index row, Index unit) {
    const Index at = row * task.units + unit;
    T z;
    if constexpr (kComplete) {
      z = completed(task, row / task.inputs, at, unit);
      task.z[at] = z;
    } else {
      z = task.z[at];
    }
    task.h[at] = unit_multiplier<T>(task.multipliers, unit) * phi.value(normalised(task.statistics, row, z));
  });
}

/// Row of the tiling = (slot, input, output of this call). Adds the skip only where no LayerNorm follows.
template <class F, class T>
__global__ void __launch_bounds__(kThreads)
    slope_kernel(const __grid_constant__ RowTiling tiling, const __grid_constant__ SlopeTask<T> task,
                 const __grid_constant__ F phi) {
  for_each_element(tiling, [&](Index row, Index unit) {
    const Index slot_input = row / task.output_count, o = task.first_output + row - slot_input * task.output_count;
    const Index slot = slot_input / task.inputs, input = slot_input - slot * task.inputs;
    const T y = normalised(task.statistics, slot_input, task.z[slot_input * task.units + unit]);
    const T upstream =
        task.upstream[slot * task.upstream_slot + input * task.upstream_input + o * task.upstream_output + unit];
    T g = task.factor * upstream * (unit_multiplier<T>(task.multipliers, unit) * phi.first(y));
    const Index at = (slot_input * task.outputs + o) * task.units + unit;
    if (task.skip && !task.statistics) g += task.skip[at];
    task.b[at] = g;
  });
}

/// One block a row: the transpose of the derivative of LN, then the skip.
template <class T>
__global__ void __launch_bounds__(kThreads) normalise_rows_backward_kernel(SlopeTask<T> task) {
  __shared__ double lanes[kThreads / 32];
  const Index row = blockIdx.x;
  const Index slot_input = row / task.output_count, o = task.first_output + row - slot_input * task.output_count;
  T* b = task.b + (slot_input * task.outputs + o) * task.units;
  const T* skip = task.skip ? task.skip + (slot_input * task.outputs + o) * task.units : nullptr;
  const T* z = task.z + slot_input * task.units;
  double mean = 0, overlap = 0;
  for (Index j = threadIdx.x; j < task.units; j += kThreads) {
    const double g = static_cast<double>(b[j]);
    mean += g;
    overlap += g * static_cast<double>(normalised(task.statistics, slot_input, z[j]));
  }
  mean = block_sum(mean, lanes) / static_cast<double>(task.units);
  overlap = block_sum(overlap, lanes) / static_cast<double>(task.units);
  const double inverse_deviation = task.statistics[slot_input].inverse_deviation;
  for (Index j = threadIdx.x; j < task.units; j += kThreads) {
    const double y = static_cast<double>(normalised(task.statistics, slot_input, z[j]));
    const T g = static_cast<T>((static_cast<double>(b[j]) - mean - y * overlap) * inverse_deviation);
    b[j] = skip ? g + skip[j] : g;
  }
}

template <bool kComplete, class T>
void launch_features(Context& context, const Activation& activation, const FeatureTask<T>& task) {
  const RowTiling tiling = row_tiling(task.slots * task.inputs, task.units);
  visit(activation, [&](const auto& phi) {
    using F = std::decay_t<decltype(phi)>;
    launch(context, "features_kernel", tiling.grid(), features_kernel<kComplete, F, T>, tiling, task, phi);
  });
}

template <class T>
void finish(Context& context, const Activation& activation, const FeatureTask<T>& task) {
  if (!task.statistics) return launch_features<true>(context, activation, task);
  launch(context, "normalise_rows_kernel", row_grid(task.slots * task.inputs), normalise_rows_kernel<T>, task);
  launch_features<false>(context, activation, task);
}

template <class T>
void backward(Context& context, const Activation& activation, const SlopeTask<T>& task) {
  const Index rows = task.slots * task.inputs * task.output_count;
  const RowTiling tiling = row_tiling(rows, task.units);
  visit(activation, [&](const auto& phi) {
    using F = std::decay_t<decltype(phi)>;
    launch(context, "slope_kernel", tiling.grid(), slope_kernel<F, T>, tiling, task, phi);
  });
  if (task.statistics)
    launch(context, "normalise_rows_backward_kernel", row_grid(rows), normalise_rows_backward_kernel<T>, task);
}

}  // namespace

void finish_layer(Context& context, const Activation& activation, const FeatureTask<float>& task) {
  finish(context, activation, task);
}
void finish_layer(Context& context, const Activation& activation, const FeatureTask<double>& task) {
  finish(context, activation, task);
}
void evaluate_features(Context& context, const Activation& activation, const FeatureTask<float>& task) {
  launch_features<false>(context, activation, task);
}
void evaluate_features(Context& context, const Activation& activation, const FeatureTask<double>& task) {
  launch_features<false>(context, activation, task);
}
void through_activation(Context& context, const Activation& activation, const SlopeTask<float>& task) {
  backward(context, activation, task);
}
void through_activation(Context& context, const Activation& activation, const SlopeTask<double>& task) {
  backward(context, activation, task);
}

}  // namespace widelab::cuda
