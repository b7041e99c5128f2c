#include "kernels/cuda/ridge/row_kernels.hpp"

#include "kernels/cuda/support/reductions.cuh"
#include "kernels/cuda/support/row_tiling.cuh"
#include "kernels/shared/ridge_diagnosis.hpp"

namespace widelab::cuda {
namespace {

__device__ Index length_of(const NestedRows& rows, Index k) {
  return rows.lengths ? rows.lengths[k / rows.each] : rows.longest;
}

__global__ void __launch_bounds__(kThreads) spread_rows_kernel(RowTiling tiling, NestedRows rows, const double* source,
                                                               Index source_stride, double* x, Index stride) {
  for_each_element(tiling, [&](Index k, Index i) {
    x[k * stride + i] = i < length_of(rows, k) ? source[k % rows.each * source_stride + i] : 0.0;
  });
}

__global__ void __launch_bounds__(kThreads)
    truncate_rows_kernel(RowTiling tiling, NestedRows rows, double* x, Index stride) {
  for_each_element(tiling, [&](Index k, Index i) {
    if (i >= length_of(rows, k)) x[k * stride + i] = 0.0;
  });
}

__global__ void __launch_bounds__(kThreads)
    start_rows_kernel(RowTiling tiling, NestedRows rows, double* x, Index stride) {
  for_each_element(tiling, [&](Index k, Index i) {
    const Index length = length_of(rows, k);
    x[k * stride + i] =
        i < length ? least_squares::start_sign(i) * least_squares::unit_factor(static_cast<double>(length)) : 0.0;
  });
}

/// One block a row.
__global__ void __launch_bounds__(kThreads)
    normalise_vectors_kernel(Index columns, double* x, Index stride, double* norms) {
  __shared__ double lanes[kThreads / 32];
  double* row = x + static_cast<Index>(blockIdx.x) * stride;
  double square = 0;
  for (Index i = threadIdx.x; i < columns; i += kThreads) square += row[i] * row[i];
  square = block_sum(square, lanes);
  const double factor = least_squares::unit_factor(square);
  for (Index i = threadIdx.x; i < columns; i += kThreads) row[i] = factor > 0 ? row[i] * factor : 0.0;
  if (threadIdx.x == 0) norms[blockIdx.x] = sqrt(square);
}

__global__ void __launch_bounds__(kThreads)
    copy_rows_kernel(RowTiling tiling, const double* in, Index in_stride, double* out, Index out_stride) {
  for_each_element(tiling, [&](Index k, Index i) { out[k * out_stride + i] = in[k * in_stride + i]; });
}

__global__ void __launch_bounds__(kThreads)
    add_diagonal_kernel(RowTiling tiling, double value, double* a, Index stride) {
  for_each_element(tiling, [&](Index, Index i) { a[i * (stride + 1)] += value; });
}

__global__ void __launch_bounds__(kThreads) mirror_lower_kernel(RowTiling tiling, double* a, Index stride) {
  for_each_element(tiling, [&](Index i, Index j) {
    if (j > i) a[i * stride + j] = a[j * stride + i];
  });
}

__global__ void __launch_bounds__(kThreads)
    scale_along_kernel(RowTiling tiling, SpectralFilter filter, const double* values, double cut, const double* along,
                       double* solution, double* remainder) {
  for_each_element(tiling, [&](Index row, Index k) {
    const double mu = values[k] > 0 ? values[k] : 0.0;
    const least_squares::SpectralGain gain = least_squares::spectral_gain(filter, mu, mu > cut);
    const Index at = row * tiling.columns + k;
    const double x = along[at];
    solution[at] = x * gain.solution;
    if (remainder) remainder[at] = x * gain.remainder;
  });
}

/// Row `row` of (slot, filter, size, right-hand side).
__device__ double* filter_row(const FilterRows& x, Index row) {
  const Index of_filter = x.rows(), f = row / of_filter % x.filters, slot = row / (of_filter * x.filters);
  return x.data + slot * x.slot_stride + f * x.filter_stride + row % of_filter * x.columns;
}

__global__ void __launch_bounds__(kThreads)
    truncate_filters_kernel(RowTiling tiling, FilterRows x, const Index* lengths) {
  for_each_element(tiling, [&](Index row, Index i) {
    if (i >= lengths[row % x.rows() / x.each]) filter_row(x, row)[i] = 0.0;
  });
}

/// Row (member of the batch, size, filter, r) of results, and where it comes from.
struct ResultRow {
  Index from, to;
};

/// `row` counts (member, size, filter, r).
__device__ ResultRow result_row(const FilterRows& x, const ResultPlace& place, Index row) {
  const Index r = row % x.each, f = row / x.each % x.filters, size = row / (x.each * x.filters) % x.sizes;
  const Index member = row / (x.each * x.filters * x.sizes);
  const Index at = ((place.first_member + member) * place.all_sizes + place.first_size + size) * x.filters + f;
  return {member * x.slot_stride + f * x.filter_stride + (size * x.each + r) * x.columns, at * x.each + r};
}

__global__ void __launch_bounds__(kThreads)
    write_coefficients_kernel(RowTiling tiling, FilterRows x, ResultPlace place, double* out) {
  for_each_element(tiling, [&](Index row, Index i) {
    const ResultRow at = result_row(x, place, row);
    out[at.to * tiling.columns + i] = i < x.columns ? x.data[at.from + i] : 0.0;
  });
}

/// One block a pair of rows: (member, size, filter, r, q).
__global__ void __launch_bounds__(kThreads)
    write_inner_products_kernel(FilterRows x, FilterRows y, ResultPlace place, double* out) {
  __shared__ double lanes[kThreads / 32];
  const Index pair = blockIdx.x, row = pair / x.each, q = pair % x.each;
  const ResultRow at = result_row(x, place, row), other = result_row(y, place, row - row % x.each + q);
  double sum = 0;
  for (Index i = threadIdx.x; i < x.columns; i += kThreads) sum += x.data[at.from + i] * y.data[other.from + i];
  sum = block_sum(sum, lanes);
  if (threadIdx.x == 0) out[at.to * x.each + q] = sum;
}

struct PredictionPlace {
  Index filter, filters, first, tests;
};

/// Row = (member, size, r) of one filter.
__global__ void __launch_bounds__(kThreads)
    write_predictions_kernel(RowTiling tiling, FilterRows x, ResultPlace place, PredictionPlace to, double* out) {
  for_each_element(tiling, [&](Index row, Index i) {
    const Index r = row % x.each, size = row / x.each % x.sizes, member = row / (x.each * x.sizes);
    const Index at =
        ((place.first_member + member) * place.all_sizes + place.first_size + size) * to.filters + to.filter;
    out[(at * to.tests + to.first + i) * x.each + r] =
        x.data[member * x.slot_stride + (size * x.each + r) * x.columns + i];
  });
}

/// Row = (slot, r).
__global__ void __launch_bounds__(kThreads)
    transpose_targets_kernel(RowTiling tiling, ResultPlace place, TargetExtents extents, const double* targets,
                             double* out) {
  for_each_element(tiling, [&](Index row, Index i) {
    const Index slot = row / extents.each, r = row - slot * extents.each;
    const Index from = ((place.first_member + slot) * extents.examples + i) * extents.each + r;
    out[row * tiling.columns + i] = slot < place.members ? targets[from] : 0.0;
  });
}

/// Row = (slot, filter, size, r).
__global__ void __launch_bounds__(kThreads)
    repeat_targets_kernel(RowTiling tiling, FilterRows x, const double* targets) {
  for_each_element(tiling, [&](Index row, Index i) {
    const Index slot = row / (x.rows() * x.filters);
    filter_row(x, row)[i] = targets[(slot * x.each + row % x.each) * x.columns + i];
  });
}

}  // namespace

void spread_rows(Context& context, const NestedRows& rows, const double* source, Index source_stride, double* x,
                 Index stride) {
  const RowTiling tiling = row_tiling(rows.rows(), rows.longest);
  launch(context, "spread_rows_kernel", tiling.grid(), spread_rows_kernel, tiling, rows, source, source_stride, x,
         stride);
}

void truncate_rows(Context& context, const NestedRows& rows, double* x, Index stride) {
  if (!rows.lengths) return;
  const RowTiling tiling = row_tiling(rows.rows(), rows.longest);
  launch(context, "truncate_rows_kernel", tiling.grid(), truncate_rows_kernel, tiling, rows, x, stride);
}

void start_rows(Context& context, const NestedRows& rows, double* x, Index stride) {
  const RowTiling tiling = row_tiling(rows.rows(), rows.longest);
  launch(context, "start_rows_kernel", tiling.grid(), start_rows_kernel, tiling, rows, x, stride);
}

void normalise_rows(Context& context, const NestedRows& rows, double* x, Index stride, double* norms) {
  launch(context, "normalise_vectors_kernel", row_grid(rows.rows()), normalise_vectors_kernel, rows.longest, x, stride,
         norms);
}

void copy_rows(Context& context, Index rows, Index columns, const double* in, Index in_stride, double* out,
               Index out_stride) {
  const RowTiling tiling = row_tiling(rows, columns);
  launch(context, "copy_rows_kernel", tiling.grid(), copy_rows_kernel, tiling, in, in_stride, out, out_stride);
}

void add_diagonal(Context& context, Index order, double value, double* a, Index stride) {
  const RowTiling tiling = row_tiling(1, order);
  launch(context, "add_diagonal_kernel", tiling.grid(), add_diagonal_kernel, tiling, value, a, stride);
}

void mirror_lower(Context& context, Index order, double* a, Index stride) {
  const RowTiling tiling = row_tiling(order, order);
  launch(context, "mirror_lower_kernel", tiling.grid(), mirror_lower_kernel, tiling, a, stride);
}

void scale_along(Context& context, const SpectralFilter& filter, Index rows, Index order, const double* values,
                 double cut, const double* along, double* solution, double* remainder) {
  const RowTiling tiling = row_tiling(rows, order);
  launch(context, "scale_along_kernel", tiling.grid(), scale_along_kernel, tiling, filter, values, cut, along, solution,
         remainder);
}

void truncate_filters(Context& context, Index slots, const FilterRows& x, const Index* lengths) {
  const RowTiling tiling = row_tiling(slots * x.filters * x.rows(), x.columns);
  launch(context, "truncate_filters_kernel", tiling.grid(), truncate_filters_kernel, tiling, x, lengths);
}

void write_coefficients(Context& context, const FilterRows& x, const ResultPlace& place, Index width, double* out) {
  const RowTiling tiling = row_tiling(place.members * x.filters * x.rows(), width);
  launch(context, "write_coefficients_kernel", tiling.grid(), write_coefficients_kernel, tiling, x, place, out);
}

void write_inner_products(Context& context, const FilterRows& x, const FilterRows& y, const ResultPlace& place,
                          double* out) {
  launch(context, "write_inner_products_kernel", row_grid(place.members * x.filters * x.rows() * x.each),
         write_inner_products_kernel, x, y, place, out);
}

void write_predictions(Context& context, const FilterRows& fitted, Index f, const ResultPlace& place, Index first,
                       Index tests, Index all_filters, double* out) {
  const RowTiling tiling = row_tiling(place.members * fitted.rows(), fitted.columns);
  launch(context, "write_predictions_kernel", tiling.grid(), write_predictions_kernel, tiling, fitted, place,
         PredictionPlace{f, all_filters, first, tests}, out);
}

void transpose_targets(Context& context, Index slots, const ResultPlace& place, const TargetExtents& extents,
                       const double* targets, double* out) {
  const RowTiling tiling = row_tiling(slots * extents.each, extents.taken);
  launch(context, "transpose_targets_kernel", tiling.grid(), transpose_targets_kernel, tiling, place, extents, targets,
         out);
}

void repeat_targets(Context& context, Index slots, const FilterRows& x, const double* targets) {
  const RowTiling tiling = row_tiling(slots * x.filters * x.rows(), x.columns);
  launch(context, "repeat_targets_kernel", tiling.grid(), repeat_targets_kernel, tiling, x, targets);
}

}  // namespace widelab::cuda
