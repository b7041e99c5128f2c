// Learning-rate schedules: the factor on the learning rate as a function of the absolute step.
#pragma once

#include <cmath>
#include <cstdint>

#include "widelab/base/types.hpp"

namespace widelab {

enum class ScheduleKind : std::uint8_t { constant, cosine, step };

/// factor(t) = warm(t) decay(t), t = 0, 1, ...; warm(t) = min(1, (t + 1) / (warmup + 1));
///   constant  decay = 1
///   cosine    decay = final + (1 - final) (1 + cos(pi t / horizon)) / 2 for t < horizon, then final
///   step      decay = drop^floor(t / period)
struct Schedule {
  ScheduleKind kind = ScheduleKind::constant;
  Index warmup = 0;           ///< steps
  Index horizon = 1;          ///< steps (cosine)
  double final_fraction = 0;  ///< (cosine)
  Index period = 1;           ///< steps (step)
  double drop = 0.1;          ///< (step)

  double factor(Index t) const {
    const double at = static_cast<double>(t);
    const double warm = t < warmup ? (at + 1) / (static_cast<double>(warmup) + 1) : 1.0;
    if (kind == ScheduleKind::step) {
      const Index drops = t / period;
      return warm * std::pow(drop, static_cast<double>(drops));
    }
    if (kind == ScheduleKind::constant) return warm;
    if (t >= horizon) return warm * final_fraction;
    const double turn = std::cos(3.14159265358979323846 * at / static_cast<double>(horizon));
    return warm * (final_fraction + (1 - final_fraction) * 0.5 * (1 + turn));
  }
};

}  // namespace widelab
