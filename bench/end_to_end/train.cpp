// Training ensembles: time of a step against the time of its operations at the machine's rate of large matrix products.
// Row names are those of the goals (S: fused, M: middle widths, W: wide members); a CPU runs them with fewer members.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "bench/harness.hpp"
#include "bench/train_workload.hpp"

namespace widelab::bench {
namespace {

constexpr double kRoundSeconds = 0.5;  ///< about what one turn of a side lasts
constexpr Index kCheckedSteps = 20;    ///< after which parameters are held against fp64

struct Case {
  TrainRow row;
  double goal = 0;
};

TrainRow one_width(const std::string& name, Index width, Index members, Index square = 2) {
  TrainRow row;
  row.name = name;
  row.groups = {{width, members}};
  row.square = square;
  return row;
}

std::vector<Case> cpu_cases() {
  std::vector<Case> list{
      {one_width("S1", 32, 512), 0},     {one_width("S2", 64, 128), 0.6},    {one_width("width", 128, 32), 0.6},
      {one_width("width", 256, 8), 0.6}, {one_width("width", 512, 4), 0},    {one_width("width", 1024, 2), 0},
      {one_width("width", 2048, 1), 0},  {one_width("wide", 4096, 1, 1), 0}, {one_width("wide", 8192, 1, 1), 0}};
  for (const Index width : {4096, 8192}) {
    TrainRow lazy = one_width("wide, window 16", width, 1, 1);
    lazy.window = 16;
    list.push_back({lazy, 0});
  }
  TrainRow mnist = one_width("S4", 64, 32, 1);
  mnist.input_dim = 784, mnist.outputs = 10;
  list.push_back({mnist, 0});
  mnist.name = "MNIST", mnist.square = 0, mnist.batch = 50;
  list.push_back({mnist, 0});
  TrainRow mixed = one_width("X1", 16, 64);
  mixed.groups = {{16, 64}, {32, 64}, {64, 64}, {128, 64}};
  list.push_back({mixed, 0});
  TrainRow langevin = one_width("W4", 64, 128);
  langevin.optimiser = OptimiserKind::langevin;
  list.push_back({langevin, 0});
  TrainRow momentum = one_width("S2 heavy ball", 64, 128);
  momentum.optimiser = OptimiserKind::heavy_ball;
  list.push_back({momentum, 0});
  TrainRow adam = one_width("S2 adam", 64, 128);
  adam.optimiser = OptimiserKind::adam;
  list.push_back({adam, 0});
  return list;
}

std::vector<Case> gpu_cases() {
  std::vector<Case> list{{one_width("S1", 32, 8192), 0}, {one_width("S2", 64, 1024), 0}, {one_width("S3", 64, 132), 0}};
  TrainRow mnist = one_width("S4", 64, 256, 1);
  mnist.input_dim = 784, mnist.outputs = 10;
  TrainRow mixed = one_width("X1", 16, 256);
  mixed.groups = {{16, 256}, {32, 256}, {64, 256}, {128, 256}};
  TrainRow m1 = one_width("M1", 256, 64), m2 = one_width("M2", 1024, 64), langevin = one_width("W4", 64, 1024);
  m1.batch = 64, m2.batch = 128, langevin.optimiser = OptimiserKind::langevin;
  TrainRow w3 = one_width("W3", 65536, 1, 1);
  w3.optimiser = OptimiserKind::heavy_ball;
  for (const TrainRow& row :
       {mnist, mixed, m1, m2, one_width("W1", 16384, 1, 1), one_width("W2", 65536, 1, 1), w3, langevin})
    list.push_back({row, 0});
  return list;
}

/// ||theta - theta_fp64|| / ||theta_fp64 - theta_0|| of the first member: errors in units of what was learnt.
double error_against_fp64(const TrainRow& row, TrainRun<float>& run) {
  TrainRow one = row;
  one.groups = {{row.groups.front().width, 1}};
  const auto cpu = runtime::make_backend("cpu");
  TrainRun<double> exact(*cpu, one);
  exact.run(kCheckedSteps);
  run.reset();
  run.run(kCheckedSteps);
  const std::vector<double> out = run.first_member(0), reference = exact.first_member(0);
  double difference = 0, moved = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    difference += std::pow(out[i] - reference[i], 2);
    moved += std::pow(reference[i] - exact.initial(0)[i], 2);
  }
  return std::sqrt(difference / moved);
}

void measure(runtime::Backend& backend, const Case& c, const Options& options) {
  TrainRun<float> run(backend, c.row);
  // A multiple of 32 steps: whole windows of the lazy update.
  const double one = seconds_of([&] { run.run(32); }) / 32;
  const Index steps = options.quick ? 32 : 32 * std::max<Index>(1, std::llround(kRoundSeconds / one / 32));
  GemmRate gemm;
  const double flops = run.flops_per_step() * static_cast<double>(steps);
  std::vector<Side> sides{[&] {
    run.reset();
    return seconds_of([&] { run.run(steps); }) / static_cast<double>(steps);
  }};
  const bool on_cpu = backend.info().kind == "cpu";
  if (on_cpu) sides.push_back([&] { return gemm.seconds_for(flops) / static_cast<double>(steps); });
  const auto times = interleave(sides, options);
  Row row;
  row.op = "train";
  row.shape = c.row.text() + " fp32 step";
  row.time = summarise(times[0]);
  row.rates = {{"GF/s", run.flops_per_step() / row.time.median * 1e-9},
               {"member-steps/s", static_cast<double>(c.row.members()) / row.time.median}};
  if (on_cpu) {
    row.floor = summarise(times[1]);
    row.floor_over_time = ratio_of(times[1], times[0]);
    row.rates.emplace_back("GEMM GF/s", run.flops_per_step() / row.floor.median * 1e-9);
    row.goal = c.goal;
  }
  row.note = run.plan_text();
  if (run.problem().rule.update.kind != OptimiserKind::langevin) row.error = error_against_fp64(c.row, run);
  report(options, backend, row);
}

/// Both engines of a CPU in turn, where the planner has to choose: its kFusedCpuOverflow.
void measure_crossover(runtime::Backend& backend, Index width, const Options& options) {
  TrainRow row = one_width("crossover", width, std::max<Index>(2, 2048 / width));
  std::vector<std::unique_ptr<TrainRun<float>>> runs;
  std::vector<Side> sides;
  for (const TrainEngine engine : {TrainEngine::fused, TrainEngine::gemm}) {
    row.engine = engine;
    runs.push_back(std::make_unique<TrainRun<float>>(backend, row));
    TrainRun<float>& run = *runs.back();
    const double one = seconds_of([&] { run.run(8); }) / 8;
    const Index steps = options.quick ? 8 : std::max<Index>(8, std::llround(kRoundSeconds / one));
    sides.push_back([&run, steps] {
      run.reset();
      return seconds_of([&] { run.run(steps); }) / static_cast<double>(steps);
    });
  }
  const auto times = interleave(sides, options);
  Row out;
  out.op = "train";
  out.shape = row.text() + " fused against gemm";
  out.time = summarise(times[0]);
  const Summary ratio = ratio_of(times[1], times[0]);
  out.rates = {
      {"gemm s", summarise(times[1]).median}, {"gemm/fused", ratio.median}, {"lower quartile", ratio.lower_quartile}};
  out.note = runs[0]->plan_text();
  report(options, backend, out);
}

}  // namespace
}  // namespace widelab::bench

int main(int argc, char** argv) {
  using namespace widelab::bench;
  return run_benchmark(argc, argv, [](widelab::runtime::Backend& backend, const Options& options) {
    std::vector<Case> list = backend.info().kind == "cpu" ? cpu_cases() : gpu_cases();
    for (Case& c : list) {
      if (options.quick)
        for (TrainRow::Group& group : c.row.groups) group = {std::min<widelab::Index>(group.width, 48), 2};
      if (selected(options, c.row.text())) measure(backend, c, options);
    }
    if (backend.info().kind != "cpu" || !selected(options, "crossover")) return;
    for (const widelab::Index width : {192, 256, 384, 512, 768, 1024, 1536})
      measure_crossover(backend, options.quick ? 48 : width, options);
  });
}
