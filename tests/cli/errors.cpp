// Bad data, folders, devices and limits: each its exit code and a message of one screen that names the way out.
#include <cmath>

#include "tests/support/command.hpp"

namespace {

namespace fs = std::filesystem;
using widelab::test::CommandTest;
using widelab::test::Launch;
using widelab::test::Outcome;
using widelab::test::Process;

class Errors : public CommandTest {
 protected:
  static void expect_message(const Outcome& outcome, const std::vector<std::string>& words) {
    EXPECT_LT(outcome.err.size(), 1600u) << outcome.err;
    for (const std::string& word : words)
      EXPECT_NE(outcome.err.find(word), std::string::npos) << word << " not in: " << outcome.err;
    for (const char* word : {"terminate", "internal", "what():", "broken:"})
      EXPECT_EQ(outcome.err.find(word), std::string::npos) << outcome.err;
  }

  /// The tiny recipe with these settings, which must fail with `code` and leave no folder.
  void expect_refused(int code, const std::vector<std::string>& settings, const std::vector<std::string>& words,
                      const std::vector<std::string>& options = {}) const {
    std::vector<std::string> arguments{"run", tiny_recipe().string(), "--out", "refused"};
    for (const std::string& setting : settings) arguments.insert(arguments.end(), {"--set", setting});
    arguments.insert(arguments.end(), options.begin(), options.end());
    const Outcome outcome = run(arguments);
    EXPECT_TRUE(exits(outcome, code)) << ::testing::PrintToString(settings);
    expect_message(outcome, words);
    EXPECT_FALSE(fs::exists(folder() / "refused")) << ::testing::PrintToString(settings);
  }

  static std::string big_endian(std::uint32_t value) {
    return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
            static_cast<char>(value)};
  }

  /// `count` images of 2 x 2 pixels.
  static std::string idx_images(std::uint32_t count) {
    std::string bytes = big_endian(0x00000803) + big_endian(count) + big_endian(2) + big_endian(2);
    for (std::uint32_t k = 0; k < 4 * count; ++k) bytes += static_cast<char>(1 + 7 * k % 200);
    return bytes;
  }

  /// rows x 2 doubles.
  static std::string npy(const std::vector<double>& values) {
    std::string header =
        "{'descr': '<f8', 'fortran_order': False, 'shape': (" + std::to_string(values.size() / 2) + ", 2), }";
    header.resize(118 - 1, ' ');
    header += '\n';
    std::string bytes = std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + '\0' + header;
    bytes.append(reinterpret_cast<const char*>(values.data()), 8 * values.size());
    return bytes;
  }
};

TEST_F(Errors, MissingDataNamesTheVariableAndTheKey) {
  expect_refused(3, {"data.law=mnist"}, {"WIDELAB_DATA", "data.folder"});
  expect_refused(3, {"data.law=mnist", "data.folder=nowhere"}, {"data.folder", "nowhere"});
  fs::create_directories(folder() / "empty");
  expect_refused(3, {"data.law=mnist", "data.folder=" + (folder() / "empty").string()}, {"images", "WIDELAB_DATA"});
}

TEST_F(Errors, DamagedIdxFilesAreRefused) {
  const auto refuse = [&](const std::string& bytes, const std::vector<std::string>& words) {
    write("images.idx", bytes);
    expect_refused(3, {"data.law=idx", "data.paths=[" + (folder() / "images.idx").string() + "]", "data.dimension=0"},
                   words);
  };
  const std::string whole = idx_images(5);
  refuse(whole.substr(0, whole.size() - 3), {"images.idx"});
  refuse(whole.substr(0, 9), {"images.idx"});
  refuse("", {"images.idx"});
  refuse(std::string("\x1F\x8B\x08\x00", 4) + whole, {"images.idx"});                       // not gzip after all
  refuse(big_endian(0x00000801) + big_endian(5) + "\1\2\3\4\5", {"images.idx", "labels"});  // labels, not images
  refuse(big_endian(0x00000803) + big_endian(4000000000u) + big_endian(65536) + big_endian(65536),
         {"images.idx"});  // sizes that overflow
  refuse("not a file of images", {"images.idx"});
}

TEST_F(Errors, NanAndTruncationInNpyAreRefused) {
  const auto refuse = [&](const std::string& bytes, const std::vector<std::string>& words) {
    write("inputs.npy", bytes);
    expect_refused(3, {"data.law=npy", "data.paths=[" + (folder() / "inputs.npy").string() + "]", "data.dimension=0"},
                   words);
  };
  const std::vector<double> good{1, 2, 3, 4, 5, 6};
  std::vector<double> bad = good;
  bad[3] = std::nan("");
  refuse(npy(bad), {"inputs.npy", "nan"});
  bad[3] = HUGE_VAL;
  refuse(npy(bad), {"inputs.npy", "inf"});
  refuse(npy(good).substr(0, 140), {"inputs.npy"});
  refuse(npy(good).substr(0, 20), {"inputs.npy"});
  refuse("", {"inputs.npy"});
}

TEST_F(Errors, MoreExamplesThanThereAreIsRefused) {
  write("images.idx", idx_images(2));
  expect_refused(3, {"data.law=idx", "data.paths=[" + (folder() / "images.idx").string() + "]", "data.dimension=0"},
                 {"3", "2"});
}

TEST_F(Errors, OutputFolderThatExistsIsRefusedOrReplacedOrLeftAlone) {
  const std::string recipe = tiny_recipe().string();
  ASSERT_TRUE(exits(run({"run", recipe, "--out", "a", "--quiet"}), 0));
  const Outcome again = run({"run", recipe, "--out", "a"});
  EXPECT_TRUE(exits(again, 4));
  expect_message(again, {"a", "--resume", "--overwrite", "--out"});
  EXPECT_TRUE(exits(run({"run", recipe, "--out", "a", "--overwrite", "--quiet"}), 0));
  // A folder of something else is never touched.
  write("thesis/chapter.txt", "years of work");
  for (const std::vector<std::string>& option :
       std::vector<std::vector<std::string>>{{}, {"--overwrite"}, {"--resume"}}) {
    std::vector<std::string> arguments{"run", recipe, "--out", "thesis"};
    arguments.insert(arguments.end(), option.begin(), option.end());
    const Outcome foreign = run(arguments);
    EXPECT_TRUE(exits(foreign, 4));
    expect_message(foreign, {"thesis", "--out"});
    EXPECT_EQ(widelab::test::read_text(folder() / "thesis" / "chapter.txt"), "years of work");
  }
  write("a/notes.txt", "mine");
  EXPECT_TRUE(exits(run({"run", recipe, "--out", "a", "--overwrite"}), 4));
  EXPECT_TRUE(fs::exists(folder() / "a" / "result.nc"));
  EXPECT_TRUE(exits(run({"run", recipe, "--out", recipe}), 4)) << "a file is no folder";
  EXPECT_TRUE(exits(run({"run", recipe, "--out", "/proc/nowhere"}), 4));
}

TEST_F(Errors, TooLittleMemoryIsSaidBeforeAnythingIsWritten) {
  expect_refused(5, {}, {"0.0001", "--memory"}, {"--memory", "0.0001"});
  expect_refused(5, {"data.examples=1000000"}, {"data.examples", "1000000", "--memory"});
  expect_refused(5, {"data.dimension=1000000000", "data.examples=1000"}, {"data.dimension", "--memory"});
  expect_refused(5, {"model.depth=1", "sweep.width=[4294967295]", "model.outputs=100000"}, {"GB"});
  expect_refused(5, {"model.widths=[4294967295, 4294967295]", "sweep.width=[8]"}, {"parameters", "law-exact"});
  expect_refused(5, {"seeds.replicates=4000000000"}, {"GB"});
  const Outcome plan = run({"plan", tiny_recipe().string(), "--memory", "0.0001"});
  EXPECT_TRUE(exits(plan, 5));
}

TEST_F(Errors, AnAbsentDeviceIsNeverReplaced) {
  const Outcome info = run({"info"});
  if (info.out.find("cuda:0") != std::string::npos) GTEST_SKIP() << "this machine has a GPU";
  expect_refused(6, {}, {"CUDA", "--device cpu"}, {"--device", "cuda"});
  expect_refused(6, {}, {"CUDA", "--device cpu"}, {"--device", "cuda:3"});
}

TEST_F(Errors, DisagreementBeyondRequireZIs8AndTheResultStays) {
  const Outcome outcome = run({"run", tiny_recipe().string(), "--out", "a", "--quiet", "--require-z", "0.001"});
  EXPECT_TRUE(exits(outcome, 8));
  expect_message(outcome, {"disagreement", "0.001"});
  EXPECT_TRUE(fs::exists(folder() / "a" / "result.nc"));
  EXPECT_TRUE(exits(run({"run", tiny_recipe().string(), "--out", "b", "--quiet", "--require-z", "1000"}), 0));
}

TEST_F(Errors, DamagedOrMissingResultIs3) {
  EXPECT_TRUE(exits(run({"show", "nowhere"}), 3));
  EXPECT_TRUE(exits(run({"compare", "nowhere", "nowhere"}), 3));
  EXPECT_TRUE(exits(run({"plot", "nowhere"}), 3));
  EXPECT_TRUE(exits(run({"summarise", "nowhere"}), 2));
  EXPECT_TRUE(exits(run({"extend", "nowhere", "--replicates", "+5"}), 2));
  ASSERT_TRUE(exits(run({"run", tiny_recipe().string(), "--out", "a", "--quiet"}), 0));
  const fs::path result = folder() / "a" / "result.nc";
  const std::string bytes = widelab::test::read_text(result);
  for (std::size_t at = 50; at < bytes.size(); at += bytes.size() / 6) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    std::ofstream(result, std::ios::binary) << damaged;
    const Outcome shown = run({"show", "a"});
    EXPECT_TRUE(exits(shown, 3)) << "byte " << at;
    expect_message(shown, {"result.nc", "Way out"});
    std::ofstream(result, std::ios::binary) << bytes.substr(0, at);
    EXPECT_TRUE(exits(run({"show", "a"}), 3)) << "cut at " << at;
  }
  ASSERT_TRUE(exits(run({"summarise", "a"}), 0)) << "the cells are whole";
  EXPECT_TRUE(exits(run({"show", "a"}), 0));
}

TEST_F(Errors, AFewNetworksAreEnoughToEndWithoutAnError) {
  for (const std::string replicates : {"2", "3", "4", "7", "9"})
    for (const std::string experiment : {"ntk-limit", "ntk-map"}) {
      write("few.toml", "schema = 1\nexperiment = \"" + experiment + "\"\nmodel.width = 4\n");
      EXPECT_TRUE(exits(run({"run", "few.toml", "--quiet", "--out", experiment + replicates, "--set",
                             "seeds.replicates=" + replicates}),
                        0));
    }
}

TEST_F(Errors, DivergedAndDeadNetworksAreCountedAndNotAveraged) {
  // fp32 overflows in ten layers of gain 1e5; width 1 and forty layers leave no ReLU network alive.
  const Outcome diverged = run({"run", tiny_recipe().string(), "--out", "diverged", "--quiet", "--set",
                                "model.depth=10", "--set", "model.sigma_w=1e5"});
  EXPECT_TRUE(exits(diverged, 0));
  write("map.toml", "schema = 1\nexperiment = \"ntk-map\"\nmodel.width = 1\nmodel.depth = 60\nseeds.replicates = 50\n");
  EXPECT_TRUE(exits(run({"run", "map.toml", "--out", "dead", "--quiet"}), 0));
  const Outcome shown = run({"show", "dead", "--table", "csv"});
  EXPECT_TRUE(exits(shown, 0));
}

}  // namespace
