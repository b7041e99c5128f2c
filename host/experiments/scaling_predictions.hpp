// Powers of the width that the parametrisation table predicts for a training run: learning rates stated by the kernel,
// movement of weights, change of the kernel.
#pragma once

#include "host/theory/coordinate_check.hpp"
#include "widelab/model/parametrization.hpp"

namespace widelab::experiments {

/// Gradient steps in a network of `depth` hidden layers.
struct ScalingCase {
  Parametrization parametrization = Parametrization::ntk;
  Index depth = 1;
  bool table_rates = true;   ///< relative rates of the table, or all 1
  bool kernel_unit = false;  ///< learning rate in units of 1 / lambda_max of the kernel
};

/// theta with Theta ~ n^theta, relative rates included: the largest of 1 + c - 2a - 2s (input), 2 + c - 2a - 2s
/// (hidden), 1 + c - 2a (readout), s = a + b of the readout. Backward signals are of size n^-s, features of size 1.
double kernel_power(const ScalingCase& setting);

/// Power of the width in eta: -theta where it is stated by the kernel, else 0.
double rate_power(const ScalingCase& setting);

/// Exponents of the rms movement of single weights after a few steps: n^(c - a - s) of input and hidden weights, n^(c -
/// a) of the readout, each times eta.
struct MovementExponents {
  double input = 0, hidden = 0, readout = 0;
};
MovementExponents movement_exponents(const ScalingCase& setting);

/// Exponent of |Theta_t - Theta_0| / |Theta_0|: with features moving as n^e by amounts of random sign, the sum over
/// units is of size max(2 e, e - 1/2) for e < 0, and of size 1 for e = 0 (Dyer and Gur-Ari 2020 for NTK: -1). Positive
/// e: training blows up with width, and there is none (NaN).
double kernel_change_exponent(const ScalingCase& setting);

}  // namespace widelab::experiments
