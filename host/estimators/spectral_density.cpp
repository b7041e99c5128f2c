#include "host/estimators/spectral_density.hpp"

#include <cblas.h>
#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "widelab/base/contract.hpp"
#include "widelab/rng/distributions.hpp"

namespace widelab::estimators {
namespace {

/// What is left of A q, relative to the largest |A q|, when all of it was rounding.
constexpr double kBreakdown = 1e-14;

/// Random signs, row `probe` of the stream.
std::vector<double> probe_vector(Index dimension, const DrawId& start, Index probe) {
  WIDELAB_REQUIRE(dimension >= 1 && dimension <= (Index{1} << 31), "a trace needs 1 to 2^31 coordinates");
  std::vector<double> v(static_cast<std::size_t>(dimension));
  for (std::size_t i = 0; i < v.size(); i += 4) {
    const Draw4 signs = rademacher4(random_block(start.stream(Stream::trace_probe), static_cast<std::uint32_t>(probe),
                                                 static_cast<std::uint32_t>(i / 4)));
    for (std::size_t k = 0; k < 4 && i + k < v.size(); ++k) v[i + k] = static_cast<double>(signs.v[k]);
  }
  return v;
}

void require_finite(double size) {
  if (!std::isfinite(size))
    throw DataError("a product with the operator is not finite; the network has diverged, or its numbers overflow");
}

/// Nodes and weights of the tridiagonal matrix.
QuadratureRule rule_of(std::vector<double> diagonal, std::vector<double> off) {
  const auto m = static_cast<lapack_int>(diagonal.size());
  std::vector<double> vectors(diagonal.size() * diagonal.size());
  off.resize(diagonal.size());
  const lapack_int info = LAPACKE_dstevd(LAPACK_COL_MAJOR, 'V', m, diagonal.data(), off.data(), vectors.data(), m);
  WIDELAB_REQUIRE(info == 0, "dstevd did not converge, info " + std::to_string(info));
  QuadratureRule rule{std::move(diagonal), {}};
  for (std::size_t k = 0; k < rule.nodes.size(); ++k) {
    const double first = vectors[k * rule.nodes.size()];
    rule.weights.push_back(first * first);
  }
  return rule;
}

QuadratureRule sample_probe(Index dimension, const SymmetricOperator& apply, const QuadratureOptions& options,
                            Index probe) {
  const Index steps = std::min(options.steps, dimension);
  KrylovBasis basis(dimension, steps);
  basis.append(probe_vector(dimension, options.start, probe), std::sqrt(static_cast<double>(dimension)));
  std::vector<double> image(static_cast<std::size_t>(dimension)), diagonal, off, column;
  double largest = 0;
  for (Index step = 0; step < steps; ++step) {
    apply(basis.last(), image.data());
    const double size = cblas_dnrm2(static_cast<int>(dimension), image.data(), 1);
    require_finite(size);
    largest = std::max(largest, size);
    column.resize(static_cast<std::size_t>(basis.size()));
    const double beta = basis.orthogonalise(image, column);
    diagonal.push_back(column.back());
    if (step + 1 == steps || beta <= kBreakdown * largest) break;
    off.push_back(beta);
    basis.append(image, beta);
  }
  return rule_of(std::move(diagonal), std::move(off));
}

/// Mean and standard error; NaN error with one value.
Estimate over_probes(const std::vector<double>& values) {
  const double count = static_cast<double>(values.size());
  double mean = 0, square = 0;
  for (const double x : values) mean += x / count;
  for (const double x : values) square += (x - mean) * (x - mean);
  return {mean, std::sqrt(square / (count * (count - 1))), count};
}

}  // namespace

SpectralSample sample_spectrum(Index dimension, const SymmetricOperator& apply, const QuadratureOptions& options) {
  WIDELAB_REQUIRE(options.probes >= 1 && options.steps >= 1, "a spectrum needs at least one probe and one step");
  SpectralSample sample{dimension, {}};
  for (Index p = 0; p < options.probes; ++p) sample.probes.push_back(sample_probe(dimension, apply, options, p));
  return sample;
}

Estimate spectral_trace(const SpectralSample& sample, const std::function<double(double)>& f) {
  std::vector<double> values;
  for (const QuadratureRule& rule : sample.probes) {
    double sum = 0;
    for (std::size_t k = 0; k < rule.nodes.size(); ++k) sum += rule.weights[k] * f(rule.nodes[k]);
    values.push_back(sum * static_cast<double>(sample.dimension));
  }
  return over_probes(values);
}

std::vector<Estimate> spectral_density(const SpectralSample& sample, std::span<const double> points, double variance) {
  WIDELAB_REQUIRE(variance > 0, "a density needs a positive variance");
  const double height = 1 / std::sqrt(2 * std::numbers::pi * variance) / static_cast<double>(sample.dimension);
  std::vector<Estimate> out;
  for (const double x : points)
    out.push_back(spectral_trace(
        sample, [&](double node) { return height * std::exp(-(node - x) * (node - x) / (2 * variance)); }));
  return out;
}

Estimate hutchinson_trace(Index dimension, const SymmetricOperator& apply, Index probes, DrawId start) {
  WIDELAB_REQUIRE(probes >= 1, "a trace needs at least one probe");
  std::vector<double> values, image(static_cast<std::size_t>(dimension));
  for (Index p = 0; p < probes; ++p) {
    const std::vector<double> v = probe_vector(dimension, start, p);
    apply(v.data(), image.data());
    values.push_back(cblas_ddot(static_cast<int>(dimension), v.data(), 1, image.data(), 1));
    require_finite(values.back());
  }
  return over_probes(values);
}

}  // namespace widelab::estimators
