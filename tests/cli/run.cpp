// The command on a tiny recipe, from `init` to figures: every subcommand does what its help says.
#include <nlohmann/json.hpp>

#include <algorithm>

#include "host/io/array_checksum.hpp"
#include "host/io/array_file.hpp"
#include "tests/support/command.hpp"

namespace {

namespace fs = std::filesystem;
using widelab::test::CommandTest;
using widelab::test::Launch;
using widelab::test::Outcome;
using widelab::test::Process;
using widelab::test::read_text;

const std::string kPython = "/usr/bin/python3";

class Command : public CommandTest {
 protected:
  void run_tiny(const std::string& out, const std::string& seed = "1") const {
    ASSERT_TRUE(exits(run({"run", tiny_recipe().string(), "--out", out, "--seed", seed, "--quiet"}), 0));
  }

  Outcome python(const std::string& code) const {
    Launch launched = launch({"-B", "-c", code});
    launched.program = kPython;
    return Process(launched).wait();
  }

  static std::string bits(const fs::path& file) { return widelab::io::checksum(widelab::io::read_arrays(file)); }
};

TEST_F(Command, HelpTeachesASessionAndEveryExitCode) {
  const Outcome help = run({"--help"});
  ASSERT_TRUE(exits(help, 0));
  for (const char* word : {"widelab init", "widelab plan", "widelab run", "--resume", "extend", "theory",
                           "Exit codes: 0 ok", "130 interrupted", "WIDELAB_DATA"})
    EXPECT_NE(help.out.find(word), std::string::npos) << word;
  for (const char* name :
       {"run", "plan", "extend", "init", "show", "compare", "plot", "summarise", "export", "theory", "list", "info"}) {
    const Outcome one = run({name, "--help"});
    EXPECT_TRUE(exits(one, 0)) << name;
    EXPECT_GT(one.out.size(), 80u) << name;
  }
}

TEST_F(Command, RunLeavesRecipeRecordCellsAndResult) {
  run_tiny("a");
  const fs::path a = folder() / "a";
  for (const char* name : {"recipe.toml", "run.json", "result.nc", "cells/width=8.nc", "cells/width=16.nc", "figures"})
    EXPECT_TRUE(fs::exists(a / name)) << name;
  EXPECT_FALSE(fs::exists(a / ".unfinished"));
  const auto record = nlohmann::json::parse(read_text(a / "run.json"));
  EXPECT_EQ(record["run"]["seed"], 1);
  EXPECT_EQ(record["plan"]["cells"].size(), 2u);
  EXPECT_GT(record["plan"]["peak_bytes"], 1e6);
  EXPECT_GT(record["plan"]["flops"], 0);
  EXPECT_FALSE(record["widelab"]["version"].get<std::string>().empty());
  EXPECT_FALSE(record["widelab"]["blas"].get<std::string>().empty());
  EXPECT_FALSE(record["time"]["finished"].get<std::string>().empty());
  EXPECT_GT(record["memory"]["peak_bytes"], 1e6);
  // Every default is shown in the resolved recipe, and it runs to the same bits.
  EXPECT_NE(read_text(a / "recipe.toml").find("sigma_w"), std::string::npos);
  ASSERT_TRUE(exits(run({"run", (a / "recipe.toml").string(), "--out", "again", "--quiet"}), 0));
  EXPECT_EQ(bits(a / "result.nc"), bits(folder() / "again" / "result.nc"));
}

TEST_F(Command, ResultOpensWithXarray) {
  if (python("import xarray, netCDF4").code != 0)
    GTEST_SKIP() << "needs python3-xarray and python3-netcdf4 (tools/setup installs them)";
  run_tiny("a");
  const Outcome opened = python(
      "import xarray\nd = xarray.open_dataset('a/result.nc')\n"
      "assert d.ntk.dims == ('width', 'pair'), d.ntk.dims\nassert list(d.width.values) == [8, 16]\n"
      "assert set(['ntk_se', 'ntk_count', 'ntk_theory', 'ntk_z', 'nngp', 'ntk_variance']) <= set(d)\n"
      "assert float(d.ntk_count.min()) == 64 and d.attrs['format_version'] == 1\n"
      "c = xarray.open_dataset('a/cells/width=8.nc')\n"
      "assert list(c.replicate.values) == list(range(64)) and (c.status == 0).all() and c.attrs['complete'] == 1\n");
  EXPECT_TRUE(exits(opened, 0));
}

TEST_F(Command, ShowPrintsATableAndTidyCsv) {
  run_tiny("a");
  const Outcome text = run({"show", "a"}), csv = run({"show", "a", "--table", "csv"});
  ASSERT_TRUE(exits(text, 0));
  ASSERT_TRUE(exits(csv, 0));
  EXPECT_NE(text.out.find("infinite-width limit"), std::string::npos);
  EXPECT_EQ(csv.out.rfind("observable,units,", 0), 0u);
  const std::string header = csv.out.substr(0, csv.out.find('\n'));
  for (const char* column : {"width", "pair", "mean", "se", "count", "theory", "z"})
    EXPECT_NE(header.find(column), std::string::npos) << column;
  // 8 observables of 6 entries and 8 scalars, at two widths, and the header.
  EXPECT_EQ(std::count(csv.out.begin(), csv.out.end(), '\n'), 1 + 2 * (8 * 6 + 8));
}

TEST_F(Command, CompareFindsNoDifferenceToItselfAndStandardErrorsBetweenSeeds) {
  run_tiny("a");
  run_tiny("b", "2");
  EXPECT_TRUE(exits(run({"compare", "a", "a", "--require-z", "0.001"}), 0));
  const Outcome two = run({"compare", "a", "b"});
  EXPECT_TRUE(exits(two, 0));
  EXPECT_NE(two.out.find("standard errors"), std::string::npos);
  EXPECT_TRUE(exits(run({"compare", "a", "b", "--require-z", "0.001"}), 8));
}

TEST_F(Command, PlanAndDryRunStateMemoryAndWorkAndWriteNothing) {
  const std::string recipe = tiny_recipe().string();
  const Outcome plan = run({"plan", recipe}), dry = run({"run", recipe, "--out", "a", "--dry-run"});
  ASSERT_TRUE(exits(plan, 0));
  ASSERT_TRUE(exits(dry, 0));
  for (const char* word : {"width=16", "peak memory", "Gflop", "random draws", "64"}) {
    EXPECT_NE(plan.out.find(word), std::string::npos) << word;
    EXPECT_NE(dry.out.find(word), std::string::npos) << word;
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(folder()), fs::directory_iterator()), 1);
}

TEST_F(Command, InitWritesRecipesThatRun) {
  for (const std::string name : {"ntk-limit", "ntk-map"}) {
    const Outcome shown = run({"init", name});
    ASSERT_TRUE(exits(shown, 0));
    ASSERT_TRUE(exits(run({"init", name, "--out", name + ".toml"}), 0));
    EXPECT_EQ(read_text(folder() / (name + ".toml")), shown.out);
    EXPECT_TRUE(exits(run({"init", name, "--out", name + ".toml"}), 4)) << "an existing file is not replaced";
    ASSERT_TRUE(exits(
        run({"run", name + ".toml", "--set", "seeds.replicates=16", "--set", "sweep.depth=[1, 2]", "--quiet"}), 0));
    EXPECT_TRUE(fs::exists(folder() / "runs" / name / "result.nc"));
    EXPECT_TRUE(exits(run({"show", "runs/" + name}), 0));
  }
}

TEST_F(Command, ListAndInfoNameWhatThereIs) {
  const Outcome list = run({"list"}), info = run({"info"}), version = run({"--version"});
  ASSERT_TRUE(exits(list, 0));
  for (const char* word : {"ntk-limit", "ntk-map", "relu", "gelu", "sphere", "mnist", "nngp-ntk"})
    EXPECT_NE(list.out.find(word), std::string::npos) << word;
  ASSERT_TRUE(exits(info, 0));
  for (const char* word : {"widelab", "cpu:0", "threads"}) EXPECT_NE(info.out.find(word), std::string::npos) << word;
  ASSERT_TRUE(exits(version, 0));
  EXPECT_NE(info.out.find(version.out.substr(0, version.out.find('\n'))), std::string::npos);
}

TEST_F(Command, TheoryPrintsJsonAndListsLaws) {
  const Outcome list = run({"theory", "--list"});
  ASSERT_TRUE(exits(list, 0));
  for (const char* word : {"nngp-ntk", "source:", "domain:", "(required)"})
    EXPECT_NE(list.out.find(word), std::string::npos) << word;
  const Outcome one = run({"theory", "nngp-ntk", "depth=1,2", "q11=1", "q12=1", "q22=1", "sigma_w2=2"});
  ASSERT_TRUE(exits(one, 0));
  const auto json = nlohmann::json::parse(one.out);
  ASSERT_EQ(json["points"].size(), 2u);
  // sigma_w^2 = 2 at x = x' of unit norm: every layer of a ReLU network keeps K = 2 and adds as much to the NTK.
  EXPECT_NEAR(json["points"][0]["values"]["ntk"].get<double>(), 4, 1e-14);
  EXPECT_NEAR(json["points"][1]["values"]["ntk"].get<double>(), 6, 1e-14);
}

TEST_F(Command, SummariseRebuildsTheSameBits) {
  run_tiny("a");
  const std::string before = bits(folder() / "a" / "result.nc");
  fs::remove(folder() / "a" / "result.nc");
  EXPECT_TRUE(exits(run({"show", "a"}), 3));
  ASSERT_TRUE(exits(run({"summarise", "a"}), 0));
  EXPECT_EQ(bits(folder() / "a" / "result.nc"), before);
}

TEST_F(Command, PlotDrawsFiguresWhereItIsInstalled) {
  if (python("import xarray, netCDF4, matplotlib").code != 0)
    GTEST_SKIP() << "needs python3-xarray, python3-netcdf4 and python3-matplotlib (tools/setup installs them)";
  run_tiny("a");
  fs::create_directories(folder() / "bin");
  fs::copy_file(WIDELAB_COMMAND, folder() / "bin" / "widelab");
  fs::create_directories(folder() / "share" / "widelab");
  fs::copy(WIDELAB_SOURCE_DIR "/tools/plotting", folder() / "share" / "widelab" / "plotting",
           fs::copy_options::recursive);
  Launch plot = launch({"plot", "a"});
  plot.program = (folder() / "bin" / "widelab").string();
  ASSERT_TRUE(exits(Process(plot).wait(), 0));
  for (const char* name : {"convergence_ntk.png", "residuals.png"}) {
    ASSERT_TRUE(fs::exists(folder() / "a" / "figures" / name)) << name;
    EXPECT_GT(fs::file_size(folder() / "a" / "figures" / name), 10000u) << name;
  }
}

TEST_F(Command, OverwriteReplacesARun) {
  const std::string recipe = tiny_recipe().string();
  ASSERT_TRUE(exits(run({"run", recipe, "--out", "a", "--device", "cpu", "--quiet"}), 0));
  EXPECT_TRUE(exits(
      run({"run", recipe, "--out", "a", "--device", "cpu", "--quiet", "--overwrite", "--set", "model.activation=erf"}),
      0));
  EXPECT_NE(read_text(folder() / "a" / "recipe.toml").find("erf"), std::string::npos);
}

}  // namespace
