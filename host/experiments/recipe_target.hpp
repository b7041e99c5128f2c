// `[data.target]` and the test set: what networks are to learn, and on which examples they are tested.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "host/data/dataset.hpp"
#include "host/io/recipe.hpp"

namespace widelab::experiments {

/// Keys of `[data.target]`, data.test_examples and data.test_split. `kind` and `test_examples` are the defaults.
std::vector<io::KeySpec> target_keys(const std::string& kind, int test_examples);

/// Training and test examples of one cell; all targets have `outputs` = model.outputs columns.
struct LearningData {
  data::Dataset train, test;  ///< test.examples may be 0
};

/// The data of a cell's recipe, a pure function of the seed: every cell whose data keys agree has the same examples.
/// Test examples are the next ones of the law (preprocessed together with the training examples), or those of the
/// file's test split. Throws RecipeError where targets do not fit the network's outputs or a step of the preprocessing
/// would treat the two sets differently; otherwise what make_dataset throws.
LearningData make_learning_data(const io::Recipe& recipe, std::uint64_t seed);

/// The data that make_learning_data gave last, kept for cells that agree in all that it looks at: a file is read once,
/// not for every cell. Threads wait for each other.
class LearningDataCache {
 public:
  /// Throws what make_learning_data throws.
  std::shared_ptr<const LearningData> get(const io::Recipe& recipe, std::uint64_t seed);

 private:
  std::mutex mutex_;
  std::uint64_t seed_ = 0;
  std::map<std::string, io::Value> values_;  ///< of data.* and model.outputs
  std::shared_ptr<const LearningData> data_;
};

/// `count` further training sets of the same law, of the same size as that of make_learning_data: they follow after it
/// and after the test examples, so that no two share an example. Throws RecipeError as make_learning_data does.
std::vector<data::Dataset> more_training_sets(const io::Recipe& recipe, std::uint64_t seed, Index count);

/// What a target with hidden directions consists of.
struct HiddenDirections {
  std::vector<double> directions;            ///< count x d
  Index count = 0;                           ///< A, of all outputs
  std::optional<std::vector<double>> power;  ///< of the first output's target by degree; none = not known exactly
};

/// RecipeError for targets without directions.
HiddenDirections hidden_directions(const io::Recipe& recipe, std::uint64_t seed, Index dimension);

/// Examples [first, first + count) of the training law beyond those of make_learning_data, for online learning.
data::Dataset make_stream_part(const io::Recipe& recipe, std::uint64_t seed, Index first, Index count);

}  // namespace widelab::experiments
