// widelab's side of the NTK duel. `--write JOB` draws the inputs and weights that every side reads and the fp64 kernel
// that every side is held against; `JOB` answers the duel's requests (bench/duels/worker.py says which).
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/gemm_floor.hpp"
#include "bench/harness.hpp"
#include "host/data/npy_file.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/ops/init.hpp"
#include "widelab/ops/ntk.hpp"
#include "widelab/plan/storage_plan.hpp"

namespace widelab::bench {
namespace {

struct Job {
  Size size;
  std::string device, folder;
  bool drawn = false;  ///< each side draws weights of its own: no common kernel to be held against

  explicit Job(const std::string& path) try {
    std::ifstream file(path);
    const nlohmann::json job = nlohmann::json::parse(file);
    size = {job.at("N"), job.at("n"), job.at("L"), job.at("d"), job.at("members")};
    device = job.at("device");
    folder = job.at("folder");
    drawn = job.at("weights") == "own";
    if (job.at("activation") != "relu" || job.at("dtype") != "float32" ||
        std::abs(job.at("sigma_w").get<double>() - std::sqrt(2.0)) > 1e-12)
      throw DataError(path + ": activation must be \"relu\", dtype \"float32\" and sigma_w the root of 2");
  } catch (const nlohmann::json::exception& error) {
    throw DataError(path + ": no job description: " + error.what());
  }
  std::string array(const std::string& name) const { return folder + "/" + name + ".npy"; }
};

template <class T>
std::vector<T> weights_of(runtime::Backend& backend, const Network& network, const DrawId& id) {
  std::vector<T> weights(static_cast<std::size_t>(ParamLayout(network.shape).size));
  backend.init(InitProblem<T>{&network, &id, 1, weights.data()});
  return weights;
}

/// x (N x d), w0 .. wL (fan_out x fan_in, entries N(0, 1)) and, computed in fp64, ntk (N x N).
void write(const Job& job) {
  const auto cpu = runtime::make_backend("cpu");
  const Network network = relu_network(job.size);
  const DrawId id = draw_ids(1).front();
  const std::vector<double> inputs = normal_inputs<double>(job.size), weights = weights_of<double>(*cpu, network, id);
  data::write_npy(job.array("x"), {job.size.inputs, job.size.input_dim}, inputs);
  const ParamLayout layout(network.shape);
  for (Index l = 0; l < network.shape.layers(); ++l) {
    const Index rows = network.shape.fan_out(l), cols = network.shape.fan_in(l);
    const auto first = weights.begin() + layout.weight_offset[static_cast<std::size_t>(l)];
    data::write_npy(job.array("w" + std::to_string(l)), {rows, cols}, std::vector<double>(first, first + rows * cols));
  }
  std::vector<double> kernel(static_cast<std::size_t>(job.size.inputs * job.size.inputs));
  NtkProblem<double> problem;
  problem.network = &network;
  problem.weights = {1, &id, weights.data()};
  problem.x1 = matrix_view(inputs.data(), job.size.inputs, job.size.input_dim);
  problem.ntk = kernel.data();
  cpu->ntk(problem);
  data::write_npy(job.array("ntk"), {job.size.inputs, job.size.inputs}, kernel);
}

std::vector<double> exact_kernel(const Job& job) {
  const data::ArrayFile file = data::read_npy(job.array("ntk"));
  std::vector<double> kernel;
  for (Index k = 0; k < job.size.inputs * job.size.inputs; ++k) kernel.push_back(file.stored(k));
  return kernel;
}

void serve(const Job& job) {
  const auto backend = runtime::make_backend(job.device);
  const bool on_cpu = backend->info().kind == "cpu";
  const Network network = relu_network(job.size);
  const Index entries = job.size.inputs * job.size.inputs;
  const std::vector<DrawId> ids = draw_ids(job.size.members);
  const std::vector<float> inputs = normal_inputs<float>(job.size);
  std::vector<float> weights;
  if (on_cpu && !job.drawn && job.size.members == 1) weights = weights_of<float>(*backend, network, ids.front());
  std::vector<double> kernel(static_cast<std::size_t>(job.size.members * entries));
  NtkProblem<float> problem;
  problem.network = &network;
  problem.weights = {job.size.members, ids.data(), weights.empty() ? nullptr : weights.data()};
  problem.x1 = matrix_view(inputs.data(), job.size.inputs, job.size.input_dim);
  problem.ntk = kernel.data();
  NtkGemms gemms(on_cpu ? job.size : Size{1, 1, 1, 1, 1});
  const auto members = static_cast<double>(job.size.members);
  DuelSide side;
  side.variant = weights.empty() ? "weights drawn within the time" : "weights given";
  KernelWorkload work;
  work.members = job.size.members;
  work.rows = job.size.inputs;
  side.flops = workload_flops(network.shape, work);
  side.turn = [&] { return seconds_of([&] { backend->ntk(problem); }); };
  if (on_cpu) side.product = [&] { return members * gemms.run(); };
  side.product_flops = members * gemms.flops();
  side.seconds = side.turn();
  if (!job.drawn)
    side.error = relative_error(std::vector<double>(kernel.begin(), kernel.begin() + entries), exact_kernel(job));
  answer_duel(*backend, side);
}

}  // namespace
}  // namespace widelab::bench

int main(int argc, char** argv) {
  using namespace widelab::bench;
  return run_duel_side<Job>(argc, argv, write, serve);
}
