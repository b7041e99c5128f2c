// widelab's side of the gradient-Gram duel. `--write JOB` writes MNIST examples, weights and the fp64 Gram matrix;
// `JOB` answers the duel's requests (bench/duels/worker.py).
#include <string>

#include "bench/gradient_workload.hpp"
#include "bench/harness.hpp"
#include "bench/train_workload.hpp"
#include "host/data/npy_file.hpp"

namespace widelab::bench {
namespace {

/// The problem, and gram (N x N, of fp64 arithmetic).
void write(const GradientJob& job) {
  const Examples examples = mnist_examples(job.row);
  const auto backend = runtime::make_backend("cpu");
  GramRun<double> run(*backend, job.row, examples);
  run.run();
  job.write_problem(examples, run.weights());
  data::write_npy(job.array("gram"), {job.row.examples, job.row.examples}, run.gram());
}

void serve(const GradientJob& job) {
  const auto backend = runtime::make_backend(job.device);
  const Examples examples = mnist_examples(job.row);
  GramRun<float> run(*backend, job.row, examples);
  GemmRate gemm;
  DuelSide side;
  side.variant = "layerwise, lower triangle; " + examples.source;
  side.flops = side.product_flops = job.row.flops();
  side.turn = [&] { return seconds_of([&] { run.run(); }); };
  if (backend->info().kind == "cpu") side.product = [&] { return gemm.seconds_for(side.product_flops); };
  side.turn();
  const data::ArrayFile file = data::read_npy(job.array("gram"));
  std::vector<double> exact(run.gram().size());
  for (std::size_t k = 0; k < exact.size(); ++k) exact[k] = file.stored(static_cast<Index>(k));
  side.error = relative_error(run.gram(), exact);
  side.seconds = side.turn();
  answer_duel(*backend, side);
}

}  // namespace
}  // namespace widelab::bench

int main(int argc, char** argv) {
  using namespace widelab::bench;
  return run_duel_side(
      argc, argv, [](const std::string& path) { write(GradientJob(path)); },
      [](const std::string& path) { serve(GradientJob(path)); });
}
