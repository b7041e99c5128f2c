// A cell of a training changes no bit with the size of its batches, with where it is cut, killed and taken up, and with
// replicates that are added later; diverging and converging members are what the docs say.
#include "host/engine/training_job.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>

#include "host/estimators/observers.hpp"
#include "host/estimators/training_statistics.hpp"
#include "host/io/array_checksum.hpp"
#include "tests/support/random_problem.hpp"
#include "widelab/base/errors.hpp"

namespace {

using namespace widelab;
using engine::TrainingJob;
using engine::TrainingSpec;
using estimators::Keep;
using estimators::TrainingStatistics;

constexpr Index kDimension = 3, kExamples = 12, kProbe = 4;

engine::TrainSet train_set(Index examples) {
  engine::TrainSet set;
  set.inputs = test::normals<double>(examples, kDimension, 21);
  set.targets = test::normals<double>(examples, 1, 22);
  set.examples = examples;
  return set;
}

struct CellSetup {
  TrainingSpec spec;
  std::vector<estimators::ObservedQuantity> quantities;

  TrainingStatistics statistics() const { return {quantities, spec.observed}; }
};

/// Ten members of their own learning rate and batch size; one of them (number 3) explodes if `explode`.
CellSetup setup(bool explode = true) {
  CellSetup out;
  TrainingSpec& spec = out.spec;
  spec.task.network = test::NetworkCase{.activation = "erf", .widths = {7, 5}, .input_dim = kDimension}.network();
  spec.task.rule.order = OrderKind::epochs;
  spec.task.rule.update.kind = OptimiserKind::heavy_ball;
  spec.task.datasets = {train_set(kExamples)};
  spec.task.limits.workers = 2;
  spec.replicates = 10;
  spec.member = [explode](std::uint32_t r) {
    MemberSettings member;
    member.ids.init = {5, r};
    member.ids.order = {6, r};
    member.learning_rate = explode && r == 3 ? 1e3 : 0.005 + 0.002 * r;
    member.batch = 2 + r % 3;
    return member;
  };
  spec.observed = {0, 1, 5, 17};
  spec.evaluation_inputs = spec.kernel_inputs = test::normals<double>(kProbe, kDimension, 23);
  spec.evaluation_count = spec.kernel_count = kProbe;
  spec.identity = "seed 1";
  estimators::ObserverContext context;
  context.network = spec.task.network;
  context.probe = {0, kProbe};
  context.kernel_count = kProbe;
  const std::vector<std::pair<std::string, Keep>> names{
      {"train_loss", Keep::quantiles}, {"outputs", Keep::samples},   {"displacement", Keep::mean},
      {"ntk_change", Keep::samples},   {"ntk_spectrum", Keep::mean}, {"weight_singular_values", Keep::mean}};
  for (const auto& [name, keep] : names) {
    spec.observers.push_back(estimators::make_observer(name, context));
    out.quantities.push_back({name, spec.observers.back()->entries(), keep, 2, {}});
  }
  return out;
}

/// Without one observer that a stream of samples cannot have.
CellSetup online_setup() {
  CellSetup out = setup(false);
  out.spec.observers.erase(out.spec.observers.begin());
  out.quantities.erase(out.quantities.begin());
  out.spec.task.rule.order = OrderKind::online;
  out.spec.online = [](Index, Index first, Index count) {
    engine::TrainSet all = train_set(first + count), part;
    part.examples = count;
    part.inputs.assign(all.inputs.begin() + first * kDimension, all.inputs.end());
    part.targets.assign(all.targets.begin() + first, all.targets.end());
    return part;
  };
  return out;
}

class TrainingJobInvariance : public testing::Test {
 protected:
  std::string in_one_piece(const CellSetup& all) {
    TrainingStatistics statistics = all.statistics();
    TrainingJob job(all.spec, *backend_, statistics);
    while (job.done() < job.target()) job.advance(job.target() - job.done());
    EXPECT_EQ(statistics.replicates(), all.spec.replicates);
    return io::checksum(job.state());
  }

  /// Every segment by a new job with a new sink, which know only the state of the one before.
  std::string killed_at_every_segment(const CellSetup& all, Index* lives = nullptr) {
    io::ArrayFile state;
    for (Index life = 0;; ++life) {
      TrainingStatistics statistics = all.statistics();
      TrainingJob job(all.spec, *backend_, statistics);
      if (life > 0) job.restore(state);
      if (lives) *lives = life;
      if (job.done() >= job.target()) return io::checksum(job.state());
      const Index before = job.done(), segment = job.segment();
      job.advance(segment);
      EXPECT_EQ(job.done(), before + segment);
      state = job.state();
    }
  }

  std::unique_ptr<runtime::Backend> backend_ = runtime::make_backend("cpu");
};

TEST_F(TrainingJobInvariance, SizesOfBatchesAndPiecesChangeNoBit) {
  for (CellSetup all : {setup(), online_setup()}) {
    all.spec.members_at_once = 10;
    const std::string expected = in_one_piece(all);
    for (const auto& [members, steps] : {std::pair<Index, Index>{1, 0}, {3, 4}, {4, 1}, {0, 0}}) {
      all.spec.members_at_once = members;
      all.spec.steps_at_once = steps;
      EXPECT_EQ(in_one_piece(all), expected) << members << " members, " << steps << " steps at once";
    }
  }
}

TEST_F(TrainingJobInvariance, KilledAtEverySegmentItEndsWithTheSameBits) {
  for (CellSetup all : {setup(), online_setup()}) {
    const std::string expected = in_one_piece(all);
    all.spec.members_at_once = 4;
    all.spec.steps_at_once = 5;
    Index lives = 0;
    EXPECT_EQ(killed_at_every_segment(all, &lives), expected);
    // Three batches, each to steps 0, 1, 5, 10, 15, 17.
    EXPECT_EQ(lives, 18);
  }
}

TEST_F(TrainingJobInvariance, AStateInTheMiddleGoesThroughAFileAndIntoOtherPieces) {
  CellSetup all = setup();
  all.spec.converged_loss = 2.0;
  const std::string expected = in_one_piece(all);
  all.spec.members_at_once = 4;
  all.spec.steps_at_once = 3;
  TrainingStatistics first = all.statistics();
  TrainingJob job(all.spec, *backend_, first);
  job.advance(job.target() / 2 - 1);
  const auto path = std::filesystem::temp_directory_path() / "widelab_training_job_state.nc";
  io::publish(path, job.state());
  all.spec.members_at_once = 7;
  all.spec.steps_at_once = 0;
  TrainingStatistics second = all.statistics();
  TrainingJob resumed(all.spec, *backend_, second);
  resumed.restore(io::read_arrays(path));
  std::filesystem::remove(path);
  while (resumed.done() < resumed.target()) resumed.advance(1);
  EXPECT_EQ(io::checksum(resumed.state()), expected);
}

TEST_F(TrainingJobInvariance, AddedReplicatesAreOneLongRun) {
  CellSetup all = setup();
  const std::string expected = in_one_piece(all);
  all.spec.replicates = 6;
  all.spec.members_at_once = 4;
  TrainingStatistics short_statistics = all.statistics();
  TrainingJob short_job(all.spec, *backend_, short_statistics);
  short_job.advance(short_job.target());
  EXPECT_EQ(short_job.done(), short_job.target());
  all.spec.replicates = 10;
  TrainingStatistics statistics = all.statistics();
  TrainingJob job(all.spec, *backend_, statistics);
  job.restore(short_job.state());
  EXPECT_EQ(job.done(), 6 * job.units_per_replicate());
  job.advance(job.target());
  EXPECT_EQ(io::checksum(job.state()), expected);
}

TEST_F(TrainingJobInvariance, AnotherSeedIsAnotherResult) {
  CellSetup all = setup();
  const std::string expected = in_one_piece(all);
  all.spec.member = [member = all.spec.member](std::uint32_t r) {
    MemberSettings settings = member(r);
    if (r == 7) settings.ids.order.replicate = 8;
    return settings;
  };
  EXPECT_NE(in_one_piece(all), expected);
}

TEST_F(TrainingJobInvariance, StatesOfAnotherRecipeAreRefusedAndLeaveTheJobAlone) {
  CellSetup all = setup();
  TrainingStatistics statistics = all.statistics();
  TrainingJob job(all.spec, *backend_, statistics);
  job.advance(1);
  const io::ArrayFile state = job.state();
  CellSetup other = all;
  other.spec.identity = "seed 2";
  TrainingStatistics fresh = other.statistics();
  TrainingJob strict(other.spec, *backend_, fresh);
  EXPECT_THROW(strict.restore(state), DataError);
  io::ArrayFile broken = state;
  std::erase_if(broken.arrays, [](const io::NamedArray& array) { return array.name == "batch_record"; });
  TrainingStatistics again = all.statistics();
  TrainingJob tolerant(all.spec, *backend_, again);
  EXPECT_THROW(tolerant.restore(broken), DataError);
  EXPECT_EQ(tolerant.done(), 0);
  tolerant.advance(tolerant.target());
  EXPECT_EQ(io::checksum(tolerant.state()), in_one_piece(all));
}

/// Records as they come.
class Records : public engine::RecordSink {
 public:
  void add(const engine::MemberRecord& record) override {
    EXPECT_EQ(record.replicate, status.size());
    status.push_back(record.status);
    values.emplace_back(record.values.begin(), record.values.end());
  }
  Index replicates() const override { return static_cast<Index>(status.size()); }
  std::vector<io::NamedArray> state() const override { return {}; }
  void restore(const io::ArrayFile&) override {}
  double bytes(Index) const override { return 0; }

  std::vector<MemberStatus> status;
  std::vector<std::vector<double>> values;
};

Records records_of(const TrainingSpec& spec, runtime::Backend& backend) {
  Records records;
  TrainingJob job(spec, backend, records);
  job.advance(job.target());
  return records;
}

/// NaN equals NaN.
bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

TEST_F(TrainingJobInvariance, ADivergedMemberIsReportedAndDisturbsNobody) {
  const Records healthy = records_of(setup(false).spec, *backend_), with = records_of(setup(true).spec, *backend_);
  for (std::size_t r = 0; r < 10; ++r) {
    if (r == 3) continue;
    EXPECT_EQ(with.status[r].status, TrainStatus::running);
    EXPECT_TRUE(same_bits(with.values[r], healthy.values[r])) << r;
  }
  const MemberStatus& status = with.status[3];
  ASSERT_EQ(status.status, TrainStatus::diverged);
  EXPECT_GT(status.step, 0);
  EXPECT_LT(status.step, 17);
  EXPECT_FALSE(std::abs(status.quantity) < 1e10);
  const std::size_t entries = with.values[3].size() / 4;
  const std::vector<Index> observed{0, 1, 5, 17};
  for (std::size_t t = 0; t < 4; ++t)
    EXPECT_EQ(std::isfinite(with.values[3][t * entries]), observed[t] <= status.step) << t;

  const CellSetup all = setup();
  TrainingStatistics statistics = all.statistics();
  TrainingJob job(all.spec, *backend_, statistics);
  job.advance(job.target());
  EXPECT_EQ(statistics.diverged(), 1);
  EXPECT_EQ(statistics.moments(0).count(), 9);
  EXPECT_EQ(statistics.sketch(statistics.find("train_loss"), 3, 0).count(), 9);
}

TEST_F(TrainingJobInvariance, AConvergedMemberKeepsItsValues) {
  TrainingSpec spec = setup(false).spec;
  const Records free = records_of(spec, *backend_);
  // Between the losses at step 5 of the members: some have converged by then.
  const std::size_t entries = free.values[0].size() / 4;
  std::vector<double> losses;
  for (const auto& values : free.values) losses.push_back(values[2 * entries]);
  std::ranges::sort(losses);
  spec.converged_loss = 0.5 * (losses[4] + losses[5]);
  const Records stopped = records_of(spec, *backend_);
  Index converged_at_five = 0;
  for (std::size_t r = 0; r < 10; ++r) {
    const auto value = [&](const Records& of, std::size_t t) {
      const auto begin = of.values[r].begin() + static_cast<std::ptrdiff_t>(t * entries);
      return std::vector<double>(begin, begin + static_cast<std::ptrdiff_t>(entries));
    };
    std::size_t first = 0;
    while (first < 4 && !(value(free, first)[0] < spec.converged_loss)) ++first;
    for (std::size_t t = 0; t < 4; ++t)
      EXPECT_TRUE(same_bits(value(stopped, t), value(free, std::min(t, first)))) << r << " " << t;
    EXPECT_EQ(stopped.status[r].status == TrainStatus::converged, first < 4) << r;
    if (first < 4) {
      EXPECT_EQ(stopped.status[r].step, spec.observed[first]);
      EXPECT_EQ(stopped.status[r].quantity, value(free, first)[0]);
    }
    converged_at_five += first <= 2 ? 1 : 0;
  }
  EXPECT_GE(converged_at_five, 5);
  EXPECT_LT(converged_at_five, 10);
}

TEST_F(TrainingJobInvariance, WhatCannotBeIsRefused) {
  Records records;
  const auto refuse = [&](auto change) {
    CellSetup all = setup();
    change(all.spec);
    EXPECT_THROW(TrainingJob(all.spec, *backend_, records), Error);
  };
  refuse([](TrainingSpec& spec) { spec.observed = {}; });
  refuse([](TrainingSpec& spec) { spec.observed = {0, 3, 3}; });
  refuse([](TrainingSpec& spec) { spec.task.rule.order = OrderKind::online; });
  refuse([](TrainingSpec& spec) { spec.online = online_setup().spec.online; });
  refuse([](TrainingSpec& spec) { spec.kernel_count = 3; });
  refuse([](TrainingSpec& spec) { spec.task.limits.workspace_bytes = 1000; });
  refuse([](TrainingSpec& spec) {
    spec.task.rule.order = OrderKind::online;
    spec.online = online_setup().spec.online;
  });
}

}  // namespace
