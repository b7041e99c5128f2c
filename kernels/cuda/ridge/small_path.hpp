// Ridge paths of many small members at once, a block each.
#pragma once

#include <vector>

#include "kernels/cuda/ridge/segment_results.hpp"
#include "kernels/cuda/ridge/small_kernel.hpp"
#include "kernels/cuda/ridge/small_plan.hpp"

namespace widelab::cuda {

/// For problems that solved_by_blocks accepts, `slots` members in flight.
class SmallRidgePath {
 public:
  SmallRidgePath(Context& context, const RidgePathProblem& problem, const RidgeWorkload& work, Index slots)
      : context_(context),
        problem_(problem),
        work_(work),
        slots_(slots),
        segments_(small_segments(work)),
        batch_(context, problem, work, segments_, slots) {}

  template <class Memory>
  void take_buffers(Memory& memory) {
    batch_.take_buffers(memory);
    z_ = memory.template take<double>(slots_ * z_stride(), "features");
    ridges_ = memory.template take<double>(static_cast<Index>(work_.filters.size()), "ridges");
    failed_ = memory.template take<int>(slots_, "failed factors");
    if (problem_.reports) {
      extremes_ = memory.template take<least_squares::Extremes>(slots_ * most_cases(), "extreme eigenvalues");
      vectors_ = memory.template take<double>(slots_ * vectors_stride(), "vectors of power iteration");
    }
  }

  /// All members; returns those that have a matrix without a Cholesky factor, whose results mean nothing.
  std::vector<Index> run();

 private:
  Index order(const SegmentSolution& solution) const {
    return solution.in_features ? solution.columns : solution.examples;
  }
  Index z_stride() const { return ceil_div(problem_.columns() * work_.examples, 32) * 32; }
  Index most_cases() const { return static_cast<Index>(work_.sizes.size() * work_.filters.size()); }
  /// Two blocks of as many vectors as there are sizes, or of one in the space of examples.
  Index vectors_stride() const { return 2 * static_cast<Index>(work_.sizes.size()) * work_.examples; }
  void solve(const RidgeSegment& segment);
  void fill_reports(SegmentSolution& solution);

  Context& context_;
  const RidgePathProblem& problem_;
  const RidgeWorkload& work_;
  Index slots_;
  std::vector<RidgeSegment> segments_;
  RidgeBatch batch_;
  double *z_ = nullptr, *ridges_ = nullptr, *vectors_ = nullptr;
  least_squares::Extremes* extremes_ = nullptr;
  int* failed_ = nullptr;
};

}  // namespace widelab::cuda
