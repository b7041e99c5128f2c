#include "host/experiments/flatness_window.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "host/estimators/window_covariance.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

}  // namespace

std::vector<double> leading_vectors(const theory::Eigenbasis& basis, Index first, Index count) {
  const Index d = basis.dim();
  std::vector<double> units(static_cast<std::size_t>(count * d), 0.0);
  for (Index k = 0; k < count; ++k) units[static_cast<std::size_t>(k * d + d - 1 - first - k)] = 1;
  return basis.rows_out_of(matrix_view<const double>(units.data(), count, d));
}

WindowComponents window_components(Index dimension, const std::vector<Index>& components, const Replay& replay) {
  WindowComponents out;
  estimators::WindowCovariance window(dimension);
  replay([&](const double* vector) { window.add(vector); });
  out.mean = window.mean();
  const std::vector<double> covariance = window.covariance();
  if (!std::all_of(covariance.begin(), covariance.end(), [](double x) { return std::isfinite(x); })) {
    out.first_share = kNaN;
    out.variance.assign(components.size(), kNaN);
    out.time = out.variance;
    out.directions.assign(components.size() * out.mean.size(), 0.0);
    return out;
  }
  const theory::Eigenbasis basis(matrix_view<const double>(covariance.data(), dimension, dimension));
  const std::vector<double>& values = basis.values();
  const double rounding = static_cast<double>(dimension) * std::numeric_limits<double>::epsilon() * values.back();
  out.first_share = values.back() / std::accumulate(values.begin(), values.end(), 0.0);
  for (const Index i : components) {
    const double value = values[static_cast<std::size_t>(dimension - 1 - i)];
    out.variance.push_back(value > rounding ? value : kNaN);
    const std::vector<double> direction = leading_vectors(basis, i, 1);
    out.directions.insert(out.directions.end(), direction.begin(), direction.end());
  }
  estimators::WindowProjections projections(out.directions, out.mean);
  replay([&](const double* vector) { projections.add(vector); });
  out.time.resize(components.size());
#pragma omp parallel for schedule(dynamic, 1)
  for (std::size_t k = 0; k < components.size(); ++k)
    out.time[k] = estimators::correlation_time(projections.series(static_cast<Index>(k)));
  return out;
}

}  // namespace widelab::experiments
