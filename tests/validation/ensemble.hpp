// Ensembles of random networks for validation tests, drawn through the engine, and the tests that judge them.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "host/engine/kernel_sampler.hpp"
#include "host/estimators/grouped_moments.hpp"
#include "host/estimators/joint_test.hpp"
#include "host/estimators/significance.hpp"
#include "host/runtime/backend.hpp"
#include "host/theory/finite_width.hpp"
#include "host/theory/infinite_width.hpp"
#include "widelab/rng/normal.hpp"

namespace widelab::test {

using engine::KernelMethod;
using estimators::GroupSample;
using estimators::Statistic;

inline runtime::Backend& cpu() {
  static const auto backend = runtime::make_backend("cpu");
  return *backend;
}

/// rows x d inputs on the sphere of radius sqrt(d): a pure function of its arguments.
inline std::vector<double> sphere_inputs(Index rows, Index d, std::uint64_t seed) {
  std::vector<double> out;
  for (Index i = 0; i < rows; ++i) {
    double square = 0;
    const std::size_t begin = out.size();
    for (Index j = 0; j < d; ++j) {
      const StreamId stream{seed, 0, Stream::test_only, 0};
      out.push_back(normal_at(stream, static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(j)));
      square += out.back() * out.back();
    }
    for (std::size_t k = begin; k < out.size(); ++k) out[k] *= std::sqrt(static_cast<double>(d) / square);
  }
  return out;
}

/// One ensemble: networks 0 .. networks - 1 of `seed`, seen at the rows of `inputs`.
struct Ensemble {
  Network network;
  std::vector<double> inputs;  ///< N x d
  Index networks = 1000;
  std::uint64_t seed = 1;
  KernelMethod method = KernelMethod::law_exact;

  Index examples() const { return static_cast<Index>(inputs.size()) / network.shape.input_dim; }
};

/// Weights are drawn in fp32: its relative error, 1e-6 after a few layers, is far below every standard error here.
inline void draw(const Ensemble& ensemble, const std::function<void(const engine::MemberKernels&)>& sink) {
  engine::KernelTask task;
  task.network = ensemble.network;
  task.inputs = ensemble.inputs;
  task.examples = ensemble.examples();
  task.method = ensemble.method;
  const std::uint64_t key = role_key(ensemble.seed, "init", "validation");
  engine::KernelSampler(cpu(), std::move(task)).run(key, 0, ensemble.networks, sink);
}

/// Calls use(i, j) for the entries on and above the diagonal, row by row.
template <class Use>
void for_pairs(Index examples, Use use) {
  for (Index i = 0; i < examples; ++i)
    for (Index j = i; j < examples; ++j) use(i, j);
}

/// Entries on and above the diagonal of an N x N matrix.
inline std::vector<double> upper(std::span<const double> matrix, Index examples) {
  std::vector<double> out;
  for_pairs(examples, [&](Index i, Index j) { out.push_back(matrix[static_cast<std::size_t>(i * examples + j)]); });
  return out;
}

inline std::vector<double> joined(std::vector<double> first, const std::vector<double>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

/// [NTK pairs | NNGP pairs] of the infinite-width limit at the network's own widths.
inline std::vector<double> limit_pairs(const Network& network, const std::vector<double>& inputs) {
  const Index d = network.shape.input_dim, n = static_cast<Index>(inputs.size()) / d;
  const theory::KernelPair limit =
      theory::infinite_width_kernels(network, matrix_view<const double>(inputs.data(), n, d));
  return joined(upper(limit.ntk, n), upper(limit.nngp, n));
}

/// Moments of [NTK pairs | NNGP pairs]; `shift` near their means.
inline estimators::GroupedMoments kernel_moments(const Ensemble& ensemble, std::vector<double> shift, int order,
                                                 Index groups = 128) {
  estimators::GroupedMoments moments(std::move(shift), order, groups);
  const Index n = ensemble.examples();
  draw(ensemble,
       [&](const engine::MemberKernels& m) { moments.add(m.replicate, joined(upper(m.ntk, n), upper(m.nngp, n))); });
  return moments;
}

/// The entries of two samples of the same groups, side by side.
inline GroupSample side_by_side(const GroupSample& a, const GroupSample& b) {
  GroupSample out{a.groups, a.entries + b.entries, {}, a.counts};
  for (Index g = 0; g < a.groups; ++g) {
    for (Index e = 0; e < a.entries; ++e) out.values.push_back(a.at(g, e));
    for (Index e = 0; e < b.entries; ++e) out.values.push_back(b.at(g, e));
  }
  return out;
}

/// Joint test at a resolution of p that serves false-alarm rates down to 2e-4.
inline estimators::JointVerdict judge(const GroupSample& sample, const std::vector<double>& predicted) {
  return estimators::joint_test(sample, predicted, {.resamples = 20000, .key = 11, .rounding = 1e-5});
}

inline std::string describe(const estimators::JointVerdict& v) {
  return "max|z| " + std::to_string(v.max_z) + " at entry " + std::to_string(v.worst_entry) + ", p " +
         std::to_string(v.max_z_p) + "; chi2 " + std::to_string(v.chi2) + " on " + std::to_string(v.dof) + ", p " +
         std::to_string(v.chi2_p) + "; " + v.status;
}

/// (mean - expected) / s.e. with the first-order effect of skewness taken out, normal to second order in the number of
/// values: Hall (1992), "On the removal of skewness by transformation", g(t) = t + c t^2 / 3 + c^2 t^3 / 27 + c / 6
/// with c = skewness / sqrt(count). Kernels of deep networks are skewed enough that the plain z would reject too often.
inline double skew_corrected_z(std::span<const double> sample, double expected) {
  const double count = static_cast<double>(sample.size());
  double mean = 0, second = 0, third = 0;
  for (const double x : sample) mean += x / count;
  for (const double x : sample) {
    const double u = x - mean;
    second += u * u / count;
    third += u * u * u / count;
  }
  const double t = (mean - expected) / std::sqrt(second / count);
  const double c = third / std::pow(second, 1.5) / std::sqrt(count);
  return t + c * t * t / 3 + c * c * t * t * t / 27 + c / 6;
}

}  // namespace widelab::test
