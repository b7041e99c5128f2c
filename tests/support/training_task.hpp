// Small training tasks for tests of the engine layer.
#pragma once

#include <string>
#include <vector>

#include "host/engine/trainer.hpp"
#include "host/runtime/backend.hpp"
#include "tests/support/random_problem.hpp"

namespace widelab::test {

/// What a test varies; members differ in rate, batch and decay, and have ids of their own.
struct TrainingCase {
  std::string name = "default";
  NetworkCase network;
  Index examples = 11, members = 3, batch = 4;
  OptimiserKind optimiser = OptimiserKind::sgd;
  OrderKind order = OrderKind::epochs;
  Precision precision = Precision::fp64;
  engine::WeightStorage storage = engine::WeightStorage::in_place;
  TrainEngine engine = TrainEngine::reference;
  Index window = 0;
  double dropout_keep = 1, temperature = 0, label_noise = 0, weight_decay = 0;
};

inline MemberSettings member_settings(const TrainingCase& from, std::uint32_t replicate) {
  MemberSettings member;
  member.ids = {{7, replicate}, {8, replicate}, {9, replicate}, {10, replicate}, {11, replicate}};
  member.learning_rate = 0.05 / (1 + 0.25 * replicate);
  const bool full = from.order == OrderKind::fixed && from.batch == from.examples;
  member.batch = full || from.order == OrderKind::file ? from.batch : from.batch - static_cast<Index>(replicate % 2);
  member.weight_decay = from.weight_decay * (1 + replicate);
  member.temperature = from.temperature;
  member.label_noise = from.label_noise;
  return member;
}

inline engine::TrainSet training_set(const TrainingCase& from, Index origin = 0) {
  engine::TrainSet set;
  set.examples = from.examples;
  set.origin = origin;
  const auto seed = static_cast<std::uint64_t>(100 + origin);
  set.inputs = normals<double>(from.examples, from.network.input_dim, seed);
  set.targets = normals<double>(from.examples, from.network.outputs, seed + 1000000);
  return set;
}

inline engine::TrainTask training_task(const TrainingCase& from) {
  engine::TrainTask task;
  task.network = from.network.network();
  task.rule.update.kind = from.optimiser;
  task.rule.reduction = Reduction::mean;
  task.rule.order = from.order;
  task.rule.dropout_keep = from.dropout_keep;
  task.precision = from.precision;
  task.storage = from.storage;
  task.engine = from.engine;
  task.window = from.window;
  task.datasets = {training_set(from)};
  for (Index m = 0; m < from.members; ++m) task.members.push_back(member_settings(from, static_cast<std::uint32_t>(m)));
  return task;
}

inline runtime::Backend& cpu_backend() {
  static const auto backend = runtime::make_backend("cpu");
  return *backend;
}

/// Parameters of all members, one after the other.
inline std::vector<double> all_parameters(const engine::Trainer& trainer) {
  std::vector<double> out;
  for (Index m = 0; m < trainer.members(); ++m) {
    const std::vector<double> theta = trainer.parameters(m);
    out.insert(out.end(), theta.begin(), theta.end());
  }
  return out;
}

}  // namespace widelab::test
