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

  /// With the widest vectors of the processor for the loops of f.
  template <class F>
  void for_each(Index count, const F& f) {
#if defined(__x86_64__)
    if (tiles_.wide_vectors) return for_each_wide(count, f);
#endif
    for (Index i = 0; i < count; ++i) f(i);
  }

  /// Memory for `count` numbers, until it is asked for again.
  T* memory(Index count) {
    if (static_cast<Index>(memory_.size()) < count) memory_.resize(static_cast<std::size_t>(count));
    return memory_.data();
  }

  /// finish(i, count, c) for runs of kColumnGroup sums c(i) = sum_{q < k} a(i, q), the columns of a next to each other.
  template <class Finish>
  void row_sums(Index m, Index k, StridedView<const T> a, const Finish& finish) {
    for_each(ceil_div(m, kColumnGroup), [=](Index group) {
      const Index i = group * kColumnGroup, rows = std::min(kColumnGroup, m - i);
      T sums[kColumnGroup] = {}, turned[kColumnGroup * kColumnGroup] = {};
      for (Index first = 0; first < k; first += kColumnGroup) {
        const Index columns = std::min(kColumnGroup, k - first);
        transpose(a.data + i * a.row + first, a.row, rows, columns, turned, kColumnGroup);
        for (Index q = 0; q < columns; ++q)
          for (Index r = 0; r < kColumnGroup; ++r) sums[r] += turned[q * kColumnGroup + r];
      }
      finish(i, rows, static_cast<const T*>(sums));
    });
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
        finish({i, j, rows, columns, registers * lanes}, c, epilogue);
      }
    }
  }

 private:
  /// c(i, j) .. c(i + rows - 1, j + columns - 1), rows `stride` apart.
  struct Tile {
    Index i, j, rows, columns, stride;
  };

  template <class Epilogue>
  void finish(const Tile& tile, const T* c, const Epilogue& epilogue) {
#if defined(__x86_64__)
    if (tiles_.wide_vectors) return finish_wide(tile, c, epilogue);
#endif
    finish_rows<64 / sizeof(T)>(tile, c, epilogue);
  }

  /// A constant length where it is the usual one: the epilogue's loops are then unrolled.
  template <std::size_t kUsual, class Epilogue>
  [[gnu::always_inline]] static inline void finish_rows(const Tile& tile, const T* c, const Epilogue& epilogue) {
    if (tile.columns == static_cast<Index>(kUsual)) {
      for (Index r = 0; r < tile.rows; ++r)
        epilogue(tile.i + r, tile.j, static_cast<Index>(kUsual), c + r * static_cast<Index>(kUsual));
    } else {
      for (Index r = 0; r < tile.rows; ++r) epilogue(tile.i + r, tile.j, tile.columns, c + r * tile.stride);
    }
  }

#if defined(__x86_64__)
  // Everything that these call is inlined, so that no function that other code shares is compiled for AVX-512. They
  // work on copies, which nothing outside can change while a loop runs.
#define WIDELAB_WIDE __attribute__((target("arch=x86-64-v4,prefer-vector-width=512"), flatten, noinline))
  template <class F>
  WIDELAB_WIDE static void for_each_wide(Index count, const F& f) {
    const F local = f;
    for (Index i = 0; i < count; ++i) local(i);
  }

  template <class Epilogue>
  WIDELAB_WIDE static void finish_wide(Tile tile, const T* c, const Epilogue& epilogue) {
    const Epilogue local = epilogue;
    finish_rows<128 / sizeof(T)>(tile, c, local);
  }
#undef WIDELAB_WIDE
#endif

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
  Buffer<T> panels_, memory_;
};

}  // namespace widelab::cpu
