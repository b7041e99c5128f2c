// What a data law is made of; internal to this folder.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/data/data_laws.hpp"
#include "host/data/data_spec.hpp"
#include "widelab/rng/replicate_ids.hpp"

namespace widelab::data {

/// Examples as a law gives them, before preprocessing and targets.
struct RawExamples {
  Index examples = 0, dimension = 0;
  std::vector<double> inputs;       ///< N x d
  std::vector<int> classes;         ///< N or empty
  Index class_count = 0;
  std::vector<Index> rows;          ///< file laws: the row of the file that each example is
  Index file_examples = 0;          ///< file laws: rows of the file
  std::string source;               ///< for messages and the description
};

struct Law {
  const char* name;
  bool synthetic;  ///< needs data.dimension, can give any number of examples, has a known spectrum
  RawExamples (*draw)(const DataSpec&, DrawId data_id);
  std::optional<Spectrum> (*spectrum)(const DataSpec&);  ///< null where it is unknown
  const char* doc;
};

/// The law called spec.law with the checks that all laws share; RecipeError.
const Law& checked_law(const DataSpec& spec);

RawExamples draw_sphere(const DataSpec& spec, DrawId data_id);
RawExamples draw_gaussian(const DataSpec& spec, DrawId data_id);
RawExamples draw_mixture(const DataSpec& spec, DrawId data_id);
RawExamples draw_hypercube(const DataSpec& spec, DrawId data_id);
std::optional<Spectrum> unit_spectrum(const DataSpec& spec);
std::optional<Spectrum> gaussian_spectrum(const DataSpec& spec);
std::optional<Spectrum> mixture_spectrum(const DataSpec& spec);

RawExamples load_mnist(const DataSpec& spec, DrawId data_id);
RawExamples load_idx(const DataSpec& spec, DrawId data_id);
RawExamples load_cifar10(const DataSpec& spec, DrawId data_id);
RawExamples load_cifar100(const DataSpec& spec, DrawId data_id);
RawExamples load_npy(const DataSpec& spec, DrawId data_id);

}  // namespace widelab::data
