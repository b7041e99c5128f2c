#include "host/engine/trainer.hpp"

#include <algorithm>
#include <numeric>
#include <string>
#include <variant>

#include "host/engine/task_fingerprint.hpp"
#include "host/engine/typed_trainer.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::engine {

TrainPlan plan_training(const TrainTask& task, bool on_gpu) {
  const OptimiserKind kind = task.rule.update.kind;
  TrainWorkload work;
  work.members = static_cast<Index>(task.members.size());
  for (const MemberSettings& member : task.members) work.batch = std::max(work.batch, member.batch);
  work.scalar_bytes = task.precision == Precision::fp64 ? 8 : 4;
  work.moments = moment_count(kind);
  work.displacement = task.storage == WeightStorage::displacement;
  work.engine = task.engine;
  work.on_gpu = on_gpu;
  TrainPlan plan = make_train_plan(task.network.shape, work, task.limits);
  if (task.window <= 0) return plan;
  // A stream's samples go when the next come, so the steps of a window could not be done again (Trainer::run_to).
  const bool low_rank_updates =
      (kind == OptimiserKind::sgd || kind == OptimiserKind::heavy_ball) && task.rule.order != OrderKind::online;
  if (task.window > 1 && (plan.engine != TrainEngine::gemm || !low_rank_updates || work.displacement))
    throw RecipeError("train.window = " + std::to_string(task.window) +
                      ": updates are merged by the engine \"gemm\" alone, for sgd and heavy-ball with storage "
                      "\"in-place\" and stored data (engine here: \"" +
                      engine_name(plan.engine) + "\"); leave it at 0 or set 1");
  plan.window = task.window;
  plan.reason += "; window of " + std::to_string(plan.window) + " asked for";
  return plan;
}

struct Trainer::State {
  using Typed = std::variant<TypedTrainer<float>, TypedTrainer<double>>;

  State(runtime::Backend& backend, TrainTask given)
      : task(std::move(given)),
        plan(plan_training(task, backend.info().kind == "cuda")),
        typed(task.precision == Precision::fp64 ? Typed(std::in_place_index<1>, backend, task, plan)
                                                : Typed(std::in_place_index<0>, backend, task, plan)) {}

  template <class F>
  decltype(auto) with(F&& f) {
    return std::visit(std::forward<F>(f), typed);
  }

  TrainTask task;
  TrainPlan plan;
  Typed typed;
};

Trainer::Trainer(runtime::Backend& backend, TrainTask task)
    : state_(std::make_unique<State>(backend, std::move(task))) {}
Trainer::~Trainer() = default;

const TrainTask& Trainer::task() const { return state_->task; }
const TrainPlan& Trainer::plan() const { return state_->plan; }
Index Trainer::members() const { return static_cast<Index>(state_->task.members.size()); }
Index Trainer::step() const {
  return state_->with([](const auto& typed) { return typed.step(); });
}

void Trainer::run_to(Index last) {
  state_->with([&](auto& typed) { typed.run_to(last); });
}

void Trainer::replace_dataset(Index dataset, TrainSet set) {
  if (state_->task.rule.order != OrderKind::online)
    throw RecipeError("train.order: data are replaced during training only if the order is \"online\"");
  state_->task.datasets.at(static_cast<std::size_t>(dataset)) = std::move(set);
  state_->with([&](auto& typed) { typed.use_dataset(dataset); });
}

const std::vector<MemberStatus>& Trainer::status() const {
  return state_->with([](const auto& typed) -> const std::vector<MemberStatus>& { return typed.status(); });
}

void Trainer::set_converged(Index member) {
  state_->with([&](auto& typed) { typed.set_converged(member); });
}

std::vector<double> Trainer::parameters(Index member) const {
  return state_->with([&](const auto& typed) { return typed.parameters(member); });
}
std::vector<double> Trainer::start(Index member) const {
  return state_->with([&](const auto& typed) { return typed.start(member); });
}
std::vector<double> Trainer::displacement(Index member) const {
  return state_->with([&](const auto& typed) { return typed.displacement(member); });
}
std::vector<double> Trainer::moments(Index member) const {
  return state_->with([&](const auto& typed) { return typed.moments(member); });
}
std::vector<double> Trainer::outputs(MatrixView<const double> inputs) const {
  return state_->with([&](const auto& typed) { return typed.outputs(inputs); });
}
MemberKernelSet Trainer::kernels(MatrixView<const double> inputs, NtkBlocks blocks) const {
  return {state_->with([&](const auto& typed) { return typed.kernels(inputs, blocks); })};
}

std::vector<io::NamedArray> Trainer::state() const {
  const auto scalar = [](const char* name, const char* description, std::int64_t value) {
    return io::NamedArray{name, "1", description, {}, {}, std::vector<std::int64_t>{value}, {}};
  };
  std::vector<io::NamedArray> arrays;
  arrays.push_back(scalar("trainer_task", "hash of the task", task_fingerprint(state_->task)));
  arrays.push_back(
      scalar("trainer_engine", "1 fused, 2 gemm, 3 reference", static_cast<std::int64_t>(state_->plan.engine)));
  arrays.push_back(scalar("trainer_window", "steps of the lazy window", state_->plan.window));
  state_->with([&](const auto& typed) { typed.save(arrays); });
  return arrays;
}

namespace {

std::int64_t scalar_of(const io::ArrayFile& file, const std::string& name) {
  for (const io::NamedArray& array : file.arrays)
    if (array.name == name && std::holds_alternative<std::vector<std::int64_t>>(array.values))
      return std::get<std::vector<std::int64_t>>(array.values).at(0);
  throw DataError("the checkpoint has no \"" + name + "\": it is not one of training; remove it and begin again");
}

}  // namespace

void Trainer::restore(const io::ArrayFile& file) {
  if (scalar_of(file, "trainer_task") != task_fingerprint(state_->task))
    throw DataError(
        "the checkpoint belongs to another task (network, rule, members, precision or data): use the recipe "
        "it was made with, or remove it and begin again");
  const std::int64_t engine = scalar_of(file, "trainer_engine"), window = scalar_of(file, "trainer_window");
  if (engine != static_cast<std::int64_t>(state_->plan.engine) || window != state_->plan.window) {
    const bool known = engine > 0 && engine <= static_cast<std::int64_t>(TrainEngine::reference);
    throw DataError(std::string("the checkpoint was made by the engine \"") +
                    (known ? engine_name(static_cast<TrainEngine>(engine)) : "unknown") + "\" with window " +
                    std::to_string(window) + ", but the plan here is \"" + engine_name(state_->plan.engine) +
                    "\" with window " + std::to_string(state_->plan.window) +
                    ": set train.engine and train.window to the former, or remove the checkpoint");
  }
  state_->with([&](auto& typed) { typed.load(file); });
}

void Trainer::continue_from(const Trainer& other, Index first) {
  std::vector<Index> sources(static_cast<std::size_t>(members()));
  std::iota(sources.begin(), sources.end(), first);
  continue_from(other, sources);
}

void Trainer::continue_from(const Trainer& other, const std::vector<Index>& sources) {
  if (state_->task.precision != other.state_->task.precision)
    throw RecipeError("train.precision: a branch has the precision of the run that it continues");
  state_->with(
      [&]<class T>(TypedTrainer<T>& typed) { typed.branch(std::get<TypedTrainer<T>>(other.state_->typed), sources); });
}

}  // namespace widelab::engine
