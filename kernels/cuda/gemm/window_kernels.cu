#include "kernels/cuda/gemm/window_kernels.hpp"

#include "kernels/cuda/support/row_tiling.cuh"

namespace widelab::cuda {
namespace {

/// Row of the tiling = slot, column = number of delta, then of h.
template <class T>
__global__ void __launch_bounds__(kThreads)
    store_factors_kernel(const __grid_constant__ RowTiling tiling, const __grid_constant__ FactorTask<T> task) {
  const Index signals = task.batch * task.rows, features = task.batch * task.cols;
  for_each_element(tiling, [&](Index slot, Index k) {
    if (k < signals)
      task.signals[slot * task.signal_stride + k] = task.delta[slot * signals + k];
    else
      task.features[slot * task.feature_stride + k - signals] = task.h[slot * features + k - signals];
  });
}

/// Row of the tiling = slot, column = term.
__global__ void __launch_bounds__(kThreads)
    move_shares_kernel(const __grid_constant__ RowTiling tiling, const __grid_constant__ ShareTask task) {
  for_each_element(tiling, [&](Index slot, Index term) {
    const Index own = kTermOfGradients + task.made;
    WindowShare& share = task.shares[slot * task.terms + term];
    if (task.made == 0 || term == own) share = first_share(term);
    if (task.state.status[slot].status != TrainStatus::running) return;
    const MemberSettings& member = task.state.settings[slot];
    const StepFactors entry = task.state.table[task.state.clock->step - task.state.clock->table_first];
    const UpdateStep<double> step =
        make_update_step<double>(task.rule, member.learning_rate * entry.schedule * task.rate, member.weight_decay,
                                 member.temperature, entry.adam);
    share = moved_share(step, share, term == own ? 1.0 : 0.0);
  });
}

/// Row of the tiling = (slot, example), column = row of the factors, then unit of y.
template <class T>
__global__ void __launch_bounds__(kThreads)
    combine_products_kernel(const __grid_constant__ RowTiling tiling, const __grid_constant__ CombineTask<T> task) {
  const Index rank = task.made * task.batch;
  for_each_element(tiling, [&](Index row, Index k) {
    const WindowShare* shares = task.shares + row / task.batch * task.terms;
    if (k < rank) {
      task.projection[row * task.projection_stride + k] *=
          static_cast<T>(shares[kTermOfGradients + k / task.batch].weight);
      return;
    }
    const Index at = row * task.units + k - rank;
    T y = static_cast<T>(shares[kTermOfWeights].weight) * task.y[at];
    if (task.from_velocity) y += static_cast<T>(shares[kTermOfVelocity].weight) * task.from_velocity[at];
    task.y[at] = y;
  });
}

/// Row of the tiling = slot.
template <class T>
__global__ void __launch_bounds__(kThreads)
    merge_starts_kernel(const __grid_constant__ RowTiling tiling, const __grid_constant__ StartTask<T> task) {
  for_each_element(tiling, [&](Index slot, Index k) {
    const WindowShare* shares = task.shares + slot * task.terms;
    const WindowStart<T> start(shares[kTermOfWeights], shares[kTermOfVelocity]);
    T& weight = task.weights[slot * task.weight_stride + k];
    if (!task.velocity) {
      if (start.change != T(0)) weight = start.weight(weight);
    } else if (!start.is_identity()) {  // a member that did not run, which need not have numbers
      T& velocity = task.velocity[slot * task.velocity_stride + k];
      const T w = weight, v = velocity;
      weight = start.weight(w, v);
      velocity = start.velocity(w, v);
    }
  });
}

/// Row of the tiling = (slot, step of the window), column = number of its delta.
template <class T>
__global__ void __launch_bounds__(kThreads)
    scale_signals_kernel(const __grid_constant__ RowTiling tiling, const __grid_constant__ ScaleTask<T> task) {
  for_each_element(tiling, [&](Index slot_step, Index k) {
    const Index slot = slot_step / task.made, step = slot_step - slot * task.made;
    const WindowShare& share = task.shares[slot * task.terms + kTermOfGradients + step];
    const Index at = slot * task.stride + step * task.step_size + k;
    task.scaled[at] =
        static_cast<T>((task.of_velocity ? share.velocity : share.weight) * task.factor) * task.signals[at];
  });
}

template <class T>
void store(Context& context, const FactorTask<T>& task) {
  const RowTiling tiling = row_tiling(task.slots, task.batch * (task.rows + task.cols));
  launch(context, "store_factors_kernel", tiling.grid(), store_factors_kernel<T>, tiling, task);
}

template <class T>
void combine(Context& context, const CombineTask<T>& task) {
  const RowTiling tiling = row_tiling(task.slots * task.batch, task.made * task.batch + task.units);
  launch(context, "combine_products_kernel", tiling.grid(), combine_products_kernel<T>, tiling, task);
}

template <class T>
void merge(Context& context, const StartTask<T>& task) {
  const RowTiling tiling = row_tiling(task.slots, task.size);
  launch(context, "merge_starts_kernel", tiling.grid(), merge_starts_kernel<T>, tiling, task);
}

template <class T>
void scale(Context& context, const ScaleTask<T>& task) {
  const RowTiling tiling = row_tiling(task.slots * task.made, task.step_size);
  launch(context, "scale_signals_kernel", tiling.grid(), scale_signals_kernel<T>, tiling, task);
}

}  // namespace

void store_factors(Context& context, const FactorTask<float>& task) { store(context, task); }
void store_factors(Context& context, const FactorTask<double>& task) { store(context, task); }
void combine_products(Context& context, const CombineTask<float>& task) { combine(context, task); }
void combine_products(Context& context, const CombineTask<double>& task) { combine(context, task); }
void merge_starts(Context& context, const StartTask<float>& task) { merge(context, task); }
void merge_starts(Context& context, const StartTask<double>& task) { merge(context, task); }
void scale_signals(Context& context, const ScaleTask<float>& task) { scale(context, task); }
void scale_signals(Context& context, const ScaleTask<double>& task) { scale(context, task); }

void move_shares(Context& context, const ShareTask& task) {
  const RowTiling tiling = row_tiling(task.state.slots, kTermOfGradients + task.made + 1);
  launch(context, "move_shares_kernel", tiling.grid(), move_shares_kernel, tiling, task);
}

}  // namespace widelab::cuda
