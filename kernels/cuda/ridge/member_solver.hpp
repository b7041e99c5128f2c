// Solves the segments of a ridge path of one member with cuBLAS and cuSOLVER: matrices of any order, which alone fill
// the device.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/cuda/ridge/leading_factors.hpp"
#include "kernels/cuda/ridge/segment_results.hpp"
#include "kernels/cuda/ridge/spectral_solve.hpp"
#include "kernels/cuda/support/dense_solver.hpp"

namespace widelab::cuda {

/// Orders of the matrices of a plan, which decide the memory of a solver.
struct SolverExtents {
  SolverExtents(const RidgeWorkload& work, const RidgePlan& plan);

  Index order = 0;            ///< of the largest matrix that is factored or decomposed
  Index features = 0;         ///< the same in the space of features alone
  Index sizes = 0;            ///< of the largest segment
  Index base = 0, added = 0;  ///< examples, and columns beyond a dual base; 0 without a Schur segment
  bool eigenvectors = false;  ///< planned, or possible where a factor cannot be trusted
};

class MemberSolver {
 public:
  MemberSolver(Context& context, RidgeBatch& batch, const RidgePlan& plan)
      : context_(context),
        batch_(batch),
        plan_(plan),
        extents_(batch.work(), plan),
        solver_(context),
        spectral_(context, solver_) {}

  template <class Memory>
  void take_buffers(Memory& memory) {
    const auto take = [&](Index numbers, const char* name) { return memory.template take<double>(numbers, name); };
    const Index targets = batch_.work().targets_per_example, order = extents_.order;
    const Index rows = extents_.sizes * targets;
    gram_ = take(order * order, "Gram matrix");
    factor_ = take(order * order, "Cholesky factor");
    right_ = take(targets * extents_.features, "right-hand sides");
    few_ = take(targets * std::max(order, extents_.added), "right-hand sides");
    nested_ = take(rows * std::max(extents_.features, extents_.added), "rows of all sizes");
    v_ = take(extents_.base * extents_.added, "features in the basis of a dual factor");
    inner_ = take(extents_.added * extents_.added, "Schur complement");
    inner_few_ = take(targets * extents_.added, "right-hand sides of the complement");
    inner_rows_ = take(extents_.sizes * extents_.added, "vectors of the complement");
    added_ = memory.template take<Index>(extents_.sizes, "columns beyond a base");
    extremes_.take_buffers(memory, extents_.sizes, order);
    spectral_.take_buffers(memory, order, targets);
  }
  /// What the libraries take beside the workspace.
  double library_bytes();

  /// Solves the member that the batch holds and writes its results.
  void run();

 private:
  struct Factor {
    Index order = 0;  ///< n if the matrix is positive definite in fp64
    least_squares::Extremes extremes;
  };
  using Tasks = std::vector<least_squares::SpectralTask>;

  double ridge(std::size_t f) const { return least_squares::ridge_of(batch_.problem().filters[f]); }
  Index columns(std::size_t size) const { return batch_.work().columns(size); }
  Index examples() const { return batch_.work().examples; }
  Index targets() const { return batch_.work().targets_per_example; }
  Operand backward(const double* l, Index stride) const { return {l, stride, Op::plain}; }
  Operand forward(const double* l, Index stride) const { return {l, stride, Op::transposed}; }

  void solve(const RidgeSegment& segment, SegmentSolution& out);

  // In the space of features: gram_ and factor_ are Z^T Z and its factor, rows `columns` of the segment apart.
  void form_normal_equations(Index columns);
  void solve_primal(SegmentSolution& out);
  void substitute(const std::vector<Index>& lengths, std::size_t filter, SegmentSolution& out);
  void solve_by_features(const Tasks& tasks, SegmentSolution& out);

  // In the space of examples: gram_ is Z Z^T of the first carried_ columns.
  void advance(Index columns);
  Factor factorise(double ridge, double condition_limit);
  void solve_size(std::size_t size, const std::vector<std::size_t>& filters, SegmentSolution& out);
  void solve_each(SegmentSolution& out);
  void solve_nested(SegmentSolution& out);
  void solve_by_examples(std::size_t size, const std::vector<std::size_t>& filters, SegmentSolution& out);

  // From a base: factor_ is L_0, v_ = (L_0^-1 Z_new)^T, inner_ the factor of 1 + V^T V.
  void solve_from_base(std::size_t filter, const Factor& base, SegmentSolution& out);
  void form_complement(Index first, Index most);
  void solve_complements(const NestedRows& added, double* alpha);
  std::vector<least_squares::Extremes> complement_extremes(const NestedRows& added);

  Context& context_;
  RidgeBatch& batch_;
  const RidgePlan& plan_;
  SolverExtents extents_;
  DenseSolver solver_;
  SpectralSolve spectral_;
  ExtremesBuffers extremes_;
  Index carried_ = 0;
  double *gram_ = nullptr, *factor_ = nullptr, *right_ = nullptr, *few_ = nullptr, *nested_ = nullptr, *v_ = nullptr,
         *inner_ = nullptr, *inner_few_ = nullptr, *inner_rows_ = nullptr;
  Index* added_ = nullptr;
};

}  // namespace widelab::cuda
