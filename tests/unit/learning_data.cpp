// Data sets that the cells of a run share: read once where they agree, and again where anything about them differs.
#include <gtest/gtest.h>

#include <filesystem>

#include "host/data/npy_file.hpp"
#include "host/experiments/run.hpp"
#include "host/experiments/training_cell.hpp"
#include "tests/support/data_files.hpp"

namespace widelab::experiments {
namespace {

class SharedLearningData : public data::DataFiles {
 protected:
  SharedLearningData() {
    data::write_npy((folder_ / "x.npy").string(), {6, 2}, std::vector<double>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  }

  /// Four examples of the file to train on, two to test.
  io::Recipe recipe(std::vector<std::string> settings = {}) const {
    settings.insert(settings.begin(),
                    {"data.law=npy", "data.paths=[x.npy]", "data.folder=" + folder_.string(), "data.dimension=0",
                     "data.examples=4", "data.test_examples=2", "train.rate_unit=per-step"});
    return io::Recipe::parse("schema = 1\nexperiment = \"train\"\n", "recipe", find_experiment("train").schema(),
                             settings);
  }

  void remove_file() const { std::filesystem::remove(folder_ / "x.npy"); }
};

TEST_F(SharedLearningData, CellsOfASweepReadTheFileOnce) {
  const io::Recipe swept = recipe({"sweep.width=[3, 5]"});
  const RunSetup setup = make_run_setup(swept, 0, false), another = make_run_setup(swept, 0, false);
  const TrainingCell first = make_training_cell(setup, setup.sweep.cells[0]);
  remove_file();
  const TrainingCell second = make_training_cell(setup, setup.sweep.cells[1]);
  EXPECT_EQ(first.data.train.inputs, second.data.train.inputs);
  EXPECT_EQ(first.data.test.targets, second.data.test.targets);
  EXPECT_THROW(make_training_cell(another, another.sweep.cells[1]), DataError) << "another run's data are its own";
}

TEST_F(SharedLearningData, WhateverDescribesTheDataTellsThemApart) {
  LearningDataCache cache;
  const auto data = cache.get(recipe(), 1);
  EXPECT_EQ(cache.get(recipe({"model.width=7", "train.steps=3"}), 1), data);
  for (const std::string setting :
       {"data.examples=3", "data.order=file", "data.preprocessing=[sphere]", "data.target.noise=0.5"}) {
    const auto other = cache.get(recipe({setting}), 1);
    const LearningData fresh = make_learning_data(recipe({setting}), 1);
    EXPECT_NE(other, data) << setting;
    EXPECT_EQ(other->train.inputs, fresh.train.inputs) << setting;
    EXPECT_EQ(other->train.targets, fresh.train.targets) << setting;
  }
  EXPECT_NE(cache.get(recipe(), 2)->train.inputs, data->train.inputs) << "the seed chooses the examples";
  EXPECT_EQ(cache.get(recipe(), 1)->train.inputs, data->train.inputs);
}

TEST_F(SharedLearningData, WhatCannotBeReadLeavesNothingBehind) {
  LearningDataCache cache;
  cache.get(recipe(), 1);
  EXPECT_THROW(cache.get(recipe({"data.examples=7"}), 1), DataError);
  remove_file();
  EXPECT_THROW(cache.get(recipe(), 1), DataError);
}

}  // namespace
}  // namespace widelab::experiments
