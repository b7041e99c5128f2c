#include "host/experiments/recipe_data.hpp"

#include "host/data/data_laws.hpp"
#include "host/data/gaussian_spectrum.hpp"
#include "host/data/preprocessing.hpp"

namespace widelab::experiments {

using io::KeySpec;
using io::KeyType;

std::vector<KeySpec> data_keys(int examples, int dimension) {
  const auto key = [](const std::string& name, KeyType type, std::string value, std::string doc, auto... range) {
    return io::make_key("data." + name, type, std::move(value), std::move(doc), range...);
  };
  const auto lines = [](const std::vector<data::NameDoc>& list) {
    std::string text;
    for (const data::NameDoc& entry : list) text += (text.empty() ? "" : "\n") + entry.name + ": " + entry.doc;
    return text;
  };
  std::vector<KeySpec> keys{
      key("law", KeyType::text, "\"sphere\"", lines(data::law_list())),
      key("examples", KeyType::integer, std::to_string(examples), "Number N of inputs.", 1, 1e9),
      key("dimension", KeyType::integer, std::to_string(dimension),
          "Input dimension d of synthetic laws; 0 = as in the file.", 0, 1e9),
      key("spectrum", KeyType::text, "\"isotropic\"",
          "gaussian: eigenvalues of the covariance.\n" + lines(data::spectrum_list())),
      key("exponent", KeyType::real, "1.0", "power-law spectrum: eigenvalue_i ~ i^-exponent.", 0, 100),
      key("spikes", KeyType::integer, "1", "spiked spectrum: number of spikes.", 1, 1e9),
      key("strength", KeyType::real, "1.0", "spiked spectrum: eigenvalue 1 + strength.", 0, 1e12),
      key("fraction", KeyType::real, "0.5", "two-scale spectrum: fraction of large eigenvalues.", 0, 1),
      key("ratio", KeyType::real, "10.0", "two-scale spectrum: large over small eigenvalue.", 1e-12, 1e12),
      key("spectrum_path", KeyType::text, "\"\"", "file spectrum: .npy with d eigenvalues."),
      key("components", KeyType::integer, "2", "mixture: number of components.", 1, 1e6),
      key("separation", KeyType::real, "2.0", "mixture: distance between component means.", 0, 1e6),
      key("folder", KeyType::text, "\"\"", "Where data files lie; \"\" = the environment variable WIDELAB_DATA."),
      key("split", KeyType::text, "\"train\"", "train or test, where a data set has both."),
      key("paths", KeyType::text_list, "[]", "Files of the inputs, instead of those in the folder."),
      key("labels_path", KeyType::text, "\"\"", "File of the labels."),
      key("order", KeyType::text, "\"random\"",
          "Which examples of a file: \"random\" (keyed by the seed) or \"file\" (the first)."),
      key("classes", KeyType::integer_list, "[]", "Keep these classes only; [] = all."),
      key("preprocessing", KeyType::text_list, "[]", "Steps by name, in order.\n" + lines(data::preprocessing_list())),
  };
  for (KeySpec& spec : keys) {
    if (spec.path == "data.split") spec.choices = {"train", "test"};
    if (spec.path == "data.order") spec.choices = {"random", "file"};
    if (spec.path == "data.classes") spec.minimum = 0, spec.maximum = 1e6;
  }
  return keys;
}

data::DataSpec data_spec_from(const io::Recipe& recipe) {
  data::DataSpec spec;
  spec.law = recipe.text("data.law");
  spec.examples = recipe.integer("data.examples");
  spec.dimension = recipe.integer("data.dimension");
  spec.spectrum = recipe.text("data.spectrum");
  spec.exponent = recipe.real("data.exponent");
  spec.spikes = recipe.integer("data.spikes");
  spec.strength = recipe.real("data.strength");
  spec.fraction = recipe.real("data.fraction");
  spec.ratio = recipe.real("data.ratio");
  spec.spectrum_path = recipe.text("data.spectrum_path");
  spec.components = recipe.integer("data.components");
  spec.separation = recipe.real("data.separation");
  spec.folder = recipe.text("data.folder");
  spec.split = recipe.text("data.split");
  spec.paths = recipe.texts("data.paths");
  spec.labels_path = recipe.text("data.labels_path");
  spec.order = recipe.text("data.order");
  for (const std::int64_t label : recipe.integers("data.classes")) spec.classes.push_back(static_cast<int>(label));
  spec.preprocessing = recipe.texts("data.preprocessing");
  return spec;
}

}  // namespace widelab::experiments
