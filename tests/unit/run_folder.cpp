// Run folders: who may write where, what a resume accepts, what a killed run leaves.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "host/io/atomic_file.hpp"
#include "host/io/provenance.hpp"
#include "host/io/run_folder.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::io {
namespace {

namespace fs = std::filesystem;

Schema test_schema() {
  Schema schema;
  schema.experiment = "demo";
  KeySpec width;
  width.path = "model.width";
  width.type = KeyType::integer;
  width.default_value = "64";
  width.sweepable = true;
  KeySpec init = width;
  init.path = "seeds.init";
  init.sweepable = false;
  schema.keys = {width, init};
  return schema;
}

Recipe recipe(const std::string& body = "") {
  return Recipe::parse("schema = 1\nexperiment = \"demo\"\n" + body, "run.toml", test_schema());
}

ArrayFile cell(double value) {
  ArrayFile file;
  file.arrays = {{"x", "1", "", {"replicate"}, {2}, std::vector<double>{value, 2}, {}}};
  return file;
}

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    base_ = fs::path(testing::TempDir()) / ("widelab_runs_" + std::to_string(::getpid()));
    fs::remove_all(base_);
    run_ = base_ / "deep" / "run";
  }
  void TearDown() override { fs::remove_all(base_); }

  template <class ErrorType>
  std::string message(OpenMode mode, const Recipe& with) const {
    try {
      RunFolder::open(run_, with, mode);
    } catch (const ErrorType& error) {
      EXPECT_NE(std::string(error.what()).find("Way out:"), std::string::npos) << error.what();
      return error.what();
    }
    return "no error";
  }

  fs::path base_;
  fs::path run_;
};

TEST_F(Folder, HoldsRecipeRecordCellsAndResult) {
  RunRecord record;
  Result result;
  result.axes = {{"width", "1", "", std::vector<double>{64}}};
  result.observables = {{"ntk", "1", "", {"width"}, {1}, {0.5}, {4}, {1}, {}, {0}, ""}};
  {
    const RunFolder run = RunFolder::open(run_, recipe(), OpenMode::fresh);
    EXPECT_FALSE(run.resumed());
    begin_record(record, "OpenBLAS");
    record.set("plan.bytes", std::int64_t{1} << 40);
    end_record(record);
    run.write_record(record);
    run.publish_cell("width=64", cell(1));
    run.publish_result(result);
    EXPECT_TRUE(fs::is_directory(run.figures()));
  }
  EXPECT_EQ(read_result(run_), result);
  EXPECT_EQ(read_result(run_ / "result.nc"), result);
  EXPECT_EQ(read_cell(run_, "width=64"), cell(1));
  EXPECT_EQ(read_record(run_).to_json(), record.to_json());
  const Recipe stored = read_recipe(run_, [](const std::string&) { return test_schema(); });
  EXPECT_EQ(first_difference(stored, recipe()), "");
}

TEST_F(Folder, RefusesAFolderThatIsNotEmpty) {
  { RunFolder::open(run_, recipe(), OpenMode::fresh).publish_cell("single", cell(1)); }
  const std::string text = message<OutputError>(OpenMode::fresh, recipe());
  for (const char* part : {"not empty", "--resume", "--overwrite", "--out"}) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
  EXPECT_EQ(list_cells(run_).finished.size(), 1U);
}

TEST_F(Folder, ARunKilledBeforeItsRecipeWasWrittenCanBeResumedOrReplaced) {
  for (const OpenMode mode : {OpenMode::resume, OpenMode::overwrite}) {
    fs::remove_all(run_);
    fs::create_directories(run_ / "cells");
    fs::create_directories(run_ / "figures");
    EXPECT_FALSE(RunFolder::open(run_, recipe(), mode).resumed());
    EXPECT_TRUE(fs::exists(run_ / "recipe.toml"));
  }
  // With anything in it, such a folder is somebody else's.
  fs::remove(run_ / "recipe.toml");
  std::ofstream(run_ / "cells" / "notes.txt") << "mine";
  message<OutputError>(OpenMode::resume, recipe());
  EXPECT_TRUE(fs::exists(run_ / "cells" / "notes.txt"));
}

TEST_F(Folder, OverwriteRemovesARunAndNothingElse) {
  { RunFolder::open(run_, recipe(), OpenMode::fresh).publish_cell("single", cell(1)); }
  std::ofstream(run_ / "notes.txt") << "mine";
  EXPECT_NE(message<OutputError>(OpenMode::overwrite, recipe()).find("'notes.txt'"), std::string::npos);
  EXPECT_EQ(list_cells(run_).finished.size(), 1U);
  fs::remove(run_ / "notes.txt");
  { const RunFolder run = RunFolder::open(run_, recipe(), OpenMode::overwrite); }
  EXPECT_TRUE(list_cells(run_).finished.empty());
}

TEST_F(Folder, OverwriteAndResumeRefuseWhatIsNoRun) {
  fs::create_directories(run_ / "cells");
  std::ofstream(run_ / "cells" / "thesis.txt") << "mine";
  for (const OpenMode mode : {OpenMode::fresh, OpenMode::resume, OpenMode::overwrite}) {
    EXPECT_NE(message<OutputError>(mode, recipe()), "no error");
  }
  EXPECT_TRUE(fs::exists(run_ / "cells" / "thesis.txt"));
  EXPECT_FALSE(fs::exists(run_ / FolderLock::kFileName));
  fs::remove_all(run_);
  std::ofstream(run_) << "a file";
  EXPECT_NE(message<OutputError>(OpenMode::fresh, recipe()).find("is a file"), std::string::npos);
}

TEST_F(Folder, ResumeKeepsCellsAndClearsWhatAKillLeft) {
  { RunFolder::open(run_, recipe("[sweep]\nwidth = [8, 16]\n"), OpenMode::fresh).publish_cell("width=8", cell(8)); }
  std::ofstream(run_ / "cells" / ".width=16.nc.1-0.unfinished") << "half";
  std::ofstream(run_ / "cells" / "width=16.nc") << "damaged";
  const RunFolder run = RunFolder::open(run_, recipe("[sweep]\nwidth = [8, 16]\n"), OpenMode::resume);
  EXPECT_TRUE(run.resumed());
  const CellList cells = list_cells(run_);
  ASSERT_EQ(cells.finished.size(), 1U);
  EXPECT_EQ(cells.finished.begin()->first, "width=8");
  EXPECT_EQ(cells.damaged, std::vector<fs::path>{run_ / "cells" / "width=16.nc"});
  EXPECT_FALSE(fs::exists(run_ / "cells" / ".width=16.nc.1-0.unfinished"));
  EXPECT_THROW(read_cell(run_, "width=16"), DataError);
  run.publish_cell("width=16", cell(16));
  EXPECT_EQ(list_cells(run_).finished.size(), 2U);
}

TEST_F(Folder, ResumeOfNothingIsAFreshRun) {
  EXPECT_FALSE(RunFolder::open(run_, recipe(), OpenMode::resume).resumed());
}

TEST_F(Folder, ResumeRefusesAnotherRecipeAndNamesTheKey) {
  { const RunFolder run = RunFolder::open(run_, recipe("[seeds]\ninit = 10\n"), OpenMode::fresh); }
  const std::string text = message<RecipeError>(OpenMode::resume, recipe("[seeds]\ninit = 20\n"));
  EXPECT_NE(text.find("'seeds.init' is 10 in its recipe and 20 now"), std::string::npos) << text;
  const std::string swept =
      message<RecipeError>(OpenMode::resume, recipe("[seeds]\ninit = 10\n[sweep]\nwidth = [1, 2]\n"));
  EXPECT_NE(swept.find("'sweep.width' is not swept in its recipe and [1, 2] now"), std::string::npos) << swept;
  { RunFolder::open(run_, recipe("[seeds]\ninit = 20\n"), OpenMode::resume, {"seeds.init"}); }
  EXPECT_EQ(message<RecipeError>(OpenMode::resume, recipe("[seeds]\ninit = 20\n")), "no error");
}

TEST_F(Folder, AMovedCellIsNotTakenForAnother) {
  { RunFolder::open(run_, recipe(), OpenMode::fresh).publish_cell("width=8", cell(8)); }
  fs::copy_file(run_ / "cells" / "width=8.nc", run_ / "cells" / "width=16.nc");
  EXPECT_THROW(read_cell(run_, "width=16"), DataError);
  EXPECT_EQ(list_cells(run_).damaged.size(), 1U);
}

TEST_F(Folder, KeepsASecondProcessOutAndNamesTheFirst) {
  const RunFolder run = RunFolder::open(run_, recipe(), OpenMode::fresh);
  const std::string owner = "process " + std::to_string(::getpid());
  const pid_t child = ::fork();
  if (child == 0) {
    int refused = 1;
    try {
      RunFolder::open(run_, recipe(), OpenMode::resume);
    } catch (const OutputError& error) {
      refused = std::string(error.what()).find(owner) == std::string::npos ? 2 : 0;
    }
    ::_exit(refused);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(Folder, ALockOfADeadProcessDoesNotHold) {
  const pid_t child = ::fork();
  if (child == 0) {
    const RunFolder run = RunFolder::open(run_, recipe(), OpenMode::fresh);
    ::_exit(0);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(RunFolder::open(run_, recipe(), OpenMode::resume).resumed());
}

TEST_F(Folder, AFolderThatCannotBeMadeIsAnOutputError) {
  fs::create_directories(base_);
  std::ofstream(base_ / "deep") << "a file where a folder should be";
  EXPECT_NE(message<OutputError>(OpenMode::fresh, recipe()), "no error");
}

TEST(CellFileName, IsSafeAndOneToOne) {
  EXPECT_EQ(cell_file_name("activation=relu,sigma=0.5"), "activation=relu,sigma=0.5.nc");
  EXPECT_EQ(cell_file_name("path=../a b"), "path=..%2Fa%20b.nc");
  EXPECT_EQ(cell_file_name(".."), "%2E..nc");
  EXPECT_NE(cell_file_name("a%2F"), cell_file_name("a/"));
  const std::string one = cell_file_name(std::string(1000, 'a') + "1");
  const std::string other = cell_file_name(std::string(1000, 'a') + "2");
  EXPECT_NE(one, other);
  EXPECT_LT(one.size(), 210U);
}

TEST(RunRecord, KeepsEveryKindOfValue) {
  RunRecord record;
  record.set("seed", std::int64_t{-5});
  record.set("plan.engine", std::string("gemm"));
  record.set("plan.tiles.count", std::int64_t{1} << 60);
  record.set("plan.exact", true);
  record.set("time.seconds", 0.1);
  record.set("cells.seconds", std::vector<double>{1.5, 2.5});
  record.set("cells.names", std::vector<std::string>{"width=1.5", "quote\""});
  const RunRecord again = RunRecord::from_json(record.to_json(), "run.json");
  EXPECT_EQ(again.to_json(), record.to_json());
  EXPECT_EQ(again.entries().size(), record.entries().size());
  EXPECT_EQ(std::get<std::int64_t>(*again.find("plan.tiles.count")), std::int64_t{1} << 60);
  EXPECT_EQ(std::get<double>(*again.find("time.seconds")), 0.1);
  EXPECT_EQ(std::get<std::vector<std::string>>(*again.find("cells.names"))[0], "width=1.5");
  EXPECT_EQ(again.find("plan.missing"), nullptr);
  EXPECT_THROW(RunRecord::from_json("{\"a\": ", "run.json"), DataError);
  EXPECT_THROW(RunRecord::from_json("[1]", "run.json"), DataError);
}

TEST(RunRecord, WritesUndefinedNumbersAsNull) {
  RunRecord record;
  record.set("x", std::nan(""));
  EXPECT_NE(record.to_json().find("null"), std::string::npos);
  EXPECT_TRUE(std::isnan(std::get<double>(*RunRecord::from_json(record.to_json(), "run.json").find("x"))));
}

TEST(Provenance, PeakMemorySeesAnAllocation) {
  const std::int64_t before = peak_memory_bytes();
  constexpr std::size_t kBytes = 64 << 20;
  const std::vector<char> block(kBytes, 'x');
  EXPECT_GE(peak_memory_bytes(), before + static_cast<std::int64_t>(kBytes / 2)) << block[kBytes / 2];
}

TEST(Provenance, NamesNoMachineOrPath) {
  RunRecord record;
  begin_record(record, "OpenBLAS");
  end_record(record);
  EXPECT_EQ(record.to_json().find('/'), std::string::npos) << record.to_json();
  EXPECT_EQ(utc_now().size(), std::string("2025-01-31T12:00:00Z").size());
}

}  // namespace
}  // namespace widelab::io
