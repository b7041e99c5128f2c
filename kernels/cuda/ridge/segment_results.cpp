#include "kernels/cuda/ridge/segment_results.hpp"

#include "kernels/cuda/support/errors.hpp"

namespace widelab::cuda {
namespace {

/// Numbers of the rows of one filter, up to the next multiple of 256 bytes.
Index filter_numbers(Index rows, Index columns) { return ceil_div(rows * columns, 32) * 32; }

}  // namespace

SegmentExtents::SegmentExtents(const RidgeWorkload& work, const std::vector<RidgeSegment>& segments)
    : targets(work.targets_per_example) {
  for (const RidgeSegment& segment : segments) {
    const least_squares::SegmentRows rows(work, segment);
    const Index filters = static_cast<Index>(rows.filters);
    const Index by_examples = filters * filter_numbers(rows.rows_of_filter(), rows.examples);
    most_sizes = std::max(most_sizes, static_cast<Index>(rows.sizes()));
    widest = std::max(widest, rows.rows_of_filter());
    coefficient_numbers = std::max(coefficient_numbers, filters * filter_numbers(rows.rows_of_filter(), rows.columns));
    residual_numbers = std::max(residual_numbers, by_examples);
    if (!least_squares::by_features(segment, work)) dual_numbers = std::max(dual_numbers, by_examples);
  }
}

FilterRows filter_rows(double* data, const least_squares::SegmentRows& rows, Index columns) {
  FilterRows out{data, static_cast<Index>(rows.filters), static_cast<Index>(rows.sizes()), rows.each, columns, 0, 0};
  out.filter_stride = filter_numbers(out.rows(), columns);
  out.slot_stride = out.filters * out.filter_stride;
  return out;
}

Index RidgeBatch::panel_numbers() const {
  const Index n = work_.examples, columns = problem_.columns();
  const Index by_rows = std::min(kRidgePanel, std::max(n, work_.test_examples)) * columns;
  const Index by_columns = std::min(kRidgePanel, columns) * n;
  return ceil_div(std::max(by_rows, by_columns), 32) * 32;
}

void RidgeBatch::begin(Index first, Index members) {
  first_ = first;
  members_ = members;
  features_.begin_batch(first, members);
  transpose_targets(context_, slots_, {first, members, 0, 0},
                    {work_.examples, work_.examples, work_.targets_per_example}, problem_.targets, targets_);
}

SegmentSolution RidgeBatch::begin_segment(const RidgeSegment& segment) {
  SegmentSolution solution(work_, segment);
  solution.in_features = least_squares::by_features(segment, work_);
  solution.coefficients = filter_rows(coefficients_, solution, solution.columns);
  solution.residuals = filter_rows(residuals_, solution, solution.examples);
  if (!solution.in_features) solution.dual = filter_rows(dual_, solution, solution.examples);
  solution.reports.resize(static_cast<std::size_t>(slots_) * solution.cases());
  const std::vector<Index> lengths = least_squares::lengths_of(work_, solution);
  WIDELAB_CUDA(cudaMemcpyAsync(lengths_, lengths.data(), lengths.size() * sizeof(Index), cudaMemcpyHostToDevice,
                               context_.stream));
  solution.lengths = lengths_;
  if (solution.in_features)
    WIDELAB_CUDA(cudaMemsetAsync(coefficients_, 0,
                                 static_cast<std::size_t>(slots_ * solution.coefficients.slot_stride) * sizeof(double),
                                 context_.stream));
  return solution;
}

/// a = Z^T alpha, by panels of columns.
void RidgeBatch::coefficients_from_dual(SegmentSolution& solution) {
  const Index n = work_.examples;
  const FilterRows &alpha = solution.dual, &a = solution.coefficients;
  for (Index c = 0; c < solution.columns; c += kRidgePanel) {
    const Index count = std::min(kRidgePanel, solution.columns - c);
    features_.train({0, n, c, count, panel_, n, panel_numbers()});
    for (Index f = 0; f < alpha.filters; ++f)
      gemm(context_, {alpha.rows(), count, n, Op::plain, Op::transposed}, slots_, 1.0,
           {alpha.filter(f), n, alpha.slot_stride}, {panel_, n, panel_numbers()}, 0.0,
           {a.filter(f) + c, a.columns, a.slot_stride});
  }
  truncate_filters(context_, slots_, a, solution.lengths);
}

/// y - Z a, by panels of examples.
void RidgeBatch::residuals_from_coefficients(SegmentSolution& solution) {
  const Index n = work_.examples;
  const FilterRows &a = solution.coefficients, &left = solution.residuals;
  repeat_targets(context_, slots_, left, targets_);
  for (Index i = 0; i < n; i += kRidgePanel) {
    const Index count = std::min(kRidgePanel, n - i);
    features_.train({i, count, 0, solution.columns, panel_, count, panel_numbers()});
    for (Index f = 0; f < a.filters; ++f)
      gemm(context_, {a.rows(), count, solution.columns}, slots_, -1.0, {a.filter(f), a.columns, a.slot_stride},
           {panel_, count, panel_numbers()}, 1.0, {left.filter(f) + i, n, left.slot_stride});
  }
}

/// Z_test a, by panels of test inputs.
void RidgeBatch::predict(const SegmentSolution& solution, const ResultPlace& place) {
  const Index tests = problem_.test_examples;
  const FilterRows& a = solution.coefficients;
  for (Index i = 0; i < tests; i += kRidgePanel) {
    const Index count = std::min(kRidgePanel, tests - i);
    const FilterRows fitted{fitted_, 1, a.sizes, a.each, count, 0, a.rows() * count};
    features_.test({i, count, 0, solution.columns, panel_, count, panel_numbers()});
    for (Index f = 0; f < a.filters; ++f) {
      gemm(context_, {a.rows(), count, solution.columns}, slots_, 1.0, {a.filter(f), a.columns, a.slot_stride},
           {panel_, count, panel_numbers()}, 0.0, {fitted_, count, fitted.slot_stride});
      write_predictions(context_, fitted, f, place, i, tests, a.filters, problem_.predictions);
    }
  }
}

void RidgeBatch::finish(SegmentSolution& solution) {
  if (solution.in_features) {
    if (problem_.residuals) residuals_from_coefficients(solution);
  } else if (problem_.coefficients || problem_.norms || problem_.predictions) {
    coefficients_from_dual(solution);
  }
  const ResultPlace place{first_, members_, static_cast<Index>(solution.first), static_cast<Index>(work_.sizes.size())};
  if (problem_.coefficients)
    write_coefficients(context_, solution.coefficients, place, problem_.columns(), problem_.coefficients);
  if (problem_.norms)
    write_inner_products(context_, solution.coefficients, solution.coefficients, place, problem_.norms);
  if (problem_.residuals)
    write_inner_products(context_, solution.residuals, solution.residuals, place, problem_.residuals);
  if (problem_.predictions) predict(solution, place);
  write_reports(solution);
}

void RidgeBatch::write_reports(SegmentSolution& solution) const {
  if (!problem_.reports) return;
  const auto filters = static_cast<Index>(solution.filters), sizes = static_cast<Index>(work_.sizes.size());
  for (Index slot = 0; slot < members_; ++slot)
    for (std::size_t s = solution.first; s < solution.last; ++s)
      for (std::size_t f = 0; f < solution.filters; ++f)
        problem_.reports[((first_ + slot) * sizes + static_cast<Index>(s)) * filters + static_cast<Index>(f)] =
            solution.report(slot, s, f);
}

}  // namespace widelab::cuda
