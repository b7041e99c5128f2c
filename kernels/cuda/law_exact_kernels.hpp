// The elementwise steps of the law-exact sampler. Arrays of units are columns x stride, units fastest.
#pragma once

#include "kernels/cuda/support/context.hpp"
#include "widelab/base/types.hpp"
#include "widelab/math/activations.hpp"
#include "widelab/rng/streams.hpp"

namespace widelab::cuda {

/// A step of the loop over the units of a layer: units [first, first + units), arrays of `stride` >= units columns.
struct UnitStep {
  Index first = 0, units = 0, stride = 0;
};

/// out[c * stride + r] = N(0,1) draw at (first + r, c) of the stream for r < units, else 0; c < columns.
void fill_noise(Context& context, const StreamId& id, const UnitStep& step, Index columns, double* out);

/// a = phi(z) and, unless null, slope = phi'(z), for `rows` rows; 0 from column `units` on. a may be z.
void activate_units(Context& context, const Activation& activation, const UnitStep& step, Index rows, const double* z,
                    double* a, double* slope);

/// b[k] *= slope[k / outputs], row by row, `rows` rows of b.
void multiply_by_slope(Context& context, const UnitStep& step, Index rows, Index outputs, const double* slope,
                       double* b);

/// sum + carry += the `terms` arrays of `size` numbers one after the other in `term`, in this order, with the rounding
/// error in carry (TwoSum, Knuth 1969).
void accumulate(Context& context, const double* term, Index terms, Index size, double* sum, double* carry);
/// sum += carry.
void settle(Context& context, Index size, double* sum, const double* carry);

/// out = scale in + shift.
void affine(Context& context, Index size, double scale, double shift, const double* in, double* out);

/// noise (rows x columns) = weight noise + bias bias_noise[column].
void add_bias_noise(Context& context, Index rows, Index columns, double weight, double bias, const double* bias_noise,
                    double* noise);

/// The readout of N inputs with O outputs: f[i * stride + o]. signals (N O x N O) = [o = p], cross (N x N O): entry
/// (i, (j, p)) = f_p(x_i); outputs (N x O), or null.
struct ReadoutTask {
  const double* f = nullptr;
  Index stride = 0, inputs = 0, outputs = 0;
  double* signals = nullptr;
  double* cross = nullptr;
  double* result = nullptr;
};
void write_readout(Context& context, const ReadoutTask& task);

}  // namespace widelab::cuda
