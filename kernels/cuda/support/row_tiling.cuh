// How threads share the elements of a rows x columns array: no division an element, whatever the shape.
#pragma once

#include "kernels/cuda/support/launch.hpp"

namespace widelab::cuda {

/// `lanes` neighbouring threads walk a row, kColumnsPerThread columns each; a block holds kThreads / lanes rows, and a
/// long row is cut into segments, one a block.
struct RowTiling {
  static constexpr int kColumnsPerThread = 8;
  Index rows = 0, columns = 0, segments = 1;
  int lanes = kThreads;

  Grid grid() const { return {ceil_div(rows, kThreads / lanes) * segments, kThreads, 0}; }
};

inline RowTiling row_tiling(Index rows, Index columns) {
  RowTiling tiling{rows, columns, 1, 1};
  while (tiling.lanes < kThreads && tiling.lanes < columns) tiling.lanes *= 2;
  tiling.segments = ceil_div(columns, static_cast<Index>(tiling.lanes) * RowTiling::kColumnsPerThread);
  return tiling;
}

/// body(row, column) for the elements of this thread.
template <class Body>
__device__ inline void for_each_element(const RowTiling& tiling, Body&& body) {
  const unsigned segments = static_cast<unsigned>(tiling.segments), lanes = static_cast<unsigned>(tiling.lanes);
  const Index row = static_cast<Index>(blockIdx.x / segments) * (kThreads / lanes) + threadIdx.x / lanes;
  if (row >= tiling.rows) return;
  Index column = static_cast<Index>(blockIdx.x % segments) * lanes * RowTiling::kColumnsPerThread + threadIdx.x % lanes;
  for (int k = 0; k < RowTiling::kColumnsPerThread && column < tiling.columns; ++k, column += lanes) body(row, column);
}

}  // namespace widelab::cuda
