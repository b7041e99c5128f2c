#include "kernels/cuda/grams.hpp"

#include "kernels/cuda/support/row_tiling.cuh"

namespace widelab::cuda {
namespace {

/// Row = slot.
__global__ void __launch_bounds__(kThreads)
    accumulate_gram_kernel(RowTiling tiling, const float* partial, bool first, Index out_stride, double* out) {
  for_each_element(tiling, [&](Index slot, Index k) {
    const double term = static_cast<double>(partial[slot * tiling.columns + k]);
    double& sum = out[slot * out_stride + k];
    sum = first ? term : sum + term;
  });
}

/// Row of the tiling = (member, i, o), column = (j, p); o and p run over outputs for full blocks, over one value for
/// trace; for diagonal blocks o is the output and p runs over one value.
__global__ void __launch_bounds__(kThreads)
    add_layer_kernel(const __grid_constant__ RowTiling tiling, const __grid_constant__ LayerShare share,
                     const __grid_constant__ KernelPlacement at, double* ntk) {
  const bool full = at.blocks == NtkBlocks::full, diagonal = at.blocks == NtkBlocks::diagonal;
  const Index row_outputs = full || diagonal ? at.outputs : 1, col_outputs = full ? at.outputs : 1;
  const Index share_outputs = diagonal ? at.outputs : 1;
  const Index entries = at.all_rows * at.all_cols * row_outputs * col_outputs;
  const Index signals = at.rows * at.cols * row_outputs * col_outputs;
  const double scale = at.blocks == NtkBlocks::trace ? 1.0 / static_cast<double>(at.outputs) : 1.0;
  for_each_element(tiling, [&](Index row, Index column) {
    const Index member_input = row / row_outputs, o = row - member_input * row_outputs;
    const Index member = member_input / at.rows, i = member_input - member * at.rows;
    const Index j = column / col_outputs, p = column - j * col_outputs;
    const double feature = share.features[member * share.features_stride + i * at.cols + j];
    double overlap;
    if (!share.signals) {
      overlap = full && o != p ? 0.0 : 1.0;
    } else {
      const Index k = diagonal ? (o * at.rows + i) * at.cols + j : (i * row_outputs + o) * tiling.columns + column;
      overlap = scale * share.signals[member * signals + k];
    }
    const double term = (share.weight_kernel * feature + share.bias_kernel) * overlap;
    // Diagonal blocks keep the output in the fastest index.
    const Index r = at.row + i, c = at.col + j;
    const Index here = diagonal ? (r * at.all_cols + c) * share_outputs + o
                                : (r * row_outputs + o) * at.all_cols * col_outputs + c * col_outputs + p;
    double& result = ntk[member * entries + here];
    const double value = share.first ? term : result + term;
    result = value;
    if (!at.mirror) return;
    const Index there = diagonal ? (c * at.all_cols + r) * share_outputs + o
                                 : (c * col_outputs + p) * at.all_cols * col_outputs + r * row_outputs + o;
    ntk[member * entries + there] = value;
  });
}

__global__ void __launch_bounds__(kThreads)
    write_nngp_kernel(const __grid_constant__ RowTiling tiling, const double* features, double weight_variance,
                      double bias_variance, const __grid_constant__ KernelPlacement at, double* nngp) {
  for_each_element(tiling, [&](Index row, Index j) {
    const Index member = row / at.rows, i = row - member * at.rows, r = at.row + i, c = at.col + j;
    const double value = bias_variance + weight_variance * features[row * at.cols + j];
    nngp[(member * at.all_rows + r) * at.all_cols + c] = value;
    if (at.mirror) nngp[(member * at.all_rows + c) * at.all_cols + r] = value;
  });
}

}  // namespace

void gram(Context& context, const GramShape& s, BatchedMatrix<const float> a, BatchedMatrix<const float> b,
          float* partial, double* out, Index out_stride) {
  const RowTiling tiling = row_tiling(s.slots, s.rows * s.cols);
  for (Index first = 0; first < s.length; first += kUnitTile) {
    const Index inner = std::min(kUnitTile, s.length - first);
    gemm(context, {s.rows, s.cols, inner, Op::plain, Op::transposed}, s.slots, 1.0f,
         {a.data + first, a.stride, a.slot_stride}, {b.data + first, b.stride, b.slot_stride}, 0.0f,
         {partial, s.cols, s.rows * s.cols});
    launch(context, "accumulate_gram_kernel", tiling.grid(), accumulate_gram_kernel, tiling, partial, first == 0,
           out_stride, out);
  }
}

void gram(Context& context, const GramShape& s, BatchedMatrix<const double> a, BatchedMatrix<const double> b,
          double* /*partial*/, double* out, Index out_stride) {
  gemm(context, {s.rows, s.cols, s.length, Op::plain, Op::transposed}, s.slots, 1.0, a, b, 0.0,
       {out, s.cols, out_stride});
}

void add_layer(Context& context, const LayerShare& share, const KernelPlacement& at, double* ntk) {
  const Index row_outputs = at.blocks == NtkBlocks::trace ? 1 : at.outputs;
  const Index col_outputs = at.blocks == NtkBlocks::full ? at.outputs : 1;
  const RowTiling tiling = row_tiling(at.members * at.rows * row_outputs, at.cols * col_outputs);
  launch(context, "add_layer_kernel", tiling.grid(), add_layer_kernel, tiling, share, at, ntk);
}

void write_nngp(Context& context, const double* features, double weight_variance, double bias_variance,
                const KernelPlacement& at, double* nngp) {
  const RowTiling tiling = row_tiling(at.members * at.rows, at.cols);
  launch(context, "write_nngp_kernel", tiling.grid(), write_nngp_kernel, tiling, features, weight_variance,
         bias_variance, at, nngp);
}

}  // namespace widelab::cuda
