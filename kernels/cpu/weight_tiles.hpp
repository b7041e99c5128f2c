// Tiles of a member's weight matrices: pointers into stored weights, or drawn when asked for.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/cpu/blas.hpp"
#include "kernels/cpu/parallel.hpp"
#include "kernels/cpu/random_fill.hpp"
#include "widelab/base/types.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/model/parametrization.hpp"
#include "widelab/ops/member_weights.hpp"

namespace widelab::cpu {

/// The weights of one member. tile() may be called from several threads at once.
template <class T>
class WeightTiles {
 public:
  /// `stored`: this member's parameters, or null to draw them from `init`; `held`: room for layout.size parameters, in
  /// which what is drawn is kept for a second pass, or null to draw again.
  WeightTiles(const Network& network, const ParamLayout& layout, const T* stored, DrawId init, T* held)
      : network_(network),
        layout_(layout),
        stored_(stored),
        init_(init),
        held_(stored ? nullptr : held),
        drawn_(static_cast<std::size_t>(network.shape.layers())) {}

  /// Draws the layer into the held copy, once; nothing is done for weights that are stored or drawn tile by tile.
  void hold(Index layer, bool parallel) {
    if (!held_ || drawn_[static_cast<std::size_t>(layer)]) return;
    const Index fan_in = network_.shape.fan_in(layer), fan_out = network_.shape.fan_out(layer);
    T* out = held_ + layout_.weight_offset[static_cast<std::size_t>(layer)];
    parallel_for(ceil_div(fan_out, kDrawnRows), parallel, [&](Index t) {
      const Index row = t * kDrawnRows;
      draw(layer, row, std::min(kDrawnRows, fan_out - row), 0, fan_in, out + row * fan_in, fan_in);
    });
    drawn_[static_cast<std::size_t>(layer)] = true;
  }

  /// Rows [row, row + rows) of layer `layer`, columns [col, col + cols), col a multiple of 4: stored, held (call hold()
  /// before), or drawn into `buffer` (rows x cols).
  Operand<T> tile(Index layer, Index row, Index rows, Index col, Index cols, T* buffer) const {
    const Index stride = network_.shape.fan_in(layer);
    if (const T* all = stored_ ? stored_ : held_)
      return {all + layout_.weight_offset[static_cast<std::size_t>(layer)] + row * stride + col, stride};
    draw(layer, row, rows, col, cols, buffer, cols);
    return {buffer, cols};
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
  static constexpr Index kDrawnRows = 64;  // rows of W that one thread draws at a time

  void draw(Index layer, Index row, Index rows, Index col, Index cols, T* out, Index out_stride) const {
    const LayerScale& scale = network_.layers[static_cast<std::size_t>(layer)];
    const StreamId id = init_.stream(Stream::weights, static_cast<std::uint8_t>(layer));
    for (Index i = 0; i < rows; ++i)
      fill_init_row(scale.weight_law, id, static_cast<std::uint32_t>(row + i), col, cols, scale.weight_std,
                    out + i * out_stride);
  }

  const Network& network_;
  const ParamLayout& layout_;
  const T* stored_;
  DrawId init_;
  T* held_;
  std::vector<bool> drawn_;  ///< layers that the held copy has
};

}  // namespace widelab::cpu
