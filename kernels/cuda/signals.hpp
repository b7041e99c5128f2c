// Forward and backward signals of a batch of members on a tile of inputs.
#pragma once

#include <vector>

#include "kernels/cuda/layer_kernels.hpp"
#include "kernels/cuda/weight_panels.hpp"
#include "widelab/base/view.hpp"
#include "widelab/math/losses.hpp"

namespace widelab::cuda {

/// What of the signals is wanted.
struct SignalNeeds {
  bool backward = true;  ///< keep what the backward pass needs
  bool outputs = true;   ///< compute f; always so for a loss
  bool of_loss = false;  ///< backward signals of a loss, one row an input, not one for each output
};

/// The signals of up to `tile` inputs. Arrays are slots x inputs x units, units fastest, without padding.
template <class T>
class SignalTile {
 public:
  SignalTile(Context& context, const Network& network, const BatchPlan& plan, SignalNeeds needs)
      : context_(context),
        network_(network),
        shape_(network.shape),
        plan_(plan),
        needs_(needs),
        z_(network.shape.widths.size(), nullptr),
        statistics_(network.shape.widths.size(), nullptr) {}

  /// Cuts the buffers out of the workspace; Memory is an Arena or a ByteCounter.
  template <class Memory>
  void take_buffers(Memory& memory) {
    const Index rows = plan_.slots * plan_.tile;
    const Index widest = *std::max_element(shape_.widths.begin(), shape_.widths.end());
    for (Index l = 0; l < shape_.depth(); ++l) {
      const auto at = static_cast<std::size_t>(l);
      // Without a backward pass a layer's pre-activations outlive only the next layer (residual stream).
      z_[at] = !needs_.backward && l >= 2
                   ? z_[at - 2]
                   : memory.template take<T>(rows * (needs_.backward ? shape_.widths[at] : widest), "z");
      if (shape_.layer_norm) statistics_[at] = memory.template take<RowStatistics>(rows, "LayerNorm statistics");
    }
    h_ = memory.template take<T>(rows * widest, "h");
    if (needs_.outputs || needs_.of_loss) f_ = memory.template take<T>(rows * shape_.outputs, "f");
    if (needs_.of_loss) df_ = memory.template take<T>(rows * shape_.outputs, "d loss / df");
    if (!needs_.backward) return;
    for (T*& b : b_) b = memory.template take<T>(rows * backward_rows() * widest, "df/dz");
  }

  /// Device memory: s_l of all hidden layers, one after the other; null = 1.
  void set_multipliers(const float* multipliers) { multipliers_ = multipliers; }

  /// Runs `inputs` (device memory, at most `tile` rows) through the members of `weights`; leaves h_L current.
  void forward(WeightPanels<T>& weights, MatrixView<const T> inputs);

  /// Makes h of hidden layer `hidden` current.
  void load_features(Index hidden);
  /// Input of layer `layer`: x, or the features, which must be current.
  BatchedMatrix<const T> layer_input(Index layer) const;

  /// Of a loss: df = d loss / df at targets (device memory, inputs x outputs); comes before backward().
  void differentiate(LossKind loss, const T* targets);
  /// Makes b = df/dz of hidden layer `hidden` current: called for L - 1, L - 2, ..., 0 in this order.
  void backward(WeightPanels<T>& weights, Index hidden);
  /// Rows of backward signals that an input has: outputs, or 1.
  Index backward_rows() const { return needs_.of_loss ? 1 : shape_.outputs; }
  /// Current df/dz, or d loss / dz: slots x inputs x backward_rows() x units.
  const T* b() const { return b_[current_b_]; }
  const T* df() const { return df_; }
  const T* f() const { return f_; }
  Index inputs() const { return inputs_.rows; }

 private:
  const float* multipliers(Index hidden) const;
  T branch(Index layer) const { return shape_.is_residual(layer) ? static_cast<T>(shape_.residual) : T(1); }
  T weight_factor(Index layer) const {
    return branch(layer) * static_cast<T>(network_.layers[static_cast<std::size_t>(layer)].weight_multiplier);
  }
  FeatureTask<T> feature_task(Index hidden) const;
  SlopeTask<T> slope_task(Index hidden) const;
  void multiply_forward(WeightPanels<T>& weights, Index layer, T* z);

  Context& context_;
  const Network& network_;
  const MlpShape& shape_;
  BatchPlan plan_;
  SignalNeeds needs_;
  MatrixView<const T> inputs_;
  const float* multipliers_ = nullptr;
  std::vector<T*> z_;
  std::vector<RowStatistics*> statistics_;
  T* h_ = nullptr;
  T* f_ = nullptr;
  T* df_ = nullptr;
  T* b_[2] = {nullptr, nullptr};
  Index current_hidden_ = -1;
  int current_b_ = 0;
};

extern template class SignalTile<float>;
extern template class SignalTile<double>;

/// s_l of all hidden layers in device memory, or no array where the shape has none.
std::vector<float> concatenated_multipliers(const MlpShape& shape);

}  // namespace widelab::cuda
