#include "kernels/cpu/train_gemm_batch.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace widelab::cpu {
namespace {

/// Label noise of one slot's targets y (k numbers), as ops/train.hpp defines it.
template <class T>
void disturb_targets(const TrainRule& rule, const MemberSettings& settings, Index slot, Index t, Index k, T* y) {
  const DrawId& id = settings.ids.label_noise;
  if (rule.loss == LossKind::half_squared || rule.loss == LossKind::squared) {
    for (Index o = 0; o < k; ++o)
      y[o] = static_cast<T>(noisy_target(id, settings.label_noise, static_cast<double>(y[o]), slot, k, o, t));
    return;
  }
  const Index shift = label_shift(id, settings.label_noise, slot, k, t);
  if (shift == 0) return;
  if (k == 1) {
    y[0] = -y[0];
    return;
  }
  const Index label = std::max_element(y, y + k) - y;
  std::swap(y[label], y[(label + shift) % k]);
}

}  // namespace

template <class T>
void load_batch(const TrainRule& rule, const MemberSettings& settings, const TrainData<T>& data, const MlpShape& shape,
                Index t, TrainBatch<T>& batch) {
  const Index slots = settings.batch, d = shape.input_dim, k = shape.outputs;
  const StepOrder order(batch_order(rule.order, settings, data), t);
  const bool neighbours = rule.order == OrderKind::fixed || rule.order == OrderKind::online;
  if (!neighbours) batch.gathered.resize(static_cast<std::size_t>(slots * d));
  batch.inputs = neighbours ? data.inputs + order.example(0) * d : batch.gathered.data();
  batch.targets.resize(static_cast<std::size_t>(slots * k));
  std::vector<std::int32_t> rows(static_cast<std::size_t>(slots));
  order.examples(0, 1, rows.data());
  for (Index slot = 0; slot < slots; ++slot) {
    const Index row = rows[static_cast<std::size_t>(slot)];
    if (!neighbours) std::copy_n(data.inputs + row * d, d, batch.gathered.data() + slot * d);
    T* y = batch.targets.data() + slot * k;
    std::copy_n(data.targets + row * k, k, y);
    if (settings.label_noise != 0) disturb_targets(rule, settings, slot, t, k, y);
  }
}

template <class T>
double largest_output(const T* f, Index count) {
  T largest = 0;
  for (Index i = 0; i < count; ++i) {
    if (std::isnan(f[i])) return NAN;
    largest = std::max(largest, std::abs(f[i]));
  }
  return static_cast<double>(largest);
}

template <class T>
void loss_slopes(LossKind loss, double factor, const T* f, Index slots, Index outputs, TrainBatch<T>& batch) {
  batch.slopes.resize(static_cast<std::size_t>(slots * outputs));
  for (Index slot = 0; slot < slots; ++slot)
    loss_slope(loss, f + slot * outputs, batch.targets.data() + slot * outputs, outputs, Index{1},
               batch.slopes.data() + slot * outputs);
  for (T& slope : batch.slopes) slope *= static_cast<T>(factor);
}

template void load_batch(const TrainRule&, const MemberSettings&, const TrainData<float>&, const MlpShape&, Index,
                         TrainBatch<float>&);
template void load_batch(const TrainRule&, const MemberSettings&, const TrainData<double>&, const MlpShape&, Index,
                         TrainBatch<double>&);
template double largest_output(const float*, Index);
template double largest_output(const double*, Index);
template void loss_slopes(LossKind, double, const float*, Index, Index, TrainBatch<float>&);
template void loss_slopes(LossKind, double, const double*, Index, Index, TrainBatch<double>&);

}  // namespace widelab::cpu
