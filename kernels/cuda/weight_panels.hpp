// The weights of a batch of members, panel by panel of output units: drawn, or copied from where they are stored.
#pragma once

#include <vector>

#include "kernels/cuda/batch_plan.hpp"
#include "kernels/cuda/random_fill.hpp"
#include "kernels/cuda/support/blas.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/model/parametrization.hpp"
#include "widelab/ops/member_weights.hpp"

namespace widelab::cuda {

/// Stored weights are copied too: every product then has the same shape, stride and alignment for every member, so that
/// cuBLAS treats all members alike. Slots without a member hold zeros.
template <class T>
class WeightPanels {
 public:
  WeightPanels(Context& context, const Network& network, const MemberWeights<T>& weights, const BatchPlan& plan);

  /// Cuts the buffers out of the workspace; Memory is an Arena or a ByteCounter.
  template <class Memory>
  void take_buffers(Memory& memory) {
    const MlpShape& shape = network_.shape;
    ids_ = memory.template take<DrawId>(plan_.slots, "replicate ids");
    Index widest = 0, panel = 0;
    for (Index l = 0; l < shape.layers(); ++l) {
      widest = std::max(widest, shape.fan_out(l));
      const Index size = panel_rows(shape, plan_, l) * shape.fan_in(l);
      if (plan_.hold)
        held_[static_cast<std::size_t>(l)] =
            memory.template take<T>(plan_.slots * aligned_stride(size), "weights of a layer");
      panel = std::max(panel, size);
    }
    if (!plan_.hold) panel_ = memory.template take<T>(plan_.slots * aligned_stride(panel), "panel of weights");
    biases_ = memory.template take<T>(plan_.slots * widest, "biases of a layer");
  }

  /// From now on, slot s is member first + s.
  void begin_batch(Index first, Index members);
  Index members() const { return members_; }

  /// W[row .. row + panel_rows) of a layer; valid until the next call.
  BatchedMatrix<const T> weights(Index layer, Index row, Index rows);
  /// b of a layer, slot s at s * fan_out; null if the layer has none.
  const T* biases(Index layer);

 private:
  static Index aligned_stride(Index size) { return ceil_div(size, 64) * 64; }
  void stage(Index layer, Index row, Index rows, T* out, Index slot_stride);

  Context& context_;
  const Network& network_;
  MemberWeights<T> source_;
  BatchPlan plan_;
  ParamLayout layout_;
  Index first_ = 0, members_ = 0;
  DrawId* ids_ = nullptr;
  T* panel_ = nullptr;
  T* biases_ = nullptr;
  std::vector<T*> held_;
  std::vector<bool> staged_;
};

extern template class WeightPanels<float>;
extern template class WeightPanels<double>;

}  // namespace widelab::cuda
