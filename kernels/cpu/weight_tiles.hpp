// Tiles of a member's weight matrices: pointers into stored weights, or drawn when asked for.
#pragma once

#include "kernels/cpu/blas.hpp"
#include "kernels/cpu/random_fill.hpp"
#include "widelab/base/types.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/model/parametrization.hpp"
#include "widelab/ops/member_weights.hpp"

namespace widelab::cpu {

/// The weights of one member. tile() may be called from several threads at once as long as held tiles do not overlap.
template <class T>
class WeightTiles {
 public:
  /// `stored`: this member's parameters, or null to draw them from `init`; `held`: room for layout.size parameters, in
  /// which what is drawn is kept for a second pass, or null to draw again.
  WeightTiles(const Network& network, const ParamLayout& layout, const T* stored, DrawId init, T* held)
      : network_(network), layout_(layout), stored_(stored), init_(init), held_(stored ? nullptr : held) {}

  /// Rows [row, row + rows) of layer `layer`, columns [col, col + cols), col a multiple of 4. Drawn into the held copy
  /// (first = true: the first pass draws, later ones read) or into `buffer` (rows x cols).
  Operand<T> tile(Index layer, Index row, Index rows, Index col, Index cols, bool first, T* buffer) {
    const Index stride = network_.shape.fan_in(layer);
    const Index offset = layout_.weight_offset[static_cast<std::size_t>(layer)] + row * stride + col;
    if (stored_) return {stored_ + offset, stride};
    T* out = held_ ? held_ + offset : buffer;
    const Index out_stride = held_ ? stride : cols;
    if (first || !held_) {
      const LayerScale& scale = network_.layers[static_cast<std::size_t>(layer)];
      const StreamId id = init_.stream(Stream::weights, static_cast<std::uint8_t>(layer));
      for (Index i = 0; i < rows; ++i)
        fill_init_row(scale.weight_law, id, static_cast<std::uint32_t>(row + i), col, cols, scale.weight_std,
                      out + i * out_stride);
    }
    return {out, out_stride};
  }

  bool needs_buffer() const { return !stored_ && !held_; }

  /// b[first .. first + count) of a layer, written to out.
  void biases(Index layer, Index first, Index count, T* out) const {
    if (stored_) {
      const T* b = stored_ + layout_.bias_offset[static_cast<std::size_t>(layer)] + first;
      for (Index i = 0; i < count; ++i) out[i] = b[i];
      return;
    }
    const LayerScale& scale = network_.layers[static_cast<std::size_t>(layer)];
    fill_init_row(scale.bias_law, init_.stream(Stream::biases, static_cast<std::uint8_t>(layer)), 0, first, count,
                  scale.bias_std, out);
  }

 private:
  const Network& network_;
  const ParamLayout& layout_;
  const T* stored_;
  DrawId init_;
  T* held_;
};

}  // namespace widelab::cpu
