#include "kernels/cuda/gemm/train_gemm.hpp"

#include <map>
#include <optional>

#include "kernels/cuda/gemm/slot_buffers.hpp"
#include "kernels/cuda/gemm/train_gemm_window.hpp"
#include "kernels/cuda/signals.hpp"
#include "kernels/cuda/support/blas.hpp"
#include "kernels/cuda/support/step_graph.hpp"
#include "kernels/cuda/workspace_limit.hpp"

namespace widelab::cuda {
namespace {

/// Most steps of a graph: what an executable graph holds grows with them. A longer window runs as it is.
constexpr Index kGraphSteps = 256;

/// The running members of one group and one batch size, `slots` at a time.
template <class T>
class SlotTrainer {
 public:
  SlotTrainer(Context& context, const TrainProblem<T>& problem, const TrainGroup<T>& group, Index batch,
              const TrainData<T>* datasets)
      : context_(context),
        problem_(problem),
        group_(group),
        network_(*group.network),
        shape_(group.network->shape),
        layout_(shape_),
        packed_size_(ParamLayout(shape_).size),
        datasets_(datasets) {
    needs_.batch = batch;
    needs_.moments = moment_count(problem.rule.update.kind);
    needs_.displacement = group.displacement != nullptr;
    if (problem.window > 1) {
      needs_.window = problem.window;
      needs_.lazy = lazy_layers(network_, batch, problem.window);
    }
    // In place a signal carries the learning rate, which in a window is the coefficients' matter.
    needs_.in_place = problem.rule.update.kind == OptimiserKind::sgd && !needs_.displacement && needs_.lazy.empty();
    const SlotPlan plan =
        make_slot_plan<T>(shape_, needs_, context.device.multiprocessors, workspace_limit(context, problem.limits));
    slots_ = plan.slots;
    context.arena.reserve(plan.bytes, "train");
    at_.take(context.arena, shape_, needs_, slots_);
    state_ = {at_.settings, at_.status, at_.table, at_.clock, slots_, batch};
    upload_constants();
    window_.emplace(context, problem.rule, needs_, state_, at_.window);
    for (const Index l : needs_.lazy) window_->add(l, lazy_layer(l));
  }

  Index slots() const { return slots_; }

  /// Trains `members` (at most slots()) through the problem's steps.
  void run(const std::vector<Index>& members) {
    load(members);
    const Index count = table_steps(needs_);
    for (Index first = problem_.steps.first; first < problem_.steps.last; first += count)
      run_steps({first, std::min(first + count, problem_.steps.last)});
    window_->merge();
    store(members);
  }

 private:
  static std::size_t z(Index at) { return static_cast<std::size_t>(at); }
  const LayerScale& scale(Index layer) const { return network_.layers[z(layer)]; }
  T branch(Index layer) const { return shape_.is_residual(layer) ? static_cast<T>(shape_.residual) : T(1); }
  T weight_factor(Index layer) const { return branch(layer) * static_cast<T>(scale(layer).weight_multiplier); }
  T bias_factor(Index layer) const { return branch(layer) * static_cast<T>(scale(layer).bias_multiplier); }
  const T* bias(Index layer) const {
    return scale(layer).bias_multiplier == 0.0 ? nullptr : at_.parameters + layout_.bias_offset[z(layer)];
  }
  BatchedMatrix<T> weights(Index layer) const {
    return {at_.parameters + layout_.weight_offset[z(layer)], shape_.fan_in(layer), layout_.size};
  }
  LazyLayer<T> lazy_layer(Index layer) const {
    BatchedMatrix<T> velocity;
    if (needs_.moments > 0)
      velocity = {at_.moments + layout_.weight_offset[z(layer)], shape_.fan_in(layer), needs_.moments * layout_.size};
    return {shape_.fan_out(layer),    shape_.fan_in(layer), weight_factor(layer),
            scale(layer).weight_rate, weights(layer),       velocity};
  }
  BatchedMatrix<T> rows(T* data, Index units) const { return {data, units, needs_.batch * units}; }
  T* layer_input(Index layer) const { return layer == 0 ? at_.x : at_.h[z(layer - 1)]; }
  /// The first layer that is trained: the backward pass ends there.
  Index lowest_trained() const {
    Index l = 0;
    while (l < shape_.layers() && scale(l).weight_rate <= 0 && scale(l).bias_rate <= 0) ++l;
    return l;
  }

  template <class U>
  void upload(U* device, const std::vector<U>& host) {
    copy_to_device(context_, device, host.data(), host.size() * sizeof(U));
  }
  void upload_constants();
  void load(const std::vector<Index>& members);
  void store(const std::vector<Index>& members);
  /// Host staging of one array: slot s at s * slot_stride, the rest zeros.
  void load_array(const std::vector<Index>& members, const T* host, Index per_member, Index arrays, T* device);
  void store_array(const std::vector<Index>& members, const T* device, Index arrays, T* host);
  void run_steps(StepRange steps);
  void run_period(Index steps);
  void step();
  void forward();
  void start();
  void backward_layer(Index layer);
  void update_layer(Index layer, const T* delta);
  UpdateTask<T> update_task(Index layer, Index offset) const;
  void update_weights_of(Index layer, const T* delta);

  Context& context_;
  const TrainProblem<T>& problem_;
  const TrainGroup<T>& group_;
  const Network& network_;
  const MlpShape& shape_;
  SlotLayout layout_;
  Index packed_size_;
  const TrainData<T>* datasets_;
  SlotNeeds needs_;
  Index slots_ = 1;
  SlotBuffers<T> at_;
  SlotState state_;
  std::optional<SlotWindow<T>> window_;
  int current_ = 0;  ///< which of at_.delta holds d loss / d z of the layer at hand
};

template <class T>
void SlotTrainer<T>::upload_constants() {
  std::vector<double> rates;
  std::vector<SlotArray<T>> clear{{at_.x, needs_.batch * shape_.input_dim}};
  for (Index l = 0; l < shape_.layers(); ++l) {
    rates.push_back(scale(l).weight_rate);
    rates.push_back(scale(l).bias_rate);
    if (l < shape_.depth()) clear.push_back({at_.h[z(l)], needs_.batch * shape_.fan_out(l)});
  }
  upload(at_.rates, rates);
  upload(at_.clear, clear);
  if (at_.multipliers) upload(at_.multipliers, concatenated_multipliers(shape_));
}

template <class T>
void SlotTrainer<T>::load_array(const std::vector<Index>& members, const T* host, Index per_member, Index arrays,
                                T* device) {
  std::vector<T> staging(z(slots_ * arrays * layout_.size), T(0));
  for (std::size_t s = 0; s < members.size(); ++s)
    for (Index a = 0; a < arrays; ++a)
      layout_.pack(shape_, host + members[s] * per_member + a * packed_size_,
                   staging.data() + (static_cast<Index>(s) * arrays + a) * layout_.size);
  upload(device, staging);
}

template <class T>
void SlotTrainer<T>::store_array(const std::vector<Index>& members, const T* device, Index arrays, T* host) {
  std::vector<T> staging(z(slots_ * arrays * layout_.size));
  copy_to_host(context_, staging.data(), device, staging.size() * sizeof(T));
  for (std::size_t s = 0; s < members.size(); ++s)
    for (Index a = 0; a < arrays; ++a)
      layout_.unpack(shape_, staging.data() + (static_cast<Index>(s) * arrays + a) * layout_.size,
                     host + (members[s] * arrays + a) * packed_size_);
}

template <class T>
void SlotTrainer<T>::load(const std::vector<Index>& members) {
  load_array(members, group_.parameters, packed_size_, 1, at_.parameters);
  if (needs_.displacement) {
    load_array(members, group_.start, packed_size_, 1, at_.start);
    load_array(members, group_.displacement, packed_size_, 1, at_.displacement);
  }
  if (needs_.moments > 0)
    load_array(members, group_.moments, needs_.moments * packed_size_, needs_.moments, at_.moments);
  std::vector<MemberSettings> settings(z(slots_));
  std::vector<MemberStatus> status(z(slots_), MemberStatus{TrainStatus::converged, 0, 0});
  for (std::size_t s = 0; s < members.size(); ++s) {
    settings[s] = group_.settings[members[s]];
    status[s] = group_.status[members[s]];
  }
  upload(at_.settings, settings);
  upload(at_.status, status);
}

template <class T>
void SlotTrainer<T>::store(const std::vector<Index>& members) {
  store_array(members, at_.parameters, 1, group_.parameters);
  if (needs_.displacement) store_array(members, at_.displacement, 1, group_.displacement);
  if (needs_.moments > 0) store_array(members, at_.moments, needs_.moments, group_.moments);
  std::vector<MemberStatus> status(z(slots_));
  copy_to_host(context_, status.data(), at_.status, status.size() * sizeof(MemberStatus));
  for (std::size_t s = 0; s < members.size(); ++s) group_.status[members[s]] = status[s];
}

/// The first period (a step; with a lazy window, all of its steps and its merging) runs as it is, the others as a
/// graph: what libraries load on first use is loaded by then. A graph holds a whole period because the products of a
/// window have a shape of their own at each of its steps.
template <class T>
void SlotTrainer<T>::run_steps(StepRange steps) {
  upload(at_.table, fused_step_factors(problem_.rule, steps));
  upload(at_.clock, std::vector<StepClock>{{steps.first, steps.first}});
  const Index period = needs_.period(), first = std::min(period, steps.last - steps.first);
  run_period(first);
  Index left = steps.last - steps.first - first;
  if (period <= kGraphSteps && left >= period) {
    StepGraph graph(context_, [&] { run_period(period); });
    for (; left >= period; left -= period) graph.replay();
  }
  run_period(left);
  synchronise(context_);
}

template <class T>
void SlotTrainer<T>::run_period(Index steps) {
  for (Index k = 0; k < steps; ++k) step();
}

template <class T>
void SlotTrainer<T>::step() {
  const TrainRule& rule = problem_.rule;
  const Index lowest = lowest_trained();
  prepare_steps(context_, PrepareTask<T>{state_, rule.update, at_.rates, 2 * shape_.layers(), at_.steps});
  gather_batch(context_,
               GatherTask<T>{state_, datasets_, rule.order, rule.loss, shape_.input_dim, shape_.outputs, at_.x, at_.y});
  forward();
  start();
  for (Index l = shape_.depth(); l >= lowest; --l) {
    const T* delta = at_.delta[current_];
    // The signal below is taken through the weights before the step.
    if (l > lowest) backward_layer(l);
    update_layer(l, delta);
  }
  window_->end_step();
  advance_clock(context_, state_);
}

template <class T>
void SlotTrainer<T>::forward() {
  for (Index l = 0; l < shape_.layers(); ++l) {
    const Index fan_in = shape_.fan_in(l), fan_out = shape_.fan_out(l);
    T* out = l == shape_.depth() ? at_.f : at_.z[z(l)];
    if (needs_.is_lazy(l))
      window_->multiply_forward(l, layer_input(l), out);
    else
      gemm(context_, {needs_.batch, fan_out, fan_in, Op::plain, Op::transposed}, slots_, weight_factor(l),
           rows(layer_input(l), fan_in), weights(l), T(0), rows(out, fan_out));
    if (l == shape_.depth()) return;
    HiddenTask<T> task;
    task.state = state_;
    task.z = out;
    task.keep_z = shape_.layer_norm || shape_.residual != 0.0;
    task.bias = bias(l);
    task.bias_slot = layout_.size;
    task.bias_scale = bias_factor(l);
    task.previous = shape_.is_residual(l) ? at_.z[z(l - 1)] : nullptr;
    task.statistics = at_.statistics[z(l)];
    task.h = at_.h[z(l)];
    task.slope = at_.slope[z(l)];
    task.layer = l;
    task.units = fan_out;
    task.keep = problem_.rule.dropout_keep;
    task.mask_scale = problem_.rule.dropout_scaled ? static_cast<T>(1.0 / problem_.rule.dropout_keep) : T(1);
    if (at_.multipliers) {
      task.multipliers = at_.multipliers;
      for (Index below = 0; below < l; ++below) task.multipliers += shape_.fan_out(below);
    }
    finish_hidden(context_, shape_.activation, task);
  }
}

template <class T>
void SlotTrainer<T>::start() {
  LossTask<T> task;
  task.state = state_;
  task.datasets = datasets_;
  task.rule = problem_.rule;
  task.fold_rate = needs_.in_place;
  task.bias = bias(shape_.depth());
  task.bias_slot = layout_.size;
  task.bias_scale = bias_factor(shape_.depth());
  task.outputs = shape_.outputs;
  task.f = at_.f;
  task.y = at_.y;
  current_ = 0;
  task.delta = at_.delta[current_];
  task.clear = at_.clear;
  task.clear_count = static_cast<int>(shape_.layers());
  start_backward(context_, task);
}

/// d loss / d z of hidden layer layer - 1, from that of `layer`.
template <class T>
void SlotTrainer<T>::backward_layer(Index layer) {
  const Index fan_in = shape_.fan_in(layer), fan_out = shape_.fan_out(layer);
  T* above = at_.delta[current_];
  current_ = 1 - current_;
  BackwardTask<T> task;
  task.state = state_;
  task.delta = at_.delta[current_];
  if (needs_.is_lazy(layer))
    window_->multiply_backward(layer, above, task.delta);
  else
    gemm(context_, {needs_.batch, fan_in, fan_out}, slots_, weight_factor(layer), rows(above, fan_out), weights(layer),
         T(0), rows(task.delta, fan_in));
  task.slope = at_.slope[z(layer - 1)];
  task.z = at_.z[z(layer - 1)];
  task.statistics = at_.statistics[z(layer - 1)];
  task.skip = shape_.is_residual(layer) ? above : nullptr;
  task.units = fan_in;
  through_hidden(context_, task);
}

/// The update of the array that begins at `offset` of a slot.
template <class T>
UpdateTask<T> SlotTrainer<T>::update_task(Index layer, Index offset) const {
  UpdateTask<T> task;
  task.state = state_;
  task.arrays.parameters = at_.parameters + offset;
  task.arrays.slot_stride = layout_.size;
  task.arrays.moment_stride = needs_.moments * layout_.size;
  if (needs_.displacement) {
    task.arrays.start = at_.start + offset;
    task.arrays.displacement = at_.displacement + offset;
  }
  if (needs_.moments > 0) task.arrays.v = at_.moments + offset;
  if (needs_.moments > 1) task.arrays.s = at_.moments + layout_.size + offset;
  task.steps_stride = 2 * shape_.layers();
  task.noisy = is_noisy(problem_.rule.update.kind);
  task.layer = layer;
  return task;
}

template <class T>
void SlotTrainer<T>::update_layer(Index layer, const T* delta) {
  if (scale(layer).weight_rate > 0) update_weights_of(layer, delta);
  if (scale(layer).bias_rate <= 0) return;
  const Index offset = layout_.bias_offset[z(layer)];
  UpdateTask<T> task = update_task(layer, offset);
  task.steps = at_.steps + 2 * layer + 1;
  task.rows = 1;
  task.cols = shape_.fan_out(layer);
  const T folded = needs_.in_place ? static_cast<T>(scale(layer).bias_rate) : T(0);
  update_biases(context_, task, BiasGradient<T>{delta, bias_factor(layer), folded});
}

template <class T>
void SlotTrainer<T>::update_weights_of(Index layer, const T* delta) {
  if (needs_.is_lazy(layer)) return window_->push(layer, delta, layer_input(layer));
  const Index fan_in = shape_.fan_in(layer), fan_out = shape_.fan_out(layer);
  UpdateTask<T> task = update_task(layer, layout_.weight_offset[z(layer)]);
  task.steps = at_.steps + 2 * layer;
  task.rows = fan_out;
  task.cols = fan_in;
  const GemmShape product{fan_out, fan_in, needs_.batch, Op::transposed, Op::plain};
  const BatchedMatrix<const T> signal{delta, fan_out, needs_.batch * fan_out},
      features = rows(layer_input(layer), fan_in);
  if (needs_.in_place) {
    // W <- (1 - eta lambda) W - r m delta^T h, eta in delta: no gradient is stored.
    decay_weights(context_, task);
    gemm(context_, product, slots_, -static_cast<T>(scale(layer).weight_rate) * weight_factor(layer), signal, features,
         T(1), weights(layer));
    return;
  }
  gemm(context_, product, slots_, weight_factor(layer), signal, features, T(0),
       {at_.gradient, fan_in, fan_out * fan_in});
  update_weights(context_, task, at_.gradient);
}

template <class T>
void run(Context& context, const TrainProblem<T>& problem, const TrainGroup<T>& group, const TrainData<T>* datasets) {
  std::map<Index, std::vector<Index>> by_batch;
  for (Index m = 0; m < group.members; ++m)
    if (group.status[m].status == TrainStatus::running) by_batch[group.settings[m].batch].push_back(m);
  for (const auto& [batch, members] : by_batch) {
    SlotTrainer<T> trainer(context, problem, group, batch, datasets);
    const auto count = static_cast<Index>(members.size());
    for (Index first = 0; first < count; first += trainer.slots())
      trainer.run({members.begin() + first, members.begin() + std::min(first + trainer.slots(), count)});
  }
}

}  // namespace

void train_gemm(Context& context, const TrainProblem<float>& problem, const TrainGroup<float>& group,
                const TrainData<float>* datasets) {
  run(context, problem, group, datasets);
}
void train_gemm(Context& context, const TrainProblem<double>& problem, const TrainGroup<double>& group,
                const TrainData<double>* datasets) {
  run(context, problem, group, datasets);
}

}  // namespace widelab::cuda
