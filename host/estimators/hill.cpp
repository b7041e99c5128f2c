#include "host/estimators/hill.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <span>

#include "host/estimators/jackknife.hpp"
#include "widelab/base/contract.hpp"

namespace widelab::estimators {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kFewest = 10;

/// The (kept + 1)-th largest value; NaN if there is none or it is not positive.
double threshold_of(std::vector<double> values, std::size_t kept) {
  if (kept == 0 || values.size() <= kept) return kNaN;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(kept), values.end(), std::greater<>());
  return values[kept] > 0 ? values[kept] : kNaN;
}

}  // namespace

double hill_exponent(const std::vector<double>& values, std::size_t kept) {
  const double threshold = threshold_of(values, kept);
  double sum = 0;
  for (const double x : values)
    if (x > threshold) sum += std::log(x / threshold);
  return sum > 0 ? static_cast<double>(kept) / sum : kNaN;
}

Estimate tail_exponent(const std::vector<double>& values, std::size_t columns, double share) {
  WIDELAB_REQUIRE(share > 0 && share < 1 && columns > 0 && values.size() % columns == 0, "tail: share or rows");
  std::vector<double> rows;
  for (std::size_t at = 0; at < values.size(); at += columns) {
    const auto first = values.begin() + static_cast<std::ptrdiff_t>(at),
               last = first + static_cast<std::ptrdiff_t>(columns);
    if (std::all_of(first, last, [](double x) { return std::isfinite(x); })) rows.insert(rows.end(), first, last);
  }
  const auto kept = static_cast<std::size_t>(share * static_cast<double>(rows.size()));
  const double threshold = kept < kFewest ? kNaN : threshold_of(rows, kept);
  if (!std::isfinite(threshold)) return {kNaN, kNaN, static_cast<double>(rows.size() / columns)};
  std::vector<double> sums(2 * rows.size() / columns);  // of each row: values beyond, and their logarithms
  for (std::size_t at = 0; at < rows.size(); ++at)
    if (rows[at] > threshold) {
      sums[2 * (at / columns)] += 1;
      sums[2 * (at / columns) + 1] += std::log(rows[at] / threshold);
    }
  return jackknife(sums, 2, [](std::span<const double> means, double) { return means[0] / means[1]; });
}

}  // namespace widelab::estimators
