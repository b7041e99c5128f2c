#include "kernels/cuda/support/row_tiling.cuh"
#include "kernels/cuda/weight_panels.hpp"

namespace widelab::cuda {
namespace {

template <class T>
struct CopyTask {
  const T* from;
  Index from_stride;
  T* to;
  Index to_stride;
  Index members;
};

/// Row = slot. A kernel, because a two-dimensional copy's pitch is limited to 2 GiB.
template <class T>
__global__ void __launch_bounds__(kThreads) copy_members_kernel(RowTiling tiling, CopyTask<T> task) {
  for_each_element(tiling, [&](Index slot, Index k) {
    task.to[slot * task.to_stride + k] = slot < task.members ? task.from[slot * task.from_stride + k] : T(0);
  });
}

}  // namespace

template <class T>
WeightPanels<T>::WeightPanels(Context& context, const Network& network, const MemberWeights<T>& weights,
                              const BatchPlan& plan)
    : context_(context),
      network_(network),
      source_(weights),
      plan_(plan),
      layout_(network.shape),
      held_(network.layers.size(), nullptr),
      staged_(network.layers.size(), false) {
  WIDELAB_REQUIRE(weights.stored || weights.init, "members need stored weights or ids to draw them from");
  if (weights.stored) return;
  for (const LayerScale& scale : network.layers)
    WIDELAB_REQUIRE(is_elementwise(scale.weight_law) && is_elementwise(scale.bias_law),
                    "weights of a law that is not elementwise must be stored");
}

template <class T>
void WeightPanels<T>::begin_batch(Index first, Index members) {
  first_ = first;
  members_ = members;
  staged_.assign(staged_.size(), false);
  if (!source_.stored)
    WIDELAB_CUDA(cudaMemcpyAsync(ids_, source_.init + first, static_cast<std::size_t>(members) * sizeof(DrawId),
                                 cudaMemcpyHostToDevice, context_.stream));
}

template <class T>
void WeightPanels<T>::stage(Index layer, Index row, Index rows, T* out, Index slot_stride) {
  const Index fan_in = network_.shape.fan_in(layer);
  if (source_.stored) {
    const T* from =
        source_.stored + first_ * layout_.size + layout_.weight_offset[static_cast<std::size_t>(layer)] + row * fan_in;
    const RowTiling tiling = row_tiling(plan_.slots, rows * fan_in);
    launch(context_, "copy_members_kernel", tiling.grid(), copy_members_kernel<T>, tiling,
           CopyTask<T>{from, layout_.size, out, slot_stride, members_});
    return;
  }
  const LayerScale& scale = network_.layers[static_cast<std::size_t>(layer)];
  fill_weights(context_, FillTask<T>{ids_, members_, plan_.slots, Stream::weights, static_cast<int>(layer),
                                     scale.weight_law, scale.weight_std, row, rows, fan_in, out, slot_stride});
}

template <class T>
BatchedMatrix<const T> WeightPanels<T>::weights(Index layer, Index row, Index rows) {
  const auto at = static_cast<std::size_t>(layer);
  const Index fan_in = network_.shape.fan_in(layer);
  const Index slot_stride = aligned_stride(panel_rows(network_.shape, plan_, layer) * fan_in);
  T* out = plan_.hold ? held_[at] : panel_;
  if (!plan_.hold || !staged_[at]) stage(layer, row, rows, out, slot_stride);
  staged_[at] = true;
  return {out, fan_in, slot_stride};
}

template <class T>
const T* WeightPanels<T>::biases(Index layer) {
  const LayerScale& scale = network_.layers[static_cast<std::size_t>(layer)];
  if (scale.bias_multiplier == 0.0) return nullptr;
  const Index n = network_.shape.fan_out(layer);
  if (source_.stored) {
    const T* from = source_.stored + first_ * layout_.size + layout_.bias_offset[static_cast<std::size_t>(layer)];
    const RowTiling tiling = row_tiling(plan_.slots, n);
    launch(context_, "copy_members_kernel", tiling.grid(), copy_members_kernel<T>, tiling,
           CopyTask<T>{from, layout_.size, biases_, n, members_});
  } else {
    fill_weights(context_, FillTask<T>{ids_, members_, plan_.slots, Stream::biases, static_cast<int>(layer),
                                       scale.bias_law, scale.bias_std, 0, 1, n, biases_, n});
  }
  return biases_;
}

template class WeightPanels<float>;
template class WeightPanels<double>;

}  // namespace widelab::cuda
