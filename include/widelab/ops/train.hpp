// Op `train`: advances an ensemble of networks through a range of absolute steps.
#pragma once

#include <cstdint>
#include <vector>

#include "widelab/base/types.hpp"
#include "widelab/math/losses.hpp"
#include "widelab/math/update_rules.hpp"
#include "widelab/model/minibatch_order.hpp"
#include "widelab/model/parametrization.hpp"
#include "widelab/model/schedule.hpp"
#include "widelab/plan/device_limits.hpp"
#include "widelab/plan/train_plan.hpp"
#include "widelab/rng/replicate_ids.hpp"

namespace widelab {

/// Steps first, first + 1, ..., last - 1.
struct StepRange {
  Index first = 0, last = 0;
};

/// What all members of an ensemble share.
struct TrainRule {
  LossKind loss = LossKind::half_squared;
  Reduction reduction = Reduction::sum;
  UpdateRule update;
  Schedule schedule;
  OrderKind order = OrderKind::fixed;
  double dropout_keep = 1.0;   ///< probability that a hidden unit is kept for an example at a step; 1 = no dropout
  bool dropout_scaled = true;  ///< kept units times 1 / keep; the network is evaluated as it is. Unscaled: kept units
                               ///< as they are; evaluate with hidden units times keep
  double divergence_limit = 1e10;  ///< an output beyond it, or not a number, ends the member
};

/// What is a member's own.
struct MemberSettings {
  ReplicateIds ids;
  double learning_rate = 0.1;  ///< eta; a layer's is eta x schedule x LayerScale::weight_rate or bias_rate
  Index batch = 1;             ///< B
  double weight_decay = 0;     ///< lambda, of trained parameters only
  double temperature = 0;      ///< T of langevin and sgld
  double label_noise = 0;      ///< squared losses: standard deviation of the normal added to each target at each use;
                               ///< other losses: probability that an example's label is another one at a use
  Index dataset = 0;           ///< row of TrainProblem::datasets
};

/// N x d inputs and N x k targets, both row-major without padding.
template <class T>
struct TrainData {
  const T* inputs = nullptr;
  const T* targets = nullptr;
  Index examples = 0;
  Index origin = 0;  ///< online: number in the stream of the first example
  /// OrderKind::file: row (step, slot) of the data, order_steps x order_batch, for absolute steps from 0; every member
  /// on this data set has B = order_batch. Lies where inputs and targets lie (CUDA: upload it as they are).
  const std::int32_t* order = nullptr;
  Index order_steps = 0, order_batch = 0;
};

/// The order of a member's batches on its data set: what to build a StepOrder from.
template <class T>
WIDELAB_HD BatchOrder batch_order(OrderKind kind, const MemberSettings& settings, const TrainData<T>& data) {
  return {kind, settings.ids.order, data.examples, settings.batch, data.origin, data.order};
}

enum class TrainStatus : std::int64_t { running = 0, converged = 1, diverged = 2 };

/// Where a member stands. A member that is not running is not touched by the op.
struct MemberStatus {
  TrainStatus status = TrainStatus::running;
  std::int64_t step = 0;  ///< diverged: the step whose forward pass broke the limit; its update is not made
  double quantity = 0;    ///< diverged: the largest |output| of that batch, or NaN or infinity
};

/// Members of one network shape. Arrays are members x P, P = ParamLayout(shape).size, in ParamLayout's order.
template <class T>
struct TrainGroup {
  const Network* network = nullptr;
  Index members = 0;
  const MemberSettings* settings = nullptr;  ///< members, host memory
  MemberStatus* status = nullptr;            ///< members, host memory, in and out
  T* parameters = nullptr;                   ///< in and out: what the network computes with
  const T* start = nullptr;                  ///< displacement storage: theta_0; null = in place
  T* displacement = nullptr;                 ///< displacement storage, in and out: D; parameters = fl(theta_0 + D)
  T* moments = nullptr;                      ///< in and out: members x moment_count(rule) x P; null if 0
};

/// One step of a member, t the absolute step:
///   1. slot s < B of the batch holds row StepOrder(batch_order(..), t).example(s) of the member's data set; its target
///      gets fresh label noise (functions below);
///   2. forward pass; hidden features times the dropout mask (and 1 / keep if scaled), after the unit multipliers;
///   3. if an output is not finite or beyond the limit, the member is diverged and nothing further happens to it;
///   4. delta_{L+1} = c loss_slope, c = reduction_factor; backward pass through the masks;
///   5. every trained parameter theta (relative rate > 0) with gradient g = c sum_s d loss_s / d theta:
///      D or theta += update_increment(make_update_step(rule, eta schedule(t) rate, lambda, T, t), theta, g, xi, v, s).
///      All gradients are at the parameters before the step.
/// Results do not depend on where a range of steps is cut, on the other members, or on the number of threads.
template <class T>
struct TrainProblem {
  TrainRule rule;
  std::vector<TrainGroup<T>> groups;
  std::vector<TrainData<T>> datasets;
  StepRange steps;
  TrainEngine engine = TrainEngine::fused;
  /// gemm: steps of the lazy low-rank window (plan/train_plan.hpp); 0 or 1 = update at each step. Above 1 for sgd and
  /// heavy ball with parameters in place only. Windows begin at absolute multiples of it, and so must steps.first
  /// (ContractError); a range that ends inside a window ends it there, so bits do depend on such ends: a caller who
  /// goes on from one has to go back to the state at the beginning of that window.
  Index window = 0;
  DeviceLimits limits;
};

/// Entry k of four, by selection: a device answers an index that is not a constant with memory.
template <class V>
WIDELAB_HD V one_of_four(const V (&v)[4], Index k) {
  return k == 0 ? v[0] : k == 1 ? v[1] : k == 2 ? v[2] : v[3];
}

/// Target of output `o` in `slot` at step `t` with label noise, squared losses: y + sigma xi.
WIDELAB_HD double noisy_target(const DrawId& label_noise, double sigma, double y, Index slot, Index outputs, Index o,
                               Index t) {
  const Index at = slot * outputs + o;
  const PhiloxBlock block = random_block_at_step(label_noise.stream(Stream::label_noise_at_use),
                                                 static_cast<std::uint32_t>(at / 4), static_cast<std::uint64_t>(t));
  return y + sigma * static_cast<double>(one_of_four(normal4(block).v, at % 4));
}

/// Label noise of the other losses. With probability p the label of `slot` is moved: with one output y changes sign
/// (shift = 0 means no move, 1 a move); with k outputs the targets of the label c and of (c + shift) mod k change
/// places, shift uniform on 1 .. k - 1.
WIDELAB_HD Index label_shift(const DrawId& label_noise, double p, Index slot, Index outputs, Index t) {
  const PhiloxBlock block = random_block_at_step(label_noise.stream(Stream::label_noise_at_use),
                                                 static_cast<std::uint32_t>(slot), static_cast<std::uint64_t>(t));
  if (uniform53(block, 0) >= p) return 0;
  return outputs < 3 ? 1 : 1 + uniform_index(uniform53(block, 1), outputs - 1);
}

/// The random block behind the masks of units 4 quad .. 4 quad + 3 of hidden layer `layer` (from 0) of `width` units,
/// for `slot` at step `t`.
WIDELAB_HD PhiloxBlock dropout_block(const DrawId& noise, Index layer, Index width, Index slot, Index quad, Index t) {
  return random_block_at_step(noise.stream(Stream::dropout, static_cast<std::uint8_t>(layer)),
                              static_cast<std::uint32_t>(slot * ceil_div(width, 4) + quad),
                              static_cast<std::uint64_t>(t));
}

/// Whether a unit with this word of its block is kept.
WIDELAB_HD bool dropout_keeps(std::uint32_t word, double keep) { return static_cast<double>(word) * 0x1p-32 < keep; }

/// Whether hidden layer `layer` (from 0) of `width` units keeps `unit` for `slot` at step `t`.
WIDELAB_HD bool dropout_keeps(const DrawId& noise, double keep, Index layer, Index width, Index slot, Index unit,
                              Index t) {
  return dropout_keeps(one_of_four(dropout_block(noise, layer, width, slot, unit / 4, t).w, unit % 4), keep);
}

/// The four Langevin draws of weights (row, 4 q .. 4 q + 3) of a layer with `cols` inputs.
WIDELAB_HD Draw4 langevin_draw4(const DrawId& noise, Index layer, Index row, Index cols, Index q, Index t) {
  return normal4(random_block_at_step(noise.stream(Stream::langevin_weights, static_cast<std::uint8_t>(layer)),
                                      static_cast<std::uint32_t>(row * ceil_div(cols, 4) + q),
                                      static_cast<std::uint64_t>(t)));
}

/// The Langevin draw of bias `unit`.
WIDELAB_HD float langevin_bias_draw(const DrawId& noise, Index layer, Index unit, Index t) {
  const Draw4 draws =
      normal4(random_block_at_step(noise.stream(Stream::langevin_biases, static_cast<std::uint8_t>(layer)),
                                   static_cast<std::uint32_t>(unit / 4), static_cast<std::uint64_t>(t)));
  return one_of_four(draws.v, unit % 4);
}

namespace reference {
void train(const TrainProblem<double>& problem);
}
/// CPU: `fused` and `gemm`, as problem.engine says.
namespace cpu {
void train(const TrainProblem<float>& problem);
void train(const TrainProblem<double>& problem);
}  // namespace cpu
/// CUDA: every pointer is host memory; states go to the device and come back once a call.
namespace cuda {
struct Context;
void train(Context& context, const TrainProblem<float>& problem);
void train(Context& context, const TrainProblem<double>& problem);
}  // namespace cuda

}  // namespace widelab
