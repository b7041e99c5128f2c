// Preprocessing steps by name.
#pragma once

#include <string>
#include <vector>

#include "host/data/dataset.hpp"
#include "host/data/name_doc.hpp"
#include "widelab/rng/replicate_ids.hpp"

namespace widelab::data {

/// Names and one-line descriptions:
///   pixel/255     divide by 255
///   centred       subtract from each coordinate its mean over these N examples
///   row-centred   subtract from each example the mean of its coordinates
///   unit-scale    divide everything by one number, so that the mean square of all N d entries is 1
///   sphere        scale each example to norm sqrt(d)
///   shuffled      permute each example's coordinates by a permutation of its own: what an input has left of its class
///                 is its histogram (Zhang et al. 2017, "random pixels")
/// centred and unit-scale depend on all N examples: the first N of a larger data set are then not the same numbers.
std::vector<NameDoc> preprocessing_list();

/// Applies the steps to dataset.inputs in the order given and notes them in the description. RecipeError for an unknown
/// name; DataError if a step is impossible, naming the example (sphere: a zero vector) or the cause. `shuffled` draws
/// from stream pixel_order of `data_id`; its permutations belong to the numbers first, first + 1, ... of the examples.
void preprocess(const std::vector<std::string>& steps, Dataset& dataset, DrawId data_id = {}, Index first = 0);

}  // namespace widelab::data
