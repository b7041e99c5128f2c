#include "host/data/law_table.hpp"

#include <array>
#include <limits>

#include "host/data/gaussian_spectrum.hpp"
#include "host/data/spec_checks.hpp"

namespace widelab::data {

namespace {

constexpr std::array<Law, 9> kLaws{{
    {"sphere", true, draw_sphere, unit_spectrum, "uniform on the sphere of radius sqrt(d)"},
    {"gaussian", true, draw_gaussian, gaussian_spectrum,
     "centred Gaussian; data.spectrum = isotropic, power-law, spiked, two-scale or file"},
    {"mixture", true, draw_mixture, mixture_spectrum,
     "unit Gaussians around `components` equally likely means, every two of them `separation` apart"},
    {"hypercube", true, draw_hypercube, unit_spectrum, "independent coordinates +1 or -1"},
    {"mnist", false, load_mnist, nullptr, "MNIST from the data folder (split = train or test)"},
    {"idx", false, load_idx, nullptr, "IDX files, plain or gzip: data.paths = [inputs], data.labels_path"},
    {"cifar10", false, load_cifar10, nullptr, "CIFAR-10 binary batches from the data folder, or data.paths"},
    {"cifar100", false, load_cifar100, nullptr, "CIFAR-100 binary batches, fine labels"},
    {"npy", false, load_npy, nullptr, "NumPy arrays: data.paths = [inputs], data.labels_path"},
}};

}  // namespace

std::vector<NameDoc> law_list() { return names_and_docs(kLaws); }

const Law& checked_law(const DataSpec& spec) {
  const Law& law = find_by_name("data.law", spec.law, kLaws);
  // An example is a row of a random stream: 32 bits, and a row's coordinates are counted in blocks of four.
  constexpr Index kMostRows = Index{1} << 32;
  require_in_range("data.examples", spec.examples, Index{1}, kMostRows);
  require_in_range("data.first", spec.first, Index{0}, kMostRows - spec.examples);
  constexpr Index kMostCoordinates = std::numeric_limits<std::int32_t>::max();
  require_in_range("data.dimension", spec.dimension, Index{law.synthetic ? 1 : 0}, kMostCoordinates);
  if (law.synthetic && !spec.classes.empty())
    throw RecipeError("data.classes: only examples from files can be chosen by class, not the law \"" + spec.law +
                      "\"; leave it out");
  return law;
}

std::optional<Spectrum> spectrum(const DataSpec& spec) {
  const Law& law = checked_law(spec);
  if (law.spectrum == nullptr || !spec.preprocessing.empty()) return std::nullopt;
  return law.spectrum(spec);
}

std::vector<double> coordinate_variances(const DataSpec& spec, Index dimension) {
  if (spec.law == "gaussian" && spec.preprocessing.empty()) return gaussian_eigenvalues(spec);
  return std::vector<double>(static_cast<std::size_t>(dimension), 1.0);
}

}  // namespace widelab::data
