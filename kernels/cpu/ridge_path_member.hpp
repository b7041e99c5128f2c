// One member of a ridge path: what its solvers share, and where they leave their solutions.
#pragma once

#include <vector>

#include "kernels/cpu/buffer.hpp"
#include "kernels/cpu/feature_panels.hpp"
#include "kernels/cpu/tiled_algebra.hpp"
#include "widelab/ops/ridge_path.hpp"

namespace widelab::cpu {

struct RidgeMember {
  RidgeMember(const RidgePathProblem& p, const RidgeWorkload& w, Index e, bool on_all_threads);

  Index examples() const { return problem.examples; }
  Index targets_per_example() const { return problem.targets_per_example; }
  /// Ridge of filter f; 0 for a flow.
  double ridge(std::size_t f) const {
    const SpectralFilter& filter = problem.filters[f];
    return filter.kind == SpectralFilter::Kind::ridge ? filter.value : 0.0;
  }

  const RidgePathProblem& problem;
  const RidgeWorkload& work;
  Index index;
  bool parallel;
  FeaturePanels features;
  Buffer<double> targets;  ///< R x n
};

/// Solutions of the sizes of one segment. Rows are (filter, size, right-hand side); products take the rows of one
/// filter at a time, so that another filter changes no bit. A segment solved in the space of examples has alpha, with a
/// = Z^T alpha, and its residuals follow from it; one in the space of features has a, and its residuals are y - Z a.
struct SegmentSolution {
  SegmentSolution(const RidgeMember& member, const RidgeSegment& segment, bool in_example_space);

  std::size_t sizes() const { return last - first; }
  Index rows() const { return static_cast<Index>(reports.size()) * each; }
  Index rows_of_filter() const { return static_cast<Index>(sizes()) * each; }
  Index row(std::size_t size, std::size_t filter) const {
    return static_cast<Index>(filter * sizes() + size - first) * each;
  }
  RidgeReport& report(std::size_t size, std::size_t filter) { return reports[filter * sizes() + size - first]; }
  double* coefficient_row(std::size_t size, std::size_t filter) {
    return coefficients.data() + row(size, filter) * columns;
  }
  double* dual_row(std::size_t size, std::size_t filter) { return dual.data() + row(size, filter) * examples; }
  double* residual_row(std::size_t size, std::size_t filter) { return residuals.data() + row(size, filter) * examples; }

  std::size_t first, last, filters;
  Index each;      ///< R
  Index columns;   ///< of the last size
  Index examples;  ///< n
  bool by_examples;
  Buffer<double> coefficients;  ///< rows x columns
  Buffer<double> dual;          ///< rows x n, empty in feature space
  Buffer<double> residuals;     ///< rows x n
  std::vector<RidgeReport> reports;
};

/// A size with the filters that are to be solved by eigenvectors.
struct SpectralTask {
  std::size_t size;
  std::vector<std::size_t> filters;
};

/// Adds (size, filter) to a list that is sorted by size.
void add_task(std::vector<SpectralTask>& tasks, std::size_t size, std::size_t filter);

/// One Cholesky factor a ridge for all sizes of the segment.
void solve_primal(const RidgeMember& member, SegmentSolution& out);

/// Eigenvectors of the Gram matrix of each task's size, in the space of `out`.
void solve_spectral(const RidgeMember& member, const std::vector<SpectralTask>& tasks, SegmentSolution& out);

/// Z Z^T of growing sizes, and the solvers that start from it. Segments come in ascending order.
class DualSweep {
 public:
  explicit DualSweep(const RidgeMember& member) : member_(member) {}

  /// Method `dual`: one factor a size and ridge.
  void solve_each(SegmentSolution& out);
  /// Method `schur_prefix`: the first size is the base of all. Where the base is beyond kSchurBaseCondition, the
  /// segment is solved size by size.
  void solve_nested(SegmentSolution& out);

  /// Z Z^T of the first `columns` columns, lower triangle.
  const Buffer<double>& advance(Index columns);

 private:
  struct Factor {
    Index order = 0;  ///< n if the matrix is positive definite in fp64
    Extremes extremes;
    Buffer<double> l;
  };
  Factor factorise(double ridge, double condition_limit) const;
  void solve_size(std::size_t size, const std::vector<std::size_t>& filters, SegmentSolution& out,
                  std::vector<SpectralTask>& failed);
  void solve_from_base(const Factor& base, std::size_t filter, SegmentSolution& out) const;

  const RidgeMember& member_;
  Index columns_ = 0;
  Buffer<double> gram_;
};

/// Condition of a dual base up to which other sizes are derived from it: their errors grow with it.
inline constexpr double kSchurBaseCondition = 1e9;

}  // namespace widelab::cpu
