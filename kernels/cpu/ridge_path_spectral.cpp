#include <omp.h>

#include <algorithm>

#include "kernels/cpu/normal_equations.hpp"
#include "kernels/cpu/parallel.hpp"
#include "kernels/cpu/ridge_path_member.hpp"
#include "kernels/cpu/spectral_solve.hpp"

namespace widelab::cpu {
namespace {

void write_reports(const RidgeMember& member, const SpectralTask& task, const SpectralSolve& solve,
                   SegmentSolution& out) {
  for (const std::size_t f : task.filters) out.report(task.size, f) = solve.report(member.problem.filters[f]);
}

/// a = g(Z^T Z) Z^T y, size by size from leading blocks of one Gram matrix.
void solve_features(const RidgeMember& member, const std::vector<SpectralTask>& tasks, SegmentSolution& out) {
  const Index widest = member.work.columns(tasks.back().size), targets = member.targets_per_example();
  const NormalEquations equations(member, widest);
  parallel_for(static_cast<Index>(tasks.size()), member.parallel, [&](Index t) {
    const SpectralTask& task = tasks[static_cast<std::size_t>(t)];
    const Index order = member.work.columns(task.size);
    Buffer<double> gram(static_cast<std::size_t>(order * order));
    for (Index i = 0; i < order; ++i) std::copy_n(equations.gram.data() + i * widest, i + 1, gram.data() + i * order);
    const SpectralSolve solve(order, std::move(gram), equations.right.data(), targets, widest,
                              ridge_rank_tolerance(member.examples(), order));
    for (const std::size_t f : task.filters) {
      double* a = out.coefficient_row(task.size, f);
      for (Index r = 0; r < targets; ++r) std::fill(a + r * out.columns + order, a + (r + 1) * out.columns, 0.0);
      solve.apply(member.problem.filters[f], a, nullptr, out.columns);
    }
    write_reports(member, task, solve, out);
  });
}

/// alpha = g(Z Z^T) y, as many sizes at once as there are threads.
void solve_examples(const RidgeMember& member, const std::vector<SpectralTask>& tasks, SegmentSolution& out) {
  const Index n = member.examples(), count = static_cast<Index>(tasks.size());
  const Index batch = member.parallel ? omp_get_max_threads() : 1;
  DualSweep sweep(member);
  for (Index first = 0; first < count; first += batch) {
    std::vector<Buffer<double>> grams;
    for (Index t = first; t < std::min(count, first + batch); ++t)
      grams.push_back(sweep.advance(member.work.columns(tasks[static_cast<std::size_t>(t)].size)));
    parallel_for(static_cast<Index>(grams.size()), member.parallel, [&](Index k) {
      const SpectralTask& task = tasks[static_cast<std::size_t>(first + k)];
      const SpectralSolve solve(n, std::move(grams[static_cast<std::size_t>(k)]), member.targets.data(),
                                member.targets_per_example(), n,
                                ridge_rank_tolerance(n, member.work.columns(task.size)));
      for (const std::size_t f : task.filters)
        solve.apply(member.problem.filters[f], out.dual_row(task.size, f), out.residual_row(task.size, f), n);
      write_reports(member, task, solve, out);
    });
  }
}

}  // namespace

void solve_spectral(const RidgeMember& member, const std::vector<SpectralTask>& tasks, SegmentSolution& out) {
  if (tasks.empty()) return;
  if (out.by_examples)
    solve_examples(member, tasks, out);
  else
    solve_features(member, tasks, out);
}

}  // namespace widelab::cpu
