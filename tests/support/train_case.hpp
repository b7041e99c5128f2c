// Small ensembles in training, the same for every engine and precision: what parity and invariance tests advance.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/support/random_problem.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/ops/init.hpp"
#include "widelab/ops/train.hpp"

namespace widelab::test {

/// An ensemble and its rule. Member m has replicate m in every role and a learning rate of its own.
struct TrainCase {
  std::string name;
  NetworkCase network;
  TrainRule rule;
  MemberSettings settings;  ///< of all members; ids and learning rate are made from it
  Index members = 2, examples = 13;
  bool displacement = false;
  Index window = 0;
  std::vector<std::int32_t> order_table;  ///< OrderKind::file

  MemberSettings member(Index m) const {
    MemberSettings out = settings;
    const auto id = [m](std::uint64_t key) { return DrawId{key, static_cast<std::uint32_t>(m)}; };
    out.ids = {id(21), id(22), id(23), id(24), id(25)};
    out.learning_rate = settings.learning_rate * (1 + 0.25 * static_cast<double>(m));
    return out;
  }
};

/// Everything that the op reads and writes; members in the order of `ids`.
template <class T>
struct TrainState {
  std::vector<Index> members;
  std::vector<T> parameters, start, displacement, moments;
  std::vector<MemberStatus> status;
};

/// Targets that suit the loss: real numbers, signs, or one-hot rows.
template <class T>
std::vector<T> train_targets(const TrainCase& c) {
  const Index k = c.network.outputs;
  std::vector<T> y = normals<T>(c.examples, k, 902);
  if (c.rule.loss == LossKind::logistic || c.rule.loss == LossKind::hinge)
    for (T& v : y) v = v < T(0) ? T(-1) : T(1);
  if (c.rule.loss == LossKind::cross_entropy)
    for (std::size_t i = 0; i < y.size(); ++i)
      y[i] = static_cast<T>(static_cast<Index>(i) % k == (static_cast<Index>(i) / k) % k);
  return y;
}

/// theta_0 of the listed members; the same numbers in both precisions.
template <class T>
TrainState<T> train_start(const TrainCase& c, std::vector<Index> members) {
  const Network network = c.network.network();
  TrainState<T> state;
  std::vector<DrawId> ids;
  for (const Index m : members) ids.push_back(c.member(m).ids.init);
  const auto size = static_cast<std::size_t>(ParamLayout(network.shape).size) * members.size();
  std::vector<float> drawn(size);
  cpu::init(InitProblem<float>{&network, ids.data(), static_cast<Index>(members.size()), drawn.data()});
  state.parameters.assign(drawn.begin(), drawn.end());
  if (c.displacement) state.start = state.parameters;
  if (c.displacement) state.displacement.assign(size, T(0));
  state.moments.assign(size * static_cast<std::size_t>(moment_count(c.rule.update.kind)), T(0));
  state.status.resize(members.size());
  state.members = std::move(members);
  return state;
}

template <class T>
TrainState<T> train_start(const TrainCase& c) {
  std::vector<Index> members;
  for (Index m = 0; m < c.members; ++m) members.push_back(m);
  return train_start<T>(c, members);
}

template <class T>
using TrainOp = void (*)(const TrainProblem<T>&);

/// Takes the state through `steps`.
template <class T>
void advance(TrainOp<T> op, const TrainCase& c, StepRange steps, TrainState<T>& state) {
  const Network network = c.network.network();
  const std::vector<T> inputs = normals<T>(c.examples, network.shape.input_dim, 901), targets = train_targets<T>(c);
  std::vector<MemberSettings> settings;
  for (const Index m : state.members) settings.push_back(c.member(m));
  TrainGroup<T> group;
  group.network = &network;
  group.members = static_cast<Index>(settings.size());
  group.settings = settings.data();
  group.status = state.status.data();
  group.parameters = state.parameters.data();
  if (c.displacement) {
    group.start = state.start.data();
    group.displacement = state.displacement.data();
  }
  if (!state.moments.empty()) group.moments = state.moments.data();
  TrainProblem<T> problem;
  problem.rule = c.rule;
  problem.groups = {group};
  TrainData<T> data;
  data.inputs = inputs.data();
  data.targets = targets.data();
  data.examples = c.examples;
  if (!c.order_table.empty()) {
    data.order = c.order_table.data();
    data.order_batch = c.settings.batch;
    data.order_steps = static_cast<Index>(c.order_table.size()) / c.settings.batch;
  }
  problem.datasets = {data};
  problem.steps = steps;
  problem.window = c.window;
  op(problem);
}

/// The state after steps [0, last).
template <class T>
TrainState<T> trained(TrainOp<T> op, const TrainCase& c, Index last) {
  TrainState<T> state = train_start<T>(c);
  advance(op, c, {0, last}, state);
  return state;
}

/// The network of most cases: two hidden layers of prime widths, batch 5 of 13 examples.
inline TrainCase small_train_case(const std::string& name, OptimiserKind kind = OptimiserKind::sgd) {
  TrainCase c;
  c.name = name;
  c.network = {.activation = "tanh", .widths = {37, 23}, .input_dim = 5};
  c.rule.update.kind = kind;
  c.rule.update.epsilon = 1e-2;  // smooth where a gradient is small, so that rounding is not magnified
  c.rule.reduction = Reduction::mean;
  c.rule.order = OrderKind::epochs;
  c.settings.batch = 5;
  c.settings.learning_rate = 0.15;
  return c;
}

inline const char* optimiser_label(OptimiserKind kind) {
  constexpr const char* kNames[] = {"sgd", "heavy ball", "nesterov", "adam", "sign", "langevin", "sgld"};
  return kNames[static_cast<std::size_t>(kind)];
}

/// Every optimiser, in place and with displacement storage, without decay, with coupled and with decoupled decay.
inline std::vector<TrainCase> optimiser_cases() {
  std::vector<TrainCase> cases;
  for (const OptimiserKind kind :
       {OptimiserKind::sgd, OptimiserKind::heavy_ball, OptimiserKind::nesterov, OptimiserKind::adam,
        OptimiserKind::sign, OptimiserKind::langevin, OptimiserKind::sgld})
    for (const bool displacement : {false, true})
      for (const int decay : {0, 1, 2}) {
        TrainCase c = small_train_case(std::string(optimiser_label(kind)) + (displacement ? ", displacement" : "") +
                                           (decay == 0   ? ""
                                            : decay == 1 ? ", coupled decay"
                                                         : ", decoupled decay"),
                                       kind);
        if (kind == OptimiserKind::adam || kind == OptimiserKind::sign) c.settings.learning_rate = 0.01;
        c.displacement = displacement;
        c.settings.weight_decay = decay > 0 ? 0.03 : 0.0;
        c.rule.update.decoupled_decay = decay == 2;
        c.settings.temperature = is_noisy(kind) ? 1e-3 : 0.0;
        cases.push_back(std::move(c));
      }
  return cases;
}

/// Every loss with every reduction, with and without label noise, one output and several.
inline std::vector<TrainCase> loss_cases() {
  std::vector<TrainCase> cases;
  for (const LossKind loss :
       {LossKind::half_squared, LossKind::squared, LossKind::cross_entropy, LossKind::logistic, LossKind::hinge})
    for (const Reduction reduction : {Reduction::sum, Reduction::mean, Reduction::mean_entries, Reduction::dataset_sum})
      for (const Index outputs : {Index(1), Index(10)}) {
        TrainCase c =
            small_train_case("loss " + std::to_string(static_cast<int>(loss)) + ", reduction " +
                             std::to_string(static_cast<int>(reduction)) + ", outputs " + std::to_string(outputs));
        c.rule.loss = loss;
        c.rule.reduction = reduction;
        c.network.outputs = outputs;
        c.settings.label_noise = outputs == 1 ? 0.0 : 0.3;
        c.settings.learning_rate = 0.02;
        cases.push_back(std::move(c));
      }
  return cases;
}

/// Every order of batches, dropout, schedules.
inline std::vector<TrainCase> batch_cases() {
  std::vector<TrainCase> cases;
  for (const OrderKind order :
       {OrderKind::iid, OrderKind::fresh, OrderKind::epochs, OrderKind::fixed, OrderKind::online, OrderKind::file}) {
    TrainCase c = small_train_case("order " + std::to_string(static_cast<int>(order)));
    c.rule.order = order;
    c.settings.label_noise = 0.2;
    if (order == OrderKind::online) c.examples = 1009;
    if (order == OrderKind::file)
      for (std::int32_t i = 0; i < 5 * 201; ++i) c.order_table.push_back((i * 7 + i / 5) % 13);
    cases.push_back(std::move(c));
  }
  for (const bool scaled : {false, true})
    for (const bool norm : {false, true}) {
      TrainCase c = small_train_case(std::string("dropout") + (scaled ? ", scaled" : "") + (norm ? ", LayerNorm" : ""));
      c.network.widths = {23, 23, 23};
      c.network.layer_norm = norm;
      c.network.residual = norm ? 0.0 : 0.6;
      c.network.unit_multipliers = true;
      c.rule.dropout_keep = 0.7;
      c.rule.dropout_scaled = scaled;
      cases.push_back(std::move(c));
    }
  TrainCase schedule = small_train_case("cosine with warm-up", OptimiserKind::heavy_ball);
  schedule.rule.schedule = {ScheduleKind::cosine, 3, 150, 0.1, 1, 0.1};
  cases.push_back(schedule);
  return cases;
}

/// Every network of network_cases(), and awkward sizes around tiles of units.
inline std::vector<TrainCase> shape_cases() {
  std::vector<TrainCase> cases;
  for (NetworkCase& network : network_cases()) {
    TrainCase c = small_train_case(network.name);
    c.network = std::move(network);
    c.settings.learning_rate = 0.05;
    cases.push_back(std::move(c));
  }
  const auto add = [&cases](const std::string& name, std::vector<Index> widths, Index outputs, Index batch) {
    TrainCase c = small_train_case(name);
    c.network.widths = std::move(widths);
    c.network.outputs = outputs;
    c.settings.batch = batch;
    c.settings.learning_rate = 0.05;
    cases.push_back(std::move(c));
  };
  add("three units, batch of one", {3}, 1, 1);
  add("ten outputs", {3, 3}, 10, 13);
  add("wide, narrow", {521, 3}, 1, 7);
  add("narrow, wide", {3, 521, 2}, 10, 1);
  add("two tiles each way", {257, 263}, 2, 3);
  cases.push_back(small_train_case("one member"));
  cases.back().members = 1;
  return cases;
}

/// Wide enough for a lazy window of 8 steps to be used between its two hidden layers, and only there.
inline TrainCase window_case(OptimiserKind kind, double decay, bool decoupled) {
  TrainCase c = small_train_case(std::string(optimiser_label(kind)) + ", decay " + std::to_string(decay) +
                                     (decoupled ? ", decoupled" : "") + ", window",
                                 kind);
  c.network.widths = {67, 59};
  c.settings.batch = 3;
  c.settings.weight_decay = decay;
  c.rule.update.decoupled_decay = decoupled;
  c.rule.schedule = {ScheduleKind::cosine, 2, 40, 0.1, 1, 0.1};
  c.window = 8;
  return c;
}

/// Both rules that a lazy window merges, with every kind of decay; and three lazy layers with everything that stands
/// between them.
inline std::vector<TrainCase> window_cases() {
  std::vector<TrainCase> cases;
  for (const OptimiserKind kind : {OptimiserKind::sgd, OptimiserKind::heavy_ball}) {
    cases.push_back(window_case(kind, 0.0, false));
    for (const bool decoupled : {false, true}) cases.push_back(window_case(kind, 0.05, decoupled));
    TrainCase deep = window_case(kind, 0.05, false);
    deep.name += ", three layers";
    deep.network.input_dim = 64;
    deep.network.widths = {83, 83, 83};
    deep.network.layer_norm = true;
    deep.network.residual = 0.6;
    deep.network.unit_multipliers = true;
    deep.settings.batch = 2;
    deep.settings.label_noise = 0.1;
    deep.rule.dropout_keep = 0.8;
    cases.push_back(std::move(deep));
  }
  return cases;
}

/// All of the above but lazy windows.
inline std::vector<TrainCase> all_train_cases() {
  std::vector<TrainCase> cases = optimiser_cases();
  for (auto* more : {&loss_cases, &batch_cases, &shape_cases})
    for (TrainCase& c : (*more)()) cases.push_back(std::move(c));
  return cases;
}

}  // namespace widelab::test
