// Ridge paths of awkward sizes, with their results in vectors.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/support/random_problem.hpp"
#include "widelab/ops/kernel_ridge_path.hpp"
#include "widelab/ops/ridge_path.hpp"

namespace widelab::test {

inline SpectralFilter ridge(double value) { return {SpectralFilter::Kind::ridge, value}; }
inline SpectralFilter flow(double time) { return {SpectralFilter::Kind::flow, time}; }

struct RidgeResult {
  std::vector<double> coefficients, predictions, residuals, norms;
  std::vector<RidgeReport> reports;
};

/// Results of the right sizes, set as all outputs of a ridge path or a kernel ridge path with coefficients of `length`.
/// All NaN: what an op does not write does not pass for a result.
template <class Problem>
RidgeResult outputs_of(Problem& p, Index length) {
  RidgeResult out;
  const auto cases = static_cast<std::size_t>(p.members) * p.sizes.size() * p.filters.size();
  const auto each = static_cast<std::size_t>(p.targets_per_example);
  out.coefficients.resize(cases * each * static_cast<std::size_t>(length), NAN);
  out.predictions.resize(cases * each * static_cast<std::size_t>(p.test_examples), NAN);
  out.residuals.resize(cases * each * each, NAN);
  out.norms.resize(cases * each * each, NAN);
  out.reports.resize(cases, {RidgeMethod::spectral, NAN, NAN, NAN, -1});
  p.coefficients = out.coefficients.data();
  p.predictions = out.predictions.data();
  p.residuals = out.residuals.data();
  p.norms = out.norms.data();
  p.reports = out.reports.data();
  return out;
}

/// Everything that a ridge path can be told; targets and inputs are normals of fixed seeds.
struct RidgeCase {
  FeatureKind kind = FeatureKind::random;
  Index members = 1, examples = 7, dimension = 3, targets = 1, tests = 4;
  std::vector<Index> sizes{1, 3, 7, 8, 19};
  std::vector<SpectralFilter> filters{ridge(0.1)};
  Activation activation = Relu{};
  std::optional<RidgeMethod> method;
  bool sphere = false, shared = true;
  double scale = 1;
  std::vector<DrawId> ids{};     ///< empty: 0, 1, ..
  std::vector<double> inputs{};  ///< empty: normals
  DeviceLimits limits{};

  /// Roundings that an entry of a Gram matrix may carry.
  double length() const {
    const Index per_unit = kind == FeatureKind::tangent ? dimension : 1;
    return static_cast<double>(examples + sizes.back() * per_unit);
  }

  template <class Op>
  RidgeResult solve(Op op) const {
    const bool given = kind == FeatureKind::given;
    const Index width = given ? sizes.back() : dimension, copies = shared ? 1 : members;
    const std::vector<DrawId> own = ids.empty() ? draw_ids(members) : ids;
    const std::vector<double> x = inputs.empty() ? normals<double>(copies * examples, width, 11) : inputs;
    const std::vector<double> y = normals<double>(members * examples, targets, 12);
    const std::vector<double> test = normals<double>(given ? copies * tests : tests, width, 13);
    RidgePathProblem p;
    p.features = {kind, activation, 0.8, scale, sphere, given ? nullptr : own.data(), x.data(), shared, width};
    p.members = members;
    p.examples = examples;
    p.targets_per_example = targets;
    p.targets = y.data();
    p.sizes = sizes;
    p.filters = filters;
    p.method = method;
    p.test_inputs = test.data();
    p.test_examples = tests;
    p.limits = limits;
    RidgeResult out = outputs_of(p, p.columns());
    op(p);
    return out;
  }
  RidgeResult on_cpu() const {
    return solve([](const RidgePathProblem& p) { cpu::ridge_path(p); });
  }
  RidgeResult by_reference() const {
    return solve([](const RidgePathProblem& p) { reference::ridge_path(p); });
  }
};

/// The numbers of case k (member, size, filter), `per_case` each.
inline std::vector<double> part(const std::vector<double>& all, std::size_t k, std::size_t cases) {
  const std::size_t each = all.size() / cases;
  return {all.begin() + static_cast<std::ptrdiff_t>(k * each),
          all.begin() + static_cast<std::ptrdiff_t>((k + 1) * each)};
}

/// K = X X^T of normal X, n x `rank`, over the rank; the cross kernel belongs to other rows of the same law.
struct KernelCase {
  Index members = 2, examples = 17, rank = 40, targets = 2, tests = 3;
  std::vector<Index> sizes{1, 2, 5, 16, 17};
  std::vector<SpectralFilter> filters{ridge(0.1), ridge(2.0)};
  bool shared_cross = true, shared_kernels = false;

  double length() const { return static_cast<double>(examples); }

  template <class Op>
  RidgeResult solve(Op op) const {
    const Index copies = shared_kernels ? 1 : members;
    std::vector<double> k;
    for (Index m = 0; m < copies; ++m) {
      const std::vector<double> x = normals<double>(examples, rank, static_cast<std::uint64_t>(20 + m));
      for (Index i = 0; i < examples; ++i)
        for (Index j = 0; j < examples; ++j) {
          double sum = 0;
          for (Index c = 0; c < rank; ++c)
            sum += x[static_cast<std::size_t>(i * rank + c)] * x[static_cast<std::size_t>(j * rank + c)];
          k.push_back(j > i ? NAN : sum / static_cast<double>(rank));  // the upper triangle is not read
        }
    }
    const std::vector<double> y = normals<double>(members * examples, targets, 12);
    const std::vector<double> cross = normals<double>((shared_cross ? 1 : members) * tests, examples, 13);
    KernelRidgePathProblem p;
    p.members = members;
    p.examples = examples;
    p.targets_per_example = targets;
    p.kernels = k.data();
    p.shared_kernels = shared_kernels;
    p.targets = y.data();
    p.sizes = sizes;
    p.filters = filters;
    p.cross = cross.data();
    p.shared_cross = shared_cross;
    p.test_examples = tests;
    RidgeResult out = outputs_of(p, examples);
    op(p);
    return out;
  }
  RidgeResult on_cpu() const {
    return solve([](const KernelRidgePathProblem& p) { cpu::kernel_ridge_path(p); });
  }
  RidgeResult by_reference() const {
    return solve([](const KernelRidgePathProblem& p) { reference::kernel_ridge_path(p); });
  }
};

/// Largest |a - b| over the largest |b| or `scale`; infinite where a is not finite.
inline double distance(const std::vector<double>& a, const std::vector<double>& b, double scale) {
  double worst = 0;
  for (const double v : b) scale = std::max(scale, std::abs(v));
  for (std::size_t k = 0; k < a.size(); ++k)
    worst = std::isfinite(a[k]) ? std::max(worst, std::abs(a[k] - b[k])) : INFINITY;
  return worst / scale;
}

}  // namespace widelab::test
