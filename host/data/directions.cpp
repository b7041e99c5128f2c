#include "host/data/directions.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "widelab/base/errors.hpp"
#include "widelab/rng/normal.hpp"

namespace widelab::data {

namespace {

double weighted_product(const double* a, const double* b, const std::vector<double>& weights) {
  double sum = 0.0;
  for (std::size_t j = 0; j < weights.size(); ++j) sum += weights[j] * a[j] * b[j];
  return sum;
}

}  // namespace

std::vector<double> orthonormal_directions(const StreamId& stream, Index first_row, Index count,
                                           const std::vector<double>& weights, const char* key) {
  const auto rank = static_cast<Index>(
      std::count_if(weights.begin(), weights.end(), [](double weight) { return weight > 0.0; }));
  if (count > rank)
    throw RecipeError(std::string(key) + " = " + std::to_string(count) + ": at most " + std::to_string(rank) +
                      " directions can be orthogonal, the dimension (rank of the covariance) of the data");
  const std::size_t d = weights.size();
  std::vector<double> directions(static_cast<std::size_t>(count) * d);
  for (Index r = 0; r < count; ++r) {
    double* const row = directions.data() + static_cast<std::size_t>(r) * d;
    for (std::size_t j = 0; j < d; ++j)
      row[j] = weights[j] > 0.0 ? static_cast<double>(normal_at(stream, static_cast<std::uint32_t>(first_row + r),
                                                                static_cast<std::uint32_t>(j)))
                                : 0.0;
    for (int pass = 0; pass < 2; ++pass) {
      for (Index q = 0; q < r; ++q) {
        const double* const before = directions.data() + static_cast<std::size_t>(q) * d;
        const double overlap = weighted_product(row, before, weights);
        for (std::size_t j = 0; j < d; ++j) row[j] -= overlap * before[j];
      }
      const double norm = std::sqrt(weighted_product(row, row, weights));
      if (!(norm > 0.0)) throw DataError("a random direction vanished; choose another seed");
      for (std::size_t j = 0; j < d; ++j) row[j] /= norm;
    }
  }
  return directions;
}

}  // namespace widelab::data
