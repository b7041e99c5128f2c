// Recipes of the training experiments: keys and what is said where they contradict each other, tiny runs of each
// experiment, and runs that were killed and resumed.
#include <algorithm>
#include <cmath>

#include "host/io/array_checksum.hpp"
#include "host/io/result.hpp"
#include "host/io/run_folder.hpp"
#include "tests/support/command.hpp"

namespace {

namespace fs = std::filesystem;
using widelab::test::CommandTest;
using widelab::test::Launch;
using widelab::test::Outcome;
using widelab::test::Process;

class TrainingRecipes : public CommandTest {
 protected:
  fs::path tiny(const std::string& experiment, const std::string& more = "") const {
    return write(experiment + ".toml",
                 "schema = 1\nexperiment = \"" + experiment +
                     "\"\n[data]\nexamples = 4\ntest_examples = 2\ndimension = 3\n[train]\nsteps = 10\n"
                     "[observe]\nspacing = \"list\"\nsteps = [0, 1, 10]\n[seeds]\nreplicates = 24\n" +
                     more);
  }

  std::vector<std::string> command(const fs::path& recipe, const std::string& out,
                                   const std::vector<std::string>& settings) const {
    std::vector<std::string> arguments{"run", recipe.string(), "--out", out, "--quiet"};
    for (const std::string& setting : settings) arguments.insert(arguments.end(), {"--set", setting});
    const bool swept = std::any_of(settings.begin(), settings.end(),
                                   [](const std::string& setting) { return setting.starts_with("sweep.width"); });
    if (!swept) arguments.insert(arguments.end(), {"--set", "model.width=8"});
    return arguments;
  }

  void expect_refused(const std::string& experiment, const std::vector<std::string>& settings, int code,
                      const std::vector<std::string>& words) const {
    const Outcome outcome = run(command(tiny(experiment), "refused", settings));
    EXPECT_TRUE(exits(outcome, code)) << settings.front();
    for (const std::string& word : words)
      EXPECT_NE(outcome.err.find(word), std::string::npos) << word << " not in: " << outcome.err;
    EXPECT_FALSE(fs::exists(folder() / "refused")) << settings.front();
  }

  widelab::io::Result result(const std::string& run) const {
    return widelab::io::from_array_file(widelab::io::read_arrays(folder() / run / "result.nc"));
  }

  static const widelab::io::Observable* find(const widelab::io::Result& result, const std::string& name) {
    for (const auto& observable : result.observables)
      if (observable.name == name) return &observable;
    return nullptr;
  }
};

TEST_F(TrainingRecipes, ContradictionsAreRefusedWithTheKeyAndTheWayOut) {
  expect_refused("train", {"train.optimiser=gd", "train.batch=2"}, 2, {"train.batch", "gd", "sgd"});
  expect_refused("train", {"train.order=online"}, 2, {"train.order", "train.batch"});
  expect_refused("train", {"train.temperature=1.0"}, 2, {"train.temperature", "langevin"});
  expect_refused("train", {"train.loss=cross-entropy"}, 2, {"cross-entropy", "model.outputs"});
  expect_refused("train", {"train.loss=logistic"}, 2, {"targets", "plus-minus"});
  expect_refused("train", {"train.engine=reference"}, 2, {"train.engine", "fp64"});
  expect_refused("train", {"train.batch=5"}, 2, {"train.batch", "5"});
  expect_refused("train", {"train.order=file"}, 2, {"train.order_path"});
  expect_refused("train", {"train.rate_unit=1/lambda_max", "train.optimiser=adam"}, 2, {"train.rate_unit", "adam"});
  expect_refused("train", {"model.outputs=3", "data.target.kind=random-labels"}, 2, {"model.outputs", "columns"});
  expect_refused("train", {"observe.observers=[losses]"}, 2, {"losses"});
  expect_refused("train", {"observe.steps=[0, 11]"}, 2, {"observe.steps", "11"});
  expect_refused("train", {"train.optimizer=adam"}, 2, {"train.optimiser"});
  expect_refused("train", {"data.target.kind=none"}, 2, {"data.target.kind"});
  expect_refused("ntk-dynamics", {"train.batch=2", "train.optimiser=sgd"}, 2, {"train.batch"});
  expect_refused("ntk-dynamics", {"train.optimiser=adam", "train.rate_unit=per-step"}, 2, {"train.optimiser"});
  expect_refused("ntk-dynamics", {"train.learning_rate=2.5"}, 2, {"train.learning_rate", "stability"});
  expect_refused("ntk-dynamics", {"train.weight_decay=0.1"}, 2, {"train.weight_decay"});
  expect_refused("coord-check", {"sweep.depth=[1, 2]"}, 2, {"model.depth"});
  expect_refused("trained-double-descent", {"seeds.replicates=10"}, 2, {"seeds.replicates", "10", "multiple of 4"});
  expect_refused("trained-double-descent", {"data.test_examples=0"}, 2, {"data.test_examples"});
  expect_refused("trained-double-descent", {"data.target.wrong_labels=0.1"}, 2, {"data.target.wrong_labels", "linear"});
}

TEST_F(TrainingRecipes, EveryExperimentRunsAndSaysWhatItMeans) {
  const std::map<std::string, std::string> shown{{"train", "test_loss"},
                                                 {"ntk-dynamics", "output_mean"},
                                                 {"kernel-drift", "kernel_change"},
                                                 {"coord-check", "dz_1"},
                                                 {"trained-double-descent", "bias2"}};
  for (const auto& [experiment, observable] : shown) {
    ASSERT_TRUE(exits(run(command(tiny(experiment), experiment, {"sweep.width=[6, 8, 12]"})), 0)) << experiment;
    const widelab::io::Result made = result(experiment);
    ASSERT_NE(find(made, observable), nullptr) << experiment;
    const std::vector<double>& mean = find(made, observable)->mean;
    EXPECT_TRUE(std::all_of(mean.begin(), mean.end(), [](double x) { return std::isfinite(x); })) << experiment;
    EXPECT_NE(widelab::io::attribute(made.attributes, "conventions").find("loss half-squared"), std::string::npos);
  }
}

TEST_F(TrainingRecipes, EveryOptimiserOrderAndLossTrains) {
  for (const char* setting : {"train.optimiser=gd",          "train.optimiser=heavy-ball",
                              "train.optimiser=nesterov",    "train.optimiser=adam",
                              "train.optimiser=adamw",       "train.optimiser=sign",
                              "train.optimiser=sgld",        "train.order=iid",
                              "train.order=fresh",           "train.order=fixed",
                              "train.schedule=cosine",       "train.schedule=step",
                              "train.dropout_keep=0.5",      "train.label_noise=0.1",
                              "train.rate_unit=2/sharpness", "train.rate_unit=1/own-lambda_max",
                              "train.precision=fp64",        "train.engine=gemm",
                              "train.storage=displacement",  "observe.keep=samples"}) {
    std::vector<std::string> settings{setting, "train.learning_rate=0.01", "seeds.replicates=4"};
    if (std::string(setting) != "train.optimiser=gd") settings.emplace_back("train.batch=2");
    EXPECT_TRUE(exits(run(command(tiny("train"), "run", settings)), 0)) << setting;
    fs::remove_all(folder() / "run");
  }
  const std::vector<std::string> online{"train.order=online", "train.batch=2", "seeds.replicates=4",
                                        "observe.observers=[test_loss, displacement]"};
  EXPECT_TRUE(exits(run(command(tiny("train"), "run", online)), 0));
}

TEST_F(TrainingRecipes, KilledAtAnyMomentEveryExperimentResumesToTheSameBits) {
  // About half a second of work each.
  const std::map<std::string, std::vector<std::string>> work{
      {"train", {"train.steps=3000", "observe.steps=[0, 100, 3000]", "train.batch=2"}},
      {"ntk-dynamics", {"train.steps=2000", "observe.steps=[0, 100, 2000]"}},
      {"kernel-drift", {"train.steps=2000", "observe.steps=[0, 100, 2000]"}},
      {"coord-check", {"train.steps=2000", "observe.steps=[1, 100, 2000]"}},
      {"trained-double-descent", {"train.steps=2000", "observe.steps=[0, 100, 2000]", "companion.linearised=true"}}};
  for (auto [experiment, settings] : work) {
    const fs::path recipe = tiny(experiment);
    settings.insert(settings.end(), {"seeds.replicates=64", "sweep.width=[16, 24, 32]"});
    const std::string whole = experiment + "-whole";
    ASSERT_TRUE(exits(run(command(recipe, whole, settings)), 0)) << experiment;
    for (const int milliseconds : {30, 150, 400}) {
      const std::string name = experiment + "-killed" + std::to_string(milliseconds);
      {
        Process process(launch(command(recipe, name, settings)));
        std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
        process.send(SIGKILL);
        process.wait();
      }
      std::vector<std::string> again = command(recipe, name, settings);
      again.emplace_back("--resume");
      ASSERT_TRUE(exits(run(again), 0)) << name;
      for (const char* cell : {"width=16", "width=24", "width=32"})
        EXPECT_EQ(widelab::io::checksum(widelab::io::read_cell(folder() / whole, cell)),
                  widelab::io::checksum(widelab::io::read_cell(folder() / name, cell)))
            << name << " " << cell;
      EXPECT_EQ(widelab::io::checksum(widelab::io::read_arrays(folder() / whole / "result.nc")),
                widelab::io::checksum(widelab::io::read_arrays(folder() / name / "result.nc")))
          << name;
    }
  }
}

TEST_F(TrainingRecipes, FurtherReplicatesGiveTheBitsOfOneLongRun) {
  const fs::path recipe = tiny("ntk-dynamics");
  ASSERT_TRUE(exits(run(command(recipe, "long", {"seeds.replicates=30"})), 0));
  ASSERT_TRUE(exits(run(command(recipe, "short", {"seeds.replicates=20"})), 0));
  ASSERT_TRUE(exits(run({"extend", "short", "--replicates", "+10"}), 0));
  EXPECT_EQ(widelab::io::checksum(widelab::io::read_arrays(folder() / "long" / "result.nc")),
            widelab::io::checksum(widelab::io::read_arrays(folder() / "short" / "result.nc")));
}

}  // namespace
