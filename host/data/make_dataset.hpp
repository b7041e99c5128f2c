// From a specification to numbers.
#pragma once

#include "host/data/data_spec.hpp"
#include "host/data/dataset.hpp"
#include "widelab/rng/replicate_ids.hpp"

namespace widelab::data {

/// Draws or reads the inputs, preprocesses them and computes the targets: a pure function of `spec`, the files it
/// names and the two ids, the second of which matters only where spec.target.noise > 0. RecipeError for a value out of
/// range or an unknown name, DataError for files that are missing or damaged and for numbers that are not finite,
/// PlanError if the data do not fit in memory.
Dataset make_dataset(const DataSpec& spec, DrawId data_id, DrawId label_noise_id);

/// The same without noise. RecipeError if spec.target.noise is not 0.
Dataset make_dataset(const DataSpec& spec, DrawId data_id);

}  // namespace widelab::data
