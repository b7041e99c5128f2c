// Op `ridge_path`: whole curves in the number of features, against the operations of their Gram matrices and factors at
// the machine's fp64 rate of matrix products.
#include "widelab/ops/ridge_path.hpp"

#include <cblas.h>
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <cmath>

#include "bench/harness.hpp"
#include "bench/problems.hpp"

namespace widelab::bench {
namespace {

struct Case {
  std::string name;
  Index members, examples, dimension;
  std::vector<Index> sizes;
  double relative_ridge;  ///< over the largest eigenvalue of Z^T Z at the largest size

  std::string text() const {
    return fmt::format("n={} d={} N={}..{} ({} sizes)", examples, dimension, sizes.front(), sizes.back(),
                       sizes.size()) +
           (members > 1 ? fmt::format(" E={}", members) : "") + fmt::format(" ridge {:.0e} |A| ", relative_ridge) +
           name;
  }
};

std::vector<Index> multiples(Index step, Index count) {
  std::vector<Index> sizes;
  for (Index s = 1; s <= count; ++s) sizes.push_back(s * step);
  return sizes;
}

/// R1 with n = 4000 and R3 with 200 seeds, of the design's goals.
std::vector<Case> cases(bool quick) {
  if (quick) return {{"R1", 1, 64, 10, multiples(8, 16), 1e-8}, {"R3", 4, 16, 5, multiples(1, 64), 1e-8}};
  return {{"R1", 1, 4000, 100, multiples(160, 50), 1e-8},
          {"R1", 1, 4000, 100, multiples(160, 50), 1e-14},
          {"R3", 200, 128, 32, multiples(1, 512), 1e-8}};
}

/// The largest eigenvalue of Z^T Z for ReLU features of unit preactivations: their mean, 1/sqrt(2 pi), is common to
/// all.
double largest_eigenvalue(const Case& c) {
  return static_cast<double>(c.examples) * static_cast<double>(c.sizes.back()) / (2 * M_PI);
}

/// The op with its arrays: one right-hand side, predictions at as many test inputs as there are examples, at most 1000.
class RidgeRun {
 public:
  explicit RidgeRun(const Case& c)
      : inputs_(normal_inputs<double>({c.examples, 1, 1, c.dimension, 1})),
        targets_(normal_inputs<double>({c.examples * c.members, 1, 1, 1, 1})),
        ids_(draw_ids(c.members)) {
    problem_.features = {FeatureKind::random,
                         Relu{},
                         1 / std::sqrt(static_cast<double>(c.dimension)),
                         1.0,
                         false,
                         ids_.data(),
                         inputs_.data(),
                         true,
                         c.dimension};
    problem_.members = c.members;
    problem_.examples = c.examples;
    problem_.targets = targets_.data();
    problem_.sizes = c.sizes;
    problem_.filters = {{SpectralFilter::Kind::ridge, c.relative_ridge * largest_eigenvalue(c)}};
    problem_.test_inputs = inputs_.data();
    problem_.test_examples = std::min<Index>(c.examples, 1000);
    const std::size_t curve = static_cast<std::size_t>(c.members) * c.sizes.size();
    predictions_.resize(curve * static_cast<std::size_t>(problem_.test_examples));
    residuals_.resize(curve);
    norms_.resize(curve);
    problem_.predictions = predictions_.data();
    problem_.residuals = residuals_.data();
    problem_.norms = norms_.data();
  }
  RidgePathProblem& problem() { return problem_; }
  const std::vector<double>& predictions() const { return predictions_; }

 private:
  std::vector<double> inputs_, targets_;
  std::vector<DrawId> ids_;
  std::vector<double> predictions_, residuals_, norms_;
  RidgePathProblem problem_;
};

/// Seconds of `flops` operations of fp64 products of order 512 (of `order`, if that is less), a product a thread.
double product_seconds(double flops, Index order) {
  const Index m = std::min<Index>(order, 512), threads = omp_get_max_threads(), repeats = std::max<Index>(1, 4096 / m);
  const std::vector<double> a(static_cast<std::size_t>(m * m), 0.7);
  std::vector<std::vector<double>> c(static_cast<std::size_t>(threads), a);
  const double seconds = seconds_of([&] {
#pragma omp parallel for schedule(static, 1)
    for (Index t = 0; t < threads; ++t)
      for (Index k = 0; k < repeats; ++k)
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(m), static_cast<int>(m),
                    static_cast<int>(m), 1.0, a.data(), static_cast<int>(m), a.data(), static_cast<int>(m), 0.0,
                    c[static_cast<std::size_t>(t)].data(), static_cast<int>(m));
  });
  const double size = static_cast<double>(m);
  return seconds * flops / (2 * size * size * size * static_cast<double>(threads * repeats));
}

/// Against singular values of every Z alone, at a size that the reference can do.
double error_against_reference(runtime::Backend& backend, const Case& c) {
  Case small = c;
  small.members = 1;
  small.examples = std::min<Index>(c.examples, 64);
  small.dimension = std::min<Index>(c.dimension, 16);
  small.sizes = multiples(16, 8);
  RidgeRun out(small), exact(small);
  backend.ridge_path(out.problem());
  reference::ridge_path(exact.problem());
  return relative_error(out.predictions(), exact.predictions());
}

void measure(runtime::Backend& backend, const Case& c, const Options& options) {
  RidgeRun op(c);
  const RidgePlan plan = make_ridge_plan(ridge_workload(op.problem()), {0, omp_get_max_threads()});
  const auto times = interleave({[&] { return seconds_of([&] { backend.ridge_path(op.problem()); }); },
                                 [&] { return product_seconds(plan.flops, c.examples); }},
                                options);
  Row row;
  row.op = "ridge_path";
  row.shape = c.text();
  row.time = summarise(times[0]);
  row.floor = summarise(times[1]);
  row.floor_over_time = ratio_of(times[1], times[0]);
  row.rates = {{"GF", plan.flops * 1e-9}, {"GF/s", plan.flops / row.time.median * 1e-9}};
  row.error = error_against_reference(backend, c);
  row.note = plan.reason;
  report(options, backend, row);
}

}  // namespace
}  // namespace widelab::bench

int main(int argc, char** argv) {
  using namespace widelab::bench;
  return run_benchmark(argc, argv, [](widelab::runtime::Backend& backend, const Options& options) {
    for (const Case& c : cases(options.quick))
      if (selected(options, c.text())) measure(backend, c, options);
  });
}
