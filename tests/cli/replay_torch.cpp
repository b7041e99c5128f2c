// A member's weights, batches and settings, exported and trained again by PyTorch, end at the same weights.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "host/data/npy_file.hpp"
#include "host/experiments/member_files.hpp"
#include "tests/support/command.hpp"
#include "tests/support/training_task.hpp"

namespace {

using namespace widelab;
using engine::Trainer;
namespace fs = std::filesystem;

const std::string kSource = WIDELAB_SOURCE_DIR;

test::Outcome run_shell(const std::string& command) {
  test::Launch launch;
  launch.program = "/bin/sh";
  launch.arguments = {"-c", command};
  return test::Process(launch).wait();
}

struct Replayed {
  std::string name;
  OptimiserKind optimiser;
  LossKind loss;
  const char* activation;
  TrainEngine engine;
};

const std::vector<Replayed> kReplayed{
    {"sgd", OptimiserKind::sgd, LossKind::half_squared, "tanh", TrainEngine::reference},
    {"heavy-ball", OptimiserKind::heavy_ball, LossKind::squared, "erf", TrainEngine::fused},
    {"nesterov", OptimiserKind::nesterov, LossKind::logistic, "relu", TrainEngine::gemm},
    {"softmax", OptimiserKind::heavy_ball, LossKind::cross_entropy, "tanh", TrainEngine::gemm}};

engine::TrainTask task_of(const Replayed& c) {
  test::TrainingCase from;
  from.optimiser = c.optimiser;
  from.engine = c.engine;
  from.weight_decay = 0.01;
  from.network.activation = c.activation;
  from.network.outputs = 3;
  engine::TrainTask task = test::training_task(from);
  task.rule.loss = c.loss;
  task.rule.schedule.kind = ScheduleKind::cosine;
  task.rule.schedule.horizon = 200;
  task.network.layers[1].weight_rate = 0.5;
  task.network.layers[2].bias_rate = 0;
  for (double& y : task.datasets[0].targets)
    if (c.loss != LossKind::half_squared && c.loss != LossKind::squared) y = y > 0 ? 1 : -1;
  return task;
}

double distance(const std::vector<double>& theta, const fs::path& file) {
  const data::ArrayFile other = data::read_npy(file);
  double largest = 0;
  for (std::size_t p = 0; p < theta.size(); ++p)
    largest = std::fmax(largest, std::abs(theta[p] - other.stored(static_cast<Index>(p))));
  return largest;
}

TEST(ReplayTorch, EndsAtTheSameWeightsInDoubleAndSeesAWrongRate) {
  const char* chosen = std::getenv("WIDELAB_TORCH_PYTHON");
  const std::string python = chosen ? chosen : "python3";
  if (run_shell(python + " -c 'import numpy, torch'").code != 0)
    GTEST_SKIP() << "needs a python with numpy and torch: set WIDELAB_TORCH_PYTHON";
  const test::TempFolder temp;
  std::string folders;
  for (const Replayed& c : kReplayed) {
    Trainer trainer(test::cpu_backend(), task_of(c));
    trainer.run_to(100);
    experiments::export_member(temp.path() / c.name, trainer, 1);
    folders += " " + (temp.path() / c.name).string();
  }
  const test::Outcome outcome = run_shell(python + " -B " + kSource + "/tools/replay_torch.py" + folders);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const Replayed& c : kReplayed) {
    engine::TrainTask task = task_of(c);
    Trainer right(test::cpu_backend(), task);
    right.run_to(100);
    // 100 steps of O(1) numbers; the two differ in the order of sums only.
    EXPECT_LT(distance(right.parameters(1), temp.path() / c.name / "replay.npy"), 1e-10) << c.name;
    // Planted fault: one rate wrong by a millionth is far outside of that.
    task.members[1].learning_rate *= 1.000001;
    Trainer wrong(test::cpu_backend(), task);
    wrong.run_to(100);
    EXPECT_GT(distance(wrong.parameters(1), temp.path() / c.name / "replay.npy"), 1e-9) << c.name;
  }
}

}  // namespace
