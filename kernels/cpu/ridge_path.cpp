#include "widelab/ops/ridge_path.hpp"

#include <algorithm>
#include <numeric>

#include "kernels/cpu/parallel.hpp"
#include "kernels/cpu/ridge_path_member.hpp"
#include "widelab/ops/ridge_checks.hpp"

namespace widelab::cpu {

RidgeMember::RidgeMember(const RidgePathProblem& p, const RidgeWorkload& w, Index e, bool on_all_threads)
    : problem(p),
      work(w),
      index(e),
      parallel(on_all_threads),
      features(p, e, on_all_threads),
      targets(static_cast<std::size_t>(p.targets_per_example * p.examples)) {
  const Index n = p.examples, count = p.targets_per_example;
  for (Index i = 0; i < n; ++i)
    for (Index r = 0; r < count; ++r) targets[static_cast<std::size_t>(r * n + i)] = p.targets[(e * n + i) * count + r];
}

SegmentSolution::SegmentSolution(const RidgeMember& member, const RidgeSegment& segment, bool in_example_space)
    : SegmentRows(member.work, segment), by_examples(in_example_space), reports(cases()) {
  coefficients.resize(static_cast<std::size_t>(rows() * columns));
  residuals.resize(static_cast<std::size_t>(rows() * examples));
  if (by_examples) dual.resize(static_cast<std::size_t>(rows() * examples));
}

namespace {

/// a = Z^T alpha, by panels of columns.
void coefficients_from_dual(const RidgeMember& member, SegmentSolution& out) {
  const Index n = member.examples(), rows = out.rows_of_filter();
  Buffer<double> panel(static_cast<std::size_t>(std::min(kRidgePanel, out.columns) * n));
  for (Index c = 0; c < out.columns; c += kRidgePanel) {
    const Index count = std::min(kRidgePanel, out.columns - c);
    member.features.train(0, n, c, count, panel.data(), n);
    for (std::size_t f = 0; f < out.filters; ++f)
      tiled_gemm(rows, count, n, 1.0, {out.dual_row(out.first, f), n}, {panel.data(), n, Op::transposed}, 0.0,
                 out.coefficient_row(out.first, f) + c, out.columns, member.parallel);
  }
  const NestedRows nested(lengths_of(member.work, out), out.each, false);
  for (std::size_t f = 0; f < out.filters; ++f) nested.truncate(out.coefficient_row(out.first, f), out.columns);
}

/// y - Z a, by panels of examples.
void residuals_from_coefficients(const RidgeMember& member, SegmentSolution& out) {
  const Index n = member.examples(), size = std::min(kRidgePanel, n);
  for (Index k = 0; k < out.rows(); ++k)
    std::copy_n(member.targets.data() + k % out.each * n, n, out.residuals.data() + k * n);
  Buffer<double> panel(static_cast<std::size_t>(size * out.columns));
  for (Index i = 0; i < n; i += size) {
    const Index rows = std::min(size, n - i);
    member.features.train(i, rows, 0, out.columns, panel.data(), rows);
    for (std::size_t f = 0; f < out.filters; ++f)
      tiled_gemm(out.rows_of_filter(), rows, out.columns, -1.0, {out.coefficient_row(out.first, f), out.columns},
                 {panel.data(), rows}, 1.0, out.residual_row(out.first, f) + i, n, member.parallel);
  }
}

/// Where the results of one segment go: the case (size, filter) of all of the problem's.
Index case_of(const RidgeMember& member, std::size_t size, std::size_t filter) {
  const std::size_t filters = member.problem.filters.size(), sizes = member.problem.sizes.size();
  return static_cast<Index>((static_cast<std::size_t>(member.index) * sizes + size) * filters + filter);
}

/// Inner products of the rows of one (size, filter): out (R x R).
void inner_products(const double* x, Index length, Index each, double* out) {
  for (Index r = 0; r < each; ++r)
    for (Index q = 0; q < each; ++q) {
      double sum = 0;
#pragma omp simd reduction(+ : sum)
      for (Index i = 0; i < length; ++i) sum += x[r * length + i] * x[q * length + i];
      out[r * each + q] = sum;
    }
}

/// Z_test a, by panels of test inputs.
void write_predictions(const RidgeMember& member, SegmentSolution& solution) {
  const Index tests = member.problem.test_examples, each = solution.each, rows = solution.rows_of_filter();
  const Index size = std::min(kRidgePanel, tests);
  Buffer<double> panel(static_cast<std::size_t>(size * solution.columns)),
      fitted(static_cast<std::size_t>(rows * size));
  for (Index i = 0; i < tests; i += size) {
    const Index count = std::min(size, tests - i);
    member.features.test(i, count, 0, solution.columns, panel.data(), count);
    for (std::size_t f = 0; f < solution.filters; ++f) {
      tiled_gemm(rows, count, solution.columns, 1.0, {solution.coefficient_row(solution.first, f), solution.columns},
                 {panel.data(), count}, 0.0, fitted.data(), count, member.parallel);
      for (Index k = 0; k < rows; ++k) {
        const Index at = case_of(member, solution.first + static_cast<std::size_t>(k / each), f);
        double* out = member.problem.predictions + (at * tests + i) * each + k % each;
        for (Index j = 0; j < count; ++j) out[j * each] = fitted[static_cast<std::size_t>(k * count + j)];
      }
    }
  }
}

void write_case(const RidgeMember& member, SegmentSolution& solution, std::size_t size, std::size_t filter) {
  const RidgePathProblem& p = member.problem;
  const Index each = solution.each, at = case_of(member, size, filter), columns = p.columns();
  const double* a = solution.coefficient_row(size, filter);
  for (Index r = 0; p.coefficients && r < each; ++r) {
    double* row = p.coefficients + (at * each + r) * columns;
    std::copy_n(a + r * solution.columns, solution.columns, row);
    std::fill(row + solution.columns, row + columns, 0.0);
  }
  if (p.norms) inner_products(a, solution.columns, each, p.norms + at * each * each);
  if (p.residuals)
    inner_products(solution.residual_row(size, filter), solution.examples, each, p.residuals + at * each * each);
  if (p.reports) p.reports[at] = solution.report(size, filter);
}

void write(const RidgeMember& member, SegmentSolution& solution) {
  const Index cases = static_cast<Index>(solution.reports.size()), filters = static_cast<Index>(solution.filters);
  parallel_for(cases, member.parallel, [&](Index k) {
    write_case(member, solution, solution.first + static_cast<std::size_t>(k / filters),
               static_cast<std::size_t>(k % filters));
  });
  if (member.problem.predictions) write_predictions(member, solution);
}

void solve_segment(const RidgeMember& member, const RidgeSegment& segment, DualSweep& sweep) {
  const bool by_features = least_squares::by_features(segment, member.work);
  SegmentSolution solution(member, segment, !by_features);
  if (segment.method == RidgeMethod::primal_prefix) {
    solve_primal(member, solution);
  } else if (segment.method == RidgeMethod::dual) {
    sweep.solve_each(solution);
  } else if (segment.method == RidgeMethod::schur_prefix) {
    sweep.solve_nested(solution);
  } else {
    std::vector<std::size_t> filters(solution.filters);
    std::iota(filters.begin(), filters.end(), std::size_t{0});
    std::vector<SpectralTask> tasks;
    for (std::size_t s = segment.first; s < segment.last; ++s) tasks.push_back({s, filters});
    solve_spectral(member, tasks, solution);
  }
  const RidgePathProblem& p = member.problem;
  if (by_features) {
    if (p.residuals) residuals_from_coefficients(member, solution);
  } else if (p.coefficients || p.norms || p.predictions) {
    coefficients_from_dual(member, solution);
  }
  write(member, solution);
}

}  // namespace

void ridge_path(const RidgePathProblem& problem) {
  check_ridge_path(problem);
  use_single_threaded_blas();
  const RidgeWorkload work = ridge_workload(problem);
  DeviceLimits limits = problem.limits;
  limits.workers = worker_count(limits.workers);
  const RidgePlan plan = make_ridge_plan(work, limits);
  parallel_for(problem.members, plan.members_in_parallel, [&](Index e) {
    const RidgeMember member(problem, work, e, !plan.members_in_parallel);
    DualSweep sweep(member);
    for (const RidgeSegment& segment : plan.segments) solve_segment(member, segment, sweep);
  });
}

}  // namespace widelab::cpu
