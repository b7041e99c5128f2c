// Interrupted, killed, damaged or out of disk: what was finished is kept, and --resume ends at the bits of one long
// run.
#include <algorithm>

#include "host/io/array_checksum.hpp"
#include "host/io/run_folder.hpp"
#include "tests/support/command.hpp"

namespace {

namespace fs = std::filesystem;
using widelab::test::CommandTest;
using widelab::test::Launch;
using widelab::test::Outcome;
using widelab::test::Process;
using widelab::test::read_text;

const std::vector<std::string> kCells{"width=16", "width=24", "width=32"};

class Resume : public CommandTest {
 protected:
  /// Three cells of several segments each, some tenths of a second in all.
  std::string recipe() const {
    return write("job.toml",
                 "schema = 1\nexperiment = \"ntk-limit\"\n[model]\ndepth = 2\n[data]\nexamples = "
                 "2\n[seeds]\nreplicates = 6000\n"
                 "[sweep]\nwidth = [16, 24, 32]\n")
        .string();
  }

  Launch job(const std::string& out, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments{"run", recipe(), "--out", out, "--quiet"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return launch(arguments);
  }

  fs::path cell_file(const std::string& run, const std::string& cell) const {
    return folder() / run / "cells" / widelab::io::cell_file_name(cell);
  }

  void expect_same_run(const std::string& a, const std::string& b,
                       const std::vector<std::string>& cells = kCells) const {
    for (const std::string& cell : cells)
      EXPECT_EQ(widelab::io::checksum(widelab::io::read_cell(folder() / a, cell)),
                widelab::io::checksum(widelab::io::read_cell(folder() / b, cell)))
          << cell << " of " << b;
    EXPECT_EQ(widelab::io::checksum(widelab::io::read_arrays(folder() / a / "result.nc")),
              widelab::io::checksum(widelab::io::read_arrays(folder() / b / "result.nc")));
    for (const std::string& run : {a, b})
      for (const auto& entry : fs::recursive_directory_iterator(folder() / run))
        EXPECT_TRUE(!entry.is_regular_file() || entry.path().string().find("unfinished") == std::string::npos)
            << entry.path();
  }

  void finish(const std::string& run, const std::string& reference) const {
    ASSERT_TRUE(exits(Process(job(run, {"--resume"})).wait(), 0));
    expect_same_run(reference, run);
  }

  /// The reference, made once a test.
  std::string uninterrupted() const {
    EXPECT_TRUE(exits(Process(job("whole")).wait(), 0));
    return "whole";
  }
};

TEST_F(Resume, InterruptedRunStopsWith130AndResumesToTheSameBits) {
  const std::string whole = uninterrupted();
  Process process(job("a"));
  ASSERT_TRUE(process.wait_until([&] { return fs::exists(cell_file("a", kCells[0])); }));
  process.send(SIGINT);
  const Outcome outcome = process.wait();
  ASSERT_TRUE(exits(outcome, 130));
  EXPECT_NE(outcome.err.find("--resume"), std::string::npos);
  EXPECT_FALSE(fs::exists(cell_file("a", kCells[2]))) << "it went on after Ctrl-C";
  EXPECT_FALSE(fs::exists(folder() / "a" / "result.nc"));
  // What there is can be looked at: unfinished cells are blank.
  EXPECT_TRUE(exits(run({"summarise", "a"}), 0));
  EXPECT_TRUE(exits(run({"show", "a"}), 0));
  finish("a", whole);
  EXPECT_TRUE(exits(Process(job("a")).wait(), 4)) << "without --resume the folder is refused";
}

TEST_F(Resume, InterruptBetweenCellsOfOneSegmentStopsThere) {
  // Cells of one segment each: between them is the only place to stop.
  std::string widths;
  for (int n = 200; n < 260; ++n) widths += (widths.empty() ? "" : ", ") + std::to_string(n);
  const std::vector<std::string> arguments{"run",   tiny_recipe().string(),        "--out", "a", "--quiet",
                                           "--set", "sweep.width=[" + widths + "]"};
  Process process(launch(arguments));
  ASSERT_TRUE(process.wait_until([&] { return fs::exists(cell_file("a", "width=202")); }));
  process.send(SIGINT);
  ASSERT_TRUE(exits(process.wait(), 130));
  EXPECT_FALSE(fs::exists(cell_file("a", "width=259")));
}

TEST_F(Resume, SecondInterruptDropsTheCell) {
  // One segment takes long enough for two signals; on a busy machine they may come before it: once more, later.
  Outcome outcome;
  for (int milliseconds = 50; outcome.err.find("was dropped") == std::string::npos && milliseconds < 2000;
       milliseconds *= 2) {
    Process process(job("a", {"--set", "sweep.width=[512]", "--set", "seeds.replicates=2000", "--overwrite"}));
    process.wait_until([&] { return fs::exists(folder() / "a" / "run.json"); });
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    process.send(SIGINT);
    process.wait_until([&] { return process.errors_so_far().find("interrupted:") != std::string::npos; });
    process.send(SIGINT);
    outcome = process.wait();
    ASSERT_TRUE(exits(outcome, 130));
  }
  EXPECT_NE(outcome.err.find("was dropped"), std::string::npos) << outcome.err;
  EXPECT_FALSE(fs::exists(folder() / "a" / ".unfinished" / widelab::io::cell_file_name("width=512")));
}

TEST_F(Resume, CheckpointIsUsedAndADamagedOneCostsItsWorkOnly) {
  const std::vector<std::string> settings{"--set", "sweep.width=[128]", "--set", "seeds.replicates=4000"};
  const fs::path checkpoint = fs::path(".unfinished") / widelab::io::cell_file_name("width=128");
  // On a busy machine the signal may come before the first segment: once more, later.
  for (int milliseconds = 50; !fs::exists(folder() / "a" / checkpoint) && milliseconds < 2000; milliseconds *= 2) {
    std::vector<std::string> again = settings;
    again.push_back("--resume");
    Process process(job("a", again));
    process.wait_until([&] { return fs::exists(folder() / "a" / "run.json"); });
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    process.send(SIGINT);
    ASSERT_TRUE(exits(process.wait(), 130));
  }
  ASSERT_TRUE(fs::exists(folder() / "a" / checkpoint));
  fs::copy(folder() / "a", folder() / "b", fs::copy_options::recursive);
  fs::resize_file(folder() / "b" / checkpoint, fs::file_size(folder() / "b" / checkpoint) / 2);
  ASSERT_TRUE(exits(Process(job("whole", settings)).wait(), 0));
  for (const std::string run : {"a", "b"}) {
    Launch resumed = job(run, settings);
    std::erase(resumed.arguments, "--quiet");
    resumed.arguments.push_back("--resume");
    const Outcome outcome = Process(resumed).wait();
    ASSERT_TRUE(exits(outcome, 0));
    EXPECT_EQ(outcome.err.find("checkpoint dropped") != std::string::npos, run == "b") << outcome.err;
    expect_same_run("whole", run, {"width=128"});
  }
}

TEST_F(Resume, KilledAtAnyMomentItResumesToTheSameBits) {
  const std::string whole = uninterrupted();
  for (const int milliseconds : {15, 60, 140, 230, 390}) {
    const std::string name = "killed" + std::to_string(milliseconds);
    {
      Process process(job(name));
      std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
      process.send(SIGKILL);
      process.wait();
    }
    finish(name, whole);
  }
}

TEST_F(Resume, KilledWhileResumingIsNoDifferent) {
  const std::string whole = uninterrupted();
  for (const int milliseconds : {90, 170, 120, 250}) {
    Process process(job("a", {"--resume"}));
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    process.send(SIGKILL);
    process.wait();
  }
  finish("a", whole);
}

TEST_F(Resume, DamagedCellIsComputedAgain) {
  const std::string whole = uninterrupted();
  fs::copy(folder() / whole, folder() / "a", fs::copy_options::recursive);
  const fs::path cut = cell_file("a", kCells[0]), flipped = cell_file("a", kCells[1]);
  fs::resize_file(cut, fs::file_size(cut) - 100);
  std::string bytes = read_text(flipped);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  std::ofstream(flipped, std::ios::binary) << bytes;
  fs::remove(folder() / "a" / "result.nc");
  const Outcome outcome = Process(job("a", {"--resume"})).wait();
  ASSERT_TRUE(exits(outcome, 0));
  EXPECT_NE(outcome.out.find("3 cells (1 were finished before)"), std::string::npos) << outcome.out;
  expect_same_run(whole, "a");
}

TEST_F(Resume, FullDiskKeepsFinishedCellsAndResumeCompletes) {
  // The budget gives the narrow cell four times the networks, so its file is larger than that of the wide one before
  // it.
  const std::vector<std::string> settings{"--set", "sweep.width=[64, 16]", "--set", "measure.unit_budget=6400",
                                          "--set", "measure.keep=samples"};
  ASSERT_TRUE(exits(Process(job("whole", settings)).wait(), 0));
  const auto small = fs::file_size(cell_file("whole", "width=64")),
             large = fs::file_size(cell_file("whole", "width=16"));
  ASSERT_LT(small + 2000, large);
  Launch full = job("a", settings);
  full.largest_file = (small + large) / 2;
  const Outcome outcome = Process(full).wait();
  ASSERT_TRUE(exits(outcome, 4));
  for (const char* words : {"cannot write", "space left", "--resume"})
    EXPECT_NE(outcome.err.find(words), std::string::npos) << outcome.err;
  EXPECT_TRUE(fs::exists(cell_file("a", "width=64")));
  EXPECT_FALSE(fs::exists(cell_file("a", "width=16")));
  std::vector<std::string> resumed = settings;
  resumed.push_back("--resume");
  const Outcome rest = Process(job("a", resumed)).wait();
  ASSERT_TRUE(exits(rest, 0));
  EXPECT_NE(rest.out.find("2 cells (1 were finished before)"), std::string::npos) << rest.out;
  expect_same_run("whole", "a", {"width=64", "width=16"});
}

TEST_F(Resume, AnotherRecipeIsRefused) {
  ASSERT_TRUE(exits(run({"run", tiny_recipe().string(), "--out", "a", "--quiet"}), 0));
  for (const std::string setting : {"model.depth=3", "seeds.run=9", "sweep.width=[8]", "seeds.replicates=65"}) {
    const Outcome outcome = run({"run", tiny_recipe().string(), "--out", "a", "--resume", "--set", setting});
    EXPECT_TRUE(exits(outcome, 2)) << setting;
    EXPECT_NE(outcome.err.find(setting.substr(setting.find('.') + 1, 3)), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("cannot resume"), std::string::npos) << outcome.err;
  }
  EXPECT_TRUE(exits(run({"run", tiny_recipe().string(), "--out", "a", "--resume", "--overwrite"}), 2));
}

TEST_F(Resume, TwoProcessesDoNotShareAFolder) {
  Process first(job("a", {"--set", "seeds.replicates=100000"}));
  ASSERT_TRUE(first.wait_until([&] { return fs::exists(folder() / "a" / "run.json"); }));
  const Outcome second = Process(job("a", {"--resume", "--set", "seeds.replicates=100000"})).wait();
  EXPECT_TRUE(exits(second, 4));
  first.send(SIGKILL);
  first.wait();
}

}  // namespace
