// What the fused training body is told of a member: plain numbers and pointers, which pass to a device as they are, and
// the layout of the memory that it works in.
#pragma once

#include "widelab/base/host_device.hpp"
#include "widelab/base/types.hpp"
#include "widelab/math/activations.hpp"
#include "widelab/math/update_rules.hpp"
#include "widelab/ops/train.hpp"

namespace widelab {

/// What of a step is the same for all members and needs functions that a device would round differently.
struct StepFactors {
  double schedule = 1;
  AdamCorrections adam;
};

/// Layer l maps fan_in -> fan_out; layer L is the readout.
template <class T>
struct FusedLayer {
  Index fan_in = 0, fan_out = 0;
  Index weights = 0, biases = 0;  ///< where they begin in a member's parameters
  Index first_unit = 0;           ///< number of hidden units in the layers before
  Index unit_multipliers = -1;    ///< where they begin in FusedNetwork::unit_multipliers; -1 = all 1
  T weight_multiplier = 1;        ///< alpha of a residual branch included
  T bias_multiplier = 0;          ///< likewise
  double weight_rate = 0, bias_rate = 0;
  bool residual = false;
};

template <class T>
struct FusedNetwork {
  Index input_dim = 1, depth = 1, outputs = 1;
  Index units = 0;           ///< n_1 + .. + n_L
  Index widest = 1;          ///< largest n_l
  Index lowest_trained = 0;  ///< the backward pass ends there; depth + 1 = nothing is trained
  Index parameters = 0;      ///< P
  bool layer_norm = false, residual = false;
  Activation activation;
  const FusedLayer<T>* layers = nullptr;  ///< depth + 1
  const float* unit_multipliers = nullptr;
};

struct FusedRule {
  LossKind loss = LossKind::half_squared;
  Reduction reduction = Reduction::sum;
  UpdateRule update;
  OrderKind order = OrderKind::fixed;
  double dropout_keep = 1;
  bool dropout_scaled = true;
  double divergence_limit = 1e10;
  StepRange steps;
  const StepFactors* factors = nullptr;  ///< of steps.first, steps.first + 1, ..
};

/// Offsets, in scalars, of a member's arrays in its working memory; all multiples of 16. `rows` is the batch rounded up
/// to 16: the padded examples are computed with and never counted.
struct FusedWorkspace {
  Index rows = 0;          ///< Bp
  Index input_stride = 0;  ///< d rounded up to 4
  Index inputs = 0;        ///< Bp x input_stride, one example a row
  Index targets = 0;       ///< k x Bp
  Index outputs = 0;       ///< k x Bp; the backward pass turns f into d loss / d f
  Index features = 0;      ///< units x Bp: h of all hidden layers, one unit a row
  Index slopes = 0;        ///< units x Bp: dh/dz (LayerNorm: dh/dy); the backward pass turns them into d loss / d z
  Index normalised = 0;    ///< units x Bp: y, LayerNorm only
  Index inverse_sd = 0;    ///< depth x Bp, LayerNorm only
  Index stream = 0;        ///< widest x Bp: z of the last layer, residual networks only
  Index examples = 0;      ///< Bp 32-bit integers: the batch's rows of the data set
  Index size = 0;          ///< scalars in all
};

template <class T>
WIDELAB_HD FusedWorkspace fused_workspace(const FusedNetwork<T>& network, Index batch) {
  FusedWorkspace at;
  at.rows = 16 * ceil_div(batch, 16);
  at.input_stride = 4 * ceil_div(network.input_dim, 4);
  at.targets = at.inputs + at.rows * at.input_stride;
  at.outputs = at.targets + network.outputs * at.rows;
  at.features = at.outputs + network.outputs * at.rows;
  at.slopes = at.features + network.units * at.rows;
  at.normalised = at.slopes + network.units * at.rows;
  at.inverse_sd = at.normalised + (network.layer_norm ? network.units * at.rows : 0);
  at.stream = at.inverse_sd + (network.layer_norm ? network.depth * at.rows : 0);
  at.examples = at.stream + (network.residual ? network.widest * at.rows : 0);
  at.size = at.examples + at.rows;
  return at;
}

/// One member. A caller may keep the state in faster memory than it came from: the body uses these pointers alone.
template <class T>
struct FusedMember {
  const FusedNetwork<T>* network = nullptr;
  const FusedRule* rule = nullptr;
  MemberSettings settings;
  TrainData<T> data;
  T* parameters = nullptr;    ///< P
  const T* start = nullptr;   ///< P, displacement storage only
  T* displacement = nullptr;  ///< P, displacement storage only
  T* moments = nullptr;       ///< moment_count x P
  T* workspace = nullptr;     ///< fused_workspace(*network, batch).size
  MemberStatus* status = nullptr;
};

}  // namespace widelab
