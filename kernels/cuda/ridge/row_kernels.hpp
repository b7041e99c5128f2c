// Elementwise and row-wise steps of least squares. Blocks of vectors hold one vector a row; all memory is the device's.
#pragma once

#include "kernels/cuda/support/context.hpp"
#include "kernels/shared/ridge_segment.hpp"
#include "widelab/base/host_device.hpp"
#include "widelab/base/types.hpp"
#include "widelab/plan/ridge_plan.hpp"

namespace widelab::cuda {

/// Rows that belong to leading blocks of different orders: row k is in use up to lengths[k / each], ascending; beyond
/// it holds 0.
struct NestedRows {
  const Index* lengths = nullptr;  ///< null: all rows have length `longest`
  Index sizes = 0, each = 1, longest = 0;

  Index rows() const { return sizes * each; }
};

/// x[k] = the leading part of row (k mod each) of `source`, 0 beyond, up to `longest`.
void spread_rows(Context& context, const NestedRows& rows, const double* source, Index source_stride, double* x,
                 Index stride);
/// Sets what lies beyond the lengths to 0.
void truncate_rows(Context& context, const NestedRows& rows, double* x, Index stride);
/// x[k] = signs over the root of the length: what the iterations for extreme eigenvalues start from.
void start_rows(Context& context, const NestedRows& rows, double* x, Index stride);
/// Brings rows to length 1 and writes what it was to norms[k]; a row that is 0 or not finite becomes 0.
void normalise_rows(Context& context, const NestedRows& rows, double* x, Index stride, double* norms);

/// out (rows x columns) = in, rows out_stride and in_stride apart.
void copy_rows(Context& context, Index rows, Index columns, const double* in, Index in_stride, double* out,
               Index out_stride);
/// Diagonal of a (order x order) += value.
void add_diagonal(Context& context, Index order, double value, double* a, Index stride);
/// Entries above the diagonal of a (order x order) = those below.
void mirror_lower(Context& context, Index order, double* a, Index stride);

/// Filters of eigenvectors: along (rows x order) -> g along and, unless null, (1 - mu g) along, with mu = max(values,
/// 0).
void scale_along(Context& context, const SpectralFilter& filter, Index rows, Index order, const double* values,
                 double cut, const double* along, double* solution, double* remainder);

/// Solutions of one segment for the members of a batch: rows (filter, size, right-hand side) of `columns` numbers; the
/// rows of one filter begin at an aligned place, so that products over them know nothing of other filters.
struct FilterRows {
  double* data = nullptr;
  Index filters = 0, sizes = 0, each = 0, columns = 0;
  Index filter_stride = 0, slot_stride = 0;

  WIDELAB_HD Index rows() const { return sizes * each; }  ///< of a filter
  double* filter(Index f) const { return data + f * filter_stride; }
  double* row(Index size, Index f) const { return filter(f) + size * each * columns; }
};

/// Sets to 0 what lies beyond lengths[size] in every row.
void truncate_filters(Context& context, Index slots, const FilterRows& x, const Index* lengths);

/// Where the solutions of a segment go in results of all members, sizes and filters.
struct ResultPlace {
  Index first_member = 0, members = 0;  ///< of the batch
  Index first_size = 0, all_sizes = 0;
};

/// out[member, size, filter, r, 0 .. width) = x, 0 beyond x.columns.
void write_coefficients(Context& context, const FilterRows& x, const ResultPlace& place, Index width, double* out);
/// out[member, size, filter, r, q] = <row r of x, row q of y>; x and y have the same extents.
void write_inner_products(Context& context, const FilterRows& x, const FilterRows& y, const ResultPlace& place,
                          double* out);
/// out[member, size, filter, first + i, r] = fitted[row, i], i < fitted.columns, of `tests` inputs in all; the rows of
/// filter f alone.
void write_predictions(Context& context, const FilterRows& fitted, Index f, const ResultPlace& place, Index first,
                       Index tests, Index all_filters, double* out);

/// targets: members x examples x each, of which the first `taken` examples of a member are wanted.
struct TargetExtents {
  Index examples = 0, taken = 0, each = 1;
};
/// out (slots x each x taken) = targets of the batch, transposed; 0 without a member.
void transpose_targets(Context& context, Index slots, const ResultPlace& place, const TargetExtents& extents,
                       const double* targets, double* out);
/// Every row of x = the target row (row mod each) of its slot; x.columns = examples.
void repeat_targets(Context& context, Index slots, const FilterRows& x, const double* targets);

}  // namespace widelab::cuda
