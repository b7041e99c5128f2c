#include "kernels/cuda/ridge/member_solver.hpp"

#include <numeric>

#include "kernels/cuda/support/errors.hpp"

namespace widelab::cuda {

SolverExtents::SolverExtents(const RidgeWorkload& work, const RidgePlan& plan) {
  for (const RidgeSegment& segment : plan.segments) {
    const Index last = work.columns(segment.last - 1);
    const bool in_features = least_squares::by_features(segment, work);
    order = std::max(order, in_features ? last : work.examples);
    if (in_features) features = std::max(features, last);
    sizes = std::max(sizes, static_cast<Index>(segment.last - segment.first));
    if (segment.method == RidgeMethod::schur_prefix) {
      base = work.examples;
      added = std::max(added, last - work.columns(segment.first));
    }
    eigenvectors = eigenvectors || segment.method == RidgeMethod::spectral;
  }
  for (const SpectralFilter& filter : work.filters) eigenvectors = eigenvectors || least_squares::ridge_of(filter) == 0;
}

double MemberSolver::library_bytes() {
  const double factor = solver_.cholesky_bytes(std::max(extents_.order, extents_.added));
  return extents_.eigenvectors ? std::max(factor, solver_.eigenvector_bytes(extents_.order)) : factor;
}

void MemberSolver::run() {
  carried_ = 0;
  for (const RidgeSegment& segment : plan_.segments) {
    SegmentSolution solution = batch_.begin_segment(segment);
    solve(segment, solution);
    batch_.finish(solution);
  }
}

void MemberSolver::solve(const RidgeSegment& segment, SegmentSolution& out) {
  std::vector<std::size_t> filters(out.filters);
  std::iota(filters.begin(), filters.end(), std::size_t{0});
  if (segment.method == RidgeMethod::primal_prefix) return solve_primal(out);
  if (segment.method == RidgeMethod::dual) return solve_each(out);
  if (segment.method == RidgeMethod::schur_prefix) return solve_nested(out);
  if (out.in_features) {
    form_normal_equations(out.columns);
    Tasks tasks;
    for (std::size_t s = out.first; s < out.last; ++s) tasks.push_back({s, filters});
    return solve_by_features(tasks, out);
  }
  for (std::size_t s = out.first; s < out.last; ++s) {
    advance(columns(s));
    solve_by_examples(s, filters, out);
  }
}

// ---- in the space of features

void MemberSolver::form_normal_equations(Index columns) {
  const Index n = examples();
  for (Index i = 0; i < n; i += kRidgePanel) {
    const Index rows = std::min(kRidgePanel, n - i);
    const double beta = i == 0 ? 0.0 : 1.0;
    batch_.features().train({i, rows, 0, columns, batch_.panel(), rows, 0});
    solver_.syrk(columns, rows, 1.0, {batch_.panel(), rows, Op::plain}, beta, gram_, columns);
    gemm(context_, {targets(), columns, rows, Op::plain, Op::transposed}, 1, 1.0, {batch_.targets() + i, n, 0},
         {batch_.panel(), rows, 0}, beta, {right_, columns, 0});
  }
}

/// a_N = L_N^-T v_N for the sizes that have a factor, v = L^-1 Z^T y.
void MemberSolver::substitute(const std::vector<Index>& lengths, std::size_t filter, SegmentSolution& out) {
  const Index longest = lengths.back(), all = out.columns;
  copy_rows(context_, targets(), longest, right_, all, few_, longest);
  solver_.solve_rows(targets(), longest, forward(factor_, all), few_, longest);
  const NestedRows rows{out.lengths, static_cast<Index>(lengths.size()), targets(), longest};
  spread_rows(context_, rows, few_, longest, nested_, longest);
  solver_.solve_rows(rows.rows(), longest, backward(factor_, all), nested_, longest);
  copy_rows(context_, rows.rows(), longest, nested_, longest, out.coefficients.filter(static_cast<Index>(filter)), all);
}

void MemberSolver::solve_primal(SegmentSolution& out) {
  form_normal_equations(out.columns);
  const bool reports = batch_.problem().reports != nullptr;
  Tasks failed;
  for (std::size_t f = 0; f < out.filters; ++f) {
    const Index order = factor_leading(context_, solver_, out.columns, gram_, ridge(f), factor_);
    std::vector<Index> lengths = least_squares::lengths_of(batch_.work(), out, order);
    std::vector<least_squares::Extremes> extremes(lengths.size(), {ridge(f), 0.0});
    if (!lengths.empty() && (reports || ridge(f) == 0))
      extremes = estimate_factor_extremes(context_, solver_,
                                          {out.lengths, static_cast<Index>(lengths.size()), 1, lengths.back()},
                                          backward(factor_, out.columns), extremes_);
    // The condition grows from size to size, and tiny pivots would spoil the sizes before them.
    std::size_t solved = 0;
    while (solved < lengths.size() && least_squares::trusted(ridge(f), extremes[solved])) ++solved;
    lengths.resize(solved);
    if (solved > 0) substitute(lengths, f, out);
    for (std::size_t k = 0; k < out.sizes(); ++k) {
      const std::size_t s = out.first + k;
      if (k < solved)
        out.report(0, s, f) =
            least_squares::factor_report(RidgeMethod::primal_prefix, extremes[k], std::min(examples(), columns(s)));
      else
        add_task(failed, s, f);
    }
  }
  solve_by_features(failed, out);
}

/// a = g(Z^T Z) Z^T y, size by size from leading blocks of gram_.
void MemberSolver::solve_by_features(const Tasks& tasks, SegmentSolution& out) {
  for (const least_squares::SpectralTask& task : tasks) {
    const Index order = columns(task.size), position = static_cast<Index>(task.size - out.first);
    copy_rows(context_, order, order, gram_, out.columns, factor_, order);
    spectral_.decompose(order, factor_, right_, targets(), out.columns, ridge_rank_tolerance(examples(), order));
    for (const std::size_t f : task.filters) {
      const SpectralFilter& filter = batch_.problem().filters[f];
      double* a = out.coefficients.row(position, static_cast<Index>(f));
      // An untrusted factor may have left its solution here.
      WIDELAB_CUDA(
          cudaMemsetAsync(a, 0, static_cast<std::size_t>(targets() * out.columns) * sizeof(double), context_.stream));
      spectral_.apply(filter, a, nullptr, out.columns);
      out.report(0, task.size, f) = spectral_.report(filter);
    }
  }
}

}  // namespace widelab::cuda
