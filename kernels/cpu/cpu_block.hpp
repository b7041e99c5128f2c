// The Block of the CPU: one thread.
#pragma once

#include <algorithm>

#include "kernels/cpu/buffer.hpp"
#include "kernels/cpu/matmul_tiles.hpp"
#include "kernels/cpu/transpose.hpp"
#include "widelab/base/block.hpp"

namespace widelab::cpu {

/// Its products run through the tiles of the instruction set that it was made for.
template <class T>
class CpuBlock {
 public:
  using Scalar = T;
  static constexpr Index kColumnGroup = 16;

  explicit CpuBlock(const TileSet<T>& tiles) : tiles_(tiles) {}

  Index rank() const { return 0; }
  Index size() const { return 1; }
  void sync() {}

  template <class F>
  void for_each(Index count, const F& f) {
    for (Index i = 0; i < count; ++i) f(i);
  }

  /// f(i) on arrays that do not overlap, with the widest vectors of the processor.
  template <class F>
  void elementwise(Index count, const F& f) {
#if defined(__x86_64__)
    if (tiles_.wide_vectors) return elementwise_wide(count, f);
#endif
#pragma GCC ivdep
    for (Index i = 0; i < count; ++i) f(i);
  }

  template <class F>
  T sum(Index count, const F& f) {
    T lanes[kSumLanes] = {};
    for (Index first = 0; first < count; first += kSumLanes)
      for (Index j = 0; j < std::min(kSumLanes, count - first); ++j) lanes[j] += f(first + j);
    for (Index half = kSumLanes / 2; half > 0; half /= 2)
      for (Index j = 0; j < half; ++j) lanes[j] += lanes[j + half];
    return lanes[0];
  }

  /// Columns of b that are not contiguous, and those that do not fill whole registers, are first copied to panels, one
  /// panel of a tile's width after the other.
  template <class Epilogue>
  void matmul(Index m, Index n, Index k, StridedView<const T> a, StridedView<const T> b, const Epilogue& epilogue) {
    const bool packs = b.col != 1;
    const Index lanes = tiles_.lanes, width = 2 * lanes;
    if (packs)
      pack(b, k, n, 0);
    else if (n % lanes != 0)
      pack(b, k, n, n / width);
    alignas(64) T c[kLargestTile];
    for (Index i = 0; i < m; i += tiles_.rows) {
      const Index rows = std::min(tiles_.rows, m - i);
      const T* a_tile = a.data + i * a.row;
      for (Index j = 0; j < n; j += width) {
        const Index columns = std::min(width, n - j), registers = columns > lanes ? 2 : 1;
        const bool packed = packs || columns % lanes != 0;
        const T* panel = packed ? panels_.data() + j * k : b.data + j;
        tiles_.of(rows, registers)(k, a_tile, a.row, a.col, panel, packed ? width : b.row, c);
        for (Index r = 0; r < rows; ++r) run(i + r, j, columns, c + r * registers * lanes, epilogue);
      }
    }
  }

 private:
#if defined(__x86_64__)
  // Everything that it calls is inlined, so that no function that other code shares is compiled for AVX-512.
  template <class F>
  __attribute__((target("arch=x86-64-v4,prefer-vector-width=512"), flatten, noinline)) static void elementwise_wide(
      Index count, const F& f) {
    const F local = f;  // nothing outside can change it while the loop runs
#pragma GCC ivdep
    for (Index i = 0; i < count; ++i) local(i);
  }
#endif

  /// A constant length where it is the usual one: the epilogue's loops are then unrolled.
  template <class Epilogue>
  static void run(Index i, Index j, Index count, const T* c, const Epilogue& epilogue) {
    constexpr Index kUsual = 128 / static_cast<Index>(sizeof(T));
    if (count == kUsual)
      epilogue(i, j, kUsual, c);
    else
      epilogue(i, j, count, c);
  }

  /// Panel p, p >= first: k rows of b(q, p width + ..), with zeros beyond column n.
  void pack(StridedView<const T> b, Index k, Index n, Index first) {
    const Index width = 2 * tiles_.lanes, panels = ceil_div(n, width);
    if (static_cast<Index>(panels_.size()) < panels * width * k)
      panels_.resize(static_cast<std::size_t>(panels * width * k));
    for (Index p = first; p < panels; ++p) {
      T* to = panels_.data() + p * width * k;
      const Index j = p * width, columns = std::min(width, n - j);
      if (b.row == 1) {
        transpose(b.data + j * b.col, b.col, columns, k, to, width);
      } else {
        for (Index q = 0; q < k; ++q)
          for (Index c = 0; c < columns; ++c) to[q * width + c] = b(q, j + c);
      }
      if (columns < width)
        for (Index q = 0; q < k; ++q) std::fill(to + q * width + columns, to + (q + 1) * width, T(0));
    }
  }

  const TileSet<T>& tiles_;
  Buffer<T> panels_;
};

}  // namespace widelab::cpu
