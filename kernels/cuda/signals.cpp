#include "kernels/cuda/signals.hpp"

namespace widelab::cuda {

std::vector<float> concatenated_multipliers(const MlpShape& shape) {
  std::vector<float> all;
  for (const std::vector<float>& layer : shape.unit_multipliers) all.insert(all.end(), layer.begin(), layer.end());
  return all;
}

template <class T>
const float* SignalTile<T>::multipliers(Index hidden) const {
  if (!multipliers_) return nullptr;
  Index offset = 0;
  for (Index l = 0; l < hidden; ++l) offset += shape_.fan_out(l);
  return multipliers_ + offset;
}

template <class T>
FeatureTask<T> SignalTile<T>::feature_task(Index hidden) const {
  FeatureTask<T> task;
  task.z = z_[static_cast<std::size_t>(hidden)];
  task.statistics = statistics_[static_cast<std::size_t>(hidden)];
  task.multipliers = multipliers(hidden);
  task.h = h_;
  task.slots = plan_.slots;
  task.inputs = inputs();
  task.units = shape_.fan_out(hidden);
  return task;
}

template <class T>
BatchedMatrix<const T> SignalTile<T>::layer_input(Index layer) const {
  if (layer == 0) return {inputs_.data, inputs_.stride, 0};
  WIDELAB_REQUIRE(current_hidden_ == layer - 1, "the features of another layer are current");
  const Index units = shape_.fan_in(layer);
  return {h_, units, inputs() * units};
}

/// z = branch m W h, panel by panel of output units.
template <class T>
void SignalTile<T>::multiply_forward(WeightPanels<T>& weights, Index layer, T* z) {
  const Index fan_in = shape_.fan_in(layer), fan_out = shape_.fan_out(layer), step = panel_rows(shape_, plan_, layer);
  const BatchedMatrix<const T> h = layer_input(layer);
  for (Index row = 0; row < fan_out; row += step) {
    const Index rows = std::min(step, fan_out - row);
    const BatchedMatrix<const T> w = weights.weights(layer, row, rows);
    gemm(context_, {inputs(), rows, fan_in, Op::plain, Op::transposed}, plan_.slots, weight_factor(layer), h, w, T(0),
         {z + row, fan_out, inputs() * fan_out});
  }
}

template <class T>
void SignalTile<T>::forward(WeightPanels<T>& weights, MatrixView<const T> inputs) {
  WIDELAB_REQUIRE(inputs.rows <= plan_.tile, "more inputs than the plan's tile");
  inputs_ = inputs;
  for (Index l = 0; l < shape_.layers(); ++l) {
    const bool readout = l == shape_.depth();
    if (readout && !f_) return;
    T* z = readout ? f_ : z_[static_cast<std::size_t>(l)];
    multiply_forward(weights, l, z);
    FeatureTask<T> task;
    if (readout) {
      // f is its own feature: the identity adds the bias.
      task.z = task.h = z;
      task.slots = plan_.slots;
      task.inputs = inputs.rows;
      task.units = shape_.outputs;
    } else {
      task = feature_task(l);
    }
    task.bias = weights.biases(l);
    task.bias_scale = branch(l) * static_cast<T>(network_.layers[static_cast<std::size_t>(l)].bias_multiplier);
    task.previous = shape_.is_residual(l) ? z_[static_cast<std::size_t>(l - 1)] : nullptr;
    finish_layer(context_, readout ? Activation(Identity{}) : shape_.activation, task);
    if (!readout) current_hidden_ = l;
  }
}

template <class T>
void SignalTile<T>::load_features(Index hidden) {
  if (current_hidden_ == hidden) return;
  WIDELAB_REQUIRE(needs_.backward, "pre-activations were not kept");
  evaluate_features(context_, shape_.activation, feature_task(hidden));
  current_hidden_ = hidden;
}

template <class T>
SlopeTask<T> SignalTile<T>::slope_task(Index hidden) const {
  SlopeTask<T> task;
  task.z = z_[static_cast<std::size_t>(hidden)];
  task.statistics = statistics_[static_cast<std::size_t>(hidden)];
  task.multipliers = multipliers(hidden);
  task.slots = plan_.slots;
  task.inputs = inputs();
  task.outputs = task.output_count = backward_rows();
  task.units = shape_.fan_out(hidden);
  return task;
}

template <class T>
void SignalTile<T>::differentiate(LossKind loss, const T* targets) {
  loss_slopes(context_, {loss, f_, targets, df_, plan_.slots, inputs(), shape_.outputs});
}

template <class T>
void SignalTile<T>::backward(WeightPanels<T>& weights, Index hidden) {
  const Index layer = hidden + 1, fan_in = shape_.fan_in(layer), fan_out = shape_.fan_out(layer);
  const Index step = panel_rows(shape_, plan_, layer), outputs = backward_rows();
  const bool of_outputs = layer == shape_.depth() && !needs_.of_loss;
  const T* above = layer == shape_.depth() ? df_ : b_[current_b_];
  current_b_ = 1 - current_b_;
  SlopeTask<T> task = slope_task(hidden);
  task.b = b_[current_b_];
  for (Index row = 0; row < fan_out; row += step) {
    const Index rows = std::min(step, fan_out - row);
    const BatchedMatrix<const T> w = weights.weights(layer, row, rows);
    if (of_outputs) {
      // df_o/dh_L = m W_{L+1}[o, :], whatever the input.
      task.upstream = w.data - row * fan_in;
      task.upstream_slot = w.slot_stride;
      task.upstream_output = fan_in;
      task.factor = weight_factor(layer);
      task.first_output = row;
      task.output_count = rows;
      through_activation(context_, shape_.activation, task);
    } else {
      gemm(context_, {inputs() * outputs, fan_in, rows}, plan_.slots, weight_factor(layer),
           {above + row, fan_out, inputs() * outputs * fan_out}, w, row == 0 ? T(0) : T(1),
           {task.b, fan_in, inputs() * outputs * fan_in});
    }
  }
  if (of_outputs) return;
  task.upstream = task.b;
  task.upstream_slot = inputs() * outputs * fan_in;
  task.upstream_input = outputs * fan_in;
  task.upstream_output = fan_in;
  task.skip = shape_.is_residual(layer) ? above : nullptr;
  through_activation(context_, shape_.activation, task);
}

template class SignalTile<float>;
template class SignalTile<double>;

}  // namespace widelab::cuda
