#include "widelab/ops/ridge_path.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/reference/jacobi_svd.hpp"
#include "kernels/reference/spectral_filter.hpp"
#include "widelab/model/init_law.hpp"
#include "widelab/ops/ridge_checks.hpp"

namespace widelab::reference {
namespace {

using Columns = std::vector<std::vector<double>>;

/// w_j of a member, d entries.
std::vector<double> unit_weights(const FeatureSource& source, Index member, Index unit) {
  const StreamId stream = source.weights[member].stream(Stream::weights, 0);
  std::vector<double> w;
  double square = 0;
  for (Index c = 0; c < source.dimension; ++c) {
    w.push_back(static_cast<double>(
        init_draw_at(InitKind::normal, stream, static_cast<std::uint32_t>(unit), static_cast<std::uint32_t>(c))));
    square += w.back() * w.back();
  }
  const double length = source.sphere && square > 0 ? std::sqrt(static_cast<double>(source.dimension) / square) : 1.0;
  for (double& x : w) x *= length * source.weight_scale;
  return w;
}

/// Columns of `units` units on the inputs x (rows x d; for `given`, rows x units).
Columns features(const FeatureSource& source, Index member, const double* x, Index rows, Index units) {
  Columns z;
  for (Index j = 0; j < units; ++j) {
    if (source.kind == FeatureKind::given) {
      z.emplace_back();
      for (Index i = 0; i < rows; ++i) z.back().push_back(x[i * source.dimension + j]);
      continue;
    }
    const std::vector<double> w = unit_weights(source, member, j);
    for (Index c = 0; c < source.columns_per_unit(); ++c) {
      z.emplace_back();
      for (Index i = 0; i < rows; ++i) {
        double sum = 0;
        for (Index k = 0; k < source.dimension; ++k)
          sum += w[static_cast<std::size_t>(k)] * x[i * source.dimension + k];
        const double phi = visit(source.activation, [&](const auto& f) {
          return source.kind == FeatureKind::tangent ? f.first(sum) : f.value(sum);
        });
        z.back().push_back(source.scale * phi *
                           (source.kind == FeatureKind::tangent ? x[i * source.dimension + c] : 1.0));
      }
    }
  }
  return z;
}

/// Everything of one member at one size and one filter.
class Solution {
 public:
  Solution(const RidgePathProblem& problem, Index member, const SingularValues& svd, const SpectralFilter& filter)
      : problem_(problem), member_(member) {
    const std::size_t all = svd.right.front().size();
    const double largest = svd.values.front() * svd.values.front();
    const double cut = ridge_rank_tolerance(problem.examples, static_cast<Index>(all)) * largest;
    coefficients_.assign(static_cast<std::size_t>(problem.targets_per_example), std::vector<double>(all, 0.0));
    for (std::size_t k = 0; k < svd.values.size(); ++k) {
      const double sigma = svd.values[k], mu = sigma * sigma;
      const bool kept = mu > cut;
      if (kept) smallest_ = mu;
      rank_ += kept ? 1 : 0;
      const double gain = spectral_filter(filter, mu, kept) * sigma;
      for (Index r = 0; r < problem.targets_per_example; ++r) {
        double along = 0;
        for (Index i = 0; i < problem.examples; ++i) along += svd.left[k][static_cast<std::size_t>(i)] * target(i, r);
        for (std::size_t j = 0; j < all; ++j)
          coefficients_[static_cast<std::size_t>(r)][j] += gain * along * svd.right[k][j];
      }
    }
    const double ridge = filter.kind == SpectralFilter::Kind::ridge ? filter.value : 0.0;
    if (ridge > 0) smallest_ = svd.values.back() * svd.values.back();
    const bool drops = filter.kind == SpectralFilter::Kind::ridge && ridge == 0;
    const Index rank = drops ? rank_ : static_cast<Index>(svd.values.size());
    report_ = {RidgeMethod::spectral, smallest_ + ridge, 1.0, 0.0, rank};
    if (report_.smallest > 0) report_.condition = (largest + ridge) / report_.smallest;
  }

  double fitted(const Columns& z, Index i, Index r) const {
    double sum = 0;
    for (std::size_t j = 0; j < coefficients_[static_cast<std::size_t>(r)].size(); ++j)
      sum += z[j][static_cast<std::size_t>(i)] * coefficients_[static_cast<std::size_t>(r)][j];
    return sum;
  }

  /// Writes at position `at` of the members x S x F results.
  void write(Index at, const Columns& z, const Columns& test) const {
    const Index targets = problem_.targets_per_example, columns = problem_.columns();
    for (Index r = 0; r < targets; ++r) {
      const auto& a = coefficients_[static_cast<std::size_t>(r)];
      for (Index j = 0; problem_.coefficients && j < columns; ++j)
        problem_.coefficients[(at * targets + r) * columns + j] =
            j < static_cast<Index>(a.size()) ? a[static_cast<std::size_t>(j)] : 0.0;
      for (Index i = 0; problem_.predictions && i < problem_.test_examples; ++i)
        problem_.predictions[(at * problem_.test_examples + i) * targets + r] = fitted(test, i, r);
      for (Index q = 0; q < targets; ++q) {
        double norm = 0, residual = 0;
        for (std::size_t j = 0; j < a.size(); ++j) norm += a[j] * coefficients_[static_cast<std::size_t>(q)][j];
        for (Index i = 0; problem_.residuals && i < problem_.examples; ++i)
          residual += (target(i, r) - fitted(z, i, r)) * (target(i, q) - fitted(z, i, q));
        if (problem_.norms) problem_.norms[(at * targets + r) * targets + q] = norm;
        if (problem_.residuals) problem_.residuals[(at * targets + r) * targets + q] = residual;
      }
    }
    if (problem_.reports) problem_.reports[at] = report_;
  }

 private:
  double target(Index i, Index r) const {
    return problem_.targets[(member_ * problem_.examples + i) * problem_.targets_per_example + r];
  }

  const RidgePathProblem& problem_;
  Index member_;
  Columns coefficients_;  ///< R x columns
  double smallest_ = 0;
  Index rank_ = 0;
  RidgeReport report_;
};

}  // namespace

void ridge_path(const RidgePathProblem& problem) {
  check_ridge_path(problem);
  const FeatureSource& source = problem.features;
  const Index filters = static_cast<Index>(problem.filters.size());
  Index at = 0;
  for (Index m = 0; m < problem.members; ++m) {
    const double* x = source.inputs + (source.shared_inputs ? 0 : m * problem.examples * source.dimension);
    const bool own_test = source.kind == FeatureKind::given && !source.shared_inputs;
    const double* test = problem.test_inputs
                             ? problem.test_inputs + (own_test ? m * problem.test_examples * source.dimension : 0)
                             : nullptr;
    for (const Index units : problem.sizes) {
      const Columns z = features(source, m, x, problem.examples, units);
      const Columns z_test = features(source, m, test, test ? problem.test_examples : 0, units);
      const SingularValues svd = jacobi_svd(z, problem.examples);
      for (Index f = 0; f < filters; ++f)
        Solution(problem, m, svd, problem.filters[static_cast<std::size_t>(f)]).write(at++, z, z_test);
    }
  }
}

}  // namespace widelab::reference
