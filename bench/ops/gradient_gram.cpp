// Op `gradient_gram`: time against the machine's GEMM rate for the op's own number of operations.
#include "bench/gradient_workload.hpp"
#include "bench/harness.hpp"
#include "bench/train_workload.hpp"

namespace widelab::bench {
namespace {

std::vector<GramRow> rows(const std::string& device_kind, bool quick) {
  if (quick) return {{"quick", 40, 16, 24, 2, 3, 2}};
  std::vector<GramRow> list{{"G1", 2000, 784, 512, 2, 10, 1}, {"small", 500, 784, 50, 2, 10, 32}};
  if (device_kind == "cuda") list.push_back({"G1 device", 10000, 784, 1024, 2, 10, 1});
  return list;
}

void measure(runtime::Backend& backend, const GramRow& row, const Options& options) {
  const Examples examples = uniform_examples(row);
  GramRun<float> op(backend, row, examples);
  std::vector<Side> sides{[&] { return seconds_of([&] { op.run(); }); }};
  GemmRate gemm;
  const bool on_cpu = backend.info().kind == "cpu";
  if (on_cpu) sides.push_back([&] { return gemm.seconds_for(row.flops()); });
  const auto times = interleave(sides, options);

  Row out;
  out.op = "gradient_gram";
  out.shape = row.text() + " fp32";
  out.time = summarise(times[0]);
  out.rates = {{"GF/s", row.flops() / out.time.median * 1e-9}};
  if (on_cpu) {
    out.floor = summarise(times[1]);
    out.floor_over_time = ratio_of(times[1], times[0]);
    out.rates.emplace_back("GEMM GF/s", row.flops() / out.floor.median * 1e-9);
  } else {
    out.note = "weights, inputs and results cross the bus within the time";
  }
  const auto cpu = runtime::make_backend("cpu");
  GramRun<double> exact(*cpu, row, examples);
  exact.run();
  out.error = relative_error(op.gram(), exact.gram());
  report(options, backend, out);
}

}  // namespace
}  // namespace widelab::bench

int main(int argc, char** argv) {
  using namespace widelab::bench;
  return run_benchmark(argc, argv, [](widelab::runtime::Backend& backend, const Options& options) {
    for (const GramRow& row : rows(backend.info().kind, options.quick))
      if (selected(options, row.text())) measure(backend, row, options);
  });
}
