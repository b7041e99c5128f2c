// Moments of every synthetic law against its spectrum, by statistics that do not depend on the eigenbasis: with
// independent centred x, x', x'' of covariance S,
//   E |x|^2 = tr S,   E (x.x')^2 = tr S^2,   E (x.x')(x'.x'')(x''.x) = tr S^3.
// Each is a mean over disjoint groups of examples, hence of independent terms, and is judged by its own standard error.
// Twelve z-scores a run with |z| < 4.5: false alarm below 1e-4 for a fresh seed; the seeds are fixed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "host/data/data_laws.hpp"
#include "host/data/make_dataset.hpp"

namespace widelab::data {
namespace {

constexpr double kLargestZ = 4.5;
constexpr Index kDimension = 12, kExamples = 60000;

double z_score(const std::vector<double>& terms, double expected) {
  const auto n = static_cast<double>(terms.size());
  const double mean = std::accumulate(terms.begin(), terms.end(), 0.0) / n;
  double square = 0.0;
  for (const double term : terms) square += (term - mean) * (term - mean);
  return (mean - expected) / std::sqrt(square / (n - 1.0) / n + 1e-28);
}

double trace_power(const Spectrum& spectrum, int power) {
  double sum = 0.0;
  for (std::size_t k = 0; k < spectrum.eigenvalues.size(); ++k)
    sum += static_cast<double>(spectrum.multiplicities[k]) * std::pow(spectrum.eigenvalues[k], power);
  return sum;
}

double product(const Dataset& set, Index a, Index b) {
  const double *x = set.input_view().row(a), *y = set.input_view().row(b);
  return std::inner_product(x, x + set.dimension, y, 0.0);
}

// Largest |z| of the three traces.
double spectrum_z(const Dataset& set, const Spectrum& claimed) {
  std::vector<double> first, second, third;
  for (Index i = 0; i + 2 < set.examples; i += 3) {
    const double xy = product(set, i, i + 1), yz = product(set, i + 1, i + 2), zx = product(set, i + 2, i);
    first.push_back(product(set, i, i));
    second.push_back(xy * xy);
    third.push_back(xy * yz * zx);
  }
  return std::max({std::fabs(z_score(first, trace_power(claimed, 1))),
                   std::fabs(z_score(second, trace_power(claimed, 2))),
                   std::fabs(z_score(third, trace_power(claimed, 3)))});
}

std::vector<DataSpec> all_laws() {
  std::vector<DataSpec> specs;
  for (const std::string law : {"sphere", "hypercube", "mixture", "gaussian"}) {
    DataSpec spec;
    spec.law = law;
    spec.dimension = kDimension;
    spec.examples = kExamples;
    spec.components = 3;
    spec.strength = 2.0;
    for (const std::string name : {"isotropic", "power-law", "spiked", "two-scale"}) {
      spec.spectrum = name;
      if (law == "gaussian" || name == "isotropic") specs.push_back(spec);
    }
  }
  return specs;
}

TEST(DataMoments, AgreeWithTheSpectrumOfTheLaw) {
  for (const DataSpec& spec : all_laws())
    EXPECT_LT(spectrum_z(make_dataset(spec, DrawId{2024, 1}), *spectrum(spec)), kLargestZ) << spec.law << spec.spectrum;
}

TEST(DataMoments, RejectASpectrumOfAnotherLaw) {
  DataSpec power_law = all_laws()[4], two_scale = all_laws()[6];
  ASSERT_EQ(power_law.spectrum, "power-law");
  ASSERT_EQ(two_scale.spectrum, "two-scale");
  EXPECT_GT(spectrum_z(make_dataset(power_law, DrawId{2024, 1}), *spectrum(two_scale)), 2 * kLargestZ);
  EXPECT_GT(spectrum_z(make_dataset(two_scale, DrawId{2024, 1}), *spectrum(power_law)), 2 * kLargestZ);
  DataSpec mixture = all_laws()[2], closer = mixture;
  closer.separation *= 0.8;
  EXPECT_GT(spectrum_z(make_dataset(mixture, DrawId{2024, 1}), *spectrum(closer)), 2 * kLargestZ);
}

double largest_mean_z(const Dataset& set, double offset) {
  double largest = 0.0;
  for (Index j = 0; j < set.dimension; ++j) {
    std::vector<double> column;
    for (Index i = 0; i < set.examples; ++i) column.push_back(set.input_view()(i, j) + offset);
    largest = std::max(largest, std::fabs(z_score(column, 0.0)));
  }
  return largest;
}

TEST(DataMoments, LawsAreCentredAndAShiftIsSeen) {
  for (const DataSpec& spec : all_laws()) {
    const Dataset set = make_dataset(spec, DrawId{7, 3});
    EXPECT_LT(largest_mean_z(set, 0.0), kLargestZ) << spec.law << spec.spectrum;
    EXPECT_GT(largest_mean_z(set, 0.05), kLargestZ) << spec.law << spec.spectrum;
  }
}

// Fourth moments tell the laws apart: E x_j^4 = 3 (Gaussian), 3 d/(d+2) (sphere), 1 (hypercube).
TEST(DataMoments, FourthMomentsTellSphereFromGaussian) {
  const auto fourth_z = [](const DataSpec& spec, double expected) {
    const Dataset set = make_dataset(spec, DrawId{11, 0});
    std::vector<double> terms;
    for (Index i = 0; i < set.examples; ++i) {
      double sum = 0.0;
      for (Index j = 0; j < kDimension; ++j) sum += std::pow(set.input_view()(i, j), 4) / kDimension;
      terms.push_back(sum);
    }
    return std::fabs(z_score(terms, expected));
  };
  const DataSpec sphere = all_laws()[0], cube = all_laws()[1], gaussian = all_laws()[3];
  const double on_sphere = 3.0 * kDimension / (kDimension + 2.0);
  EXPECT_LT(fourth_z(sphere, on_sphere), kLargestZ);
  EXPECT_LT(fourth_z(gaussian, 3.0), kLargestZ);
  EXPECT_LT(fourth_z(cube, 1.0), kLargestZ);
  EXPECT_GT(fourth_z(gaussian, on_sphere), 2 * kLargestZ);
  EXPECT_GT(fourth_z(sphere, 3.0), 2 * kLargestZ);
}

// Chi-square of the component counts, 2 degrees of freedom: above 27.6 with probability 1e-6.
TEST(DataMoments, MixtureComponentsAreEquallyLikely) {
  const DataSpec spec = all_laws()[2];
  const Dataset set = make_dataset(spec, DrawId{5, 5});
  const auto chi_square = [&set](double classes) {
    std::vector<double> count(3, 0.0);
    for (const int c : set.classes) count[static_cast<std::size_t>(c)] += 1.0;
    double sum = 0.0;
    for (const double n : count) sum += std::pow(n - kExamples / classes, 2) / (kExamples / classes);
    return sum;
  };
  EXPECT_LT(chi_square(3.0), 27.6);
  EXPECT_GT(chi_square(3.1), 27.6);
}

}  // namespace
}  // namespace widelab::data
