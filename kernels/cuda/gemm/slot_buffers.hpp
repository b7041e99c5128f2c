// Device memory of a batch of members in training by matrix products, and how many members share it. Pure host code.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "kernels/cuda/batch_plan.hpp"
#include "kernels/cuda/gemm/update_kernels.hpp"
#include "kernels/shared/window_coefficients.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/model/parametrization.hpp"

namespace widelab::cuda {

/// Parameters of a slot on the device: every array begins at a multiple of 64 numbers, so that cuBLAS finds the same
/// alignment in every slot.
struct SlotLayout {
  std::vector<Index> weight_offset, bias_offset;
  Index size = 0;

  explicit SlotLayout(const MlpShape& shape) {
    for (Index l = 0; l < shape.layers(); ++l) {
      weight_offset.push_back(size);
      size += padded(shape.fan_in(l) * shape.fan_out(l));
      bias_offset.push_back(size);
      size += padded(shape.fan_out(l));
    }
  }
  static Index padded(Index count) { return ceil_div(count, 64) * 64; }

  /// Copies a member between ParamLayout's order and a slot of host memory.
  template <class T>
  void pack(const MlpShape& shape, const T* member, T* slot) const {
    for_each_array(shape, [&](Index from, Index to, Index count) { std::copy_n(member + from, count, slot + to); });
  }
  template <class T>
  void unpack(const MlpShape& shape, const T* slot, T* member) const {
    for_each_array(shape, [&](Index to, Index from, Index count) { std::copy_n(slot + from, count, member + to); });
  }

 private:
  template <class F>
  void for_each_array(const MlpShape& shape, F&& f) const {
    const ParamLayout packed(shape);
    for (std::size_t l = 0; l < weight_offset.size(); ++l) {
      const auto layer = static_cast<Index>(l);
      f(packed.weight_offset[l], weight_offset[l], shape.fan_in(layer) * shape.fan_out(layer));
      f(packed.bias_offset[l], bias_offset[l], shape.fan_out(layer));
    }
  }
};

/// What is kept of every member beside its parameters.
struct SlotNeeds {
  Index batch = 1;
  Index moments = 0;
  bool displacement = false;
  bool in_place = false;  ///< the weight-gradient product updates the weights: no gradient is stored
  /// Steps of the lazy window and, ascending, the layers that have one (kernels/shared/window_coefficients.hpp).
  Index window = 1;
  std::vector<Index> lazy = {};

  bool is_lazy(Index layer) const { return std::find(lazy.begin(), lazy.end(), layer) != lazy.end(); }
  /// Steps after which the device is where it was, but for the state of the members.
  Index period() const { return lazy.empty() ? 1 : window; }
};

/// The layers of a network whose updates a window of `steps` merges.
inline std::vector<Index> lazy_layers(const Network& network, Index batch, Index steps) {
  std::vector<Index> layers;
  for (Index l = 0; l < network.shape.layers(); ++l)
    if (network.layers[static_cast<std::size_t>(l)].weight_rate > 0 &&
        window_pays(network.shape.fan_out(l), network.shape.fan_in(l), batch, steps))
      layers.push_back(l);
  return layers;
}

/// Steps whose schedule is on the device at once: whole windows, about 2^16 steps.
inline Index table_steps(const SlotNeeds& needs) {
  constexpr Index kSteps = 1 << 16;
  const Index period = needs.period();
  return std::max(period, kSteps / period * period);
}

/// What a window keeps; null where there is none. Factors of slots lie a multiple of 64 numbers apart.
template <class T>
struct WindowBuffers {
  std::vector<T*> signals, features;  ///< by layer: slots x (window B) x fan_out, x fan_in: delta and a of each step
  std::vector<WindowShare*> shares;   ///< by layer: slots x (2 + window) coefficients
  T* projection = nullptr;            ///< slots x B x projection_stride: products with the factors of one kind
  T* from_velocity = nullptr;         ///< slots x B x units: a product with V_0
  T* scaled = nullptr;                ///< like the largest of `signals`, with V_0 only

  static Index terms(const SlotNeeds& needs) { return kTermOfGradients + needs.window; }
  static Index factor_stride(const SlotNeeds& needs, Index units) {
    return SlotLayout::padded(needs.window * needs.batch * units);
  }
  static Index projection_stride(const SlotNeeds& needs) { return SlotLayout::padded(needs.window * needs.batch); }

  template <class Memory>
  void take(Memory& memory, const MlpShape& shape, const SlotNeeds& needs, Index slots) {
    signals.assign(static_cast<std::size_t>(shape.layers()), nullptr);
    features = signals;
    shares.assign(signals.size(), nullptr);
    if (needs.lazy.empty()) return;
    Index widest = 0, tallest = 0;
    for (const Index l : needs.lazy) {
      const auto at = static_cast<std::size_t>(l);
      const Index rows = shape.fan_out(l), cols = shape.fan_in(l);
      signals[at] = memory.template take<T>(slots * factor_stride(needs, rows), "signals of a window");
      features[at] = memory.template take<T>(slots * factor_stride(needs, cols), "features of a window");
      shares[at] = memory.template take<WindowShare>(slots * terms(needs), "coefficients of a window");
      widest = std::max({widest, rows, cols});
      tallest = std::max(tallest, rows);
    }
    projection = memory.template take<T>(slots * needs.batch * projection_stride(needs), "products with a window");
    if (needs.moments == 0) return;
    from_velocity = memory.template take<T>(slots * needs.batch * widest, "products with velocities");
    scaled = memory.template take<T>(slots * factor_stride(needs, tallest), "scaled signals of a window");
  }
};

template <class T>
struct SlotBuffers {
  T *parameters = nullptr, *start = nullptr, *displacement = nullptr, *moments = nullptr;
  T *x = nullptr, *y = nullptr, *f = nullptr;
  std::vector<T*> z, h, slope;             ///< one for each hidden layer; z may be shared by layers
  std::vector<RowStatistics*> statistics;  ///< null without LayerNorm
  T* delta[2] = {nullptr, nullptr};
  T* gradient = nullptr;  ///< of one layer
  float* multipliers = nullptr;
  double* rates = nullptr;
  UpdateStep<T>* steps = nullptr;
  SlotArray<T>* clear = nullptr;
  MemberSettings* settings = nullptr;
  MemberStatus* status = nullptr;
  StepFactors* table = nullptr;
  StepClock* clock = nullptr;
  WindowBuffers<T> window;

  /// Cuts the buffers out of the workspace; Memory is an Arena or a ByteCounter.
  template <class Memory>
  void take(Memory& memory, const MlpShape& shape, const SlotNeeds& needs, Index slots) {
    const SlotLayout layout(shape);
    const auto piece = [&](Index per_slot, const char* name) {
      return memory.template take<T>(slots * per_slot, name);
    };
    parameters = piece(layout.size, "parameters");
    if (needs.displacement) {
      start = piece(layout.size, "initial parameters");
      displacement = piece(layout.size, "displacement");
    }
    if (needs.moments > 0) moments = piece(needs.moments * layout.size, "moments");
    x = piece(needs.batch * shape.input_dim, "x");
    y = piece(needs.batch * shape.outputs, "y");
    f = piece(needs.batch * shape.outputs, "f");
    take_signals(memory, shape, needs, slots);
    window.take(memory, shape, needs, slots);
    settings = memory.template take<MemberSettings>(slots, "settings of members");
    status = memory.template take<MemberStatus>(slots, "status of members");
    table = memory.template take<StepFactors>(table_steps(needs), "schedule");
    clock = memory.template take<StepClock>(1, "step");
    rates = memory.template take<double>(2 * shape.layers(), "relative learning rates");
    steps = memory.template take<UpdateStep<T>>(slots * 2 * shape.layers(), "step sizes");
    clear = memory.template take<SlotArray<T>>(shape.layers(), "features");
  }

 private:
  template <class Memory>
  void take_signals(Memory& memory, const MlpShape& shape, const SlotNeeds& needs, Index slots) {
    const Index rows = slots * needs.batch;
    Index widest = shape.outputs, largest = 0, units = 0;
    for (Index l = 0; l < shape.layers(); ++l) {
      widest = std::max(widest, shape.fan_out(l));
      if (!needs.is_lazy(l)) largest = std::max(largest, shape.fan_out(l) * shape.fan_in(l));
    }
    const bool keep_z = shape.layer_norm || shape.residual != 0.0;
    for (Index l = 0; l < shape.depth(); ++l) {
      const Index n = shape.fan_out(l);
      z.push_back(!keep_z && l > 0 ? z.front() : memory.template take<T>(rows * (keep_z ? n : widest), "z"));
      h.push_back(memory.template take<T>(rows * n, "h"));
      slope.push_back(memory.template take<T>(rows * n, "dh/dz"));
      statistics.push_back(shape.layer_norm ? memory.template take<RowStatistics>(rows, "LayerNorm statistics")
                                            : nullptr);
      units += n;
    }
    for (T*& d : delta) d = memory.template take<T>(rows * widest, "d loss / d z");
    if (!needs.in_place) gradient = memory.template take<T>(slots * largest, "gradient of a layer");
    if (!shape.unit_multipliers.empty()) multipliers = memory.template take<float>(units, "unit multipliers");
  }
};

struct SlotPlan {
  Index slots = 1;
  double bytes = 0;
};

/// Members in flight: as many as fill the device, fewer where memory ends. Their number in the ensemble is no argument:
/// a member's bits must not depend on it. PlanError when one does not fit.
template <class T>
SlotPlan make_slot_plan(const MlpShape& shape, const SlotNeeds& needs, Index multiprocessors, double limit) {
  SlotPlan plan;
  for (plan.slots = slots_to_fill(shape, needs.batch, multiprocessors);; plan.slots = ceil_div(plan.slots, 2)) {
    ByteCounter counter;
    SlotBuffers<T>().take(counter, shape, needs, plan.slots);
    plan.bytes = counter.bytes();
    if (plan.bytes <= limit) return plan;
    if (plan.slots == 1) break;
  }
  throw PlanError("training of one member takes " + std::to_string(plan.bytes * 1e-9) +
                  " GB on the device, more than the limit of " + std::to_string(limit * 1e-9) +
                  " GB: use a narrower network, a smaller batch, fp32, " +
                  (needs.lazy.empty() ? "" : "a shorter train.window, ") + "or a larger memory limit");
}

}  // namespace widelab::cuda
