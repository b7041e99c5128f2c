// Data laws that are drawn, not read. Example i is row i of the stream `inputs`: the first N of M > N examples are
// the same N examples.
#include <algorithm>
#include <cmath>

#include "host/data/directions.hpp"
#include "host/data/gaussian_spectrum.hpp"
#include "host/data/law_table.hpp"
#include "host/data/mixture.hpp"
#include "host/data/spec_checks.hpp"
#include "widelab/rng/distributions.hpp"
#include "widelab/rng/normal.hpp"

namespace widelab::data {

namespace {

RawExamples empty_examples(const DataSpec& spec) {
  RawExamples raw;
  raw.examples = spec.examples;
  raw.dimension = spec.dimension;
  raw.inputs.resize(static_cast<std::size_t>(spec.examples) * static_cast<std::size_t>(spec.dimension));
  raw.source = spec.law;
  return raw;
}

// Fills the inputs with independent draws, four from each random block.
template <class Draw>
void fill_rows(const DataSpec& spec, DrawId data_id, Draw draw4, RawExamples& raw) {
  const StreamId stream = data_id.stream(Stream::inputs);
  const Index d = raw.dimension;
  for (Index i = 0; i < raw.examples; ++i) {
    double* const row = raw.inputs.data() + i * d;
    for (Index j = 0; j < d; j += 4) {
      const Draw4 four = draw4(random_block(stream, static_cast<std::uint32_t>(spec.first + i),
                                            static_cast<std::uint32_t>(j / 4)));
      for (Index k = j; k < std::min(j + 4, d); ++k) row[k] = static_cast<double>(four.v[k - j]);
    }
  }
}

RawExamples draw_unit_normals(const DataSpec& spec, DrawId data_id) {
  RawExamples raw = empty_examples(spec);
  fill_rows(spec, data_id, normal4, raw);
  return raw;
}

// Equal neighbours become one eigenvalue with a multiplicity.
Spectrum with_multiplicities(std::vector<double> eigenvalues) {
  std::sort(eigenvalues.begin(), eigenvalues.end(), std::greater<>());
  Spectrum spectrum;
  for (const double value : eigenvalues) {
    if (spectrum.eigenvalues.empty() || spectrum.eigenvalues.back() != value) {
      spectrum.eigenvalues.push_back(value);
      spectrum.multiplicities.push_back(0);
    }
    ++spectrum.multiplicities.back();
  }
  return spectrum;
}

}  // namespace

// A normal vector divided by its length is uniform on the sphere.
RawExamples draw_sphere(const DataSpec& spec, DrawId data_id) {
  RawExamples raw = draw_unit_normals(spec, data_id);
  const Index d = raw.dimension;
  for (Index i = 0; i < raw.examples; ++i) {
    double* const row = raw.inputs.data() + i * d;
    double square = 0.0;
    for (Index j = 0; j < d; ++j) square += row[j] * row[j];
    if (square == 0.0)
      throw DataError("example " + std::to_string(i) + " of the sphere is the zero vector; choose another seed");
    const double scale = std::sqrt(static_cast<double>(d) / square);
    for (Index j = 0; j < d; ++j) row[j] *= scale;
  }
  return raw;
}

RawExamples draw_gaussian(const DataSpec& spec, DrawId data_id) {
  std::vector<double> deviation = gaussian_eigenvalues(spec);
  for (double& value : deviation) value = std::sqrt(value);
  RawExamples raw = draw_unit_normals(spec, data_id);
  for (Index i = 0; i < raw.examples; ++i)
    for (Index j = 0; j < raw.dimension; ++j) raw.inputs[i * raw.dimension + j] *= deviation[j];
  raw.source += " (" + spec.spectrum + ")";
  return raw;
}

RawExamples draw_mixture(const DataSpec& spec, DrawId data_id) {
  const std::vector<double> means = mixture_means(spec, data_id);
  RawExamples raw = draw_unit_normals(spec, data_id);
  const StreamId stream = data_id.stream(Stream::class_of_example);
  for (Index i = 0; i < raw.examples; ++i) {
    const auto component = uniform_index_at(stream, 0, static_cast<std::uint32_t>(spec.first + i), spec.components);
    raw.classes.push_back(static_cast<int>(component));
    for (Index j = 0; j < raw.dimension; ++j)
      raw.inputs[i * raw.dimension + j] += means[component * raw.dimension + j];
  }
  raw.class_count = spec.components;
  return raw;
}

RawExamples draw_hypercube(const DataSpec& spec, DrawId data_id) {
  RawExamples raw = empty_examples(spec);
  fill_rows(spec, data_id, rademacher4, raw);
  return raw;
}

std::optional<Spectrum> unit_spectrum(const DataSpec& spec) { return Spectrum{{1.0}, {spec.dimension}}; }

std::optional<Spectrum> gaussian_spectrum(const DataSpec& spec) {
  return with_multiplicities(gaussian_eigenvalues(spec));
}

// Covariance 1 + (1/k) sum_c mu_c mu_c^T; the centred means span k - 1 dimensions with equal weight
// separation^2 / (2k) each (derived in mixture_means).
std::optional<Spectrum> mixture_spectrum(const DataSpec& spec) {
  require_mixture(spec);
  const auto k = static_cast<double>(spec.components);
  Spectrum result{{1.0 + spec.separation * spec.separation / (2.0 * k), 1.0},
                  {spec.components - 1, spec.dimension - spec.components + 1}};
  if (result.multiplicities.front() == 0 || spec.separation == 0.0) return unit_spectrum(spec);
  return result;
}

void require_mixture(const DataSpec& spec) {
  require_in_range("data.components", spec.components, Index{1}, spec.dimension);
  require_in_range("data.separation", spec.separation, 0.0, 1e100);
}

std::vector<double> mixture_means(const DataSpec& spec, DrawId data_id) {
  require_mixture(spec);
  const std::vector<double> metric(static_cast<std::size_t>(spec.dimension), 1.0);
  std::vector<double> means = orthonormal_directions(data_id.stream(Stream::data_directions, kMixtureLayer), 0,
                                                     spec.components, metric, "data.components");
  const double scale = spec.separation / std::sqrt(2.0);  // orthonormal vectors are sqrt(2) apart
  for (Index j = 0; j < spec.dimension; ++j) {
    double average = 0.0;
    for (Index c = 0; c < spec.components; ++c) average += means[c * spec.dimension + j];
    average /= static_cast<double>(spec.components);
    for (Index c = 0; c < spec.components; ++c) {
      double& entry = means[c * spec.dimension + j];
      entry = scale * (entry - average);
    }
  }
  return means;
}

}  // namespace widelab::data
