// widelab's side of the training duel. `--write JOB` draws data, initial parameters and orders that every side reads,
// and trains the first member of each group in fp64; `JOB` answers the duel's requests (bench/duels/worker.py).
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/harness.hpp"
#include "bench/train_workload.hpp"
#include "host/data/npy_file.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::bench {
namespace {

struct Job {
  TrainRow row;
  Index steps = 1;          ///< in one turn
  Index checked_steps = 1;  ///< after which sides are held against fp64
  std::string device, folder;

  explicit Job(const std::string& path) try {
    std::ifstream file(path);
    const nlohmann::json job = nlohmann::json::parse(file);
    row.name = job.at("name");
    for (const auto& group : job.at("groups")) row.groups.push_back({group.at("n"), group.at("members")});
    row.input_dim = job.at("d"), row.square = job.at("H"), row.outputs = job.at("k");
    row.batch = job.at("B"), row.examples = job.at("N");
    steps = job.at("steps"), checked_steps = job.at("checked_steps");
    device = job.at("device"), folder = job.at("folder");
  } catch (const nlohmann::json::exception& error) {
    throw DataError(path + ": no job description: " + error.what());
  }
  std::string array(const std::string& name) const { return folder + "/" + name + ".npy"; }
};

template <class T>
std::vector<double> widened(const std::vector<T>& numbers) {
  return {numbers.begin(), numbers.end()};
}

/// x (N x d), y (N x k); for each group g: p<g> (members x P, layer by layer, fan_out x fan_in, with zero biases),
/// rate<g> (members), order<g> (steps x members x B rows of x), final<g> (P, fp64, the first member).
void write(const Job& job) {
  const auto cpu = runtime::make_backend("cpu");
  const TrainRun<float> run(*cpu, job.row);
  TrainRow first = job.row;
  data::write_npy(job.array("x"), {job.row.examples, job.row.input_dim}, widened(run.inputs()));
  data::write_npy(job.array("y"), {job.row.examples, job.row.outputs}, widened(run.targets()));
  TrainRun<double> exact(*cpu, job.row);
  exact.run(job.checked_steps);
  for (std::size_t g = 0; g < job.row.groups.size(); ++g) {
    const TrainGroup<float>& group = run.problem().groups[g];
    const std::string number = std::to_string(g);
    const Index size = ParamLayout(group.network->shape).size;
    data::write_npy(job.array("p" + number), {group.members, size}, widened(run.initial(g)));
    data::write_npy(job.array("final" + number), {size}, exact.first_member(g));
    std::vector<double> rates, order;
    for (Index m = 0; m < group.members; ++m) rates.push_back(group.settings[m].learning_rate);
    for (Index t = 0; t < job.steps; ++t)
      for (Index m = 0; m < group.members; ++m) {
        const StepOrder step(
            {run.problem().rule.order, group.settings[m].ids.order, job.row.examples, job.row.batch, 0}, t);
        for (Index s = 0; s < job.row.batch; ++s) order.push_back(static_cast<double>(step.example(s)));
      }
    data::write_npy(job.array("rate" + number), {group.members}, rates);
    data::write_npy(job.array("order" + number), {job.steps, group.members, job.row.batch}, order);
  }
}

std::vector<double> read(const std::string& path) {
  const data::ArrayFile file = data::read_npy(path);
  std::vector<double> numbers;
  for (Index k = 0; k < file.rows() * (file.shape.size() > 1 ? file.columns() : 1); ++k)
    numbers.push_back(file.stored(k));
  return numbers;
}

/// ||theta - theta_fp64|| / ||theta_fp64 - theta_0|| over the first members of all groups.
double error_of(const Job& job, TrainRun<float>& run) {
  run.reset();
  run.run(job.checked_steps);
  double difference = 0, moved = 0;
  for (std::size_t g = 0; g < job.row.groups.size(); ++g) {
    const std::vector<double> out = run.first_member(g), exact = read(job.array("final" + std::to_string(g)));
    for (std::size_t i = 0; i < out.size(); ++i) {
      difference += std::pow(out[i] - exact[i], 2);
      moved += std::pow(exact[i] - static_cast<double>(run.initial(g)[i]), 2);
    }
  }
  return std::sqrt(difference / moved);
}

void serve(const Job& job) {
  const auto backend = runtime::make_backend(job.device);
  TrainRun<float> run(*backend, job.row);
  GemmRate gemm;
  DuelSide side;
  side.variant = run.plan_text();
  side.flops = side.product_flops = run.flops_per_step() * static_cast<double>(job.steps);
  side.error = error_of(job, run);
  side.turn = [&] {
    run.reset();
    return seconds_of([&] { run.run(job.steps); });
  };
  if (backend->info().kind == "cpu") side.product = [&] { return gemm.seconds_for(side.product_flops); };
  side.turn();
  side.seconds = side.turn();
  answer_duel(*backend, side);
}

}  // namespace
}  // namespace widelab::bench

int main(int argc, char** argv) {
  using namespace widelab::bench;
  return run_duel_side<Job>(argc, argv, write, serve);
}
