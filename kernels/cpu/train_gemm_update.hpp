// Updates of one layer of one member by matrix products: W <- W + (increments), tile of rows by tile of rows.
#pragma once

#include "widelab/base/types.hpp"
#include "widelab/math/update_rules.hpp"
#include "widelab/rng/replicate_ids.hpp"

namespace widelab::cpu {

/// Units in one product of a member. Threads share a member by these tiles, whatever their number.
inline constexpr Index kTrainTile = 256;

/// Rows of a weight matrix with `cols` columns in a tile that elementwise passes follow while it is in cache; not so
/// few that a product packs its other operand for next to nothing.
constexpr Index pass_rows(Index cols) {
  constexpr Index kElements = Index(1) << 18, kLeastRows = 64;
  const Index rows = kElements / cols;
  return rows < kLeastRows ? kLeastRows : (rows > kTrainTile ? kTrainTile : rows);
}

/// The weights or the biases of one layer of one member, and what is stored beside them (null: nothing).
template <class T>
struct ParameterBlock {
  T* theta = nullptr;
  const T* start = nullptr;   ///< theta_0 and
  T* displacement = nullptr;  ///< D of displacement storage
  T* v = nullptr;
  T* s = nullptr;

  ParameterBlock at(Index offset) const {
    const auto shift = [offset](auto* p) { return p ? p + offset : p; };
    return {shift(theta), shift(start), shift(displacement), shift(v), shift(s)};
  }
};

/// Gradient of a layer's weights, multiplier dz^T h, or biases, multiplier sum_s dz[s].
template <class T>
struct LayerGradient {
  Index batch, rows, cols;
  double multiplier;
  const T* dz;           ///< batch x rows, the loss's factor included
  const T* h = nullptr;  ///< batch x cols; biases: not read
};

/// Who draws the noise of langevin and sgld.
struct NoiseSource {
  DrawId id;
  Index layer, step;
};

/// The update of rows x cols weights. sgd: the rank-B product is added in place; heavy ball: to v, in place; other
/// rules: the gradient of one tile of rows at a time.
template <class T>
void update_weights(const UpdateStep<T>& step, const ParameterBlock<T>& weights, const LayerGradient<T>& gradient,
                    const NoiseSource& noise, bool parallel);

template <class T>
void update_biases(const UpdateStep<T>& step, const ParameterBlock<T>& biases, const LayerGradient<T>& gradient,
                   const NoiseSource& noise);

}  // namespace widelab::cpu
