// Rows of initial parameters, many draws at a time.
#pragma once

#include <cstdint>

#include "widelab/base/types.hpp"
#include "widelab/model/init_law.hpp"
#include "widelab/rng/streams.hpp"

namespace widelab::cpu {

/// out[k] = scale * N(0,1) draw at (row, first_col + k) of the stream, k < count. first_col is a multiple of 4.
void fill_normal_row(const StreamId& id, std::uint32_t row, Index first_col, Index count, float scale, float* out);

/// The same for any elementwise law, widened to T before scaling.
void fill_init_row(InitKind kind, const StreamId& id, std::uint32_t row, Index first_col, Index count, double scale,
                   float* out);
void fill_init_row(InitKind kind, const StreamId& id, std::uint32_t row, Index first_col, Index count, double scale,
                   double* out);

}  // namespace widelab::cpu
