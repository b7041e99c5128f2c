// The elementwise steps of a lazy window, one layer of a batch of members a call (kernels/shared/
// window_coefficients.hpp). Shares: slots x terms.
#pragma once

#include "kernels/cuda/gemm/step_kernels.hpp"
#include "kernels/shared/window_coefficients.hpp"

namespace widelab::cuda {

/// Copies the factors of a step to where the window keeps them: `delta` (slots x B x rows) and `h` (slots x B x cols)
/// to the addresses of slot 0, slots `signal_stride` and `feature_stride` apart.
template <class T>
struct FactorTask {
  Index slots = 0, batch = 0, rows = 0, cols = 0;
  const T *delta = nullptr, *h = nullptr;
  T *signals = nullptr, *features = nullptr;
  Index signal_stride = 0, feature_stride = 0;
};

void store_factors(Context& context, const FactorTask<float>& task);
void store_factors(Context& context, const FactorTask<double>& task);

/// Moves all coefficients by the clock's step, which is number `made` of its window, in double; those of members that
/// do not run stay.
struct ShareTask {
  SlotState state;
  UpdateRule rule;
  double rate = 0;  ///< of the layer, relative
  WindowShare* shares = nullptr;
  Index terms = 0, made = 0;
};

void move_shares(Context& context, const ShareTask& task);

/// Makes products with the terms into products with W_t: y = c y + e from_velocity, and columns [s B, (s + 1) B) of the
/// projection times q_s.
template <class T>
struct CombineTask {
  Index slots = 0, batch = 0, units = 0;
  const WindowShare* shares = nullptr;
  Index terms = 0, made = 0;
  T* y = nullptr;                    ///< slots x B x units
  const T* from_velocity = nullptr;  ///< like y, or null
  T* projection = nullptr;           ///< rows (slot, example), `projection_stride` apart
  Index projection_stride = 0;
};

void combine_products(Context& context, const CombineTask<float>& task);
void combine_products(Context& context, const CombineTask<double>& task);

/// W <- c W + e V and V <- c' W + e' V, `size` numbers a slot.
template <class T>
struct StartTask {
  Index slots = 0, size = 0;
  const WindowShare* shares = nullptr;
  Index terms = 0;
  T *weights = nullptr, *velocity = nullptr;  ///< of slot 0; velocity: or null
  Index weight_stride = 0, velocity_stride = 0;
};

void merge_starts(Context& context, const StartTask<float>& task);
void merge_starts(Context& context, const StartTask<double>& task);

/// scaled = factor q_s delta_s, with the coefficient r_s of the velocity instead of q_s if `of_velocity`.
template <class T>
struct ScaleTask {
  Index slots = 0, made = 0, step_size = 0;  ///< step_size: B x rows
  const WindowShare* shares = nullptr;
  Index terms = 0;
  bool of_velocity = false;
  double factor = 1;
  const T* signals = nullptr;  ///< of slot 0; slots `stride` apart
  T* scaled = nullptr;         ///< like signals; may be the same
  Index stride = 0;
};

void scale_signals(Context& context, const ScaleTask<float>& task);
void scale_signals(Context& context, const ScaleTask<double>& task);

}  // namespace widelab::cuda
