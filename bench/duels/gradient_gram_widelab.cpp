// widelab's side of the gradient-Gram duel. `--write JOB` writes MNIST examples, weights and the fp64 Gram matrix;
// `JOB` answers the duel's requests (bench/duels/worker.py).
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/gradient_workload.hpp"
#include "bench/harness.hpp"
#include "bench/train_workload.hpp"
#include "host/data/npy_file.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::bench {
namespace {

struct Job {
  GramRow row;
  std::string device, folder;

  explicit Job(const std::string& path) try {
    std::ifstream file(path);
    const nlohmann::json job = nlohmann::json::parse(file);
    row.name = job.at("name");
    row.examples = job.at("N"), row.dimension = job.at("d"), row.width = job.at("n");
    row.depth = job.at("H"), row.classes = job.at("k");
    device = job.at("device"), folder = job.at("folder");
  } catch (const nlohmann::json::exception& error) {
    throw DataError(path + ": no job description: " + error.what());
  }
  std::string array(const std::string& name) const { return folder + "/" + name + ".npy"; }
};

/// x (N x d), y (N x k), w0 .. wL (fan_out x fan_in), gram (N x N, of fp64 arithmetic).
void write(const Job& job) {
  const GramRow& row = job.row;
  const Examples examples = mnist_examples(row);
  const auto backend = runtime::make_backend("cpu");
  GramRun<double> run(*backend, row, examples);
  run.run();
  data::write_npy(job.array("x"), {row.examples, row.dimension}, examples.inputs);
  data::write_npy(job.array("y"), {row.examples, row.classes}, examples.targets);
  data::write_npy(job.array("gram"), {row.examples, row.examples}, run.gram());
  const Network network = row.network();
  const ParamLayout layout(network.shape);
  for (Index l = 0; l < network.shape.layers(); ++l) {
    const double* first = run.weights().data() + layout.weight_offset[static_cast<std::size_t>(l)];
    const Index rows = network.shape.fan_out(l), cols = network.shape.fan_in(l);
    data::write_npy(job.array("w" + std::to_string(l)), {rows, cols}, std::vector<float>(first, first + rows * cols));
  }
}

void serve(const Job& job) {
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
      argc, argv, [](const std::string& path) { write(Job(path)); }, [](const std::string& path) { serve(Job(path)); });
}
