#include "kernels/cuda/layer_kernels.hpp"
#include "kernels/cuda/support/reductions.cuh"
#include "kernels/cuda/support/row_tiling.cuh"

namespace widelab::cuda {
namespace {

/// One thread a row (slot, input): outputs are few.
template <class T>
__global__ void __launch_bounds__(kThreads)
    loss_slopes_kernel(const __grid_constant__ RowTiling tiling, const __grid_constant__ LossSlopeTask<T> task) {
  for_each_element(tiling, [&](Index slot, Index input) {
    const Index at = (slot * task.inputs + input) * task.outputs;
    loss_slope(task.loss, task.f + at, task.targets + input * task.outputs, task.outputs, Index{1}, task.df + at);
  });
}

/// One block a row (member, input); sums in fp64 by a fixed tree.
template <class T>
__global__ void __launch_bounds__(kThreads) add_gradient_squares_kernel(const __grid_constant__ SquareTask<T> task) {
  __shared__ double lanes[kThreads / 32];
  const Index row = blockIdx.x, member = row / task.inputs, input = row - member * task.inputs;
  const T* h = task.h + member * task.h_slot + input * task.h_stride;
  const T* delta = task.delta + row * task.fan_out;
  double features = 0, signals = 0;
  for (Index j = threadIdx.x; j < task.fan_in; j += kThreads)
    features += static_cast<double>(h[j]) * static_cast<double>(h[j]);
  for (Index j = threadIdx.x; j < task.fan_out; j += kThreads)
    signals += static_cast<double>(delta[j]) * static_cast<double>(delta[j]);
  features = block_sum(features, lanes);
  signals = block_sum(signals, lanes);
  if (threadIdx.x != 0) return;
  double& square = task.squares[member * task.all_inputs + task.first + input];
  const double share = (task.weight_kernel * features + task.bias_kernel) * signals;
  square = task.set ? share : square + share;
}

template <class T>
void launch_slopes(Context& context, const LossSlopeTask<T>& task) {
  const RowTiling tiling = row_tiling(task.slots, task.inputs);
  launch(context, "loss_slopes_kernel", tiling.grid(), loss_slopes_kernel<T>, tiling, task);
}

template <class T>
void launch_squares(Context& context, const SquareTask<T>& task) {
  launch(context, "add_gradient_squares_kernel", row_grid(task.members * task.inputs), add_gradient_squares_kernel<T>,
         task);
}

}  // namespace

void loss_slopes(Context& context, const LossSlopeTask<float>& task) { launch_slopes(context, task); }
void loss_slopes(Context& context, const LossSlopeTask<double>& task) { launch_slopes(context, task); }
void add_gradient_squares(Context& context, const SquareTask<float>& task) { launch_squares(context, task); }
void add_gradient_squares(Context& context, const SquareTask<double>& task) { launch_squares(context, task); }

}  // namespace widelab::cuda
