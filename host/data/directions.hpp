// Random directions: of teachers and of mixture means.
#pragma once

#include <vector>

#include "widelab/base/types.hpp"
#include "widelab/rng/streams.hpp"

namespace widelab::data {

/// `count` directions in d dimensions (count x d, row-major), orthonormal in the metric diag(weights): row r is the
/// normal vector at row first_row + r of `stream`, made orthogonal to the rows before it by Gram and Schmidt (twice,
/// for stability). A direction in which the metric vanishes keeps no weight. RecipeError with `key` if count exceeds
/// the rank of the metric.
std::vector<double> orthonormal_directions(const StreamId& stream, Index first_row, Index count,
                                           const std::vector<double>& weights, const char* key);

}  // namespace widelab::data
