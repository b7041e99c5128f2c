// What one step of one member is fed with: rows of its data set, targets with their label noise, slopes of the loss.
#pragma once

#include "kernels/cpu/buffer.hpp"
#include "widelab/ops/train.hpp"

namespace widelab::cpu {

/// B slots of one step.
template <class T>
struct TrainBatch {
  const T* inputs = nullptr;  ///< B x d: the data set's own rows where they are neighbours, else `gathered`
  Buffer<T> gathered;         ///< B x d
  Buffer<T> targets;          ///< B x k
  Buffer<T> slopes;           ///< B x k: c d loss_s / d f
};

/// Fills inputs and targets at step `t`.
template <class T>
void load_batch(const TrainRule& rule, const MemberSettings& settings, const TrainData<T>& data, const MlpShape& shape,
                Index t, TrainBatch<T>& batch);

/// The largest |f| of `count` outputs; NaN if one is NaN.
template <class T>
double largest_output(const T* f, Index count);

/// Fills slopes from f (slots x outputs); `factor` is c (reduction_factor).
template <class T>
void loss_slopes(LossKind loss, double factor, const T* f, Index slots, Index outputs, TrainBatch<T>& batch);

}  // namespace widelab::cpu
