// White noise for the law-exact sampler: many rows of few columns, transposed.
#pragma once

#include "widelab/base/types.hpp"
#include "widelab/rng/streams.hpp"

namespace widelab::cpu {

/// Rows are filled in groups of this size: arrays need room for a multiple of it.
inline constexpr Index kNoiseGroup = 16;

/// out[c * stride + r] = N(0,1) draw at (first_row + r, c) of the stream, r < rows, c < cols. Rows up to the next
/// multiple of kNoiseGroup are written as well; stride must reach them.
void fill_noise_columns(const StreamId& id, Index first_row, Index rows, Index cols, Index stride, double* out);

}  // namespace widelab::cpu
