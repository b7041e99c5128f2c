// Compiled with --fmad=false --ftz=false --prec-div=true --prec-sqrt=true: the draws are bitwise those of the host.
#include "kernels/cuda/law_exact_kernels.hpp"

#include "kernels/cuda/support/row_tiling.cuh"
#include "widelab/rng/normal.hpp"

namespace widelab::cuda {
namespace {

/// Row = block of four columns, column = unit: neighbouring threads write neighbouring units.
__global__ void __launch_bounds__(kThreads)
    fill_noise_kernel(RowTiling tiling, StreamId id, UnitStep step, Index columns, double* out) {
  for_each_element(tiling, [&](Index block, Index r) {
    Draw4 draw = {};
    if (r < step.units)
      draw = normal4(random_block(id, static_cast<std::uint32_t>(step.first + r), static_cast<std::uint32_t>(block)));
#pragma unroll
    for (int k = 0; k < 4; ++k)
      if (4 * block + k < columns) out[(4 * block + k) * step.stride + r] = static_cast<double>(draw.v[k]);
  });
}

template <class F>
__global__ void __launch_bounds__(kThreads)
    activate_units_kernel(const __grid_constant__ RowTiling tiling, const __grid_constant__ UnitStep step,
                          const double* z, double* a, double* slope, const __grid_constant__ F phi) {
  for_each_element(tiling, [&](Index row, Index r) {
    const Index at = row * step.stride + r;
    const double value = z[at];
    const bool live = r < step.units;
    a[at] = live ? phi.value(value) : 0.0;
    if (slope) slope[at] = live ? phi.first(value) : 0.0;
  });
}

__global__ void __launch_bounds__(kThreads)
    multiply_by_slope_kernel(RowTiling tiling, Index outputs, const double* slope, double* b) {
  for_each_element(tiling,
                   [&](Index k, Index r) { b[k * tiling.columns + r] *= slope[k / outputs * tiling.columns + r]; });
}

__global__ void __launch_bounds__(kThreads)
    accumulate_kernel(RowTiling tiling, const double* term, Index terms, double* sum, double* carry) {
  for_each_element(tiling, [&](Index, Index k) {
    double s = sum[k], c = carry[k];
    for (Index t = 0; t < terms; ++t) {
      const double next = term[t * tiling.columns + k], total = s + next, shift = total - s;
      c += (s - (total - shift)) + (next - shift);
      s = total;
    }
    sum[k] = s;
    carry[k] = c;
  });
}

__global__ void __launch_bounds__(kThreads) settle_kernel(RowTiling tiling, double* sum, const double* carry) {
  for_each_element(tiling, [&](Index, Index k) { sum[k] += carry[k]; });
}

__global__ void __launch_bounds__(kThreads)
    affine_kernel(RowTiling tiling, double scale, double shift, const double* in, double* out) {
  for_each_element(tiling, [&](Index, Index k) { out[k] = scale * in[k] + shift; });
}

__global__ void __launch_bounds__(kThreads)
    add_bias_noise_kernel(RowTiling tiling, double weight, double bias, const double* bias_noise, double* noise) {
  for_each_element(tiling, [&](Index i, Index c) {
    double& v = noise[i * tiling.columns + c];
    v = weight * v + bias * bias_noise[c];
  });
}

/// Row (i, o), column (j, p) of the signals; the rows with o = 0 write row i of `cross`, those with j = 0 the outputs.
__global__ void __launch_bounds__(kThreads) write_readout_kernel(RowTiling tiling, ReadoutTask task) {
  for_each_element(tiling, [&](Index row, Index column) {
    const Index i = row / task.outputs, o = row - i * task.outputs, p = column % task.outputs;
    task.signals[row * tiling.columns + column] = o == p ? 1.0 : 0.0;
    if (o == 0) task.cross[i * tiling.columns + column] = task.f[i * task.stride + p];
    if (task.result && column == 0) task.result[row] = task.f[i * task.stride + o];
  });
}

}  // namespace

void fill_noise(Context& context, const StreamId& id, const UnitStep& step, Index columns, double* out) {
  const RowTiling tiling = row_tiling(ceil_div(columns, 4), step.stride);
  launch(context, "fill_noise_kernel", tiling.grid(), fill_noise_kernel, tiling, id, step, columns, out);
}

void activate_units(Context& context, const Activation& activation, const UnitStep& step, Index rows, const double* z,
                    double* a, double* slope) {
  const RowTiling tiling = row_tiling(rows, step.stride);
  visit(activation, [&](const auto& phi) {
    using F = std::decay_t<decltype(phi)>;
    launch(context, "activate_units_kernel", tiling.grid(), activate_units_kernel<F>, tiling, step, z, a, slope, phi);
  });
}

void multiply_by_slope(Context& context, const UnitStep& step, Index rows, Index outputs, const double* slope,
                       double* b) {
  const RowTiling tiling = row_tiling(rows, step.stride);
  launch(context, "multiply_by_slope_kernel", tiling.grid(), multiply_by_slope_kernel, tiling, outputs, slope, b);
}

void accumulate(Context& context, const double* term, Index terms, Index size, double* sum, double* carry) {
  const RowTiling tiling = row_tiling(1, size);
  launch(context, "accumulate_kernel", tiling.grid(), accumulate_kernel, tiling, term, terms, sum, carry);
}

void settle(Context& context, Index size, double* sum, const double* carry) {
  const RowTiling tiling = row_tiling(1, size);
  launch(context, "settle_kernel", tiling.grid(), settle_kernel, tiling, sum, carry);
}

void affine(Context& context, Index size, double scale, double shift, const double* in, double* out) {
  const RowTiling tiling = row_tiling(1, size);
  launch(context, "affine_kernel", tiling.grid(), affine_kernel, tiling, scale, shift, in, out);
}

void add_bias_noise(Context& context, Index rows, Index columns, double weight, double bias, const double* bias_noise,
                    double* noise) {
  const RowTiling tiling = row_tiling(rows, columns);
  launch(context, "add_bias_noise_kernel", tiling.grid(), add_bias_noise_kernel, tiling, weight, bias, bias_noise,
         noise);
}

void write_readout(Context& context, const ReadoutTask& task) {
  const RowTiling tiling = row_tiling(task.inputs * task.outputs, task.inputs * task.outputs);
  launch(context, "write_readout_kernel", tiling.grid(), write_readout_kernel, tiling, task);
}

}  // namespace widelab::cuda
