// A Block of many workers: products by register tiles, sums by a fixed tree. Written against a Team (rank, size, sync
// and a piece of memory that all workers see), so that a host can run the very same index maps without a device.
#pragma once

#include "widelab/base/block.hpp"
#include "widelab/math/update_rules.hpp"

// Loops over a tile must be unrolled for it to stay in registers; loops around an epilogue must not, lest it be
// compiled four times.
#if defined(__CUDA_ARCH__)
#define WIDELAB_UNROLLED _Pragma("unroll")
#define WIDELAB_ROLLED _Pragma("unroll 1")
#else
#define WIDELAB_UNROLLED
#define WIDELAB_ROLLED
#endif

namespace widelab::cuda {

/// Side of the tile of a product that one worker keeps in registers; also the length of an epilogue's run.
inline constexpr int kTile = 4;

/// Scalars of memory that a Block of `workers` needs for itself: a run of a tile for each worker, and the lanes of sum.
WIDELAB_HD constexpr Index block_scratch(Index workers) { return workers * kTile + kSumLanes; }

/// Lane `lane` of Block::sum: i = lane, lane + kSumLanes, ... in turn.
template <class T, class F>
WIDELAB_HD T lane_sum(Index lane, Index count, F&& f) {
  T sum = T(0);
  for (Index i = lane; i < count; i += kSumLanes) sum += f(i);
  return sum;
}

/// The lanes added pairwise, halving: lane j takes in lane j + 16, then j + 8, ...
template <class T>
WIDELAB_HD T halving_sum(const T* lanes) {
  T half[kSumLanes / 2];
  WIDELAB_UNROLLED
  for (int j = 0; j < kSumLanes / 2; ++j) half[j] = lanes[j] + lanes[j + kSumLanes / 2];
  WIDELAB_UNROLLED
  for (int step = kSumLanes / 4; step > 0; step /= 2) {
    WIDELAB_UNROLLED
    for (int j = 0; j < kSumLanes / 4; ++j)
      if (j < step) half[j] += half[j + step];
  }
  return half[0];
}

/// A product's operands; indices within a member's matrices fit in 32 bits.
template <class T>
struct TileProduct {
  StridedView<const T> a, b;
  int rows, cols, inner;

  WIDELAB_HD int tile_cols() const { return (cols + kTile - 1) / kTile; }
  WIDELAB_HD int tiles() const { return (rows + kTile - 1) / kTile * tile_cols(); }
};

/// c(i0 + r, j0 + s) = sum_q a(i0 + r, q) b(q, j0 + s), q ascending. Beyond the edges the last row and column are taken
/// again, so that nothing outside the operands is read.
template <class T>
WIDELAB_HD void multiply_tile(const TileProduct<T>& product, int i0, int j0, T (&c)[kTile][kTile]) {
  const T *a[kTile], *b[kTile];
  WIDELAB_UNROLLED
  for (int r = 0; r < kTile; ++r) {
    const int i = i0 + r < product.rows ? i0 + r : product.rows - 1;
    const int j = j0 + r < product.cols ? j0 + r : product.cols - 1;
    a[r] = product.a.data + i * product.a.row;
    b[r] = product.b.data + j * product.b.col;
    WIDELAB_UNROLLED
    for (int s = 0; s < kTile; ++s) c[r][s] = T(0);
  }
  const Index a_step = product.a.col, b_step = product.b.row;
  Index a_at = 0, b_at = 0;
  for (int q = 0; q < product.inner; ++q) {
    T x[kTile], y[kTile];
    WIDELAB_UNROLLED
    for (int r = 0; r < kTile; ++r) {
      x[r] = a[r][a_at];
      y[r] = b[r][b_at];
    }
    WIDELAB_UNROLLED
    for (int r = 0; r < kTile; ++r) {
      WIDELAB_UNROLLED
      for (int s = 0; s < kTile; ++s) c[r][s] = update_rules::fused(x[r], y[s], c[r][s]);
    }
    a_at += a_step;
    b_at += b_step;
  }
}

/// What worker `rank` of `size` does of a product: tiles rank, rank + size, ... of the row-major list of tiles. `run`
/// is the worker's own memory of kTile scalars: an epilogue's loop over a run of any length then indexes no registers.
template <class T, class Epilogue>
WIDELAB_HD void multiply_share(int rank, int size, const TileProduct<T>& product, T* run, Epilogue&& epilogue) {
  const int tile_cols = product.tile_cols(), tiles = product.tiles();
  for (int tile = rank; tile < tiles; tile += size) {
    const int row = tile / tile_cols, i0 = row * kTile, j0 = (tile - row * tile_cols) * kTile;
    const int height = product.rows - i0 < kTile ? product.rows - i0 : kTile;
    const int length = product.cols - j0 < kTile ? product.cols - j0 : kTile;
    T c[kTile][kTile];
    multiply_tile(product, i0, j0, c);
    WIDELAB_ROLLED
    for (int r = 0; r < height; ++r) {
      WIDELAB_UNROLLED
      for (int s = 0; s < kTile; ++s) run[s] = r == 0 ? c[0][s] : r == 1 ? c[1][s] : r == 2 ? c[2][s] : c[3][s];
      epilogue(static_cast<Index>(i0 + r), static_cast<Index>(j0), static_cast<Index>(length),
               static_cast<const T*>(run));
    }
  }
}

/// The Block concept over a Team: `int rank()`, `int size()`, `void sync()`. `scratch`: block_scratch(size) scalars.
template <class T, class Team>
class TileBlock {
 public:
  using Scalar = T;

  WIDELAB_HD TileBlock(const Team& team, T* scratch) : team_(team), scratch_(scratch) {}

  WIDELAB_HD Index rank() const { return team_.rank(); }
  WIDELAB_HD Index size() const { return team_.size(); }
  WIDELAB_HD void sync() { team_.sync(); }

  template <class F>
  WIDELAB_HD void for_each(Index count, F&& f) {
    for (Index i = team_.rank(); i < count; i += team_.size()) f(i);
  }

  template <class F>
  WIDELAB_HD T sum(Index count, F&& f) {
    T* lanes = scratch_ + team_.size() * kTile;
    for (Index lane = team_.rank(); lane < kSumLanes; lane += team_.size()) lanes[lane] = lane_sum<T>(lane, count, f);
    team_.sync();
    const T total = halving_sum(lanes);
    team_.sync();
    return total;
  }

  template <class Epilogue>
  WIDELAB_HD void matmul(Index rows, Index cols, Index inner, StridedView<const T> a, StridedView<const T> b,
                         Epilogue&& epilogue) {
    const TileProduct<T> product{a, b, static_cast<int>(rows), static_cast<int>(cols), static_cast<int>(inner)};
    multiply_share(team_.rank(), team_.size(), product, scratch_ + team_.rank() * kTile, epilogue);
  }

 private:
  Team team_;
  T* scratch_;
};

}  // namespace widelab::cuda
