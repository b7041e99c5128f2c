// What the fused training body does through a Block beyond the Block concept: with what a Block has more, where it has
// it, and the same bits where it has not.
#pragma once

#include <cstdint>

#include "widelab/base/block.hpp"
#include "widelab/rng/normal.hpp"

namespace widelab::fused {

/// Neighbouring examples that one worker takes at once where a phase runs down a column: what a vector unit wants, and
/// 1 for a worker that is a thread of many. No result depends on it.
template <class B>
WIDELAB_HD constexpr Index column_group() {
  if constexpr (requires { B::kColumnGroup; }) {
    return B::kColumnGroup;
  } else {
    return 1;
  }
}

/// Neighbouring numbers that one worker copies at once.
template <class B>
WIDELAB_HD constexpr Index copy_run() {
  return column_group<B>() == 1 ? 1 : 64;
}

/// finish(i, count, c) for runs c(i) = sum_{q < k} a(i, q), .., c(i + count - 1), q ascending from 0: at most
/// column_group of them; no sync. A Block may have a faster way than one worker a sum.
template <class B, class Finish>
WIDELAB_HD void row_sums(B& block, Index m, Index k, StridedView<const typename B::Scalar> a, const Finish& finish) {
  if constexpr (requires { block.row_sums(m, k, a, finish); }) {
    block.row_sums(m, k, a, finish);
  } else {
    block.for_each(m, [=](Index i) {
      typename B::Scalar sum = 0;
      for (Index q = 0; q < k; ++q) sum += a(i, q);
      finish(i, Index(1), &sum);
    });
  }
}

/// The normal draws of the random blocks 0 .. blocks - 1 of `id` at step t, in the Block's own memory; null if it has
/// none.
template <class B>
WIDELAB_HD const typename B::Scalar* normal_draws(B& block, const StreamId& id, Index blocks, Index t) {
  using T = typename B::Scalar;
  if constexpr (requires { block.memory(blocks); }) {
    constexpr int kGroup = static_cast<int>(column_group<B>());
    const Index groups = ceil_div(blocks, Index(kGroup));
    T* draws = block.memory(groups * kGroup * 4);
    block.for_each(groups, [=](Index group) {
      std::uint32_t words[4][kGroup];
      float normal[4][kGroup];
      for (int e = 0; e < kGroup; ++e) {
        const PhiloxBlock words_of_one =
            random_block_at_step(id, static_cast<std::uint32_t>(group * kGroup + e), static_cast<std::uint64_t>(t));
        for (int k = 0; k < 4; ++k) words[k][e] = words_of_one.w[k];
      }
      normal4_each<kGroup>(words, normal);
      T* run = draws + group * kGroup * 4;
      for (int e = 0; e < kGroup; ++e)
        for (int k = 0; k < 4; ++k) run[4 * e + k] = static_cast<T>(normal[k][e]);
    });
    return draws;
  } else {
    return nullptr;
  }
}

}  // namespace widelab::fused
