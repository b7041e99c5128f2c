// Spectra of random features that can be written down: lists of groups and power laws.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "host/theory/deterministic_equivalent.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::theory {

/// Group g: eigenvalues[g], with multiplicities[g] and target powers[g]; a list of one entry holds for all groups.
/// RecipeError for other lengths.
inline FeatureSpectrum grouped_spectrum(const std::vector<double>& eigenvalues,
                                        const std::vector<double>& multiplicities, const std::vector<double>& powers) {
  const auto entry = [&](const std::vector<double>& list, const std::string& name, std::size_t g) {
    if (list.size() != 1 && list.size() != eigenvalues.size())
      throw RecipeError(name + " has " + std::to_string(list.size()) + " entries, but there are " +
                        std::to_string(eigenvalues.size()) +
                        " eigenvalues; give one for each, or a single one for all");
    return list[list.size() == 1 ? 0 : g];
  };
  FeatureSpectrum spectrum;
  for (std::size_t g = 0; g < eigenvalues.size(); ++g)
    spectrum.groups.push_back({eigenvalues[g], entry(multiplicities, "multiplicities", g), entry(powers, "powers", g)});
  return spectrum;
}

/// `count` eigenvalues s_k = k^-eigenvalue_exponent with target coefficients beta_k = k^-coefficient_exponent, k >= 1.
inline FeatureSpectrum power_law_spectrum(int count, double eigenvalue_exponent, double coefficient_exponent) {
  FeatureSpectrum spectrum;
  for (int k = 1; k <= count; ++k)
    spectrum.groups.push_back({std::pow(k, -eigenvalue_exponent), 1.0, std::pow(k, -2.0 * coefficient_exponent)});
  return spectrum;
}

}  // namespace widelab::theory
