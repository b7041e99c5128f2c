#include "kernels/cpu/train_gemm.hpp"

#include <algorithm>
#include <vector>

#include "kernels/cpu/blas.hpp"
#include "kernels/cpu/parallel.hpp"
#include "kernels/cpu/train_gemm_batch.hpp"
#include "kernels/cpu/train_gemm_pass.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/ops/train_checks.hpp"

namespace widelab::cpu {
namespace {

/// The arrays of one layer of member `m`.
template <class T>
TrainLayer<T> make_layer(const TrainGroup<T>& group, Index moments, const ParamLayout& layout, Index m, Index l) {
  const MlpShape& shape = group.network->shape;
  const LayerScale& scale = group.network->layers[static_cast<std::size_t>(l)];
  const Index state = m * layout.size, moment_state = m * moments * layout.size;
  ParameterBlock<T> all;
  all.theta = group.parameters + state;
  if (group.displacement) {
    all.start = group.start + state;
    all.displacement = group.displacement + state;
  }
  if (moments > 0) all.v = group.moments + moment_state;
  if (moments > 1) all.s = group.moments + moment_state + layout.size;
  const double branch = shape.is_residual(l) ? shape.residual : 1.0;
  TrainLayer<T> layer;
  layer.rows = shape.fan_out(l);
  layer.cols = shape.fan_in(l);
  layer.multiplier = branch * scale.weight_multiplier;
  layer.bias_multiplier = branch * scale.bias_multiplier;
  layer.weight_rate = scale.weight_rate;
  layer.bias_rate = scale.bias_rate;
  layer.weights = all.at(layout.weight_offset[static_cast<std::size_t>(l)]);
  layer.biases = all.at(layout.bias_offset[static_cast<std::size_t>(l)]);
  return layer;
}

/// One running member through the range of steps.
template <class T>
class MemberTraining {
 public:
  MemberTraining(const TrainProblem<T>& problem, const TrainGroup<T>& group, Index m, bool parallel)
      : problem_(problem),
        shape_(group.network->shape),
        settings_(group.settings[m]),
        data_(problem.datasets[static_cast<std::size_t>(settings_.dataset)]),
        status_(group.status[m]),
        parallel_(parallel),
        layers_(make_layers(group, m)),
        pass_(shape_, layers_, settings_.batch, parallel),
        factor_(
            reduction_factor(problem.rule.reduction, settings_.batch, data_.examples, group.network->shape.outputs)) {
    while (lowest_ < shape_.layers() && !layers_[static_cast<std::size_t>(lowest_)].trained()) ++lowest_;
  }

  void run() {
    const Index window = std::max(Index(1), problem_.window);
    for (Index t = problem_.steps.first; t < problem_.steps.last && status_.status == TrainStatus::running; ++t) {
      step(t);
      if ((t + 1) % window == 0) merge();
    }
    merge();
  }

 private:
  std::vector<TrainLayer<T>> make_layers(const TrainGroup<T>& group, Index m) const {
    const ParamLayout layout(shape_);
    const Index batch = settings_.batch;
    std::vector<TrainLayer<T>> layers;
    for (Index l = 0; l < shape_.layers(); ++l) {
      layers.push_back(make_layer(group, moment_count(problem_.rule.update.kind), layout, m, l));
      TrainLayer<T>& layer = layers.back();
      if (layer.weight_rate > 0 && window_pays(layer.rows, layer.cols, batch, problem_.window))
        layer.window.emplace(layer.weights, layer.rows, layer.cols, batch, problem_.window, layer.multiplier);
    }
    return layers;
  }

  void step(Index t) {
    const TrainRule& rule = problem_.rule;
    load_batch(rule, settings_, data_, shape_, t, batch_);
    const T* f = pass_.forward(batch_.inputs, {rule.dropout_keep, rule.dropout_scaled, settings_.ids.noise, t});
    const double largest = largest_output(f, settings_.batch * shape_.outputs);
    if (!(largest <= rule.divergence_limit)) {
      status_ = {TrainStatus::diverged, t, largest};
      return;
    }
    loss_slopes(rule.loss, factor_, f, settings_.batch, shape_.outputs, batch_);
    const T* dz = batch_.slopes.data();
    for (Index l = shape_.depth(); l >= lowest_; --l) {
      // The signal below is taken through the weights before their update.
      const T* below = l > lowest_ ? pass_.backward(l, dz) : nullptr;
      update(l, t, dz);
      dz = below;
    }
  }

  template <class Scalar>
  UpdateStep<Scalar> update_at(double relative_rate, Index t) const {
    const TrainRule& rule = problem_.rule;
    return make_update_step<Scalar>(rule.update, settings_.learning_rate * rule.schedule.factor(t) * relative_rate,
                                    settings_.weight_decay, settings_.temperature, t);
  }

  void update(Index l, Index t, const T* dz) {
    TrainLayer<T>& layer = layers_[static_cast<std::size_t>(l)];
    const NoiseSource noise{settings_.ids.noise, l, t};
    const Index batch = settings_.batch;
    const T* h = pass_.input_of(l);
    if (layer.bias_rate > 0)
      update_biases(update_at<T>(layer.bias_rate, t), layer.biases,
                    LayerGradient<T>{batch, layer.rows, 1, layer.bias_multiplier, dz}, noise);
    if (layer.window)
      layer.window->push(update_at<double>(layer.weight_rate, t), dz, h);
    else if (layer.weight_rate > 0)
      update_weights(update_at<T>(layer.weight_rate, t), layer.weights,
                     LayerGradient<T>{batch, layer.rows, layer.cols, layer.multiplier, dz, h}, noise, parallel_);
  }

  void merge() {
    for (TrainLayer<T>& layer : layers_)
      if (layer.window) layer.window->merge(parallel_);
  }

  const TrainProblem<T>& problem_;
  const MlpShape& shape_;
  const MemberSettings& settings_;
  const TrainData<T>& data_;
  MemberStatus& status_;
  bool parallel_;
  std::vector<TrainLayer<T>> layers_;
  TrainPass<T> pass_;
  TrainBatch<T> batch_;
  double factor_;     ///< c of the gradient
  Index lowest_ = 0;  ///< the lowest trained layer; signals go no further down
};

template <class T>
void run(const TrainProblem<T>& problem) {
  check_train(problem);
  check_window(problem);
  use_single_threaded_blas();
  struct Member {
    const TrainGroup<T>* group;
    Index index;
  };
  std::vector<Member> running;
  for (const TrainGroup<T>& group : problem.groups)
    for (Index m = 0; m < group.members; ++m)
      if (group.status[m].status == TrainStatus::running) running.push_back({&group, m});
  const Index workers = worker_count(problem.limits.workers), members = static_cast<Index>(running.size());
  const bool across = members >= workers && workers > 1, within = members < workers;
  parallel_for(members, across, [&](Index i) {
    const Member& member = running[static_cast<std::size_t>(i)];
    MemberTraining<T>(problem, *member.group, member.index, within).run();
  });
}

}  // namespace

void train_gemm(const TrainProblem<float>& problem) { run(problem); }
void train_gemm(const TrainProblem<double>& problem) { run(problem); }

}  // namespace widelab::cpu
