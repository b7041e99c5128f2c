#include "host/engine/typed_trainer.hpp"

#include <algorithm>
#include <string>

#include "widelab/base/contract.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/ops/train_checks.hpp"

namespace widelab::engine {
namespace {

bool can_be_drawn(const Network& network) {
  return std::all_of(network.layers.begin(), network.layers.end(),
                     [](const LayerScale& s) { return is_elementwise(s.weight_law); });
}

/// Kept units pass as they are in training, so that on average a unit is keep times itself: h -> keep h.
Network evaluation_network(const TrainTask& task) {
  Network network = task.network;
  if (task.rule.dropout_scaled || task.rule.dropout_keep == 1.0) return network;
  auto& multipliers = network.shape.unit_multipliers;
  if (multipliers.empty())
    for (const Index n : network.shape.widths) multipliers.emplace_back(static_cast<std::size_t>(n), 1.0f);
  for (std::vector<float>& layer : multipliers)
    for (float& s : layer) s = static_cast<float>(static_cast<double>(s) * task.rule.dropout_keep);
  return network;
}

template <class T>
std::vector<double> widened_row(const std::vector<T>& values, Index row, Index length) {
  const auto begin = values.begin() + row * length;
  return {begin, begin + length};
}

template <class T>
void copy_row(const std::vector<T>& from, Index from_row, std::vector<T>& to, Index to_row, Index length) {
  if (!to.empty()) std::copy_n(from.begin() + from_row * length, length, to.begin() + to_row * length);
}

}  // namespace

template <class T>
std::vector<T> draw_parameters(runtime::Backend& backend, const TrainTask& task, const std::vector<DrawId>& ids) {
  const Index size = ParamLayout(task.network.shape).size;
  std::vector<T> out(ids.size() * static_cast<std::size_t>(size));
  if (!task.file_weights) {
    backend.init(InitProblem<T>{&task.network, ids.data(), static_cast<Index>(ids.size()), out.data()});
    return out;
  }
  const std::vector<double>& file = *task.file_weights;
  for (std::size_t e = 0; e < ids.size(); ++e) {
    const Index first = static_cast<Index>(ids[e].replicate) * size;
    if (first + size > static_cast<Index>(file.size()))
      throw DataError("the weight file has " + std::to_string(static_cast<Index>(file.size()) / size) +
                      " networks, but network " + std::to_string(ids[e].replicate) +
                      " (counted from 0) is asked for: lower seeds.replicates, or store more networks");
    std::transform(file.begin() + first, file.begin() + first + size, out.begin() + static_cast<Index>(e) * size,
                   [](double w) { return static_cast<T>(w); });
  }
  return out;
}

template <class T>
TrainData<T> view_of(const TrainSet& set, const std::vector<T>& inputs, const std::vector<T>& targets) {
  TrainData<T> data;
  data.inputs = inputs.data();
  data.targets = targets.data();
  data.examples = set.examples;
  data.origin = set.origin;
  if (set.order.empty()) return data;
  data.order = set.order.data();
  data.order_batch = set.order_batch;
  data.order_steps = static_cast<Index>(set.order.size()) / set.order_batch;
  return data;
}

TrainData<double> view_of(const TrainSet& set) { return view_of(set, set.inputs, set.targets); }

template <class T>
TypedTrainer<T>::TypedTrainer(runtime::Backend& backend, const TrainTask& task, const TrainPlan& plan)
    : backend_(backend),
      task_(task),
      plan_(plan),
      size_(ParamLayout(task.network.shape).size),
      moments_(moment_count(task.rule.update.kind)),
      evaluation_(evaluation_network(task)),
      inputs_(task.datasets.size()),
      targets_(task.datasets.size()) {
  for (std::size_t d = 0; d < task.datasets.size(); ++d) use_dataset(static_cast<Index>(d));
  for (const MemberSettings& settings : task.members) origins_.push_back(settings.ids.init);
  now_.status.resize(task.members.size());
  now_.moments.resize(task.members.size() * static_cast<std::size_t>(moments_ * size_));
  now_.parameters = draw_parameters<T>(backend, task, origins_);
  if (task.storage == WeightStorage::displacement || !can_be_drawn(task.network)) now_.start = now_.parameters;
  if (task.storage == WeightStorage::displacement) now_.displacement.resize(now_.parameters.size());
  TrainProblem<T> asked = problem(now_);
  // Whether the online samples at hand reach the steps is asked when the steps come.
  if (asked.rule.order == OrderKind::online) asked.rule.order = OrderKind::iid;
  check_train(asked);
}

template <class T>
void TypedTrainer<T>::use_dataset(Index dataset) {
  const auto d = static_cast<std::size_t>(dataset);
  const TrainSet& set = task_.datasets.at(d);
  const MlpShape& shape = task_.network.shape;
  WIDELAB_REQUIRE(static_cast<Index>(set.inputs.size()) == set.examples * shape.input_dim &&
                      static_cast<Index>(set.targets.size()) == set.examples * shape.outputs,
                  "a data set does not fit the network");
  WIDELAB_REQUIRE(set.order.empty() || set.order_batch > 0, "an order table needs its number of columns");
  if constexpr (sizeof(T) == sizeof(float)) {
    inputs_[d].assign(set.inputs.begin(), set.inputs.end());
    targets_[d].assign(set.targets.begin(), set.targets.end());
  }
}

template <class T>
TrainProblem<T> TypedTrainer<T>::problem(MemberArrays<T>& arrays) const {
  TrainProblem<T> out;
  out.rule = task_.rule;
  TrainGroup<T> group;
  group.network = &task_.network;
  group.members = members();
  group.settings = task_.members.data();
  group.status = arrays.status.data();
  group.parameters = arrays.parameters.data();
  if (task_.storage == WeightStorage::displacement) {
    group.start = arrays.start.data();
    group.displacement = arrays.displacement.data();
  }
  group.moments = arrays.moments.empty() ? nullptr : arrays.moments.data();
  out.groups.push_back(group);
  for (std::size_t d = 0; d < task_.datasets.size(); ++d) {
    TrainData<T> data;
    if constexpr (sizeof(T) == sizeof(float))
      data = view_of(task_.datasets[d], inputs_[d], targets_[d]);
    else
      data = view_of(task_.datasets[d]);
    out.datasets.push_back(data);
  }
  out.engine = plan_.engine;
  out.limits = task_.limits;
  return out;
}

template <class T>
void TypedTrainer<T>::advance(MemberArrays<T>& arrays, Index last, Index window) const {
  if (last <= arrays.step) return;
  TrainProblem<T> next = problem(arrays);
  next.steps = {arrays.step, last};
  next.window = window;
  backend_.train(next);
  arrays.step = last;
}

template <class T>
void TypedTrainer<T>::run_to(Index last) {
  WIDELAB_REQUIRE(last >= now_.step, "training runs forward");
  if (last == now_.step) return;
  if (held_) {
    now_ = std::move(*held_);
    held_.reset();
  }
  const Index window = std::max<Index>(1, plan_.window);
  // A branch may begin inside a window: up to the window's end it is updated at each step.
  advance(now_, std::min(last, ceil_div(now_.step, window) * window), 1);
  advance(now_, last / window * window, window);
  if (now_.step == last) return;
  held_ = now_;
  advance(now_, last, window);
}

template <class T>
void TypedTrainer<T>::set_converged(Index member) {
  const auto m = static_cast<std::size_t>(member);
  if (now_.status.at(m).status != TrainStatus::running) return;
  now_.status[m] = {TrainStatus::converged, now_.step, 0};
  if (!held_) return;
  held_->status[m] = now_.status[m];
  copy_row(now_.parameters, member, held_->parameters, member, size_);
  copy_row(now_.displacement, member, held_->displacement, member, size_);
  copy_row(now_.moments, member, held_->moments, member, moments_ * size_);
}

template <class T>
std::vector<double> TypedTrainer<T>::parameters(Index member) const {
  return widened_row(now_.parameters, member, size_);
}

template <class T>
std::vector<double> TypedTrainer<T>::start(Index member) const {
  if (!now_.start.empty()) return widened_row(now_.start, member, size_);
  return widened_row(draw_parameters<T>(backend_, task_, {origins_.at(static_cast<std::size_t>(member))}), 0, size_);
}

template <class T>
std::vector<double> TypedTrainer<T>::displacement(Index member) const {
  if (!now_.displacement.empty()) return widened_row(now_.displacement, member, size_);
  std::vector<double> out = parameters(member);
  const std::vector<double> from = start(member);
  for (std::size_t p = 0; p < out.size(); ++p) out[p] -= from[p];
  return out;
}

template <class T>
std::vector<double> TypedTrainer<T>::moments(Index member) const {
  return widened_row(now_.moments, member, moments_ * size_);
}

template <class T>
MemberWeights<T> TypedTrainer<T>::weights() const {
  return {members(), origins_.data(), now_.parameters.data()};
}

template <class T>
std::vector<double> TypedTrainer<T>::outputs(MatrixView<const double> inputs) const {
  const Index d = task_.network.shape.input_dim;
  WIDELAB_REQUIRE(inputs.cols == d, "inputs do not fit the network");
  std::vector<T> rows;
  for (Index i = 0; i < inputs.rows; ++i) rows.insert(rows.end(), inputs.row(i), inputs.row(i) + d);
  std::vector<T> out(static_cast<std::size_t>(members() * inputs.rows * task_.network.shape.outputs));
  backend_.forward(ForwardProblem<T>{&evaluation_, weights(), matrix_view<const T>(rows.data(), inputs.rows, d),
                                     out.data(), task_.limits});
  return {out.begin(), out.end()};
}

template <class T>
std::vector<double> TypedTrainer<T>::kernels(MatrixView<const double> inputs, NtkBlocks blocks) const {
  const Index d = task_.network.shape.input_dim;
  WIDELAB_REQUIRE(inputs.cols == d, "inputs do not fit the network");
  std::vector<T> rows;
  for (Index i = 0; i < inputs.rows; ++i) rows.insert(rows.end(), inputs.row(i), inputs.row(i) + d);
  NtkProblem<T> asked;
  asked.network = &evaluation_;
  asked.weights = weights();
  asked.x1 = matrix_view<const T>(rows.data(), inputs.rows, d);
  asked.blocks = blocks;
  asked.limits = task_.limits;
  std::vector<double> out(static_cast<std::size_t>(members() * asked.entries()));
  asked.ntk = out.data();
  backend_.ntk(asked);
  return out;
}

template <class T>
void TypedTrainer<T>::branch(const TypedTrainer& other, const std::vector<Index>& sources) {
  WIDELAB_REQUIRE(
      size_ == other.size_ && task_.storage == other.task_.storage && now_.start.empty() == other.now_.start.empty(),
      "a branch has the network and the storage of what it continues");
  WIDELAB_REQUIRE(static_cast<Index>(sources.size()) == members(), "a branch needs one source for each member");
  held_.reset();
  now_.step = other.now_.step;
  for (Index m = 0; m < members(); ++m) {
    const Index from = sources[static_cast<std::size_t>(m)];
    WIDELAB_REQUIRE(from >= 0 && from < other.members(), "a branch continues a member that is not there");
    copy_row(other.now_.parameters, from, now_.parameters, m, size_);
    copy_row(other.now_.start, from, now_.start, m, size_);
    copy_row(other.now_.displacement, from, now_.displacement, m, size_);
    const MemberStatus& status = other.now_.status[static_cast<std::size_t>(from)];
    now_.status[static_cast<std::size_t>(m)] = status.status == TrainStatus::diverged ? status : MemberStatus{};
    origins_[static_cast<std::size_t>(m)] = other.origins_[static_cast<std::size_t>(from)];
    // Moments of another rule mean something else: the branch's rule begins with none.
    if (task_.rule.update.kind == other.task_.rule.update.kind)
      copy_row(other.now_.moments, from, now_.moments, m, moments_ * size_);
    else
      std::fill_n(now_.moments.begin() + m * moments_ * size_, moments_ * size_, T(0));
  }
}

namespace {

io::NamedArray state_array(const char* name, const char* description, std::vector<std::string> dims,
                           std::vector<std::size_t> shape, decltype(io::NamedArray::values) values) {
  return {std::string("trainer_") + name, "1", description, std::move(dims), std::move(shape), std::move(values), {}};
}

template <class V>
const std::vector<V>& stored(const io::ArrayFile& file, const std::string& name, std::size_t size) {
  for (const io::NamedArray& array : file.arrays) {
    if (array.name != "trainer_" + name || !std::holds_alternative<std::vector<V>>(array.values)) continue;
    const auto& values = std::get<std::vector<V>>(array.values);
    if (values.size() == size) return values;
  }
  throw DataError("the checkpoint has no array \"trainer_" + name + "\" of " + std::to_string(size) +
                  " numbers: it belongs to another task; remove it and begin again");
}

/// The members that `save` writes and `load` reads: every array that is in use, widened.
template <class T, class F>
void for_each_array(MemberArrays<T>& arrays, F&& f) {
  f("parameters", "theta of each member, in ParamLayout's order", arrays.parameters);
  f("start", "theta_0 of each member", arrays.start);
  f("displacement", "theta - theta_0 of each member", arrays.displacement);
  f("moments", "moments of the update rule of each member", arrays.moments);
}

}  // namespace

template <class T>
void TypedTrainer<T>::save(std::vector<io::NamedArray>& out) const {
  MemberArrays<T> arrays = held_ ? *held_ : now_;
  const auto count = static_cast<std::size_t>(members());
  const std::vector<std::string> by_member{"trainer_member"};
  std::vector<std::int64_t> status, at, keys, replicates;
  std::vector<double> quantity;
  for (std::size_t m = 0; m < count; ++m) {
    status.push_back(static_cast<std::int64_t>(arrays.status[m].status));
    at.push_back(arrays.status[m].step);
    quantity.push_back(arrays.status[m].quantity);
    keys.push_back(static_cast<std::int64_t>(origins_[m].key));
    replicates.push_back(origins_[m].replicate);
  }
  // Steps after the beginning of a lazy window are done again by load().
  out.push_back(state_array("step", "steps done", {}, {}, std::vector<std::int64_t>{now_.step}));
  out.push_back(
      state_array("stored_step", "steps done by what is stored here", {}, {}, std::vector<std::int64_t>{arrays.step}));
  out.push_back(state_array("status", "0 running, 1 converged, 2 diverged", by_member, {count}, status));
  out.push_back(state_array("status_step", "the step of that status", by_member, {count}, at));
  out.push_back(state_array("status_quantity", "largest output at divergence", by_member, {count}, quantity));
  out.push_back(state_array("origin_key", "key of the draws theta_0", by_member, {count}, keys));
  out.push_back(state_array("origin_replicate", "replicate of the draws theta_0", by_member, {count}, replicates));
  for_each_array(arrays, [&](const char* name, const char* description, std::vector<T>& values) {
    if (values.empty()) return;
    const std::size_t columns = values.size() / count;
    out.push_back(state_array(
        name, description,
        {"trainer_member", std::string("trainer_") + (values.data() == arrays.moments.data() ? "moment" : "parameter")},
        {count, columns}, std::vector<double>(values.begin(), values.end())));
  });
}

template <class T>
void TypedTrainer<T>::load(const io::ArrayFile& file) {
  const auto count = static_cast<std::size_t>(members());
  const auto& status = stored<std::int64_t>(file, "status", count);
  const auto& at = stored<std::int64_t>(file, "status_step", count);
  const auto& quantity = stored<double>(file, "status_quantity", count);
  const auto& keys = stored<std::int64_t>(file, "origin_key", count);
  const auto& replicates = stored<std::int64_t>(file, "origin_replicate", count);
  MemberArrays<T> arrays = now_;
  for_each_array(arrays, [&](const char* name, const char*, std::vector<T>& values) {
    if (values.empty()) return;
    const std::vector<double>& from = stored<double>(file, name, values.size());
    std::transform(from.begin(), from.end(), values.begin(), [](double x) { return static_cast<T>(x); });
  });
  arrays.step = stored<std::int64_t>(file, "stored_step", 1).front();
  for (std::size_t m = 0; m < count; ++m) {
    arrays.status[m] = {static_cast<TrainStatus>(status[m]), at[m], quantity[m]};
    origins_[m] = {static_cast<std::uint64_t>(keys[m]), static_cast<std::uint32_t>(replicates[m])};
  }
  now_ = std::move(arrays);
  held_.reset();
  run_to(stored<std::int64_t>(file, "step", 1).front());
}

template std::vector<float> draw_parameters(runtime::Backend&, const TrainTask&, const std::vector<DrawId>&);
template std::vector<double> draw_parameters(runtime::Backend&, const TrainTask&, const std::vector<DrawId>&);
template TrainData<double> view_of(const TrainSet&, const std::vector<double>&, const std::vector<double>&);
template class TypedTrainer<float>;
template class TypedTrainer<double>;

}  // namespace widelab::engine
