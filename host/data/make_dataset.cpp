#include "host/data/make_dataset.hpp"

#include <cmath>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

#include "host/data/law_table.hpp"
#include "host/data/preprocessing.hpp"
#include "host/data/targets.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::data {

namespace {

void require_finite(const std::vector<double>& values, Index columns, const char* what) {
  for (std::size_t k = 0; k < values.size(); ++k)
    if (!std::isfinite(values[k]))
      throw DataError(std::string(what) + " " + std::to_string(static_cast<Index>(k) % columns) + " of example " +
                      std::to_string(static_cast<Index>(k) / columns) + " is " + std::to_string(values[k]) +
                      "; every number must be finite: check the range of the data, preprocessing and target");
}

Dataset build(const DataSpec& spec, DrawId data_id, DrawId label_noise_id) {
  RawExamples raw = checked_law(spec).draw(spec, data_id);
  Dataset set;
  set.examples = raw.examples;
  set.dimension = raw.dimension;
  set.inputs = std::move(raw.inputs);
  set.classes = raw.classes;
  set.class_count = raw.class_count;
  set.description = raw.source + ", N = " + std::to_string(set.examples) + ", d = " + std::to_string(set.dimension);
  preprocess(spec.preprocessing, set, data_id, spec.first);
  mislabel(spec, label_noise_id, raw);
  require_finite(set.inputs, set.dimension, "input");
  make_targets(spec, data_id, raw, set);
  add_label_noise(spec, label_noise_id, set);
  require_finite(set.targets, set.outputs, "target");
  if (spec.target.kind != "none") set.description += ", target " + spec.target.kind;
  if (spec.target.noise > 0.0) {
    std::ostringstream noise;
    noise << ", noise " << spec.target.noise;
    set.description += noise.str();
  }
  return set;
}

}  // namespace

Dataset make_dataset(const DataSpec& spec, DrawId data_id, DrawId label_noise_id) {
  const auto too_large = [&spec] {
    return PlanError("data.examples = " + std::to_string(spec.examples) + " of the law \"" + spec.law +
                     "\" do not fit in memory (8 bytes for each input and target); lower data.examples or "
                     "data.dimension");
  };
  try {
    return build(spec, data_id, label_noise_id);
  } catch (const std::bad_alloc&) {
    throw too_large();
  } catch (const std::length_error&) {
    throw too_large();
  }
}

Dataset make_dataset(const DataSpec& spec, DrawId data_id) {
  if (spec.target.noise != 0.0 || spec.target.wrong_labels != 0.0)
    throw RecipeError("data.target.noise = " + std::to_string(spec.target.noise) +
                      ", data.target.wrong_labels = " + std::to_string(spec.target.wrong_labels) +
                      ": this experiment gives no id for label noise; set both to 0");
  return make_dataset(spec, data_id, DrawId{});
}

}  // namespace widelab::data
