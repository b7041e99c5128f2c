#include "host/estimators/jackknife.hpp"

#include <limits>

#include "widelab/base/contract.hpp"

namespace widelab::estimators {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<double> sums_of(std::span<const double> rows, std::size_t numbers) {
  std::vector<double> sums(numbers, 0.0);
  for (std::size_t k = 0; k < rows.size(); ++k) sums[k % numbers] += rows[k];
  return sums;
}

}  // namespace

double of_means(std::span<const double> rows, Index numbers, const OfMeans& function) {
  const auto width = static_cast<std::size_t>(numbers);
  WIDELAB_REQUIRE(numbers > 0 && rows.size() % width == 0, "rows of unequal length");
  if (rows.empty()) return kNaN;
  const std::size_t replicates = rows.size() / width;
  const auto count = static_cast<double>(replicates);
  std::vector<double> means = sums_of(rows, width);
  for (double& mean : means) mean /= count;
  return function(means, count);
}

Estimate jackknife(std::span<const double> rows, Index numbers, const OfMeans& function) {
  const double whole = of_means(rows, numbers, function);
  const auto width = static_cast<std::size_t>(numbers);
  const std::size_t replicates = rows.size() / width;
  const auto count = static_cast<double>(replicates);
  if (replicates < 3) return {kNaN, kNaN, count};
  const std::vector<double> sums = sums_of(rows, width);
  std::vector<double> values, means(width);
  double mean = 0;
  for (std::size_t r = 0; r < replicates; ++r) {
    for (std::size_t k = 0; k < width; ++k) means[k] = (sums[k] - rows[r * width + k]) / (count - 1);
    values.push_back(function(means, count - 1));
    mean += values.back() / count;
  }
  double square = 0;
  for (const double value : values) square += (value - mean) * (value - mean);
  const Estimate out{count * whole - (count - 1) * mean, std::sqrt((count - 1) / count * square), count};
  return out.defined() ? out : Estimate{kNaN, kNaN, count};
}

}  // namespace widelab::estimators
