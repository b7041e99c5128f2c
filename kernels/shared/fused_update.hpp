// The last line of a training step, for a run of neighbouring parameters.
#pragma once

#include "kernels/shared/fused_member.hpp"

// WIDELAB_ELEMENTWISE before a loop over elements of arrays that do not overlap; WIDELAB_INLINE_CALLS before a function
// with such a loop, whose body has to be inlined to become vector code.
#if defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__)
#define WIDELAB_ELEMENTWISE _Pragma("GCC ivdep")
#define WIDELAB_INLINE_CALLS __attribute__((flatten))
#else
#define WIDELAB_ELEMENTWISE
#define WIDELAB_INLINE_CALLS
#endif

namespace widelab {

/// Parameters of a member with all that an update reads and writes of them.
template <class T>
struct ParameterState {
  T* theta = nullptr;
  const T* start = nullptr;   ///< null = in place
  T* displacement = nullptr;  ///< null = in place
  T *v = nullptr, *s = nullptr;

  WIDELAB_HD ParameterState from(Index at) const {
    return {theta + at, start ? start + at : nullptr, displacement ? displacement + at : nullptr, v ? v + at : nullptr,
            s ? s + at : nullptr};
  }
};

namespace fused {

/// theta += increment, or D += increment and theta = theta_0 + D, for `count` parameters with gradients scale * c.
/// `draws`: normal draws, read by noisy rules alone. What the step is, is a template argument, so that the loops have
/// no branches.
template <OptimiserKind Kind, bool kDecoupled, class T>
WIDELAB_INLINE_CALLS WIDELAB_HD void update_run(UpdateStep<T> step, const ParameterState<T>& at, Index count, T scale,
                                                const T* c, const T* draws) {
  constexpr int kMoments = Kind == OptimiserKind::adam                                            ? 2
                           : Kind == OptimiserKind::heavy_ball || Kind == OptimiserKind::nesterov ? 1
                                                                                                  : 0;
  constexpr bool kNoisy = Kind == OptimiserKind::langevin || Kind == OptimiserKind::sgld;
  step.kind = Kind;
  step.decoupled_decay = kDecoupled;
  if constexpr (!kNoisy) step.noise = T(0);
  const auto increment = [&](Index e) {
    T v = T(0), s = T(0), draw = T(0);
    if constexpr (kMoments > 0) v = at.v[e];
    if constexpr (kMoments > 1) s = at.s[e];
    if constexpr (kNoisy) draw = draws[e];
    const T change = update_increment(step, at.theta[e], scale * c[e], draw, v, s);
    if constexpr (kMoments > 0) at.v[e] = v;
    if constexpr (kMoments > 1) at.s[e] = s;
    return change;
  };
  if (at.displacement == nullptr) {
    WIDELAB_ELEMENTWISE
    for (Index e = 0; e < count; ++e) at.theta[e] += increment(e);
  } else {
    WIDELAB_ELEMENTWISE
    for (Index e = 0; e < count; ++e) {
      const T moved = at.displacement[e] + increment(e);
      at.displacement[e] = moved;
      at.theta[e] = at.start[e] + moved;
    }
  }
}

template <OptimiserKind Kind, class T>
WIDELAB_INLINE_CALLS WIDELAB_HD void update_as(const UpdateStep<T>& step, const ParameterState<T>& at, Index count,
                                               T scale, const T* c, const T* draws) {
  if (step.decoupled_decay)
    update_run<Kind, true>(step, at, count, scale, c, draws);
  else
    update_run<Kind, false>(step, at, count, scale, c, draws);
}

template <OptimiserKind Kind>
struct RuleTag {
  static constexpr OptimiserKind kKind = Kind;
};

/// use(RuleTag<kind>): choose the rule outside the loops over parameters.
template <class Use>
WIDELAB_HD void with_rule(OptimiserKind kind, const Use& use) {
  switch (kind) {
    case OptimiserKind::sgd:
      return use(RuleTag<OptimiserKind::sgd>{});
    case OptimiserKind::heavy_ball:
      return use(RuleTag<OptimiserKind::heavy_ball>{});
    case OptimiserKind::nesterov:
      return use(RuleTag<OptimiserKind::nesterov>{});
    case OptimiserKind::adam:
      return use(RuleTag<OptimiserKind::adam>{});
    case OptimiserKind::sign:
      return use(RuleTag<OptimiserKind::sign>{});
    case OptimiserKind::langevin:
      return use(RuleTag<OptimiserKind::langevin>{});
    case OptimiserKind::sgld:
      return use(RuleTag<OptimiserKind::sgld>{});
  }
}

/// Where a run of weights lies in its layer, for its random numbers.
struct WeightRun {
  Index layer, row, cols, first, step;
};

/// Weights (row, first .. first + count) of a layer, first a multiple of 4. `drawn`: their normal draws, or null to
/// draw them here, four by four.
template <OptimiserKind Kind, class T>
WIDELAB_HD void update_weights(const UpdateStep<T>& step, const ParameterState<T>& at, const WeightRun& run,
                               const DrawId& noise, const T* drawn, Index count, T scale, const T* c) {
  constexpr bool kNoisy = Kind == OptimiserKind::langevin || Kind == OptimiserKind::sgld;
  if (!kNoisy || drawn) {
    update_as<Kind>(step, at, count, scale, c, drawn);
    return;
  }
  if constexpr (kNoisy) {
    for (Index e = 0; e < count; e += 4) {
      const Draw4 normal = langevin_draw4(noise, run.layer, run.row, run.cols, (run.first + e) / 4, run.step);
      const T draws[4] = {static_cast<T>(normal.v[0]), static_cast<T>(normal.v[1]), static_cast<T>(normal.v[2]),
                          static_cast<T>(normal.v[3])};
      update_as<Kind>(step, at.from(e), count - e < 4 ? count - e : 4, scale, c + e, draws);
    }
  }
}

}  // namespace fused
}  // namespace widelab
