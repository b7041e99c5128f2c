#include <algorithm>
#include <cmath>

#include "kernels/cpu/normal_equations.hpp"
#include "kernels/cpu/ridge_path_member.hpp"

namespace widelab::cpu {
namespace {

/// Extreme eigenvalues of every leading block, unless neither reports nor the limit on the condition need them.
std::vector<Extremes> extremes_of(const RidgeMember& member, const std::vector<Index>& lengths, const Buffer<double>& l,
                                  Index stride, double ridge) {
  if (!member.problem.reports && ridge > 0) return std::vector<Extremes>(lengths.size(), {ridge, 0.0});
  return estimate_factor_extremes(lengths, {l.data(), stride}, member.parallel);
}

/// a_N = L_N^-T v_N for the sizes that have a factor, v = L^-1 Z^T y.
void substitute(const RidgeMember& member, const Buffer<double>& l, Index stride, const std::vector<Index>& lengths,
                const Buffer<double>& right, std::size_t filter, SegmentSolution& out) {
  const Index targets = member.targets_per_example(), longest = lengths.back();
  Buffer<double> v(static_cast<std::size_t>(targets * longest));
  for (Index r = 0; r < targets; ++r) std::copy_n(right.data() + r * stride, longest, v.data() + r * longest);
  solve_rows(targets, longest, {l.data(), stride, Op::transposed}, v.data(), longest);
  const NestedRows rows(lengths, targets, member.parallel);
  Buffer<double> x(static_cast<std::size_t>(rows.rows() * longest));
  rows.spread(v.data(), longest, x.data(), longest);
  rows.solve({l.data(), stride}, x.data(), longest);
  for (std::size_t s = 0; s < lengths.size(); ++s)
    for (Index r = 0; r < targets; ++r) {
      double* row = out.coefficient_row(out.first + s, filter) + r * out.columns;
      std::copy_n(x.data() + (static_cast<Index>(s) * targets + r) * longest, longest, row);
      std::fill_n(row + longest, out.columns - longest, 0.0);
    }
}

}  // namespace

NormalEquations::NormalEquations(const RidgeMember& member, Index columns)
    : gram(static_cast<std::size_t>(columns * columns)),
      right(static_cast<std::size_t>(member.targets_per_example() * columns)) {
  const Index n = member.examples();
  Buffer<double> panel(static_cast<std::size_t>(std::min(kRidgePanel, n) * columns));
  for (Index i = 0; i < n; i += kRidgePanel) {
    const Index rows = std::min(kRidgePanel, n - i);
    const double beta = i == 0 ? 0.0 : 1.0;
    member.features.train(i, rows, 0, columns, panel.data(), rows);
    tiled_syrk(columns, rows, 1.0, {panel.data(), rows}, beta, gram.data(), columns, member.parallel);
    gemm(member.targets_per_example(), columns, rows, 1.0, {member.targets.data() + i, n},
         {panel.data(), rows, Op::transposed}, beta, right.data(), columns);
  }
}

void solve_primal(const RidgeMember& member, SegmentSolution& out) {
  const Index columns = out.columns;
  NormalEquations equations(member, columns);
  std::vector<SpectralTask> failed;
  Buffer<double> l;
  for (std::size_t f = 0; f < out.filters; ++f) {
    if (f + 1 < out.filters)
      l = equations.gram;
    else
      l.swap(equations.gram);
    for (Index k = 0; k < columns; ++k) l[static_cast<std::size_t>(k * (columns + 1))] += member.ridge(f);
    const Index order = tiled_cholesky(columns, l.data(), columns, member.parallel);
    std::vector<Index> lengths = lengths_of(member.work, out, order);
    const std::vector<Extremes> extremes =
        lengths.empty() ? std::vector<Extremes>{} : extremes_of(member, lengths, l, columns, member.ridge(f));
    // The condition grows from size to size: what follows after a block that cannot be trusted cannot be either, and
    // its tiny pivots would spoil the sizes before.
    std::size_t solved = 0;
    while (solved < lengths.size() && least_squares::trusted(member.ridge(f), extremes[solved])) ++solved;
    lengths.resize(solved);
    if (solved > 0) substitute(member, l, columns, lengths, equations.right, f, out);
    for (std::size_t k = 0; k < out.sizes(); ++k) {
      const std::size_t s = out.first + k;
      if (k < solved)
        out.report(s, f) = least_squares::factor_report(RidgeMethod::primal_prefix, extremes[k],
                                                        std::min(member.examples(), member.work.columns(s)));
      else
        add_task(failed, s, f);
    }
  }
  solve_spectral(member, failed, out);
}

}  // namespace widelab::cpu
