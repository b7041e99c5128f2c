// The coordinate check: powers of the width by which pre-activations and outputs move in one step, for every row of the
// parametrisation table (model/parametrization.hpp).
//
// Let a layer have forward multiplier n^-a, initial std n^-b and relative learning rate n^c. With s = a + b of the
// readout, the output's derivative by a unit of any hidden layer is of size n^-s, because a + b = 1/2 in hidden layers
// keeps backward signals as they are. A step changes z = n^-a W h directly by
//   SGD   dW = -eta n^(c-a) delta h:          n^(c-2a-s) (input, bias), n^(c-2a-s+1) (hidden), n^(c-2a+1) (readout);
//   Adam  dW = -eta n^c sign(delta h) (first step; sign descent always):  n^(c-a), n^(c-a+1), n^(c-a+1),
// where +1 is the coherent sum over n inputs. Movements of the layer below come through hidden layers unchanged,
// and through the readout as n^(1-s), coherently, since they are aligned with its weights. The largest term counts.
// Derived here; compare Yang and Hu 2021, Everett et al. 2024. SGD's exponents stay those of the first step as long as
// none is positive; a positive one means that training blows up with width.
#pragma once

#include "widelab/base/types.hpp"
#include "widelab/model/parametrization.hpp"

namespace widelab::theory {

enum class StepKind { sgd, adam };  ///< gradient steps (momentum included); Adam without epsilon, and sign descent

struct CoordinateCase {
  Parametrization parametrization = Parametrization::ntk;
  StepKind step = StepKind::sgd;
  Index depth = 2;          ///< hidden layers; mean-field with two or more is muP
  bool biases = true;       ///< trained biases in all layers
  bool table_rates = true;  ///< relative rates from the table (RateScaling sgd or adam), or all 1 (plain)
  double rate_power = 0.0;  ///< learning rate eta n^rate_power; standard is stable under SGD at -1
};

/// Sizes are n^exponent. `hidden_layers` is the last hidden layer's; NaN for depth 1.
struct CoordinateExponents {
  double first_layer = 0.0;     ///< |z_1(1) - z_1(0)|
  double hidden_layers = 0.0;   ///< |z_L(1) - z_L(0)|
  double output = 0.0;          ///< |f_1 - f_0|
  double initial_output = 0.0;  ///< |f_0| = n^(1/2 - s)
};

CoordinateExponents coordinate_exponents(const CoordinateCase& setting);

}  // namespace widelab::theory
