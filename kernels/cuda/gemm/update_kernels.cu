#include "kernels/cuda/gemm/update_kernels.hpp"

#include "kernels/cuda/support/row_tiling.cuh"

namespace widelab::cuda {
namespace {

template <class T>
__device__ bool is_running(const UpdateTask<T>& task, Index slot) {
  return task.state.status[slot].status == TrainStatus::running;
}

/// Adds an increment to parameter `at` of a slot: to D, where there is one, and theta = fl(theta_0 + D).
template <class T>
__device__ void add_increment(const ParameterArrays<T>& arrays, Index at, T theta, T increment) {
  if (arrays.displacement) {
    const T moved = arrays.displacement[at] + increment;
    arrays.displacement[at] = moved;
    arrays.parameters[at] = arrays.start[at] + moved;
  } else {
    arrays.parameters[at] = theta + increment;
  }
}

template <class T>
__device__ void update(const UpdateTask<T>& task, Index slot, Index k, T gradient, T draw) {
  const ParameterArrays<T>& arrays = task.arrays;
  const Index at = slot * arrays.slot_stride + k, moment = slot * arrays.moment_stride + k;
  const T theta = arrays.parameters[at];
  T v = arrays.v ? arrays.v[moment] : T(0), s = arrays.s ? arrays.s[moment] : T(0);
  const T increment = update_increment(task.steps[slot * task.steps_stride], theta, gradient, draw, v, s);
  if (arrays.v) arrays.v[moment] = v;
  if (arrays.s) arrays.s[moment] = s;
  add_increment(arrays, at, theta, increment);
}

/// Row of the tiling = slot.
template <class T>
__global__ void __launch_bounds__(kThreads)
    update_weights_kernel(const __grid_constant__ RowTiling tiling, const __grid_constant__ UpdateTask<T> task,
                          const T* gradient) {
  for_each_element(tiling, [&](Index slot, Index k) {
    if (is_running(task, slot)) update(task, slot, k, gradient[slot * tiling.columns + k], T(0));
  });
}

/// Row of the tiling = (slot, row of the weights), column = four weights, which share a random block.
template <class T>
__global__ void __launch_bounds__(kThreads)
    shake_weights_kernel(const __grid_constant__ RowTiling tiling, const __grid_constant__ UpdateTask<T> task,
                         const T* gradient) {
  for_each_element(tiling, [&](Index slot_row, Index quad) {
    const Index slot = slot_row / task.rows, row = slot_row - slot * task.rows;
    if (!is_running(task, slot)) return;
    const Draw4 draws =
        langevin_draw4(task.state.settings[slot].ids.noise, task.layer, row, task.cols, quad, task.state.clock->step);
#pragma unroll
    for (Index c = 0; c < 4; ++c) {
      const Index col = 4 * quad + c;
      if (col < task.cols)
        update(task, slot, row * task.cols + col, gradient[slot_row * task.cols + col], static_cast<T>(draws.v[c]));
    }
  });
}

/// Row of the tiling = slot.
template <class T>
__global__ void __launch_bounds__(kThreads)
    decay_weights_kernel(const __grid_constant__ RowTiling tiling, const __grid_constant__ UpdateTask<T> task) {
  for_each_element(tiling, [&](Index slot, Index k) {
    if (!is_running(task, slot)) return;
    const UpdateStep<T>& step = task.steps[slot * task.steps_stride];
    // Not theta times 1 - eta lambda: that factor would round a small decay away.
    T& theta = task.arrays.parameters[slot * task.arrays.slot_stride + k];
    theta = update_rules::fused(-step.rate * step.decay, theta, theta);
  });
}

/// Row of the tiling = slot, column = unit.
template <class T>
__global__ void __launch_bounds__(kThreads)
    update_biases_kernel(const __grid_constant__ RowTiling tiling, const __grid_constant__ UpdateTask<T> task,
                         const __grid_constant__ BiasGradient<T> source) {
  for_each_element(tiling, [&](Index slot, Index unit) {
    if (!is_running(task, slot)) return;
    T gradient = T(0);
    for (Index s = 0; s < task.state.batch; ++s)
      gradient += source.delta[(slot * task.state.batch + s) * task.cols + unit];
    gradient *= source.bias_scale;
    if (source.folded_rate > T(0)) {
      const UpdateStep<T>& step = task.steps[slot * task.steps_stride];
      const Index at = slot * task.arrays.slot_stride + unit;
      const T theta = task.arrays.parameters[at];
      const T decayed = update_rules::fused(-step.rate * step.decay, theta, theta);
      task.arrays.parameters[at] = decayed - source.folded_rate * gradient;
      return;
    }
    const T draw = task.noisy ? static_cast<T>(langevin_bias_draw(task.state.settings[slot].ids.noise, task.layer, unit,
                                                                  task.state.clock->step))
                              : T(0);
    update(task, slot, unit, gradient, draw);
  });
}

template <class T>
void weights(Context& context, const UpdateTask<T>& task, const T* gradient) {
  if (task.noisy) {
    const RowTiling tiling = row_tiling(task.state.slots * task.rows, ceil_div(task.cols, 4));
    launch(context, "shake_weights_kernel", tiling.grid(), shake_weights_kernel<T>, tiling, task, gradient);
  } else {
    const RowTiling tiling = row_tiling(task.state.slots, task.rows * task.cols);
    launch(context, "update_weights_kernel", tiling.grid(), update_weights_kernel<T>, tiling, task, gradient);
  }
}

template <class T>
void decay(Context& context, const UpdateTask<T>& task) {
  const RowTiling tiling = row_tiling(task.state.slots, task.rows * task.cols);
  launch(context, "decay_weights_kernel", tiling.grid(), decay_weights_kernel<T>, tiling, task);
}

template <class T>
void biases(Context& context, const UpdateTask<T>& task, const BiasGradient<T>& gradient) {
  const RowTiling tiling = row_tiling(task.state.slots, task.cols);
  launch(context, "update_biases_kernel", tiling.grid(), update_biases_kernel<T>, tiling, task, gradient);
}

}  // namespace

void update_weights(Context& context, const UpdateTask<float>& task, const float* gradient) {
  weights(context, task, gradient);
}
void update_weights(Context& context, const UpdateTask<double>& task, const double* gradient) {
  weights(context, task, gradient);
}
void decay_weights(Context& context, const UpdateTask<float>& task) { decay(context, task); }
void decay_weights(Context& context, const UpdateTask<double>& task) { decay(context, task); }
void update_biases(Context& context, const UpdateTask<float>& task, const BiasGradient<float>& gradient) {
  biases(context, task, gradient);
}
void update_biases(Context& context, const UpdateTask<double>& task, const BiasGradient<double>& gradient) {
  biases(context, task, gradient);
}

}  // namespace widelab::cuda
