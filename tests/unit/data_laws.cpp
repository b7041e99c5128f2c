// Synthetic data laws: what holds exactly. Their moments are in tests/statistical/data_moments.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "host/data/data_laws.hpp"
#include "host/data/gaussian_spectrum.hpp"
#include "host/data/make_dataset.hpp"
#include "host/data/mixture.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/base/nearest.hpp"

namespace widelab::data {
namespace {

const DrawId kId{0x1234567890ABCDEFull, 7};

DataSpec small_spec(const std::string& law) {
  DataSpec spec;
  spec.law = law;
  spec.examples = 20;
  spec.dimension = 7;
  spec.components = 3;
  spec.spectrum = "power-law";
  return spec;
}

const std::vector<std::string> kSyntheticLaws{"sphere", "gaussian", "mixture", "hypercube"};

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(DataLaws, AreAPureFunctionOfTheId) {
  for (const std::string& law : kSyntheticLaws) {
    const DataSpec spec = small_spec(law);
    const Dataset once = make_dataset(spec, kId), again = make_dataset(spec, kId);
    EXPECT_EQ(once.inputs, again.inputs) << law;
    EXPECT_EQ(once.classes, again.classes) << law;
    EXPECT_NE(once.inputs, make_dataset(spec, DrawId{kId.key, kId.replicate + 1}).inputs) << law;
    EXPECT_NE(once.inputs, make_dataset(spec, DrawId{kId.key + 1, kId.replicate}).inputs) << law;
  }
}

TEST(DataLaws, FewerExamplesAreThePrefixOfMore) {
  for (const std::string& law : kSyntheticLaws) {
    DataSpec spec = small_spec(law);
    spec.target.kind = "multi-index";
    spec.target.coefficients = {{0.0, 1.0, 0.5}, {0.0, 0.0, 1.0}};
    spec.target.noise = 0.1;
    const DrawId noise{99, 3};
    const Dataset all = make_dataset(spec, kId, noise);
    spec.examples = 10;
    const Dataset head = make_dataset(spec, kId, noise);
    spec.first = 10;
    const Dataset tail = make_dataset(spec, kId, noise);
    const auto joined = [](auto first, const auto& second) {
      first.insert(first.end(), second.begin(), second.end());
      return first;
    };
    EXPECT_EQ(joined(head.inputs, tail.inputs), all.inputs) << law;
    EXPECT_EQ(joined(head.targets, tail.targets), all.targets) << law;
    EXPECT_EQ(joined(head.classes, tail.classes), all.classes) << law;
  }
}

TEST(DataLaws, ANarrowerGaussianIsTheLeadingPartOfAWiderOne) {
  DataSpec spec = small_spec("gaussian");
  spec.spectrum = "isotropic";
  const Dataset narrow = make_dataset(spec, kId);
  spec.dimension = 11;
  const Dataset wide = make_dataset(spec, kId);
  for (Index i = 0; i < 20; ++i)
    for (Index j = 0; j < 7; ++j) EXPECT_EQ(narrow.input_view()(i, j), wide.input_view()(i, j));
}

TEST(DataLaws, SphereHasNormSqrtDAndHypercubeHasSigns) {
  for (const Index d : {1, 2, 3, 5, 64, 257}) {
    DataSpec spec = small_spec("sphere");
    spec.dimension = d;
    const Dataset sphere = make_dataset(spec, kId);
    for (Index i = 0; i < sphere.examples; ++i) {
      const double* row = sphere.input_view().row(i);
      EXPECT_NEAR(std::inner_product(row, row + d, row, 0.0), static_cast<double>(d), 1e-14 * static_cast<double>(d));
    }
    spec.law = "hypercube";
    for (const double value : make_dataset(spec, kId).inputs) EXPECT_EQ(std::fabs(value), 1.0);
  }
}

TEST(DataLaws, MixtureMeansAreEquidistantAndCentred) {
  DataSpec spec = small_spec("mixture");
  spec.separation = 3.5;
  for (const Index k : {1, 2, 3, 7}) {
    spec.components = k;
    const std::vector<double> means = mixture_means(spec, kId);
    for (Index j = 0; j < spec.dimension; ++j) {
      double sum = 0.0;
      for (Index c = 0; c < k; ++c) sum += means[c * spec.dimension + j];
      EXPECT_NEAR(sum, 0.0, 1e-14);
    }
    for (Index a = 0; a < k; ++a)
      for (Index b = 0; b < a; ++b) {
        double square = 0.0;
        for (Index j = 0; j < spec.dimension; ++j)
          square += std::pow(means[a * spec.dimension + j] - means[b * spec.dimension + j], 2);
        EXPECT_NEAR(std::sqrt(square), 3.5, 1e-13);
      }
  }
}

TEST(DataLaws, SpectraHaveTheStatedEigenvalues) {
  DataSpec spec = small_spec("gaussian");
  spec.dimension = 4;
  spec.exponent = 2.0;
  const double sum = 1.0 + 1.0 / 4 + 1.0 / 9 + 1.0 / 16;
  const std::vector<double> power_law = gaussian_eigenvalues(spec);
  for (int j = 0; j < 4; ++j) EXPECT_NEAR(power_law[j], 4.0 / sum / ((j + 1) * (j + 1)), 1e-15 * 4);
  spec.spectrum = "spiked";
  spec.spikes = 1;
  spec.strength = 5.0;
  EXPECT_EQ(gaussian_eigenvalues(spec), (std::vector<double>{6, 1, 1, 1}));
  EXPECT_EQ(spectrum(spec)->eigenvalues, (std::vector<double>{6, 1}));
  EXPECT_EQ(spectrum(spec)->multiplicities, (std::vector<Index>{1, 3}));
  spec.spectrum = "two-scale";
  spec.fraction = 0.25;
  spec.ratio = 5.0;
  EXPECT_EQ(gaussian_eigenvalues(spec), (std::vector<double>{2.5, 0.5, 0.5, 0.5}));
}

TEST(DataLaws, MultiplicitiesAddUpToTheDimension) {
  for (const std::string& law : kSyntheticLaws)
    for (const Index components : {1, 3, 7}) {
      DataSpec spec = small_spec(law);
      spec.components = components;
      const Spectrum known = *spectrum(spec);
      EXPECT_EQ(known.eigenvalues.size(), known.multiplicities.size());
      EXPECT_EQ(std::accumulate(known.multiplicities.begin(), known.multiplicities.end(), Index{0}), 7) << law;
      EXPECT_TRUE(std::is_sorted(known.eigenvalues.rbegin(), known.eigenvalues.rend())) << law;
    }
}

TEST(DataLaws, SpectrumIsUnknownForFilesAndPreprocessedData) {
  DataSpec spec = small_spec("mnist");
  EXPECT_FALSE(spectrum(spec));
  spec = small_spec("gaussian");
  EXPECT_TRUE(spectrum(spec));
  spec.preprocessing = {"row-centred"};
  EXPECT_FALSE(spectrum(spec));
}

TEST(DataLaws, EveryLawInTheListIsKnownAndExplained) {
  EXPECT_GE(law_list().size(), 8u);
  for (const NameDoc& law : law_list()) {
    EXPECT_FALSE(law.doc.empty()) << law.name;
    EXPECT_NO_THROW(spectrum(small_spec(law.name))) << law.name;
  }
}

TEST(DataLaws, MisspeltNamesAreAnsweredWithTheNearest) {
  DataSpec spec = small_spec("spere");
  EXPECT_TRUE(mentions(message_of([&] { make_dataset(spec, kId); }), "did you mean \"sphere\""));
  spec = small_spec("gaussian");
  spec.spectrum = "powerlaw";
  EXPECT_TRUE(mentions(message_of([&] { make_dataset(spec, kId); }), "did you mean \"power-law\""));
  spec = small_spec("sphere");
  spec.target.kind = "hermit";
  EXPECT_TRUE(mentions(message_of([&] { make_dataset(spec, kId); }), "did you mean \"hermite\""));
  EXPECT_EQ(nearest_name("Sfere", {"gaussian", "sphere"}), "sphere");
  EXPECT_EQ(nearest_name("x", {}), "");
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(DataLaws, ValuesOutOfRangeAreRecipeErrors) {
  using Change = std::function<void(DataSpec&)>;
  const std::vector<std::pair<std::string, Change>> faults{
      {"data.examples = 0", [](DataSpec& s) { s.examples = 0; }},
      {"data.examples = -3", [](DataSpec& s) { s.examples = -3; }},
      {"data.dimension = 0", [](DataSpec& s) { s.dimension = 0; }},
      {"data.first = -1", [](DataSpec& s) { s.first = -1; }},
      {"data.exponent", [](DataSpec& s) { s.law = "gaussian", s.exponent = std::nan(""); }},
      {"data.spikes", [](DataSpec& s) { s.law = "gaussian", s.spectrum = "spiked", s.spikes = 8; }},
      {"data.strength", [](DataSpec& s) { s.law = "gaussian", s.spectrum = "spiked", s.strength = -1.5; }},
      {"data.fraction", [](DataSpec& s) { s.law = "gaussian", s.spectrum = "two-scale", s.fraction = 1.5; }},
      {"data.ratio", [](DataSpec& s) { s.law = "gaussian", s.spectrum = "two-scale", s.ratio = 0.5; }},
      {"data.spectrum_path", [](DataSpec& s) { s.law = "gaussian", s.spectrum = "file"; }},
      {"data.components", [](DataSpec& s) { s.law = "mixture", s.components = 8; }},
      {"data.separation", [](DataSpec& s) { s.law = "mixture", s.separation = -1; }},
      {"data.classes", [](DataSpec& s) { s.classes = {0, 1}; }},
  };
  for (const auto& [key, change] : faults) {
    DataSpec spec = small_spec("sphere");
    change(spec);
    EXPECT_THROW(make_dataset(spec, kId), RecipeError) << key;
    const std::string message = message_of([&] { make_dataset(spec, kId); });
    EXPECT_TRUE(mentions(message, key)) << key << ": " << message;
  }
}

TEST(DataLaws, DataThatCannotFitInMemoryAreAPlanError) {
  DataSpec spec = small_spec("sphere");
  spec.examples = Index{1} << 32;
  spec.dimension = (Index{1} << 31) - 1;
  EXPECT_THROW(make_dataset(spec, kId), PlanError);
}

}  // namespace
}  // namespace widelab::data
