#include "host/data/gaussian_spectrum.hpp"

#include <array>
#include <cmath>
#include <numeric>

#include "host/data/data_folder.hpp"
#include "host/data/npy_file.hpp"
#include "host/data/spec_checks.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::data {

namespace {

std::vector<double> with_mean_one(std::vector<double> eigenvalues) {
  const double sum = std::accumulate(eigenvalues.begin(), eigenvalues.end(), 0.0);
  for (double& value : eigenvalues) value *= static_cast<double>(eigenvalues.size()) / sum;
  return eigenvalues;
}

std::vector<double> isotropic(const DataSpec& spec) {
  return std::vector<double>(static_cast<std::size_t>(spec.dimension), 1.0);
}

std::vector<double> power_law(const DataSpec& spec) {
  require_in_range("data.exponent", spec.exponent, 0.0, 100.0);
  std::vector<double> values(static_cast<std::size_t>(spec.dimension));
  for (std::size_t j = 0; j < values.size(); ++j) values[j] = std::pow(static_cast<double>(j + 1), -spec.exponent);
  return with_mean_one(values);
}

std::vector<double> spiked(const DataSpec& spec) {
  require_in_range("data.spikes", spec.spikes, Index{0}, spec.dimension);
  require_in_range("data.strength", spec.strength, -1.0, 1e300);
  std::vector<double> values = isotropic(spec);
  for (Index j = 0; j < spec.spikes; ++j) values[static_cast<std::size_t>(j)] += spec.strength;
  return values;
}

std::vector<double> two_scale(const DataSpec& spec) {
  require_in_range("data.fraction", spec.fraction, 0.0, 1.0);
  require_in_range("data.ratio", spec.ratio, 1.0, 1e300);
  std::vector<double> values = isotropic(spec);
  const auto large = static_cast<Index>(std::llround(spec.fraction * static_cast<double>(spec.dimension)));
  for (Index j = 0; j < large; ++j) values[static_cast<std::size_t>(j)] = spec.ratio;
  return with_mean_one(values);
}

std::vector<double> from_file(const DataSpec& spec) {
  if (spec.spectrum_path.empty())
    throw RecipeError("data.spectrum = \"file\" needs data.spectrum_path, a .npy file of eigenvalues");
  const ArrayFile array = read_npy(resolve_path(spec.spectrum_path, spec.folder));
  if (array.rows() != spec.dimension || array.columns() != 1)
    throw DataError(array.path + ": its shape is " + shape_text(array.shape) + "; expected data.dimension = " +
                    std::to_string(spec.dimension) + " eigenvalues");
  std::vector<double> values(static_cast<std::size_t>(array.rows()));
  double largest = 0.0;
  for (Index j = 0; j < array.rows(); ++j) {
    const double value = array.stored(j);
    if (!std::isfinite(value) || value < 0.0)
      throw DataError(array.path + ": eigenvalue " + std::to_string(j) + " is " + std::to_string(value) +
                      "; eigenvalues must be finite and not negative");
    values[static_cast<std::size_t>(j)] = value;
    largest = std::max(largest, value);
  }
  if (largest == 0.0) throw DataError(array.path + ": every eigenvalue is 0; at least one must be positive");
  return values;
}

struct SpectrumLaw {
  const char* name;
  std::vector<double> (*eigenvalues)(const DataSpec&);
  const char* doc;
};

constexpr std::array<SpectrumLaw, 5> kSpectra{{
    {"isotropic", isotropic, "every eigenvalue 1"},
    {"power-law", power_law, "eigenvalue j proportional to j^-exponent, mean 1"},
    {"spiked", spiked, "1 + strength for the first `spikes` coordinates, 1 for the others"},
    {"two-scale", two_scale, "a fraction of coordinates with `ratio` times the eigenvalue of the others, mean 1"},
    {"file", from_file, "eigenvalues from the .npy file spectrum_path"},
}};

}  // namespace

std::vector<NameDoc> spectrum_list() { return names_and_docs(kSpectra); }

std::vector<double> gaussian_eigenvalues(const DataSpec& spec) {
  return find_by_name("data.spectrum", spec.spectrum, kSpectra).eigenvalues(spec);
}

}  // namespace widelab::data
