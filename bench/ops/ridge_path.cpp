// Op `ridge_path`: whole curves in the number of features, against the operations of their Gram matrices and factors at
// the machine's fp64 rate of matrix products.
#include "widelab/ops/ridge_path.hpp"

#include <omp.h>

#include <algorithm>

#include "bench/harness.hpp"
#include "bench/ridge_workload.hpp"

namespace widelab::bench {
namespace {

/// R1 with n = 4000 and R3 with 200 seeds, of the design's goals.
std::vector<RidgeRow> cases(bool quick) {
  if (quick) return {{"R1", 1, 64, 10, multiples(8, 16), 1e-8}, {"R3", 4, 16, 5, multiples(1, 64), 1e-8}};
  return {{"R1", 1, 4000, 100, multiples(160, 50), 1e-8},
          {"R1", 1, 4000, 100, multiples(160, 50), 1e-14},
          {"R3", 200, 128, 32, multiples(1, 512), 1e-8}};
}

/// Against singular values of every Z alone, at a size that the reference can do.
double error_against_reference(runtime::Backend& backend, const RidgeRow& c) {
  RidgeRow small = c;
  small.members = 1;
  small.examples = std::min<Index>(c.examples, 64);
  small.dimension = std::min<Index>(c.dimension, 16);
  small.sizes = multiples(16, 8);
  RidgeRun out(small), exact(small);
  backend.ridge_path(out.problem());
  reference::ridge_path(exact.problem());
  return relative_error(out.predictions(), exact.predictions());
}

void measure(runtime::Backend& backend, const RidgeRow& c, const Options& options) {
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
    for (const RidgeRow& c : cases(options.quick))
      if (selected(options, c.text())) measure(backend, c, options);
  });
}
