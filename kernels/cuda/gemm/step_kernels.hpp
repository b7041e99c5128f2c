// The elementwise and row-wise steps between the matrix products of a training step, over the slots of a batch of
// members. Slots hold members of one shape and one batch size B; arrays are slots x B x units, units fastest.
#pragma once

#include "kernels/cuda/layer_kernels.hpp"
#include "kernels/cuda/train_state.hpp"

namespace widelab::cuda {

/// Who is in the slots, and which step it is: device memory, the same for every step of a launch.
struct SlotState {
  const MemberSettings* settings = nullptr;  ///< slots
  MemberStatus* status = nullptr;            ///< slots; slots without a member are not running
  const StepFactors* table = nullptr;
  StepClock* clock = nullptr;
  Index slots = 0, batch = 0;
};

/// Features that are cleared where no member runs, so that updates by products of zeros are zero: a diverged member's
/// features need not be numbers.
template <class T>
struct SlotArray {
  T* data;
  Index per_slot;
};

template <class T>
struct GatherTask {
  SlotState state;
  const TrainData<T>* datasets = nullptr;
  OrderKind order = OrderKind::fixed;
  LossKind loss = LossKind::half_squared;
  Index inputs = 0, outputs = 0;  ///< d, k
  T* x = nullptr;                 ///< out: slots x B x d
  T* y = nullptr;                 ///< out: slots x B x k, label noise added
};

/// x and y of the step's examples; zeros where no member runs.
void gather_batch(Context& context, const GatherTask<float>& task);
void gather_batch(Context& context, const GatherTask<double>& task);

template <class T>
struct LossTask {
  SlotState state;
  const TrainData<T>* datasets = nullptr;
  TrainRule rule;
  bool fold_rate = false;  ///< delta is multiplied by the member's learning rate of the step
  T bias_scale = 0;
  const T* bias = nullptr;  ///< of slot 0; slots lie bias_slot apart
  Index bias_slot = 0;
  Index outputs = 0;
  T* f = nullptr;        ///< in: m W h; out: with bias
  const T* y = nullptr;  ///< targets
  T* delta = nullptr;    ///< out: c d loss / d f; zeros where no member runs
  const SlotArray<T>* clear = nullptr;
  int clear_count = 0;
};

/// Completes the outputs, stops members that left the limit, and starts the backward pass.
void start_backward(Context& context, const LossTask<float>& task);
void start_backward(Context& context, const LossTask<double>& task);

/// Fills steps (slots x 2 layers: weights, biases of layer 0, weights of layer 1, ...) for the current step.
/// `rates`: 2 layers relative learning rates, device memory.
template <class T>
struct PrepareTask {
  SlotState state;
  UpdateRule rule;
  const double* rates = nullptr;
  Index arrays = 0;  ///< 2 layers
  UpdateStep<T>* steps = nullptr;
};

void prepare_steps(Context& context, const PrepareTask<float>& task);
void prepare_steps(Context& context, const PrepareTask<double>& task);

/// The clock's next step.
void advance_clock(Context& context, const SlotState& state);

/// Forward, per row (slot, example) and unit j:  z += bias_scale b + previous;  y = LN(z) or z;
/// h = mask s_j phi(y), slope = mask s_j phi'(y); mask is 1, or the dropout mask of the step (over keep, if scaled).
template <class T>
struct HiddenTask {
  SlotState state;
  T* z = nullptr;           ///< in; out: complete where keep_z
  bool keep_z = false;      ///< LayerNorm and residual streams read z later
  const T* bias = nullptr;  ///< of slot 0
  Index bias_slot = 0;
  T bias_scale = 0;
  const T* previous = nullptr;          ///< residual stream, or null
  RowStatistics* statistics = nullptr;  ///< slots x B with LayerNorm, else null
  const float* multipliers = nullptr;   ///< units, or null
  T* h = nullptr;
  T* slope = nullptr;
  Index layer = 0, units = 0;
  double keep = 1;
  T mask_scale = 1;  ///< of units that are kept
};

void finish_hidden(Context& context, const Activation& activation, const HiddenTask<float>& task);
void finish_hidden(Context& context, const Activation& activation, const HiddenTask<double>& task);

/// Backward: g = delta slope;  delta = g, or (g - mean(g) - y mean(g y)) / sd with LayerNorm;  delta += skip. Zeros
/// where no member runs.
template <class T>
struct BackwardTask {
  SlotState state;
  T* delta = nullptr;  ///< in: d / d h; out: d / d z
  const T* slope = nullptr;
  const T* z = nullptr;
  const RowStatistics* statistics = nullptr;
  const T* skip = nullptr;
  Index units = 0;
};

void through_hidden(Context& context, const BackwardTask<float>& task);
void through_hidden(Context& context, const BackwardTask<double>& task);

}  // namespace widelab::cuda
