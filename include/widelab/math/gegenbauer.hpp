// Gegenbauer polynomials Q_l of dimension d >= 3 with Q_l(1) = 1: zonal harmonics of the unit sphere of R^d.
#pragma once

#include "widelab/base/host_device.hpp"

namespace widelab {

/// (l + d - 2) Q_{l+1} = (2l + d - 2) t Q_l - l Q_{l-1} as Q_{l+1} = up t Q_l - down Q_{l-1} (Abramowitz and Stegun
/// 22.7.3 with index (d - 2) / 2, normalised to 1 at t = 1). Q_0 = 1; down is 0 at l = 0.
struct GegenbauerStep {
  double up = 1, down = 0;
};

WIDELAB_HD GegenbauerStep gegenbauer_step(double dimension, int degree) {
  const double l = degree, scale = 1 / (l + dimension - 2);
  return {(2 * l + dimension - 2) * scale, l * scale};
}

}  // namespace widelab
