#include "widelab/ops/kernel_ridge_path.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "kernels/cuda/ridge/leading_factors.hpp"
#include "kernels/cuda/ridge/row_kernels.hpp"
#include "kernels/cuda/ridge/spectral_solve.hpp"
#include "kernels/cuda/support/dense_solver.hpp"
#include "kernels/cuda/workspace_limit.hpp"
#include "kernels/shared/ridge_segment.hpp"
#include "widelab/ops/ridge_checks.hpp"

namespace widelab::cuda {
namespace {

using least_squares::Extremes;

/// One member after the other. Rows of solutions are (filter, size, right-hand side), each over the largest size.
class KernelRidgePath {
 public:
  KernelRidgePath(Context& context, const KernelRidgePathProblem& problem)
      : context_(context),
        problem_(problem),
        n_(problem.examples),
        order_(problem.sizes.back()),
        each_(problem.targets_per_example),
        sizes_(static_cast<Index>(problem.sizes.size())),
        filters_(static_cast<Index>(problem.filters.size())),
        solver_(context),
        spectral_(context, solver_) {}

  template <class Memory>
  void take_buffers(Memory& memory) {
    const auto take = [&](Index numbers, const char* name) { return memory.template take<double>(numbers, name); };
    const Index of_filter = ceil_div(sizes_ * each_ * order_, 32) * 32, all = filters_ * of_filter;
    const auto rows = [&](const char* name) {
      return FilterRows{take(all, name), filters_, sizes_, each_, order_, of_filter, all};
    };
    kernel_ = take(order_ * order_, "kernel");
    factor_ = take(order_ * order_, "Cholesky factor");
    cross_ = take(problem_.predictions ? problem_.test_examples * order_ : 0, "cross kernel");
    targets_ = take(each_ * order_, "targets");
    forward_ = take(each_ * order_, "right-hand sides");
    alpha_ = rows("coefficients");
    fitted_ = rows("fitted values");
    predicted_ = take(problem_.predictions ? sizes_ * each_ * problem_.test_examples : 0, "predictions");
    lengths_ = memory.template take<Index>(sizes_, "examples in use");
    extremes_.take_buffers(memory, sizes_, order_);
    spectral_.take_buffers(memory, order_, each_);
  }
  double workspace_bytes() {
    ByteCounter counter;
    take_buffers(counter);
    return counter.bytes();
  }
  double bytes() {
    return workspace_bytes() + std::max(solver_.cholesky_bytes(order_), solver_.eigenvector_bytes(order_));
  }

  void upload_lengths() {
    WIDELAB_CUDA(cudaMemcpyAsync(lengths_, problem_.sizes.data(), problem_.sizes.size() * sizeof(Index),
                                 cudaMemcpyHostToDevice, context_.stream));
  }

  void run(Index member) {
    begin(member);
    std::vector<least_squares::SpectralTask> tasks;
    for (Index f = 0; f < filters_; ++f) {
      const SpectralFilter& filter = filter_of(f);
      const std::size_t solved = filter.kind == SpectralFilter::Kind::ridge ? by_prefix(filter.value, f) : 0;
      for (std::size_t s = solved; s < problem_.sizes.size(); ++s) add_task(tasks, s, static_cast<std::size_t>(f));
    }
    for (const least_squares::SpectralTask& task : tasks) by_eigenvectors(task);
    write(member);
  }

 private:
  const SpectralFilter& filter_of(Index f) const { return problem_.filters[static_cast<std::size_t>(f)]; }
  RidgeReport& report(std::size_t s, Index f) {
    return reports_[s * problem_.filters.size() + static_cast<std::size_t>(f)];
  }

  /// Copies of the leading block, whole, and of the targets: whatever the member, they lie at the same alignment.
  void begin(Index member) {
    const double* kernel = problem_.kernels + (problem_.shared_kernels ? 0 : member * n_ * n_);
    copy_rows(context_, order_, order_, kernel, n_, kernel_, order_);
    mirror_lower(context_, order_, kernel_, order_);
    transpose_targets(context_, 1, {member, 1, 0, 0}, {n_, order_, each_}, problem_.targets, targets_);
    WIDELAB_CUDA(cudaMemsetAsync(alpha_.data, 0, static_cast<std::size_t>(alpha_.slot_stride) * sizeof(double),
                                 context_.stream));
    reports_.assign(problem_.sizes.size() * problem_.filters.size(), {});
  }

  /// All sizes from the leading blocks of one factor; returns how many leading sizes were solved. A factor loses
  /// accuracy with the condition, which grows from size to size.
  std::size_t by_prefix(double ridge, Index f) {
    const Index factored = factor_leading(context_, solver_, order_, kernel_, ridge, factor_);
    std::vector<Index> lengths = problem_.sizes;
    lengths.erase(std::upper_bound(lengths.begin(), lengths.end(), factored), lengths.end());
    if (lengths.empty()) return 0;
    const Operand l{factor_, order_, Op::plain};
    std::vector<Extremes> extremes(lengths.size(), {ridge, 0.0});
    if (problem_.reports || ridge == 0)
      extremes = estimate_factor_extremes(
          context_, solver_, {lengths_, static_cast<Index>(lengths.size()), 1, lengths.back()}, l, extremes_);
    std::size_t solved = 0;
    for (; solved < lengths.size() && least_squares::trusted(ridge, extremes[solved]); ++solved)
      report(solved, f) = least_squares::factor_report(RidgeMethod::dual, extremes[solved], lengths[solved]);
    if (solved == 0) return 0;
    const NestedRows rows{lengths_, static_cast<Index>(solved), each_, lengths[solved - 1]};
    copy_rows(context_, each_, rows.longest, targets_, order_, forward_, order_);
    solver_.solve_rows(each_, rows.longest, transposed(l), forward_, order_);
    spread_rows(context_, rows, forward_, order_, alpha_.filter(f), order_);
    solver_.solve_rows(rows.rows(), rows.longest, l, alpha_.filter(f), order_);
    return solved;
  }

  /// The filters of one size share its eigenvectors.
  void by_eigenvectors(const least_squares::SpectralTask& task) {
    const Index size = problem_.sizes[task.size];
    copy_rows(context_, size, size, kernel_, order_, factor_, size);
    spectral_.decompose(size, factor_, targets_, each_, order_, ridge_rank_tolerance(size, size));
    for (const std::size_t filter : task.filters) {
      const auto f = static_cast<Index>(filter);
      spectral_.apply(filter_of(f), alpha_.row(static_cast<Index>(task.size), f), nullptr, order_);
      report(task.size, f) = spectral_.report(filter_of(f));
    }
  }

  void write(Index member) {
    const ResultPlace place{member, 1, 0, sizes_};
    if (problem_.coefficients) write_coefficients(context_, alpha_, place, n_, problem_.coefficients);
    if (problem_.residuals || problem_.norms) write_fits(place);
    if (problem_.predictions) write_predicted(member, place);
    if (problem_.reports)
      std::copy(reports_.begin(), reports_.end(), problem_.reports + member * static_cast<Index>(reports_.size()));
  }

  /// Inner products of y - K alpha over the examples of a size, and alpha^T K alpha.
  void write_fits(const ResultPlace& place) {
    const auto multiply = [&](double factor, double beta, const FilterRows& out) {
      for (Index f = 0; f < filters_; ++f)
        gemm(context_, {alpha_.rows(), order_, order_}, 1, factor, {alpha_.filter(f), order_, 0}, {kernel_, order_, 0},
             beta, {out.filter(f), order_, 0});
    };
    if (problem_.norms) {
      multiply(1.0, 0.0, fitted_);
      write_inner_products(context_, alpha_, fitted_, place, problem_.norms);
    }
    if (problem_.residuals) {
      repeat_targets(context_, 1, fitted_, targets_);
      multiply(-1.0, 1.0, fitted_);
      truncate_filters(context_, 1, fitted_, lengths_);
      write_inner_products(context_, fitted_, fitted_, place, problem_.residuals);
    }
  }

  void write_predicted(Index member, const ResultPlace& place) {
    const Index tests = problem_.test_examples;
    const double* cross = problem_.cross + (problem_.shared_cross ? 0 : member * tests * n_);
    copy_rows(context_, tests, order_, cross, n_, cross_, order_);
    const FilterRows predicted{predicted_, 1, sizes_, each_, tests, 0, 0};
    for (Index f = 0; f < filters_; ++f) {
      gemm(context_, {alpha_.rows(), tests, order_, Op::plain, Op::transposed}, 1, 1.0, {alpha_.filter(f), order_, 0},
           {cross_, order_, 0}, 0.0, {predicted_, tests, 0});
      write_predictions(context_, predicted, f, place, 0, tests, filters_, problem_.predictions);
    }
  }

  Context& context_;
  const KernelRidgePathProblem& problem_;
  Index n_, order_, each_, sizes_, filters_;
  DenseSolver solver_;
  SpectralSolve spectral_;
  ExtremesBuffers extremes_;
  FilterRows alpha_, fitted_;
  double *kernel_ = nullptr, *factor_ = nullptr, *cross_ = nullptr, *targets_ = nullptr, *forward_ = nullptr,
         *predicted_ = nullptr;
  Index* lengths_ = nullptr;
  std::vector<RidgeReport> reports_;  ///< size x filter
};

}  // namespace

void kernel_ridge_path(Context& context, const KernelRidgePathProblem& problem) {
  check_kernel_ridge_path(problem);
  const DeviceGuard guard(context);
  KernelRidgePath path(context, problem);
  const double limit = workspace_limit(context, problem.limits);
  if (path.bytes() > limit)
    throw PlanError("a kernel ridge path of " + std::to_string(problem.sizes.back()) + " examples needs " +
                    std::to_string(path.bytes() * 1e-9) + " GB of workspace on the device, more than the limit of " +
                    std::to_string(limit * 1e-9) + " GB: take fewer examples or a larger memory limit");
  context.arena.reserve(path.workspace_bytes(), "kernel_ridge_path");
  path.take_buffers(context.arena);
  path.upload_lengths();
  for (Index member = 0; member < problem.members; ++member) path.run(member);
  synchronise(context);
}

}  // namespace widelab::cuda
