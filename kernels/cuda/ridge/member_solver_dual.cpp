#include <cmath>
#include <numeric>

#include "kernels/cuda/law_exact_kernels.hpp"
#include "kernels/cuda/ridge/member_solver.hpp"
#include "kernels/cuda/support/errors.hpp"

namespace widelab::cuda {

using least_squares::Extremes;

void MemberSolver::advance(Index columns) {
  const Index n = examples();
  while (carried_ < columns) {
    const Index count = std::min(kRidgePanel, columns - carried_);
    batch_.features().train({0, n, carried_, count, batch_.panel(), n, 0});
    solver_.syrk(n, count, 1.0, {batch_.panel(), n, Op::transposed}, carried_ == 0 ? 0.0 : 1.0, gram_, n);
    carried_ += count;
  }
}

/// The factor of Z Z^T + ridge. Its condition is estimated where reports or the limit ask for it.
MemberSolver::Factor MemberSolver::factorise(double ridge, double condition_limit) {
  const Index n = examples();
  copy_rows(context_, n, n, gram_, n, factor_, n);
  add_diagonal(context_, n, ridge, factor_, n);
  Factor factor{solver_.cholesky(n, factor_, n), {ridge, 0.0}};
  if (factor.order == n && (batch_.problem().reports || condition_limit < HUGE_VAL))
    factor.extremes =
        estimate_factor_extremes(context_, solver_, {nullptr, 1, 1, n}, backward(factor_, n), extremes_).front();
  return factor;
}

void MemberSolver::solve_size(std::size_t size, const std::vector<std::size_t>& filters, SegmentSolution& out) {
  const Index n = examples(), position = static_cast<Index>(size - out.first);
  advance(columns(size));
  std::vector<std::size_t> failed;
  for (const std::size_t f : filters) {
    const Factor factor = factorise(ridge(f), ridge(f) > 0 ? HUGE_VAL : kRidgeConditionLimit);
    if (factor.order < n || !least_squares::trusted(ridge(f), factor.extremes)) {
      failed.push_back(f);
      continue;
    }
    double* alpha = out.dual.row(position, static_cast<Index>(f));
    copy_rows(context_, targets(), n, batch_.targets(), n, alpha, n);
    solver_.solve_rows(targets(), n, forward(factor_, n), alpha, n);
    solver_.solve_rows(targets(), n, backward(factor_, n), alpha, n);
    affine(context_, targets() * n, ridge(f), 0.0, alpha, out.residuals.row(position, static_cast<Index>(f)));
    out.report(0, size, f) =
        least_squares::factor_report(RidgeMethod::dual, factor.extremes, std::min(n, columns(size)));
  }
  if (!failed.empty()) solve_by_examples(size, failed, out);
}

/// alpha = g(Z Z^T) y of one size, whose Gram matrix is at hand.
void MemberSolver::solve_by_examples(std::size_t size, const std::vector<std::size_t>& filters, SegmentSolution& out) {
  const Index n = examples(), position = static_cast<Index>(size - out.first);
  copy_rows(context_, n, n, gram_, n, factor_, n);
  spectral_.decompose(n, factor_, batch_.targets(), targets(), n, ridge_rank_tolerance(n, columns(size)));
  for (const std::size_t f : filters) {
    const SpectralFilter& filter = batch_.problem().filters[f];
    spectral_.apply(filter, out.dual.row(position, static_cast<Index>(f)),
                    out.residuals.row(position, static_cast<Index>(f)), n);
    out.report(0, size, f) = spectral_.report(filter);
  }
}

void MemberSolver::solve_each(SegmentSolution& out) {
  std::vector<std::size_t> filters(out.filters);
  std::iota(filters.begin(), filters.end(), std::size_t{0});
  for (std::size_t s = out.first; s < out.last; ++s) solve_size(s, filters, out);
}

void MemberSolver::solve_nested(SegmentSolution& out) {
  if (out.last == out.first + 1) return solve_each(out);
  advance(columns(out.first));
  std::vector<std::size_t> one_by_one;
  for (std::size_t f = 0; f < out.filters; ++f) {
    const Factor base = factorise(ridge(f), least_squares::kSchurBaseCondition);
    if (base.order < examples() || !(condition_of(base.extremes) <= least_squares::kSchurBaseCondition))
      one_by_one.push_back(f);
    else
      solve_from_base(f, base, out);
  }
  if (one_by_one.empty()) return;
  for (std::size_t s = out.first; s < out.last; ++s) solve_size(s, one_by_one, out);
}

/// (G_0 + ridge + Z_m Z_m^T)^-1 for the leading m of the columns beyond a base, from L_0 and V = L_0^-1 Z_new:
/// L_0^-T [1 - V_m (1 + V_m^T V_m)^-1 V_m^T] L_0^-1 (Woodbury), and one Cholesky factor of 1 + V^T V serves all m.
void MemberSolver::form_complement(Index first, Index most) {
  const Index n = examples();
  batch_.features().train({0, n, first, most, v_, n, 0});
  solver_.solve_rows(most, n, forward(factor_, n), v_, n);
  solver_.syrk(most, n, 1.0, {v_, n, Op::plain}, 0.0, inner_, most);
  add_diagonal(context_, most, 1.0, inner_, most);
  WIDELAB_REQUIRE(solver_.cholesky(most, inner_, most) == most, "1 + V^T V is not positive");
}

/// Rows (size, right-hand side) of alpha from the targets.
void MemberSolver::solve_complements(const NestedRows& added, double* alpha) {
  const Index n = examples(), most = added.longest;
  const NestedRows all{nullptr, added.sizes, added.each, n};
  copy_rows(context_, targets(), n, batch_.targets(), n, few_, n);
  solver_.solve_rows(targets(), n, forward(factor_, n), few_, n);
  gemm(context_, {targets(), most, n, Op::plain, Op::transposed}, 1, 1.0, {few_, n, 0}, {v_, n, 0}, 0.0,
       {inner_few_, most, 0});
  solver_.solve_rows(targets(), most, forward(inner_, most), inner_few_, most);
  spread_rows(context_, added, inner_few_, most, nested_, most);
  solver_.solve_rows(added.rows(), most, backward(inner_, most), nested_, most);
  spread_rows(context_, all, few_, n, alpha, n);
  gemm(context_, {added.rows(), n, most}, 1, -1.0, {nested_, most, 0}, {v_, n, 0}, 1.0, {alpha, n, 0});
  solver_.solve_rows(added.rows(), n, backward(factor_, n), alpha, n);
}

std::vector<Extremes> MemberSolver::complement_extremes(const NestedRows& added) {
  const Index n = examples(), most = added.longest, sizes = added.sizes;
  const NestedRows rows{nullptr, sizes, 1, n};
  double* w = inner_rows_;
  const auto inner_product = [&](const double* x) {
    gemm(context_, {sizes, most, n, Op::plain, Op::transposed}, 1, 1.0, {x, n, 0}, {v_, n, 0}, 0.0, {w, most, 0});
    truncate_rows(context_, added, w, most);
  };
  const auto add_product = [&](double factor, double* x) {
    gemm(context_, {sizes, n, most}, 1, factor, {w, most, 0}, {v_, n, 0}, 1.0, {x, n, 0});
  };
  const auto multiply = [&](double* x) {
    solver_.multiply_rows(sizes, n, backward(factor_, n), x, n);
    inner_product(x);
    add_product(1.0, x);
    solver_.multiply_rows(sizes, n, forward(factor_, n), x, n);
  };
  const auto solve = [&](double* x) {
    solver_.solve_rows(sizes, n, forward(factor_, n), x, n);
    inner_product(x);
    solver_.solve_rows(sizes, most, forward(inner_, most), w, most);
    truncate_rows(context_, added, w, most);
    solver_.solve_rows(sizes, most, backward(inner_, most), w, most);
    add_product(-1.0, x);
    solver_.solve_rows(sizes, n, backward(factor_, n), x, n);
  };
  return estimate_extremes(context_, rows, extremes_, multiply, solve);
}

void MemberSolver::solve_from_base(std::size_t filter, const Factor& base, SegmentSolution& out) {
  const Index n = examples(), first = columns(out.first), most = columns(out.last - 1) - first;
  const auto f = static_cast<Index>(filter);
  std::vector<Index> lengths = least_squares::lengths_of(batch_.work(), out);
  for (Index& length : lengths) length -= first;
  WIDELAB_CUDA(
      cudaMemcpyAsync(added_, lengths.data(), lengths.size() * sizeof(Index), cudaMemcpyHostToDevice, context_.stream));
  NestedRows added{added_, static_cast<Index>(lengths.size()), targets(), most};
  form_complement(first, most);
  solve_complements(added, out.dual.filter(f));
  affine(context_, added.rows() * n, ridge(filter), 0.0, out.dual.filter(f), out.residuals.filter(f));
  added.each = 1;
  const std::vector<Extremes> extremes =
      batch_.problem().reports ? complement_extremes(added) : std::vector<Extremes>(lengths.size(), base.extremes);
  for (std::size_t s = out.first; s < out.last; ++s)
    out.report(0, s, filter) =
        least_squares::factor_report(RidgeMethod::schur_prefix, extremes[s - out.first], std::min(n, columns(s)));
}

}  // namespace widelab::cuda
