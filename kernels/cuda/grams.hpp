// Gram matrices of a batch of members with fp64 accumulation, and the layer sum that makes the tangent kernel.
#pragma once

#include <algorithm>

#include "kernels/cuda/support/blas.hpp"
#include "widelab/ops/ntk.hpp"
#include "widelab/plan/storage_plan.hpp"

namespace widelab::cuda {

struct GramShape {
  Index slots, rows, cols, length;
};

/// out (slots x rows x cols, slots out_stride apart) = <a_i, b_j> over `length` units. fp32: chunks of kUnitTile units
/// are summed by cuBLAS into `partial` (slots x rows x cols), the chunks in fp64. fp64: one product; `partial` is not
/// used.
void gram(Context& context, const GramShape& shape, BatchedMatrix<const float> a, BatchedMatrix<const float> b,
          float* partial, double* out, Index out_stride);
void gram(Context& context, const GramShape& shape, BatchedMatrix<const double> a, BatchedMatrix<const double> b,
          double* partial, double* out, Index out_stride);

/// One layer's share of the kernels of a pair of input tiles.
struct LayerShare {
  const double* features = nullptr;  ///< <h, h'>: rows x cols for each slot
  Index features_stride = 0;         ///< between slots; 0 = the same for all
  const double* signals = nullptr;   ///< <B, B'> in the layout below; null = readout, where B is the identity
  double weight_kernel = 0, bias_kernel = 0;
  bool first = false;  ///< the result is set, not added to
};

/// Where a pair of tiles stands in the members' arrays. Signals of a slot: full (rows O) x (cols O); trace rows x cols,
/// summed over outputs; diagonal O x rows x cols.
struct KernelPlacement {
  NtkBlocks blocks = NtkBlocks::trace;
  Index members = 0, outputs = 1;
  Index rows = 0, cols = 0;          ///< of the pair of tiles
  Index row = 0, col = 0;            ///< first input of each tile
  Index all_rows = 0, all_cols = 0;  ///< N1, N2
  bool mirror = false;               ///< symmetric problem, tiles differ: write the transposed block as well
};

/// ntk (+)= (kw <h, h'> + kb) <B, B'>, for the members of the batch.
void add_layer(Context& context, const LayerShare& share, const KernelPlacement& placement, double* ntk);

/// nngp = bias_variance + weight_variance <h, h'>.
void write_nngp(Context& context, const double* features, double weight_variance, double bias_variance,
                const KernelPlacement& placement, double* nngp);

/// Numbers of one slot's `signals`.
inline Index signal_entries(NtkBlocks blocks, Index outputs, Index rows, Index cols) {
  return rows * cols * (blocks == NtkBlocks::full ? outputs * outputs : blocks == NtkBlocks::diagonal ? outputs : 1);
}

}  // namespace widelab::cuda
