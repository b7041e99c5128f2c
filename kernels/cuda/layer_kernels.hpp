// The elementwise and row-wise steps between the matrix products of a network, over a batch of members; those of
// losses are in gradient_kernels.cu.
#pragma once

#include "kernels/cuda/support/context.hpp"
#include "widelab/base/types.hpp"
#include "widelab/math/activations.hpp"
#include "widelab/math/losses.hpp"

namespace widelab::cuda {

/// Mean and inverse standard deviation of the units of a row; inverse_deviation = 0 for a constant row.
struct RowStatistics {
  double mean, inverse_deviation;
};

/// Forward, per row (slot, input) and unit j:  z += bias_scale b[slot, j] + previous;  y = LN(z) or z;  h = s_j phi(y).
template <class T>
struct FeatureTask {
  T* z = nullptr;           ///< in and out: slots x inputs x units
  const T* bias = nullptr;  ///< slots x units, or null
  T bias_scale = 0;
  const T* previous = nullptr;          ///< residual stream, like z, or null
  RowStatistics* statistics = nullptr;  ///< slots x inputs with LayerNorm, else null
  const float* multipliers = nullptr;   ///< units, or null
  T* h = nullptr;                       ///< out: slots x inputs x units
  Index slots = 0, inputs = 0, units = 0;
};

/// Completes the pre-activations in `z` (and the statistics) and evaluates the features.
void finish_layer(Context& context, const Activation& activation, const FeatureTask<float>& task);
void finish_layer(Context& context, const Activation& activation, const FeatureTask<double>& task);

/// The features again, from complete pre-activations and statistics.
void evaluate_features(Context& context, const Activation& activation, const FeatureTask<float>& task);
void evaluate_features(Context& context, const Activation& activation, const FeatureTask<double>& task);

/// Backward, per row (slot, input, output) and unit j:  g = factor upstream s_j phi'(y);
/// b = g, or (g - mean(g) - y mean(g y)) / sd with LayerNorm;  b += skip.
template <class T>
struct SlopeTask {
  T* b = nullptr;  ///< out: slots x inputs x outputs x units; may be `upstream`
  const T* upstream = nullptr;
  Index upstream_slot = 0, upstream_input = 0,
        upstream_output = 0;  ///< strides; input stride 0 = the same for all inputs
  T factor = 1;
  const T* z = nullptr;  ///< slots x inputs x units
  const RowStatistics* statistics = nullptr;
  const float* multipliers = nullptr;
  const T* skip = nullptr;  ///< like b, or null
  Index slots = 0, inputs = 0, outputs = 0, units = 0;
  Index first_output = 0, output_count = 0;  ///< outputs of this call
};

void through_activation(Context& context, const Activation& activation, const SlopeTask<float>& task);
void through_activation(Context& context, const Activation& activation, const SlopeTask<double>& task);

/// df = d loss / df, per row (slot, input) over its outputs.
template <class T>
struct LossSlopeTask {
  LossKind loss = LossKind::half_squared;
  const T* f = nullptr;        ///< slots x inputs x outputs
  const T* targets = nullptr;  ///< inputs x outputs
  T* df = nullptr;             ///< out: slots x inputs x outputs
  Index slots = 0, inputs = 0, outputs = 0;
};

void loss_slopes(Context& context, const LossSlopeTask<float>& task);
void loss_slopes(Context& context, const LossSlopeTask<double>& task);

/// squares[member, first + input] (+)= (weight_kernel |h|^2 + bias_kernel) |delta|^2: a layer's share of the squared
/// norm of a loss gradient.
template <class T>
struct SquareTask {
  const T* h = nullptr;  ///< rows of the layer's input, `h_stride` apart within a slot
  Index h_slot = 0, h_stride = 0, fan_in = 0;
  const T* delta = nullptr;  ///< slots x inputs x fan_out
  Index fan_out = 0;
  double weight_kernel = 0, bias_kernel = 0;
  bool set = false;  ///< the result is set, not added to
  Index members = 0, inputs = 0, first = 0, all_inputs = 0;
  double* squares = nullptr;  ///< members x all_inputs
};

void add_gradient_squares(Context& context, const SquareTask<float>& task);
void add_gradient_squares(Context& context, const SquareTask<double>& task);

}  // namespace widelab::cuda
