#include "widelab/ops/kernel_ridge_path.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/buffer.hpp"
#include "kernels/cpu/parallel.hpp"
#include "kernels/cpu/spectral_solve.hpp"
#include "kernels/cpu/tiled_algebra.hpp"
#include "widelab/ops/ridge_checks.hpp"

namespace widelab::cpu {
namespace {

/// One member: rows of solutions are (size, filter, right-hand side), each over the largest size.
class KernelMember {
 public:
  KernelMember(const KernelRidgePathProblem& problem, Index member, bool parallel)
      : problem_(problem),
        member_(member),
        parallel_(parallel),
        n_(problem.examples),
        order_(problem.sizes.back()),
        each_(problem.targets_per_example),
        filters_(problem.filters.size()),
        kernel_(problem.kernels + (problem.shared_kernels ? 0 : member * n_ * n_)),
        targets_(static_cast<std::size_t>(each_ * order_)),
        reports_(problem.sizes.size() * filters_) {
    for (Index i = 0; i < order_; ++i)
      for (Index r = 0; r < each_; ++r) targets_[at(r, i)] = problem.targets[(member * n_ + i) * each_ + r];
    alpha_.resize(reports_.size() * static_cast<std::size_t>(each_ * order_));
    std::fill(alpha_.begin(), alpha_.end(), 0.0);
  }

  void run() {
    std::vector<std::size_t> spectral;  // cases (size, filter)
    for (std::size_t f = 0; f < filters_; ++f) {
      const SpectralFilter& filter = problem_.filters[f];
      const std::size_t solved = filter.kind == SpectralFilter::Kind::ridge ? by_prefix(filter.value, f) : 0;
      for (std::size_t s = solved; s < problem_.sizes.size(); ++s) spectral.push_back(s * filters_ + f);
    }
    by_eigenvectors(spectral);
    write();
  }

 private:
  std::size_t at(Index row, Index i) const { return static_cast<std::size_t>(row * order_ + i); }
  double* alpha_row(std::size_t k) { return alpha_.data() + at(static_cast<Index>(k) * each_, 0); }

  /// All sizes from the leading blocks of one factor; returns how many leading sizes were solved. A factor loses
  /// accuracy with the condition, which grows from size to size.
  std::size_t by_prefix(double ridge, std::size_t f) {
    Buffer<double> l(static_cast<std::size_t>(order_ * order_));
    for (Index i = 0; i < order_; ++i) {
      std::copy_n(kernel_ + i * n_, i + 1, l.data() + at(i, 0));
      l[at(i, i)] += ridge;
    }
    const Index factored = tiled_cholesky(order_, l.data(), order_, parallel_);
    std::vector<Index> lengths;
    for (const Index size : problem_.sizes)
      if (size <= factored) lengths.push_back(size);
    if (lengths.empty()) return 0;
    const std::vector<Extremes> extremes = extremes_of(l, lengths, ridge);
    std::size_t solved = 0;
    for (; solved < lengths.size(); ++solved) {
      const Extremes e = extremes[solved];
      if (!least_squares::trusted(ridge, e)) break;
      reports_[solved * filters_ + f] = least_squares::factor_report(RidgeMethod::dual, e, lengths[solved]);
    }
    if (solved == 0) return 0;
    lengths.resize(solved);
    Buffer<double> v(targets_), x(solved * static_cast<std::size_t>(each_ * order_));
    const NestedRows rows(lengths, each_, parallel_);
    solve_rows(each_, lengths.back(), {l.data(), order_, Op::transposed}, v.data(), order_);
    rows.spread(v.data(), order_, x.data(), order_);
    rows.solve({l.data(), order_}, x.data(), order_);
    for (std::size_t s = 0; s < solved; ++s)
      std::copy_n(x.data() + at(static_cast<Index>(s) * each_, 0), each_ * order_, alpha_row(s * filters_ + f));
    return solved;
  }

  std::vector<Extremes> extremes_of(const Buffer<double>& l, const std::vector<Index>& lengths, double ridge) const {
    if (!problem_.reports && ridge > 0) return std::vector<Extremes>(lengths.size(), {ridge, 0.0});
    return estimate_factor_extremes(lengths, {l.data(), order_}, parallel_);
  }

  /// Cases in any order; those of one size share its eigenvectors.
  void by_eigenvectors(std::vector<std::size_t> cases) {
    std::sort(cases.begin(), cases.end());
    std::vector<std::size_t> sizes;
    for (const std::size_t k : cases)
      if (sizes.empty() || sizes.back() != k / filters_) sizes.push_back(k / filters_);
    parallel_for(static_cast<Index>(sizes.size()), parallel_, [&](Index t) {
      const std::size_t s = sizes[static_cast<std::size_t>(t)];
      const Index size = problem_.sizes[s];
      Buffer<double> block(static_cast<std::size_t>(size * size));
      for (Index i = 0; i < size; ++i) std::copy_n(kernel_ + i * n_, i + 1, block.data() + i * size);
      const SpectralSolve solve(size, std::move(block), targets_.data(), each_, order_,
                                ridge_rank_tolerance(size, size));
      for (const std::size_t k : cases) {
        if (k / filters_ != s) continue;
        solve.apply(problem_.filters[k % filters_], alpha_row(k), nullptr, order_);
        reports_[k] = solve.report(problem_.filters[k % filters_]);
      }
    });
  }

  void write() {
    const Index cases = static_cast<Index>(reports_.size()), rows = cases * each_, first = member_ * cases;
    if (problem_.coefficients)
      for (Index k = 0; k < rows; ++k) {
        double* out = problem_.coefficients + (first * each_ + k) * n_;
        std::copy_n(alpha_.data() + at(k, 0), order_, out);
        std::fill(out + order_, out + n_, 0.0);
      }
    if (problem_.residuals || problem_.norms) write_inner_products(first, cases);
    if (problem_.predictions) write_predictions(first, rows);
    if (problem_.reports) std::copy(reports_.begin(), reports_.end(), problem_.reports + first);
  }

  void write_inner_products(Index first, Index cases) {
    Buffer<double> k(static_cast<std::size_t>(order_ * order_)), fitted(alpha_.size());
    for (Index i = 0; i < order_; ++i)
      for (Index j = 0; j <= i; ++j) k[at(i, j)] = k[at(j, i)] = kernel_[i * n_ + j];
    tiled_gemm(cases * each_, order_, order_, 1.0, {alpha_.data(), order_}, {k.data(), order_}, 0.0, fitted.data(),
               order_, parallel_);
    for (Index c = 0; c < cases; ++c) {
      const Index size = problem_.sizes[static_cast<std::size_t>(c) / filters_];
      for (Index r = 0; r < each_; ++r)
        for (Index q = 0; q < each_; ++q) {
          double residual = 0, norm = 0;
          for (Index i = 0; i < size; ++i) {
            const double f = fitted[at(c * each_ + q, i)];
            residual += (targets_[at(r, i)] - fitted[at(c * each_ + r, i)]) * (targets_[at(q, i)] - f);
            norm += alpha_[at(c * each_ + r, i)] * f;
          }
          const Index out = ((first + c) * each_ + r) * each_ + q;
          if (problem_.residuals) problem_.residuals[out] = residual;
          if (problem_.norms) problem_.norms[out] = norm;
        }
    }
  }

  void write_predictions(Index first, Index rows) {
    const Index tests = problem_.test_examples;
    const double* cross = problem_.cross + (problem_.shared_cross ? 0 : member_ * tests * n_);
    Buffer<double> f(static_cast<std::size_t>(rows * tests));
    tiled_gemm(rows, tests, order_, 1.0, {alpha_.data(), order_}, {cross, n_, Op::transposed}, 0.0, f.data(), tests,
               parallel_);
    for (Index k = 0; k < rows; ++k)
      for (Index i = 0; i < tests; ++i)
        problem_.predictions[((first + k / each_) * tests + i) * each_ + k % each_] =
            f[static_cast<std::size_t>(k * tests + i)];
  }

  const KernelRidgePathProblem& problem_;
  Index member_;
  bool parallel_;
  Index n_, order_, each_;
  std::size_t filters_;
  const double* kernel_;
  Buffer<double> targets_, alpha_;  ///< R x order, (size, filter, R) x order
  std::vector<RidgeReport> reports_;
};

}  // namespace

void kernel_ridge_path(const KernelRidgePathProblem& problem) {
  check_kernel_ridge_path(problem);
  use_single_threaded_blas();
  DeviceLimits limits = problem.limits;
  limits.workers = worker_count(limits.workers);
  const bool in_parallel = kernel_ridge_members_in_parallel(problem, limits);
  parallel_for(problem.members, in_parallel, [&](Index e) { KernelMember(problem, e, !in_parallel).run(); });
}

}  // namespace widelab::cpu
