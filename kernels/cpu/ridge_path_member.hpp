// One member of a ridge path: what its solvers share, and where they leave their solutions.
#pragma once

#include <vector>

#include "kernels/cpu/buffer.hpp"
#include "kernels/cpu/feature_panels.hpp"
#include "kernels/cpu/tiled_algebra.hpp"
#include "kernels/shared/ridge_diagnosis.hpp"
#include "kernels/shared/ridge_segment.hpp"
#include "widelab/ops/ridge_path.hpp"

namespace widelab::cpu {

struct RidgeMember {
  RidgeMember(const RidgePathProblem& p, const RidgeWorkload& w, Index e, bool on_all_threads);

  Index examples() const { return problem.examples; }
  Index targets_per_example() const { return problem.targets_per_example; }
  double ridge(std::size_t f) const { return least_squares::ridge_of(problem.filters[f]); }

  const RidgePathProblem& problem;
  const RidgeWorkload& work;
  Index index;
  bool parallel;
  FeaturePanels features;
  Buffer<double> targets;  ///< R x n
};

using least_squares::SpectralTask;

/// Solutions of the sizes of one segment. One solved in the space of examples has alpha, with a = Z^T alpha, and its
/// residuals follow from it; one in the space of features has a, and its residuals are y - Z a.
struct SegmentSolution : least_squares::SegmentRows {
  SegmentSolution(const RidgeMember& member, const RidgeSegment& segment, bool in_example_space);

  RidgeReport& report(std::size_t size, std::size_t filter) { return reports[case_of(size, filter)]; }
  double* coefficient_row(std::size_t size, std::size_t filter) {
    return coefficients.data() + row(size, filter) * columns;
  }
  double* dual_row(std::size_t size, std::size_t filter) { return dual.data() + row(size, filter) * examples; }
  double* residual_row(std::size_t size, std::size_t filter) { return residuals.data() + row(size, filter) * examples; }

  bool by_examples;
  Buffer<double> coefficients;  ///< rows x columns
  Buffer<double> dual;          ///< rows x n, empty in feature space
  Buffer<double> residuals;     ///< rows x n
  std::vector<RidgeReport> reports;
};

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
  /// Method `schur_prefix`: the first size is the base of all. Where the base is beyond kSchurBaseCondition
  /// (ridge_diagnosis.hpp), the segment is solved size by size.
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

}  // namespace widelab::cpu
