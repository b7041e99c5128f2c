#include "kernels/cuda/ridge/feature_panels.hpp"

#include "kernels/cuda/random_fill.hpp"
#include "kernels/cuda/support/errors.hpp"
#include "kernels/cuda/support/reductions.cuh"
#include "kernels/cuda/support/row_tiling.cuh"

namespace widelab::cuda {
namespace {

/// One block a row (slot, unit): w *= scale sqrt(d) / |w|.
__global__ void __launch_bounds__(kThreads)
    scale_to_sphere_kernel(Index units, Index dimension, double scale, double* weights, Index slot_stride) {
  __shared__ double lanes[kThreads / 32];
  const Index row = blockIdx.x, slot = row / units;
  double* w = weights + slot * slot_stride + (row - slot * units) * dimension;
  double square = 0;
  for (Index c = threadIdx.x; c < dimension; c += kThreads) square += w[c] * w[c];
  square = block_sum(square, lanes);
  const double factor = (square > 0 ? sqrt(static_cast<double>(dimension) / square) : 1.0) * scale;
  for (Index c = threadIdx.x; c < dimension; c += kThreads) w[c] *= factor;
}

/// Units of pre-activations, `units` rows of `stride` in each slot.
struct UnitRows {
  double* z;
  Index units, stride, slot_stride;
};

/// z = scale phi(z), or scale phi'(z); row of the tiling = (slot, unit).
template <bool kSlope, class F>
__global__ void __launch_bounds__(kThreads)
    activate_rows_kernel(const __grid_constant__ RowTiling tiling, const __grid_constant__ UnitRows rows, double scale,
                         const __grid_constant__ F phi) {
  for_each_element(tiling, [&](Index row, Index i) {
    const Index slot = row / rows.units;
    double& z = rows.z[slot * rows.slot_stride + (row - slot * rows.units) * rows.stride + i];
    if constexpr (kSlope)
      z = scale * phi.first(z);
    else
      z = scale * phi.value(z);
  });
}

void activate(Context& context, const FeatureSource& source, Index slots, Index columns, const UnitRows& rows) {
  const RowTiling tiling = row_tiling(slots * rows.units, columns);
  visit(source.activation, [&](const auto& phi) {
    using F = std::decay_t<decltype(phi)>;
    if (source.kind == FeatureKind::tangent)
      launch(context, "activate_rows_kernel", tiling.grid(), activate_rows_kernel<true, F>, tiling, rows, source.scale,
             phi);
    else
      launch(context, "activate_rows_kernel", tiling.grid(), activate_rows_kernel<false, F>, tiling, rows, source.scale,
             phi);
  });
}

/// Inputs x, rows of `dimension` numbers, of each slot.
struct InputRows {
  const double* x;
  Index dimension, slot_stride, slots;
};

/// Row = (slot, column of the panel): out = slope of the column's unit times the coordinate of the input.
__global__ void __launch_bounds__(kThreads)
    tangent_kernel(RowTiling tiling, FeaturePanel panel, InputRows inputs, UnitRows slopes, Index first_unit) {
  for_each_element(tiling, [&](Index row, Index i) {
    const Index slot = row / panel.columns, c = row - slot * panel.columns, d = inputs.dimension;
    const Index column = panel.first_column + c, unit = column / d - first_unit;
    const double x = inputs.x[slot * inputs.slot_stride + (panel.first_row + i) * d + column % d];
    panel.out[slot * panel.slot_stride + c * panel.stride + i] =
        slopes.z[slot * slopes.slot_stride + unit * slopes.stride + i] * x;
  });
}

/// Row = (slot, column of the panel). Neighbouring threads write neighbours and read across rows; a panel is read once.
__global__ void __launch_bounds__(kThreads) take_given_kernel(RowTiling tiling, FeaturePanel panel, InputRows inputs) {
  for_each_element(tiling, [&](Index row, Index i) {
    const Index slot = row / panel.columns, c = row - slot * panel.columns;
    const Index from = slot * inputs.slot_stride + (panel.first_row + i) * inputs.dimension + panel.first_column + c;
    panel.out[slot * panel.slot_stride + c * panel.stride + i] = slot < inputs.slots ? inputs.x[from] : 0.0;
  });
}

}  // namespace

void FeaturePanels::begin_batch(Index first, Index members) {
  first_ = first;
  members_ = members;
  if (source_.kind == FeatureKind::given) return;
  const Index d = source_.dimension, units = problem_.sizes.back(), own = problem_.examples * d;
  WIDELAB_CUDA(cudaMemcpyAsync(ids_, source_.weights + first, static_cast<std::size_t>(members) * sizeof(DrawId),
                               cudaMemcpyHostToDevice, context_.stream));
  const double scale = source_.sphere ? 1.0 : source_.weight_scale;
  fill_weights(context_, FillTask<double>{ids_, members, slots_, Stream::weights, 0, InitKind::normal, scale, 0, units,
                                          d, weights_, weight_stride()});
  if (source_.sphere)
    launch(context_, "scale_to_sphere_kernel", row_grid(slots_ * units), scale_to_sphere_kernel, units, d,
           source_.weight_scale, weights_, weight_stride());
  if (!inputs_) return;
  const auto bytes = [&](Index slots) { return static_cast<std::size_t>(slots * own) * sizeof(double); };
  WIDELAB_CUDA(cudaMemcpyAsync(inputs_, source_.inputs + first * own, bytes(members), cudaMemcpyDeviceToDevice,
                               context_.stream));
  if (members < slots_)
    WIDELAB_CUDA(cudaMemsetAsync(inputs_ + members * own, 0, bytes(slots_ - members), context_.stream));
}

void FeaturePanels::train(const FeaturePanel& panel) {
  const Index own = problem_.examples * source_.dimension;
  if (source_.shared_inputs) return fill({source_.inputs, 0, slots_}, panel);
  if (source_.kind == FeatureKind::given) return fill({source_.inputs + first_ * own, own, members_}, panel);
  fill({inputs_, own, slots_}, panel);
}

void FeaturePanels::test(const FeaturePanel& panel) {
  const Index own = problem_.test_examples * source_.dimension;
  if (source_.kind == FeatureKind::given && !source_.shared_inputs)
    return fill({problem_.test_inputs + first_ * own, own, members_}, panel);
  fill({problem_.test_inputs, 0, slots_}, panel);
}

void FeaturePanels::fill(const Rows& x, const FeaturePanel& panel) {
  if (source_.kind == FeatureKind::random) return fill_random(x, panel);
  if (source_.kind == FeatureKind::tangent) return fill_tangent(x, panel);
  const RowTiling tiling = row_tiling(slots_ * panel.columns, panel.rows);
  launch(context_, "take_given_kernel", tiling.grid(), take_given_kernel, tiling, panel,
         InputRows{x.data, source_.dimension, x.slot_stride, x.slots});
}

/// z (units x rows) = <w, x>.
void FeaturePanels::multiply(const Rows& x, const FeaturePanel& panel, Index first_unit, Index units, double* z,
                             Index stride, Index slot_stride) {
  const Index d = source_.dimension;
  gemm(context_, {units, panel.rows, d, Op::plain, Op::transposed}, slots_, 1.0,
       {weights_ + first_unit * d, d, weight_stride()}, {x.data + panel.first_row * d, d, x.slot_stride}, 0.0,
       {z, stride, slot_stride});
}

void FeaturePanels::fill_random(const Rows& x, const FeaturePanel& panel) {
  multiply(x, panel, panel.first_column, panel.columns, panel.out, panel.stride, panel.slot_stride);
  activate(context_, source_, slots_, panel.rows, {panel.out, panel.columns, panel.stride, panel.slot_stride});
}

void FeaturePanels::fill_tangent(const Rows& x, const FeaturePanel& panel) {
  const Index d = source_.dimension, end = panel.first_column + panel.columns, slot_stride = kSlopeUnits * panel.rows;
  for (Index column = panel.first_column; column < end;) {
    const Index unit = column / d, units = std::min(kSlopeUnits, (end - 1) / d - unit + 1);
    const UnitRows slopes{slopes_, units, panel.rows, slot_stride};
    multiply(x, panel, unit, units, slopes_, panel.rows, slot_stride);
    activate(context_, source_, slots_, panel.rows, slopes);
    FeaturePanel part = panel;
    part.first_column = column;
    part.columns = std::min(end, (unit + units) * d) - column;
    part.out = panel.out + (column - panel.first_column) * panel.stride;
    const RowTiling tiling = row_tiling(slots_ * part.columns, panel.rows);
    launch(context_, "tangent_kernel", tiling.grid(), tangent_kernel, tiling, part,
           InputRows{x.data, d, x.slot_stride, slots_}, slopes, unit);
    column += part.columns;
  }
}

}  // namespace widelab::cuda
