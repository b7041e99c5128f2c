// Updates of the parameters of a batch of members, one array (weights or biases of a layer) a call.
#pragma once

#include "kernels/cuda/gemm/step_kernels.hpp"

namespace widelab::cuda {

/// Where an array of parameters and what belongs to it lie: of slot 0, slots `slot_stride` apart (moments:
/// `moment_stride`).
template <class T>
struct ParameterArrays {
  T* parameters = nullptr;
  const T* start = nullptr;   ///< displacement storage, or null
  T* displacement = nullptr;  ///< displacement storage, or null
  T *v = nullptr, *s = nullptr;
  Index slot_stride = 0, moment_stride = 0;
};

template <class T>
struct UpdateTask {
  SlotState state;
  ParameterArrays<T> arrays;
  const UpdateStep<T>* steps = nullptr;  ///< of slot 0; slots `steps_stride` apart
  Index steps_stride = 0;
  bool noisy = false;
  Index layer = 0, rows = 0, cols = 0;
};

/// theta += update_increment(...) of rows x cols weights; gradient: slots x rows x cols.
void update_weights(Context& context, const UpdateTask<float>& task, const float* gradient);
void update_weights(Context& context, const UpdateTask<double>& task, const double* gradient);

/// theta -= rate lambda theta: the weight decay of plain gradient descent.
void decay_weights(Context& context, const UpdateTask<float>& task);
void decay_weights(Context& context, const UpdateTask<double>& task);

/// Biases; cols units. gradient = bias_scale sum_s delta[s]. folded_rate > 0: delta carries the member's rate already,
/// and this is the rate relative to it (gradient descent).
template <class T>
struct BiasGradient {
  const T* delta = nullptr;  ///< slots x B x cols
  T bias_scale = 0;
  T folded_rate = 0;
};

void update_biases(Context& context, const UpdateTask<float>& task, const BiasGradient<float>& gradient);
void update_biases(Context& context, const UpdateTask<double>& task, const BiasGradient<double>& gradient);

}  // namespace widelab::cuda
