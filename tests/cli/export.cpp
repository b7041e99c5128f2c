// `widelab export`: the network that it trains again is the one of the run, its files start another training that ends
// at the same bits, and what cannot be exported is refused with the way out.
#include <algorithm>
#include <cmath>

#include "host/data/npy_file.hpp"
#include "host/io/run_folder.hpp"
#include "tests/support/command.hpp"

namespace {

namespace fs = std::filesystem;
using widelab::Index;
using widelab::data::ArrayFile;
using widelab::data::read_npy;
using widelab::test::CommandTest;
using widelab::test::Outcome;
using widelab::test::read_text;

class Export : public CommandTest {
 protected:
  /// 5 networks of width 6 and 8 on 4 examples; tables are followed by `more`.
  fs::path tiny(const std::string& name, const std::string& train, const std::string& more = "") const {
    return write(name,
                 "schema = 1\nexperiment = \"train\"\n[data]\nexamples = 4\ntest_examples = 2\ndimension = 3\n"
                 "[observe]\nspacing = \"list\"\nsteps = [0, 3, 10]\nkeep = \"samples\"\n"
                 "[train]\nsteps = 20\n" +
                     train + "[seeds]\nreplicates = 5\n" + more);
  }

  Outcome export_to(const std::string& out, const std::string& run_or_recipe,
                    std::vector<std::string> more = {"--cell", "width=8", "--replicate", "3"}) const {
    std::vector<std::string> arguments{"export", run_or_recipe, "--out", out, "--device", "cpu"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }

  std::vector<double> numbers(const std::string& out, const std::string& file) const {
    const ArrayFile array = read_npy((folder() / out / file).string());
    Index size = 1;
    for (const Index extent : array.shape) size *= extent;
    std::vector<double> values;
    for (Index i = 0; i < size; ++i) values.push_back(array.stored(i));
    return values;
  }

  void expect_refused(const std::string& source, const std::vector<std::string>& more, int code,
                      const std::vector<std::string>& words) const {
    const Outcome outcome = export_to("refused", source, more);
    EXPECT_TRUE(exits(outcome, code)) << ::testing::PrintToString(more);
    for (const std::string& word : words)
      EXPECT_NE(outcome.err.find(word), std::string::npos) << word << " not in: " << outcome.err;
    EXPECT_FALSE(fs::exists(folder() / "refused"));
  }
};

const std::string kSweep = "[sweep]\nwidth = [6, 8]\n";

struct Rule {
  const char *name, *train;
};

constexpr Rule kRules[]{
    {"single-precision", "batch = 2\nlearning_rate = 0.2\n"},
    {"own-rates",
     "batch = 3\norder = \"iid\"\noptimiser = \"heavy-ball\"\nprecision = \"fp64\"\n"
     "rate_unit = \"1/own-lambda_max\"\nlearning_rate = 0.2\n"},
    {"displacement", "batch = 2\nstorage = \"displacement\"\nschedule = \"cosine\"\nengine = \"gemm\"\n"}};

TEST_F(Export, WritesTheNetworkOfTheRunFromTheFolderOrFromTheRecipeAlone) {
  for (const Rule& rule : kRules) {
    const std::string name = rule.name, recipe = tiny(name + ".toml", rule.train, kSweep).string();
    ASSERT_TRUE(exits(run({"run", recipe, "--out", name, "--quiet"}), 0)) << name;
    const Outcome exported = export_to(name + "-a", name);
    ASSERT_TRUE(exits(exported, 0)) << name;
    EXPECT_NE(exported.out.find("replay_torch.py " + name + "-a"), std::string::npos) << exported.out;
    ASSERT_TRUE(exits(export_to(name + "-b", recipe), 0)) << name;
    for (const char* file : {"member.json", "inputs.npy", "targets.npy", "order.npy", "start.npy", "final.npy"}) {
      EXPECT_FALSE(read_text(folder() / (name + "-a") / file).empty()) << name << " " << file;
      EXPECT_EQ(read_text(folder() / (name + "-a") / file), read_text(folder() / (name + "-b") / file)) << file;
    }
    // What the run observed of this network at its last step: the rms over all parameters of what they moved.
    const std::vector<double> start = numbers(name + "-a", "start.npy"), final = numbers(name + "-a", "final.npy");
    double squares = 0;
    for (std::size_t p = 0; p < start.size(); ++p) squares += (final[p] - start[p]) * (final[p] - start[p]);
    const double moved = std::sqrt(squares / static_cast<double>(start.size()));
    const auto cell = widelab::io::read_cell(folder() / name, "width=8");
    const auto samples = std::find_if(cell.arrays.begin(), cell.arrays.end(),
                                      [](const auto& array) { return array.name == "displacement_samples"; });
    ASSERT_NE(samples, cell.arrays.end());
    const auto& seen = std::get<std::vector<double>>(samples->values);
    const std::size_t entries = samples->shape[2];
    const auto observed = [&](std::size_t replicate) { return seen[(replicate * 3 + 2) * entries + entries / 2 - 1]; };
    // theta of stored displacements is rounded to single precision: 2^-24 of O(1) against moves of about 0.1.
    EXPECT_NEAR(moved, observed(3), 1e-5 * observed(3)) << name;
    EXPECT_GT(std::fabs(moved - observed(2)), 1e-4 * observed(3)) << name << ": another network would pass";
  }
}

TEST_F(Export, WeightsAndBatchesReadBackTrainToTheSameBits) {
  for (const Rule& rule : kRules) {
    const std::string name = rule.name, out = name + "-a";
    ASSERT_TRUE(exits(export_to(out, tiny(name + ".toml", rule.train, kSweep).string()), 0)) << name;
    // A recipe has two networks at least: the second row is the first one again.
    std::vector<double> rows = numbers(out, "start.npy");
    const Index size = static_cast<Index>(rows.size());
    rows.resize(2 * rows.size());
    std::copy_n(rows.begin(), size, rows.begin() + size);
    widelab::data::write_npy((folder() / "weights.npy").string(), {2, size}, rows);
    std::string train = std::string(rule.train) + "order_path = \"" + (folder() / out / "order.npy").string() + "\"\n";
    const std::string iid = "order = \"iid\"\n";
    if (const std::size_t at = train.find(iid); at != std::string::npos) train.erase(at, iid.size());
    std::string text = read_text(
        tiny("back.toml", train + "order = \"file\"\n",
             "[model]\nwidth = 8\ninit = \"file\"\nweights_path = \"" + (folder() / "weights.npy").string() + "\"\n"));
    text.replace(text.find("replicates = 5"), 14, "replicates = 2");
    const std::string back = write("back.toml", text).string();
    ASSERT_TRUE(exits(export_to(name + "-back", back, {}), 0)) << name;
    for (const char* file : {"order.npy", "start.npy", "final.npy"})
      EXPECT_EQ(read_text(folder() / out / file), read_text(folder() / (name + "-back") / file)) << name << " " << file;
    EXPECT_NE(numbers(out, "start.npy"), numbers(out, "final.npy")) << name;
    // Planted fault: batches of another network end elsewhere.
    ASSERT_TRUE(exits(export_to(name + "-other", name + ".toml", {"--cell", "width=8", "--replicate", "2"}), 0));
    fs::copy_file(folder() / (name + "-other") / "order.npy", folder() / out / "order.npy",
                  fs::copy_options::overwrite_existing);
    ASSERT_TRUE(exits(export_to(name + "-wrong", back, {}), 0)) << name;
    EXPECT_NE(read_text(folder() / out / "final.npy"), read_text(folder() / (name + "-wrong") / "final.npy")) << name;
  }
}

TEST_F(Export, EndsAtTheStepsAskedForAndWhereTheRunEndedANetwork) {
  const std::string recipe = tiny("steps.toml", "batch = 2\n", kSweep).string();
  const std::vector<std::string> member{"--cell", "width=6", "--steps"};
  for (const char* steps : {"1", "20"}) {
    std::vector<std::string> arguments = member;
    arguments.emplace_back(steps);
    ASSERT_TRUE(exits(export_to(steps, recipe, arguments), 0));
    EXPECT_EQ(read_npy((folder() / steps / "order.npy").string()).rows(), std::stoi(steps));
  }
  // Networks converge at different observed steps; at step 0 there is nothing to replay.
  const std::string converging =
      tiny("converging.toml", "optimiser = \"gd\"\nlearning_rate = 0.1\nconverged_loss = 1.2\n", kSweep).string();
  ASSERT_TRUE(exits(run({"run", converging, "--out", "converging", "--quiet"}), 0));
  const auto cell = widelab::io::read_cell(folder() / "converging", "width=8");
  const auto column = [&](const std::string& name) {
    for (const auto& array : cell.arrays)
      if (array.name == name) return std::get<std::vector<std::int64_t>>(array.values);
    return std::vector<std::int64_t>(5, -1);
  };
  const std::vector<std::int64_t> status = column("status"), step = column("status_step");
  for (std::size_t r = 0; r < 5; ++r) {
    const std::string out = "converging-" + std::to_string(r);
    const Outcome exported = export_to(out, "converging", {"--cell", "width=8", "--replicate", std::to_string(r)});
    const bool stopped = status[r] == 1;
    if (stopped && step[r] == 0) {
      EXPECT_TRUE(exits(exported, 2));
      EXPECT_NE(exported.err.find("train.converged_loss"), std::string::npos) << exported.err;
      continue;
    }
    ASSERT_TRUE(exits(exported, 0)) << r;
    EXPECT_EQ(exported.out.find("where it converged") != std::string::npos, stopped) << r;
    EXPECT_EQ(read_npy((folder() / out / "order.npy").string()).rows(), stopped ? step[r] : 10) << r;
  }
  EXPECT_GT(std::count(step.begin(), step.end(), 3), 0);
}

TEST_F(Export, RefusesWhatItCannotExportWithTheWayOut) {
  const std::string recipe = tiny("tiny.toml", "batch = 2\n", kSweep).string();
  expect_refused(tiny_recipe("kernels.toml").string(), {}, 2, {"ntk-limit", "trains no network", "kernel-drift"});
  expect_refused(recipe, {}, 2, {"--cell", "2 cells", "width=6"});
  expect_refused(recipe, {"--cell", "widht=8"}, 2, {"widht=8", "did you mean", "width=8"});
  expect_refused(recipe, {"--cell", "width=8", "--replicate", "5"}, 2, {"--replicate = 5", "0 to 4"});
  expect_refused(recipe, {"--cell", "width=8", "--replicate", "-1"}, 2, {"--replicate = -1"});
  expect_refused(recipe, {"--cell", "width=8", "--steps", "21"}, 2, {"--steps = 21", "1 to 20"});
  expect_refused(recipe, {"--cell", "width=8", "--steps", "0"}, 2, {"--steps = 0"});
  expect_refused(recipe, {"--cell", "width=8", "--memory", "1e-7"}, 5, {"--memory"});
  expect_refused("nowhere", {}, 2, {"nowhere", "widelab init"});
  expect_refused(tiny("adam.toml", "optimiser = \"adam\"\n").string(), {}, 2, {"optimiser", "sgd"});
  std::string online = read_text(tiny("online.toml", "order = \"online\"\nbatch = 2\n"));
  online.replace(online.find("keep = \"samples\""), 16, "observers = [\"test_loss\"]");
  expect_refused(write("online.toml", online).string(), {}, 2, {"train.order", "online"});
  expect_refused(tiny("diverging.toml", "learning_rate = 1e30\n").string(), {}, 2, {"diverges at step", "--steps"});
  write("full/mine.txt", "kept");
  const Outcome full = export_to("full", recipe);
  EXPECT_TRUE(exits(full, 4));
  EXPECT_NE(full.err.find("not empty"), std::string::npos) << full.err;
  EXPECT_EQ(read_text(folder() / "full" / "mine.txt"), "kept");
  EXPECT_TRUE(exits(export_to("tiny.toml", recipe), 4));
}

}  // namespace
