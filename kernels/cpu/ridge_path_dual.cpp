#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/cpu/ridge_path_member.hpp"
#include "widelab/base/contract.hpp"

namespace widelab::cpu {

using least_squares::condition_of;
using least_squares::factor_report;
using least_squares::kSchurBaseCondition;

const Buffer<double>& DualSweep::advance(Index columns) {
  const Index n = member_.examples();
  gram_.resize(static_cast<std::size_t>(n * n));
  Buffer<double> panel(static_cast<std::size_t>(std::min(kRidgePanel, columns - columns_) * n));
  while (columns_ < columns) {
    const Index count = std::min(kRidgePanel, columns - columns_);
    member_.features.train(0, n, columns_, count, panel.data(), n);
    tiled_syrk(n, count, 1.0, {panel.data(), n, Op::transposed}, columns_ == 0 ? 0.0 : 1.0, gram_.data(), n,
               member_.parallel);
    columns_ += count;
  }
  return gram_;
}

/// The factor of Z Z^T + ridge. Its condition is estimated where reports want it, or where the trace alone does not
/// show that it is within the limit.
DualSweep::Factor DualSweep::factorise(double ridge, double condition_limit) const {
  const Index n = member_.examples();
  Factor factor;
  factor.l = gram_;
  double trace = 0;
  for (Index i = 0; i < n; ++i) {
    double& diagonal = factor.l[static_cast<std::size_t>(i * (n + 1))];
    trace += diagonal;
    diagonal += ridge;
  }
  factor.order = tiled_cholesky(n, factor.l.data(), n, member_.parallel);
  factor.extremes = {ridge, trace + ridge};
  if (factor.order < n || (!member_.problem.reports && trace + ridge <= condition_limit * ridge)) return factor;
  factor.extremes = estimate_factor_extremes({n}, {factor.l.data(), n}, false).front();
  return factor;
}

void DualSweep::solve_size(std::size_t size, const std::vector<std::size_t>& filters, SegmentSolution& out,
                           std::vector<SpectralTask>& failed) {
  const Index n = member_.examples(), targets = member_.targets_per_example();
  advance(member_.work.columns(size));
  for (const std::size_t f : filters) {
    const double ridge = member_.ridge(f);
    const Factor factor = factorise(ridge, ridge > 0 ? HUGE_VAL : kRidgeConditionLimit);
    if (factor.order < n || !least_squares::trusted(ridge, factor.extremes)) {
      add_task(failed, size, f);
      continue;
    }
    double* alpha = out.dual_row(size, f);
    std::copy(member_.targets.begin(), member_.targets.end(), alpha);
    tiled_solve_rows(targets, n, {factor.l.data(), n, Op::transposed}, alpha, n, member_.parallel);
    tiled_solve_rows(targets, n, {factor.l.data(), n}, alpha, n, member_.parallel);
    for (Index k = 0; k < targets * n; ++k) out.residual_row(size, f)[k] = ridge * alpha[k];
    out.report(size, f) = factor_report(RidgeMethod::dual, factor.extremes, std::min(n, member_.work.columns(size)));
  }
}

void DualSweep::solve_each(SegmentSolution& out) {
  std::vector<std::size_t> filters(out.filters);
  std::iota(filters.begin(), filters.end(), std::size_t{0});
  std::vector<SpectralTask> failed;
  for (std::size_t s = out.first; s < out.last; ++s) solve_size(s, filters, out, failed);
  solve_spectral(member_, failed, out);
}

void DualSweep::solve_nested(SegmentSolution& out) {
  if (out.last == out.first + 1) return solve_each(out);
  advance(member_.work.columns(out.first));
  std::vector<std::size_t> one_by_one;
  for (std::size_t f = 0; f < out.filters; ++f) {
    const Factor base = factorise(member_.ridge(f), kSchurBaseCondition);
    if (base.order < member_.examples() || !(condition_of(base.extremes) <= kSchurBaseCondition))
      one_by_one.push_back(f);
    else
      solve_from_base(base, f, out);
  }
  std::vector<SpectralTask> failed;
  if (!one_by_one.empty())
    for (std::size_t s = out.first; s < out.last; ++s) solve_size(s, one_by_one, out, failed);
  solve_spectral(member_, failed, out);
}

namespace {

/// (G_0 + ridge + Z_m Z_m^T)^-1 for the leading m of the columns beyond a base, from L_0 and V = L_0^-1 Z_new:
/// L_0^-T [1 - V_m (1 + V_m^T V_m)^-1 V_m^T] L_0^-1 (Woodbury), and one Cholesky factor of 1 + V^T V serves all m.
class NestedInverse {
 public:
  NestedInverse(const RidgeMember& member, const Buffer<double>& l, Index base, const std::vector<Index>& added)
      : n_(member.examples()), most_(added.back()), parallel_(member.parallel), l_(l), added_(added) {
    v_.resize(static_cast<std::size_t>(most_ * n_));
    inner_.resize(static_cast<std::size_t>(most_ * most_));
    member.features.train(0, n_, base, most_, v_.data(), n_);
    tiled_solve_rows(most_, n_, {l.data(), n_, Op::transposed}, v_.data(), n_, parallel_);
    tiled_syrk(most_, n_, 1.0, {v_.data(), n_}, 0.0, inner_.data(), most_, parallel_);
    for (Index k = 0; k < most_; ++k) inner_[static_cast<std::size_t>(k * (most_ + 1))] += 1;
    WIDELAB_REQUIRE(tiled_cholesky(most_, inner_.data(), most_, parallel_) == most_, "1 + V^T V is not positive");
  }

  /// Rows (size, right-hand side) of alpha from rows y (each x n).
  void solve(const double* y, Index each, double* alpha) const {
    const NestedRows columns(added_, each, parallel_);
    Buffer<double> u(y, y + each * n_), w(static_cast<std::size_t>(each * most_)),
        q(static_cast<std::size_t>(columns.rows() * most_));
    tiled_solve_rows(each, n_, forward(l_, n_), u.data(), n_, parallel_);
    gemm(each, most_, n_, 1.0, {u.data(), n_}, {v_.data(), n_, Op::transposed}, 0.0, w.data(), most_);
    tiled_solve_rows(each, most_, forward(inner_, most_), w.data(), most_, parallel_);
    columns.spread(w.data(), most_, q.data(), most_);
    columns.solve(backward(inner_, most_), q.data(), most_);
    for (Index k = 0; k < columns.rows(); ++k) std::copy_n(u.data() + k % each * n_, n_, alpha + k * n_);
    columns.product(-1.0, q.data(), most_, {v_.data(), n_}, n_, 1.0, alpha, n_);
    tiled_solve_rows(columns.rows(), n_, backward(l_, n_), alpha, n_, parallel_);
  }

  std::vector<Extremes> extremes() const {
    const NestedRows columns(added_, 1, parallel_);
    const NestedRows rows(std::vector<Index>(added_.size(), n_), 1, parallel_);
    Buffer<double> w(static_cast<std::size_t>(columns.rows() * most_));
    const Operand<double> v{v_.data(), n_}, vt{v_.data(), n_, Op::transposed};
    const auto inner_product = [&](const double* x) {
      rows.product(1.0, x, n_, vt, most_, 0.0, w.data(), most_);
      columns.truncate(w.data(), most_);
    };
    const auto multiply = [&](double* x) {
      rows.multiply(backward(l_, n_), x, n_);
      inner_product(x);
      columns.product(1.0, w.data(), most_, v, n_, 1.0, x, n_);
      rows.multiply(forward(l_, n_), x, n_);
    };
    const auto inverse = [&](double* x) {
      rows.solve(forward(l_, n_), x, n_);
      inner_product(x);
      columns.solve(forward(inner_, most_), w.data(), most_);
      columns.solve(backward(inner_, most_), w.data(), most_);
      columns.product(-1.0, w.data(), most_, v, n_, 1.0, x, n_);
      rows.solve(backward(l_, n_), x, n_);
    };
    return estimate_extremes(rows.lengths(), n_, multiply, inverse);
  }

 private:
  static Operand<double> forward(const Buffer<double>& l, Index stride) { return {l.data(), stride, Op::transposed}; }
  static Operand<double> backward(const Buffer<double>& l, Index stride) { return {l.data(), stride}; }

  Index n_, most_;
  bool parallel_;
  const Buffer<double>& l_;
  std::vector<Index> added_;
  Buffer<double> v_;      ///< V^T, most x n
  Buffer<double> inner_;  ///< the factor of 1 + V^T V
};

}  // namespace

void DualSweep::solve_from_base(const Factor& base, std::size_t filter, SegmentSolution& out) const {
  const Index n = member_.examples(), targets = member_.targets_per_example();
  const Index first = member_.work.columns(out.first);
  std::vector<Index> added;
  for (std::size_t s = out.first; s < out.last; ++s) added.push_back(member_.work.columns(s) - first);
  const NestedInverse nested(member_, base.l, first, added);
  Buffer<double> alpha(added.size() * static_cast<std::size_t>(targets * n));
  nested.solve(member_.targets.data(), targets, alpha.data());
  const std::vector<Extremes> extremes =
      member_.problem.reports ? nested.extremes() : std::vector<Extremes>(added.size(), base.extremes);
  const double ridge = member_.ridge(filter);
  for (std::size_t s = out.first; s < out.last; ++s) {
    const std::size_t k = s - out.first;
    const double* row = alpha.data() + static_cast<Index>(k) * targets * n;
    std::copy_n(row, targets * n, out.dual_row(s, filter));
    for (Index i = 0; i < targets * n; ++i) out.residual_row(s, filter)[i] = ridge * row[i];
    out.report(s, filter) = factor_report(RidgeMethod::schur_prefix, extremes[k], std::min(n, member_.work.columns(s)));
  }
}

}  // namespace widelab::cpu
