// A member's trajectory depends on the member alone: not on cuts, checkpoints, neighbours, or threads.
#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "host/io/array_checksum.hpp"
#include "tests/support/command.hpp"
#include "tests/support/training_task.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"

namespace {

using namespace widelab;
using engine::Trainer;
using engine::WeightStorage;
using test::cpu_backend;
using test::TrainingCase;

constexpr Index kSteps = 23;

/// Every engine in each precision it has; every optimiser, storage, order and source of noise at least once an engine.
std::vector<TrainingCase> cases() {
  std::vector<TrainingCase> out;
  const auto add = [&](TrainEngine engine, Precision precision) {
    TrainingCase base;
    base.engine = engine;
    base.precision = precision;
    base.name = std::string(engine_name(engine)) + (precision == Precision::fp32 ? " fp32" : " fp64");
    TrainingCase one = base;
    out.push_back(one);
    one.name += " heavy ball, displacement";
    one.optimiser = OptimiserKind::heavy_ball;
    one.storage = WeightStorage::displacement;
    one.order = OrderKind::iid;
    one.weight_decay = 0.01;
    out.push_back(one);
    one = base;
    one.name += " adam, dropout, label noise";
    one.optimiser = OptimiserKind::adam;
    one.dropout_keep = 0.7;
    one.label_noise = 0.1;
    one.order = OrderKind::fresh;
    one.network.outputs = 3;
    out.push_back(one);
    one = base;
    one.name += " langevin";
    one.optimiser = OptimiserKind::langevin;
    one.temperature = 0.01;
    one.network.activation = "erf";
    out.push_back(one);
  };
  add(TrainEngine::reference, Precision::fp64);
  for (const TrainEngine engine : {TrainEngine::fused, TrainEngine::gemm})
    for (const Precision precision : {Precision::fp32, Precision::fp64}) add(engine, precision);
  TrainingCase window;
  window.name = "gemm fp32 lazy window";
  window.engine = TrainEngine::gemm;
  window.precision = Precision::fp32;
  window.optimiser = OptimiserKind::heavy_ball;
  window.weight_decay = 0.01;
  window.window = 5;
  window.batch = 2;
  window.network.widths = {64, 64};  // a window of 5 batches of 2 is of low rank there
  out.push_back(window);
  return out;
}

std::string checksum(const Trainer& trainer) {
  io::ArrayFile file;
  file.arrays = trainer.state();
  return io::checksum(file);
}

/// Parameters and moments: what has to be the same bits.
std::vector<double> contents(const Trainer& trainer, Index member) {
  std::vector<double> out = trainer.parameters(member);
  for (const std::vector<double>& more : {trainer.displacement(member), trainer.moments(member), trainer.start(member)})
    out.insert(out.end(), more.begin(), more.end());
  return out;
}

TEST(Trainer, SegmentsChangeNoBit) {
  for (const TrainingCase& from : cases()) {
    Trainer whole(cpu_backend(), test::training_task(from)), cut(cpu_backend(), test::training_task(from));
    whole.run_to(kSteps);
    for (const Index step : {Index(1), Index(2), Index(7), Index(7), Index(15), Index(16), kSteps}) cut.run_to(step);
    EXPECT_EQ(checksum(cut), checksum(whole)) << from.name;
    EXPECT_NE(whole.parameters(0), whole.start(0)) << from.name;
    for (Index m = 0; m < from.members; ++m) EXPECT_EQ(contents(cut, m), contents(whole, m)) << from.name;
  }
}

TEST(Trainer, ALazyWindowRoundsInItsOwnWay) {
  // Else the cases above would not look into windows at all.
  TrainingCase from = cases().back();
  ASSERT_EQ(from.window, 5);
  Trainer lazy(cpu_backend(), test::training_task(from));
  from.window = 1;
  Trainer prompt(cpu_backend(), test::training_task(from));
  for (Trainer* each : {&lazy, &prompt}) each->run_to(kSteps);
  const std::vector<double> a = lazy.parameters(0), b = prompt.parameters(0);
  EXPECT_NE(a, b);
  for (std::size_t p = 0; p < a.size(); ++p) EXPECT_NEAR(a[p], b[p], 1e-4);
}

TEST(Trainer, CheckpointsAtRandomStepsChangeNoBit) {
  test::TempFolder folder;
  std::mt19937 pick(5);
  for (const TrainingCase& from : cases()) {
    Trainer whole(cpu_backend(), test::training_task(from));
    whole.run_to(kSteps);
    for (int round = 0; round < 2; ++round) {
      const Index stop = static_cast<Index>(pick() % kSteps),
                  again = stop + static_cast<Index>(pick() % (kSteps - stop));
      io::ArrayFile file;
      {
        Trainer first(cpu_backend(), test::training_task(from));
        first.run_to(stop);
        file.arrays = first.state();
        io::publish(folder.path() / "state.nc", file);
      }
      Trainer next(cpu_backend(), test::training_task(from));
      next.run_to(2);  // what it did before does not matter
      next.restore(io::read_arrays(folder.path() / "state.nc"));
      EXPECT_EQ(next.step(), stop);
      EXPECT_EQ(checksum(next), io::checksum(file)) << from.name;
      next.run_to(again);
      next.run_to(kSteps);
      EXPECT_EQ(checksum(next), checksum(whole)) << from.name << " stopped at " << stop << " and " << again;
    }
  }
}

TEST(Trainer, AMemberAloneAndAmongOthersIsTheSame) {
  for (const TrainingCase& from : cases()) {
    engine::TrainTask task = test::training_task(from);
    Trainer all(cpu_backend(), task);
    all.run_to(kSteps);
    for (const Index m : {Index(0), from.members - 1}) {
      engine::TrainTask alone = task;
      alone.members = {task.members[static_cast<std::size_t>(m)]};
      alone.engine = all.plan().engine;
      Trainer one(cpu_backend(), alone);
      one.run_to(kSteps);
      EXPECT_EQ(contents(one, 0), contents(all, m)) << from.name;
    }
    // Planted fault: another member's noise and order must be visible in the bits.
    engine::TrainTask wrong = task;
    wrong.members = {task.members[0]};
    wrong.members[0].ids.order.replicate = 1;
    wrong.members[0].ids.noise.replicate = 1;
    wrong.members[0].ids.label_noise.replicate = 1;
    Trainer one(cpu_backend(), wrong);
    one.run_to(kSteps);
    EXPECT_NE(contents(one, 0), contents(all, 0)) << from.name;
  }
}

TEST(Trainer, ThreadsChangeNoBit) {
  for (const TrainingCase& from : cases()) {
    std::vector<std::string> sums;
    for (const int workers : {1, 2, 3}) {
      engine::TrainTask task = test::training_task(from);
      task.limits.workers = workers;
      Trainer trainer(cpu_backend(), task);
      trainer.run_to(9);
      sums.push_back(checksum(trainer));
    }
    EXPECT_EQ(sums[0], sums[1]) << from.name;
    EXPECT_EQ(sums[0], sums[2]) << from.name;
  }
}

TEST(Trainer, ADivergedMemberStopsAndTheOthersDoNotNotice) {
  for (const TrainingCase& from : cases()) {
    engine::TrainTask task = test::training_task(from);
    task.rule.divergence_limit = 1e3;
    Trainer healthy(cpu_backend(), task);
    healthy.run_to(kSteps);
    task.members[1].learning_rate = 1e6;
    Trainer mixed(cpu_backend(), task);
    mixed.run_to(4);
    const std::vector<double> stopped = contents(mixed, 1);
    mixed.run_to(kSteps);
    ASSERT_EQ(mixed.status()[1].status, TrainStatus::diverged) << from.name;
    EXPECT_EQ(mixed.status()[1].step, 1) << from.name;
    EXPECT_FALSE(mixed.status()[1].quantity <= 1e3) << from.name;
    EXPECT_EQ(contents(mixed, 1), stopped) << from.name;
    for (const Index m : {Index(0), Index(2)}) {
      EXPECT_EQ(mixed.status()[static_cast<std::size_t>(m)].status, TrainStatus::running) << from.name;
      EXPECT_EQ(contents(mixed, m), contents(healthy, m)) << from.name;
    }
  }
}

TEST(Trainer, AConvergedMemberStaysWhereItIs) {
  for (const TrainingCase& from : cases()) {
    Trainer trainer(cpu_backend(), test::training_task(from)), other(cpu_backend(), test::training_task(from));
    trainer.run_to(7);
    trainer.set_converged(1);
    const std::vector<double> at_seven = contents(trainer, 1);
    io::ArrayFile file;
    file.arrays = trainer.state();
    Trainer restored(cpu_backend(), test::training_task(from));
    restored.restore(file);
    for (Trainer* each : {&trainer, &restored, &other}) each->run_to(kSteps);
    EXPECT_EQ(contents(trainer, 1), at_seven) << from.name;
    EXPECT_EQ(trainer.status()[1].status, TrainStatus::converged);
    EXPECT_EQ(trainer.status()[1].step, 7);
    EXPECT_EQ(checksum(restored), checksum(trainer)) << from.name;
    EXPECT_EQ(contents(trainer, 0), contents(other, 0)) << from.name;
    EXPECT_NE(contents(other, 1), at_seven) << from.name;
  }
}

TEST(Trainer, ABranchWithTheSameIdsIsTheSameRunAndWithFreshOnesIsNot) {
  for (const TrainingCase& from : cases()) {
    const engine::TrainTask task = test::training_task(from);
    Trainer whole(cpu_backend(), task), trunk(cpu_backend(), task);
    whole.run_to(kSteps);
    trunk.run_to(10);
    engine::TrainTask branches = task;
    branches.engine = trunk.plan().engine;
    branches.members = {task.members[1], task.members[2], task.members[1]};
    branches.members[2].ids.order.replicate = branches.members[2].ids.noise.replicate = 77;
    Trainer branch(cpu_backend(), branches);
    branch.continue_from(trunk, std::vector<Index>{1, 2, 1});
    EXPECT_EQ(branch.step(), 10);
    EXPECT_EQ(branch.start(2), trunk.start(1));
    branch.run_to(kSteps);
    EXPECT_EQ(contents(branch, 0), contents(whole, 1)) << from.name;
    EXPECT_EQ(contents(branch, 1), contents(whole, 2)) << from.name;
    EXPECT_NE(contents(branch, 2), contents(whole, 1)) << from.name;
    EXPECT_EQ(branch.start(2), whole.start(1)) << from.name;
  }
}

TEST(Trainer, AnOnlineStreamInPartsIsTheStreamInOnePiece) {
  for (const TrainEngine engine : {TrainEngine::reference, TrainEngine::fused, TrainEngine::gemm}) {
    TrainingCase from;
    from.engine = engine;
    from.order = OrderKind::online;
    from.batch = 5;
    from.examples = 5 * kSteps;
    engine::TrainTask task = test::training_task(from);
    for (MemberSettings& member : task.members) member.batch = 5;
    Trainer whole(cpu_backend(), task);
    whole.run_to(kSteps);
    const engine::TrainSet stream = task.datasets[0];
    const auto part = [&](Index first, Index last) {
      engine::TrainSet set;
      set.examples = 5 * (last - first);
      set.origin = 5 * first;
      const Index d = from.network.input_dim;
      set.inputs.assign(stream.inputs.begin() + set.origin * d, stream.inputs.begin() + 5 * last * d);
      set.targets.assign(stream.targets.begin() + set.origin, stream.targets.begin() + 5 * last);
      return set;
    };
    task.datasets[0] = part(0, 8);
    Trainer parts(cpu_backend(), task);
    parts.run_to(8);
    EXPECT_THROW(parts.run_to(9), ContractError);
    parts.replace_dataset(0, part(8, kSteps));
    parts.run_to(kSteps);
    for (Index m = 0; m < from.members; ++m) EXPECT_EQ(contents(parts, m), contents(whole, m)) << engine_name(engine);
  }
}

TEST(Trainer, ATableOfTheSameBatchesIsTheSameRun) {
  for (const TrainEngine engine : {TrainEngine::reference, TrainEngine::fused, TrainEngine::gemm}) {
    TrainingCase from;
    from.engine = engine;
    from.members = 1;
    engine::TrainTask task = test::training_task(from);
    Trainer drawn(cpu_backend(), task);
    drawn.run_to(kSteps);
    for (Index t = 0; t < kSteps; ++t) {
      const StepOrder order({OrderKind::epochs, task.members[0].ids.order, from.examples, from.batch, 0}, t);
      for (Index slot = 0; slot < from.batch; ++slot)
        task.datasets[0].order.push_back(static_cast<std::int32_t>(order.example(slot)));
    }
    task.datasets[0].order_batch = from.batch;
    task.rule.order = OrderKind::file;
    Trainer read(cpu_backend(), task);
    read.run_to(kSteps);
    EXPECT_EQ(contents(read, 0), contents(drawn, 0)) << engine_name(engine);
    EXPECT_THROW(read.run_to(kSteps + 1), RecipeError);
    task.members[0].batch -= 1;
    EXPECT_THROW(Trainer(cpu_backend(), task), RecipeError);
  }
}

TEST(Trainer, RefusesTheCheckpointOfAnotherTask) {
  const TrainingCase from;
  const engine::TrainTask task = test::training_task(from);
  Trainer trainer(cpu_backend(), task);
  trainer.run_to(3);
  io::ArrayFile file;
  file.arrays = trainer.state();
  std::vector<engine::TrainTask> others(7, task);
  others[0].members[1].learning_rate *= 1 + 1e-15;
  others[1].members[2].ids.noise.key += 1;
  others[2].rule.loss = LossKind::squared;
  others[3].network.layers[1].weight_rate = 0.5;
  others[4].datasets[0].targets[3] += 1e-12;
  others[5].storage = WeightStorage::displacement;
  others[6].engine = TrainEngine::gemm;
  for (const engine::TrainTask& other : others) {
    Trainer stranger(cpu_backend(), other);
    EXPECT_THROW(stranger.restore(file), DataError);
  }
  file.arrays.pop_back();
  EXPECT_THROW(trainer.restore(file), DataError);
}

TEST(Trainer, ParametersAreStartPlusDisplacement) {
  for (const WeightStorage storage : {WeightStorage::in_place, WeightStorage::displacement}) {
    TrainingCase from;
    from.storage = storage;
    Trainer trainer(cpu_backend(), test::training_task(from));
    trainer.run_to(kSteps);
    const std::vector<double> theta = trainer.parameters(1), start = trainer.start(1), d = trainer.displacement(1);
    for (std::size_t p = 0; p < theta.size(); ++p)
      // One rounding of the difference or of D, one of each sum.
      EXPECT_NEAR(theta[p], start[p] + d[p],
                  std::numeric_limits<double>::epsilon() * (std::abs(theta[p]) + std::abs(start[p]) + std::abs(d[p])));
  }
}

TEST(Trainer, UnscaledDropoutIsEvaluatedWithUnitsTimesKeep) {
  TrainingCase from;
  from.network.activation = "identity";
  from.network.sigma_b = 0;
  from.dropout_keep = 0.5;
  engine::TrainTask task = test::training_task(from);
  const std::vector<double> x = test::normals<double>(4, from.network.input_dim, 3);
  const auto inputs = matrix_view<const double>(x.data(), 4, from.network.input_dim);
  const Trainer scaled(cpu_backend(), task);
  task.rule.dropout_scaled = false;
  const Trainer unscaled(cpu_backend(), task);
  const std::vector<double> a = scaled.outputs(inputs), b = unscaled.outputs(inputs);
  // A linear network with two hidden layers: keep^2 times as large, exactly, since keep = 1/2.
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(b[i], 0.25 * a[i]);
}

}  // namespace
