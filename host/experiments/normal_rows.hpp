// Rows of normal draws of a stream, as they are or on a sphere: inputs and weights of regressions.
#pragma once

#include <vector>

#include "widelab/base/types.hpp"
#include "widelab/rng/streams.hpp"

namespace widelab::experiments {

/// Draws (row, column) of rows 0 .. count - 1: count x dimension, N(0, 1).
std::vector<double> normal_rows(const StreamId& id, Index count, Index dimension);

/// Brings each row to the length `length`: uniform on that sphere if the rows are normal.
void bring_to_length(std::vector<double>& rows, Index dimension, double length);

}  // namespace widelab::experiments
