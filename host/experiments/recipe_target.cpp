#include "host/experiments/recipe_target.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>
#include <utility>

#include "host/data/label_coding.hpp"
#include "host/data/make_dataset.hpp"
#include "host/data/targets.hpp"
#include "host/experiments/recipe_data.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/math/activation_names.hpp"

namespace widelab::experiments {

using io::KeySpec;
using io::KeyType;

namespace {

std::string lines(const std::vector<data::NameDoc>& list) {
  std::string text;
  for (const data::NameDoc& entry : list) text += (text.empty() ? "" : "\n") + entry.name + ": " + entry.doc;
  return text;
}

/// Coefficients of a link that is a Hermite series; empty for others.
std::vector<double> series_coefficients(const Activation& link) {
  return visit(link, [](const auto& phi) -> std::vector<double> {
    if constexpr (std::is_same_v<std::decay_t<decltype(phi)>, HermiteSeries>) return {phi.c, phi.c + phi.degree + 1};
    return {};
  });
}

/// Rows of coefficients: one, or one for each direction of a multi-index target. A series as the link of an orthogonal
/// polynomial target stands for them, because lists cannot be swept.
std::vector<std::vector<double>> coefficient_rows(const io::Recipe& recipe, const Activation& link) {
  const std::string& kind = recipe.text("data.target.kind");
  const std::vector<double> series =
      kind == "hermite" || kind == "gegenbauer" ? series_coefficients(link) : std::vector<double>{};
  const std::vector<double>& all = recipe.reals("data.target.coefficients");
  if (!series.empty()) {
    const KeySpec& key = *io::find_key(recipe.schema(), "data.target.coefficients");
    if (io::Value(all) != io::parse_value(key, key.default_value, key.path))
      throw RecipeError("data.target.link = \"" + recipe.text("data.target.link") +
                        "\" and data.target.coefficients both give the coefficients of data.target.kind = \"" + kind +
                        "\": leave the latter at " + key.default_value + ", or set the link to \"relu\"");
    return {series};
  }
  const auto rows =
      kind == "multi-index" ? static_cast<std::size_t>(recipe.integer("data.target.directions")) : std::size_t{1};
  if (all.empty() || all.size() % rows != 0)
    throw RecipeError(fmt::format(
        "data.target.coefficients has {} numbers, which are no {} equal rows (data.target.directions): give "
        "as many coefficients for each direction",
        all.size(), rows));
  const std::size_t length = all.size() / rows;
  std::vector<std::vector<double>> out;
  for (std::size_t r = 0; r < rows; ++r) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(r * length);
    out.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(length));
  }
  return out;
}

data::TargetSpec target_from(const io::Recipe& recipe) {
  data::TargetSpec target;
  target.kind = recipe.text("data.target.kind");
  if (target.kind == "none") throw RecipeError("data.target.kind = \"none\": training needs a target");
  target.outputs = recipe.integer("model.outputs");
  target.link = parse_activation(recipe.text("data.target.link"));
  target.coefficients = coefficient_rows(recipe, target.link);
  target.teacher_shape.widths.assign(static_cast<std::size_t>(recipe.integer("data.target.teacher_depth")),
                                     recipe.integer("data.target.teacher_width"));
  target.teacher_shape.outputs = target.outputs;
  target.teacher_shape.activation = parse_activation(recipe.text("data.target.teacher_activation"));
  target.label_coding = recipe.text("data.target.label_coding");
  target.random_classes = recipe.integer("data.target.random_classes");
  target.path = recipe.text("data.target.path");
  target.noise = recipe.real("data.target.noise");
  target.wrong_labels = recipe.real("data.target.wrong_labels");
  return target;
}

data::DataSpec learning_spec(const io::Recipe& recipe) {
  data::DataSpec spec = data_spec_from(recipe);
  spec.target = target_from(recipe);
  return spec;
}

/// The key knows no sweep coordinate: all cells see the same examples.
DrawId data_id(std::uint64_t seed) { return {role_key(seed, "data", ""), 0}; }

data::Dataset draw(const data::DataSpec& spec, std::uint64_t seed) {
  return data::make_dataset(spec, data_id(seed), DrawId{role_key(seed, "label_noise", ""), 0});
}

void check_outputs(const io::Recipe& recipe, const data::Dataset& set) {
  if (set.outputs != recipe.integer("model.outputs"))
    throw RecipeError(fmt::format(
        "model.outputs = {}, but the target (data.target.kind = \"{}\") has {} columns: set model.outputs = {}",
        recipe.integer("model.outputs"), recipe.text("data.target.kind"), set.outputs, set.outputs));
}

/// Rows [first, first + count) of a data set.
data::Dataset rows_of(const data::Dataset& all, Index first, Index count) {
  data::Dataset part = all;
  part.examples = count;
  part.inputs.assign(all.inputs.begin() + first * all.dimension, all.inputs.begin() + (first + count) * all.dimension);
  part.targets.assign(all.targets.begin() + first * all.outputs, all.targets.begin() + (first + count) * all.outputs);
  if (!all.classes.empty()) part.classes.assign(all.classes.begin() + first, all.classes.begin() + first + count);
  return part;
}

/// The first step of the preprocessing whose effect on an example depends on the other examples; empty if none.
std::string joint_step(const data::DataSpec& spec) {
  for (const std::string& step : spec.preprocessing)
    if (step == "centred" || step == "unit-scale") return step;
  return "";
}

}  // namespace

std::vector<KeySpec> target_keys(const std::string& kind, int test_examples) {
  const auto key = [](const std::string& name, KeyType type, std::string value, std::string doc, auto... range) {
    return io::make_key("data." + name, type, std::move(value), std::move(doc), range...);
  };
  std::vector<KeySpec> keys{
      key("test_examples", KeyType::integer, std::to_string(test_examples), "Examples that are tested on; 0 = none.", 0,
          1e9),
      key("test_split", KeyType::text, "\"same\"",
          "\"same\": the examples of the law that follow those trained on. \"test\": the file's test split."),
      key("target.kind", KeyType::text, "\"" + kind + "\"",
          "What is learned; as many columns as the network has outputs.\n" + lines(data::target_list())),
      key("target.coefficients", KeyType::real_list, "[0.0, 1.0]",
          "hermite, gegenbauer, multi-index: coefficients of degree 0, 1, 2, ...; for several directions row after "
          "row.",
          -1e100, 1e100),
      key("target.directions", KeyType::integer, "1", "multi-index: number of directions.", 1, 1e6),
      key("target.link", KeyType::text, "\"relu\"",
          "single-index: an activation. hermite, gegenbauer: hermite(k) or hermite-series(c0,c1,..) here stands for\n"
          "data.target.coefficients, in the polynomials of the kind."),
      key("target.teacher_width", KeyType::integer, "8", "teacher: width of its hidden layers.", 1, 1e6),
      key("target.teacher_depth", KeyType::integer, "1", "teacher: number of hidden layers.", 1, 250),
      key("target.teacher_activation", KeyType::text, "\"relu\"", "teacher: its activation."),
      key("target.label_coding", KeyType::text, "\"centred-one-hot\"",
          "classes, random-labels: how labels become numbers.\n" + lines(data::label_coding_list())),
      key("target.random_classes", KeyType::integer, "2", "random-labels: number of classes.", 2, 65536),
      key("target.path", KeyType::text, "\"\"", "file: .npy, one row for each example of the data file."),
      key("target.noise", KeyType::real, "0.0",
          "Standard deviation of normal noise added once to every target, of test examples as well.", 0, 1e100),
      key("target.wrong_labels", KeyType::real, "0.0",
          "classes: share of training examples with a wrong label, chosen once; test labels stay right.", 0, 1),
  };
  for (KeySpec& spec : keys)
    if (spec.path == "data.test_split") spec.choices = {"same", "test"};
  return keys;
}

std::vector<data::Dataset> more_training_sets(const io::Recipe& recipe, std::uint64_t seed, Index count) {
  data::DataSpec spec = learning_spec(recipe);
  if (const std::string step = joint_step(spec); !step.empty())
    throw RecipeError("data.preprocessing \"" + step +
                      "\" depends on all examples of a set, so that several training sets would be treated "
                      "differently: use \"row-centred\" or \"sphere\"");
  const Index size = spec.examples,
              reserved = recipe.text("data.test_split") == "test" ? 0 : recipe.integer("data.test_examples");
  spec.first = size + reserved;
  spec.examples = count * size;
  const data::Dataset all = draw(spec, seed);
  check_outputs(recipe, all);
  std::vector<data::Dataset> sets;
  for (Index k = 0; k < count; ++k) sets.push_back(rows_of(all, k * size, size));
  return sets;
}

LearningData make_learning_data(const io::Recipe& recipe, std::uint64_t seed) {
  const Index train = recipe.integer("data.examples"), test = recipe.integer("data.test_examples");
  data::DataSpec spec = learning_spec(recipe);
  LearningData out;
  if (test > 0 && recipe.text("data.test_split") == "test") {
    if (const std::string step = joint_step(spec); !step.empty())
      throw RecipeError("data.preprocessing \"" + step +
                        "\" depends on all examples of a set, so that the two splits would be treated differently: "
                        "use \"row-centred\" or \"sphere\", or data.test_split = \"same\"");
    out.train = draw(spec, seed);
    spec.split = "test";
    spec.examples = test;
    spec.target.wrong_labels = 0;
    out.test = draw(spec, seed);
  } else {
    spec.examples = train + test;
    const data::Dataset all = draw(spec, seed);
    out.train = rows_of(all, 0, train);
    out.train.description = fmt::format("{}: {} to train, {} to test", all.description, train, test);
    const bool mislabelled = spec.target.wrong_labels > 0;
    spec.target.wrong_labels = 0;
    out.test = rows_of(mislabelled ? draw(spec, seed) : all, train, test);
  }
  check_outputs(recipe, out.train);
  return out;
}

std::shared_ptr<const LearningData> LearningDataCache::get(const io::Recipe& recipe, std::uint64_t seed) {
  std::map<std::string, io::Value> values;
  for (const auto& [key, value] : recipe.content().values)
    if (key.starts_with("data.") || key == "model.outputs") values.emplace(key, value);
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!data_ || seed != seed_ || values != values_) {
    data_.reset();  // two large sets may not fit
    data_ = std::make_shared<const LearningData>(make_learning_data(recipe, seed));
    seed_ = seed;
    values_ = std::move(values);
  }
  return data_;
}

HiddenDirections hidden_directions(const io::Recipe& recipe, std::uint64_t seed, Index dimension) {
  const data::DataSpec spec = learning_spec(recipe);
  HiddenDirections out;
  out.directions = data::target_directions(spec, data_id(seed), dimension);
  out.count = static_cast<Index>(out.directions.size()) / dimension;
  if (out.count == 0)
    throw RecipeError("data.target.kind = \"" + spec.target.kind +
                      "\" has no hidden directions: take \"linear\", \"hermite\", \"gegenbauer\", \"single-index\" "
                      "or \"multi-index\"");
  out.power = data::power_by_degree(spec, data_id(seed));
  return out;
}

data::Dataset make_stream_part(const io::Recipe& recipe, std::uint64_t seed, Index first, Index count) {
  data::DataSpec spec = learning_spec(recipe);
  if (const std::string step = joint_step(spec); !step.empty())
    throw RecipeError("data.preprocessing \"" + step +
                      "\" depends on all examples of a set, which a stream does not have: leave it out, or use another "
                      "train.order");
  // The stream follows after training and test examples, so that none of it is among them.
  spec.first = recipe.integer("data.examples") + recipe.integer("data.test_examples") + first;
  spec.examples = count;
  data::Dataset part = draw(spec, seed);
  check_outputs(recipe, part);
  return part;
}

}  // namespace widelab::experiments
