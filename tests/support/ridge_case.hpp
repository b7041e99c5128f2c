// Ridge paths of awkward sizes, with their results in vectors.
#pragma once

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
template <class Problem>
RidgeResult outputs_of(Problem& p, Index length) {
  RidgeResult out;
  const auto cases = static_cast<std::size_t>(p.members) * p.sizes.size() * p.filters.size();
  const auto each = static_cast<std::size_t>(p.targets_per_example);
  out.coefficients.resize(cases * each * static_cast<std::size_t>(length));
  out.predictions.resize(cases * each * static_cast<std::size_t>(p.test_examples));
  out.residuals.resize(cases * each * each);
  out.norms.resize(cases * each * each);
  out.reports.resize(cases);
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

}  // namespace widelab::test
