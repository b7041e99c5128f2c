#include "host/experiments/normal_rows.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "widelab/rng/normal.hpp"

namespace widelab::experiments {

std::vector<double> normal_rows(const StreamId& id, Index count, Index dimension) {
  std::vector<double> rows(static_cast<std::size_t>(count * dimension));
#pragma omp parallel for schedule(static)
  for (Index i = 0; i < count; ++i)
    for (Index c = 0; c < dimension; c += 4) {
      const Draw4 draws = normal4(random_block(id, static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(c / 4)));
      std::copy_n(draws.v, std::min<Index>(4, dimension - c), rows.begin() + i * dimension + c);
    }
  return rows;
}

void bring_to_length(std::vector<double>& rows, Index dimension, double length) {
  for (auto row = rows.begin(); row != rows.end(); row += dimension) {
    const double scale = length / std::sqrt(std::inner_product(row, row + dimension, row, 0.0));
    for (Index c = 0; c < dimension; ++c) row[c] *= scale;
  }
}

}  // namespace widelab::experiments
