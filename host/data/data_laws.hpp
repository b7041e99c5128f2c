// The data laws by name, and what is known exactly about each.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/data/data_spec.hpp"
#include "host/data/name_doc.hpp"
#include "widelab/base/types.hpp"

namespace widelab::data {

/// Eigenvalues of the covariance of the inputs about their mean, largest first, each with its multiplicity; the
/// multiplicities add up to d.
struct Spectrum {
  std::vector<double> eigenvalues;
  std::vector<Index> multiplicities;
};

/// Every law with one line of explanation. A new law is one function in a .cpp and one line in law_table.cpp.
std::vector<NameDoc> law_list();

/// The exact spectrum of the law of `spec`. Empty where it is unknown: data from files, and any preprocessing.
/// RecipeError for an unknown law or a parameter out of range.
std::optional<Spectrum> spectrum(const DataSpec& spec);

/// Variance of each coordinate (d numbers) for laws whose coordinates are uncorrelated, ones for the others: the
/// metric diag(variance) in which the directions of index targets are orthonormal.
std::vector<double> coordinate_variances(const DataSpec& spec, Index dimension);

}  // namespace widelab::data
