// What is left to do once a segment of a ridge path has been solved, for a batch of members: coefficients, residuals
// and predictions from the solutions, and their way into the results.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/cuda/ridge/feature_panels.hpp"
#include "kernels/cuda/ridge/row_kernels.hpp"
#include "kernels/cuda/support/arena.hpp"
#include "kernels/shared/ridge_segment.hpp"

namespace widelab::cuda {

/// Extents of the largest segment, which decide the memory of a batch.
struct SegmentExtents {
  SegmentExtents(const RidgeWorkload& work, const std::vector<RidgeSegment>& segments);

  Index targets = 1, most_sizes = 0, widest = 0;  ///< R; sizes, and rows of one filter, of a segment
  /// Numbers of a slot, all filters: coefficients, residuals, dual coefficients.
  Index coefficient_numbers = 0, residual_numbers = 0, dual_numbers = 0;
};

/// The solutions of one segment for a batch. A segment solved in the space of examples has `dual`, and residuals that
/// the solver writes; one in the space of features has `coefficients`.
struct SegmentSolution : least_squares::SegmentRows {
  using SegmentRows::SegmentRows;

  bool in_features = false;
  FilterRows coefficients, dual, residuals;
  const Index* lengths = nullptr;    ///< columns in use, one a size
  std::vector<RidgeReport> reports;  ///< slots x cases

  RidgeReport& report(Index slot, std::size_t size, std::size_t filter) {
    return reports[static_cast<std::size_t>(slot) * cases() + case_of(size, filter)];
  }
};

/// Rows of `columns` numbers whose filters begin at multiples of 256 bytes.
FilterRows filter_rows(double* data, const least_squares::SegmentRows& rows, Index columns);

/// Members [first, first + members) in `slots` slots: their features, their targets, and room for a segment.
class RidgeBatch {
 public:
  RidgeBatch(Context& context, const RidgePathProblem& problem, const RidgeWorkload& work,
             const std::vector<RidgeSegment>& segments, Index slots)
      : context_(context),
        problem_(problem),
        work_(work),
        extents_(work, segments),
        slots_(slots),
        features_(context, problem, slots) {}

  template <class Memory>
  void take_buffers(Memory& memory) {
    const Index n = work_.examples, tests = std::min(kRidgePanel, work_.test_examples);
    const auto take = [&](Index numbers, const char* name) {
      return memory.template take<double>(slots_ * numbers, name);
    };
    features_.take_buffers(memory);
    targets_ = take(extents_.targets * n, "targets");
    panel_ = take(panel_numbers(), "panel of features");
    coefficients_ = take(extents_.coefficient_numbers, "coefficients");
    dual_ = take(extents_.dual_numbers, "dual coefficients");
    residuals_ = take(extents_.residual_numbers, "residuals");
    fitted_ = take(extents_.widest * tests, "predictions");
    lengths_ = memory.template take<Index>(extents_.most_sizes, "columns in use");
  }

  void begin(Index first, Index members);
  /// Rows for a segment, not initialised but for coefficients in the space of features, which are 0.
  SegmentSolution begin_segment(const RidgeSegment& segment);
  /// Results of the members from solutions.
  void finish(SegmentSolution& solution);

  Index members() const { return members_; }
  FeaturePanels& features() { return features_; }
  const double* targets() const { return targets_; }  ///< slots x R x n
  double* panel() const { return panel_; }
  Index panel_numbers() const;  ///< of a slot
  const RidgePathProblem& problem() const { return problem_; }
  const RidgeWorkload& work() const { return work_; }

 private:
  void coefficients_from_dual(SegmentSolution& solution);
  void residuals_from_coefficients(SegmentSolution& solution);
  void predict(const SegmentSolution& solution, const ResultPlace& place);
  void write_reports(SegmentSolution& solution) const;

  Context& context_;
  const RidgePathProblem& problem_;
  const RidgeWorkload& work_;
  SegmentExtents extents_;
  Index slots_, first_ = 0, members_ = 0;
  FeaturePanels features_;
  double *targets_ = nullptr, *panel_ = nullptr, *coefficients_ = nullptr, *dual_ = nullptr, *residuals_ = nullptr,
         *fitted_ = nullptr;
  Index* lengths_ = nullptr;
};

}  // namespace widelab::cuda
