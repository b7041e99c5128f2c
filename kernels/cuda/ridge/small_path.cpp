#include "kernels/cuda/ridge/small_path.hpp"

#include "kernels/cuda/support/errors.hpp"

namespace widelab::cuda {

std::vector<Index> SmallRidgePath::run() {
  std::vector<double> ridges;
  for (const SpectralFilter& filter : work_.filters) ridges.push_back(filter.value);
  copy_to_device(context_, ridges_, ridges.data(), ridges.size() * sizeof(double));
  std::vector<int> failed(static_cast<std::size_t>(slots_));
  std::vector<Index> left;
  const Index n = work_.examples;
  for (Index first = 0; first < problem_.members; first += slots_) {
    const Index members = std::min(slots_, problem_.members - first);
    WIDELAB_CUDA(cudaMemsetAsync(failed_, 0, failed.size() * sizeof(int), context_.stream));
    batch_.begin(first, members);
    batch_.features().train({0, n, 0, problem_.columns(), z_, n, z_stride()});
    for (const RidgeSegment& segment : segments_) solve(segment);
    copy_to_host(context_, failed.data(), failed_, failed.size() * sizeof(int));
    for (Index slot = 0; slot < members; ++slot)
      if (failed[static_cast<std::size_t>(slot)] != 0) left.push_back(first + slot);
  }
  return left;
}

void SmallRidgePath::solve(const RidgeSegment& segment) {
  SegmentSolution solution = batch_.begin_segment(segment);
  const FilterRows& rows = solution.in_features ? solution.coefficients : solution.dual;
  SmallRidgeBatch batch;
  batch.members = batch_.members();
  batch.order = order(solution);
  batch.z_stride = z_stride();
  batch.y_stride = work_.targets_per_example * work_.examples;
  batch.solution_stride = rows.slot_stride;
  batch.residual_stride = solution.residuals.slot_stride;
  batch.extremes_stride = most_cases();
  batch.vectors_stride = vectors_stride();
  least_squares::SmallRidge& problem = batch.problem;
  problem.examples = work_.examples;
  problem.targets = work_.targets_per_example;
  problem.z = z_;
  problem.y = batch_.targets();
  problem.columns = solution.lengths;
  problem.ridges = ridges_;
  problem.sizes = rows.sizes;
  problem.filters = rows.filters;
  problem.in_features = solution.in_features;
  problem.solution = rows.data;
  // Residuals lie like the solutions in the space of examples, and follow from coefficients in the other.
  problem.residuals = solution.in_features ? nullptr : solution.residuals.data;
  problem.width = rows.columns;
  problem.filter_stride = rows.filter_stride;
  problem.extremes = extremes_;
  problem.vectors = vectors_;
  problem.failed = failed_;
  solve_small_ridges(context_, batch);
  if (problem_.reports) fill_reports(solution);
  batch_.finish(solution);
}

void SmallRidgePath::fill_reports(SegmentSolution& solution) {
  const auto each = static_cast<std::size_t>(most_cases());
  std::vector<least_squares::Extremes> extremes(static_cast<std::size_t>(batch_.members()) * each);
  copy_to_host(context_, extremes.data(), extremes_, extremes.size() * sizeof(least_squares::Extremes));
  const RidgeMethod method = solution.in_features ? RidgeMethod::primal_prefix : RidgeMethod::dual;
  for (Index slot = 0; slot < batch_.members(); ++slot)
    for (std::size_t s = solution.first; s < solution.last; ++s)
      for (std::size_t f = 0; f < solution.filters; ++f)
        solution.report(slot, s, f) = least_squares::factor_report(
            method, extremes[static_cast<std::size_t>(slot) * each + solution.case_of(s, f)],
            std::min(work_.examples, work_.columns(s)));
}

}  // namespace widelab::cuda
