#include <algorithm>
#include <cmath>

#include "kernels/cpu/normal_equations.hpp"
#include "kernels/cpu/ridge_path_member.hpp"

namespace widelab::cpu {
namespace {

/// Sizes [first, last of those with at most `order` columns).
std::vector<Index> lengths_up_to(const RidgeMember& member, const SegmentSolution& out, Index order) {
  std::vector<Index> lengths;
  for (std::size_t s = out.first; s < out.last && member.work.columns(s) <= order; ++s)
    lengths.push_back(member.work.columns(s));
  return lengths;
}

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
    for (Index r = 0; r < targets; ++r)
      std::copy_n(x.data() + (static_cast<Index>(s) * targets + r) * longest, longest,
                  out.coefficient_row(out.first + s, filter) + r * out.columns);
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
    const std::vector<Index> lengths = lengths_up_to(member, out, order);
    std::vector<Extremes> extremes;
    if (!lengths.empty()) {
      substitute(member, l, columns, lengths, equations.right, f, out);
      extremes = extremes_of(member, lengths, l, columns, member.ridge(f));
    }
    for (std::size_t s = out.first; s < out.last; ++s) {
      const std::size_t k = s - out.first;
      const Extremes e = k < extremes.size() ? extremes[k] : Extremes{};
      if (k >= extremes.size() || (member.ridge(f) == 0 && !(e.largest <= kRidgeConditionLimit * e.smallest)))
        add_task(failed, s, f);
      else
        out.report(s, f) = {RidgeMethod::primal_prefix, e.smallest, e.smallest > 0 ? e.largest / e.smallest : HUGE_VAL,
                            0.0, std::min(member.examples(), member.work.columns(s))};
    }
  }
  solve_spectral(member, failed, out);
}

}  // namespace widelab::cpu
