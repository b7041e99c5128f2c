// Files of arrays and results: whole or not there, read by xarray, never trusted when damaged.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "host/io/array_file.hpp"
#include "host/io/atomic_file.hpp"
#include "host/io/interrupt.hpp"
#include "host/io/result.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::io {
namespace {

namespace fs = std::filesystem;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

class ArrayFiles : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("widelab_arrays_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  fs::path folder_;
};

ArrayFile sample() {
  ArrayFile file;
  file.attributes = {{"title", "a sample"}, {"empty", ""}, {"plan", std::string(2000, 'p')}};
  file.arrays = {
      {"width", "1", "units of a layer", {"width"}, {3}, std::vector<double>{64, 8, 512}, {}},
      {"activation", "", "", {"activation"}, {2}, std::vector<std::string>{"relu", "caf\u00e9"}, {}},
      {"kernel", "1", "", {"width", "activation"}, {3, 2}, std::vector<double>{1, 2, 3, 4, 5, 1e-300}, {{"a", "b"}}},
      {"ids", "", "", {"width"}, {3}, std::vector<std::int64_t>{-1, std::int64_t{1} << 62, 0}, {}},
      {"label", "", "", {}, {}, std::vector<std::string>{""}, {}},
      {"scalar", "s", "", {}, {}, std::vector<double>{2.5}, {}}};
  return file;
}

Result sample_result() {
  Result result;
  result.attributes = {{"experiment", "demo"}};
  result.axes = {{"width", "1", "units", std::vector<double>{64, 128}},
                 {"activation", "", "", std::vector<std::string>{"relu", "erf"}}};
  Observable bias{"ntk", "1", "mean kernel", {"width", "activation"}, {1, 2, 3, 4}, {.1, .1, .2, 0}, {9, 9, 9, 9},
                  {1.1, 2, 3, 4}, {}, {}, "closed form"};
  bias.z = z_scores(bias);
  Observable plain{"slope", "", "", {"activation"}, {-1, -0.5}, {}, {}, {}, {}, {}, ""};
  result.observables = {bias, plain};
  result.extras = {{"fit", "", "", {"parameter"}, {2}, std::vector<double>{1, 2}, {}}};
  return result;
}

/// Runs a python program; nothing if there is no python or it fails to import xarray.
std::string run_python(const std::string& program) {
  const std::string command = "/usr/bin/python3 -c '" + program + "' 2>&1";
  const std::unique_ptr<std::FILE, decltype(&pclose)> pipe(popen(command.c_str(), "r"), &pclose);
  std::string output;
  char piece[256];
  while (pipe != nullptr && std::fgets(piece, sizeof piece, pipe.get()) != nullptr) output += piece;
  return output;
}

TEST_F(ArrayFiles, ReadBackWhatWasWritten) {
  publish(folder_ / "a.nc", sample());
  EXPECT_EQ(read_arrays(folder_ / "a.nc"), sample());
  EXPECT_EQ(files(), 1U);
}

TEST_F(ArrayFiles, KeepNanAndInfinityBits) {
  ArrayFile file;
  file.arrays = {{"x", "", "", {"n"}, {4}, std::vector<double>{kNan, -0.0, HUGE_VAL, 5e-324}, {}}};
  publish(folder_ / "a.nc", file);
  const auto values = std::get<std::vector<double>>(read_arrays(folder_ / "a.nc").arrays[0].values);
  EXPECT_TRUE(std::isnan(values[0]));
  EXPECT_TRUE(std::signbit(values[1]));
  EXPECT_EQ(values[2], HUGE_VAL);
  EXPECT_EQ(values[3], 5e-324);
}

TEST_F(ArrayFiles, XarrayOpensThemWithCoordinates) {
  if (run_python("import xarray; print(1)") != "1\n") GTEST_SKIP() << "xarray is not installed for /usr/bin/python3";
  publish(folder_ / "a.nc", sample());
  const std::string output = run_python(
      "import xarray; d = xarray.open_dataset(\"" + (folder_ / "a.nc").string() + "\"); "
      "print(sorted(d.coords), d.kernel.sel(width=8, activation=\"relu\").item(), d.scalar.item(), d.kernel.units, "
      "d.activation.values[1] == \"caf\\u00e9\", int(d.ids[1]), d.attrs[\"format_version\"])");
  EXPECT_EQ(output, "['activation', 'width'] 3.0 2.5 1 True 4611686018427387904 1\n");
}

TEST_F(ArrayFiles, XarrayOpensResults) {
  if (run_python("import xarray; print(1)") != "1\n") GTEST_SKIP() << "xarray is not installed for /usr/bin/python3";
  publish(folder_ / "result.nc", to_array_file(sample_result()));
  const std::string output = run_python(
      "import xarray; d = xarray.open_dataset(\"" + (folder_ / "result.nc").string() + "\"); "
      "p = d.sel(width=128, activation=\"relu\"); print(p.ntk.item(), p.ntk_se.item(), p.ntk_theory.item(), "
      "p.ntk_z.item(), p.ntk_count.item(), d.ntk.prediction)");
  EXPECT_EQ(output, "3.0 0.2 3.0 0.0 9.0 closed form\n");
}

TEST_F(ArrayFiles, ReplaceAnOldFileWhole) {
  publish(folder_ / "a.nc", sample());
  ArrayFile other;
  other.arrays = {{"x", "", "", {"n"}, {1}, std::vector<double>{1}, {}}};
  publish(folder_ / "a.nc", other);
  EXPECT_EQ(read_arrays(folder_ / "a.nc"), other);
}

/// Limits the size of any file this process writes, as a full disk would.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    install_interrupt_handler();
    getrlimit(RLIMIT_FSIZE, &old_);
    rlimit limit = old_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &old_); }

 private:
  rlimit old_{};
};

TEST_F(ArrayFiles, AFullDiskIsAnOutputErrorAndLeavesTheOldFile) {
  publish(folder_ / "a.nc", sample());
  ArrayFile large;
  large.arrays = {{"x", "", "", {"n"}, {100000}, std::vector<double>(100000, 1.5), {}}};
  for (const rlim_t limit : {rlim_t{0}, rlim_t{1000}, rlim_t{400000}}) {
    const FileSizeLimit full(limit);
    try {
      publish(folder_ / "a.nc", large);
      ADD_FAILURE() << "written beyond a limit of " << limit;
    } catch (const OutputError& error) {
      const std::string message = error.what();
      for (const char* part : {"a.nc", "write: File too large", "space left", "Way out:", "--resume"}) {
        EXPECT_NE(message.find(part), std::string::npos) << part << "\nnot in: " << message;
      }
    }
  }
  EXPECT_EQ(files(), 1U);
  EXPECT_EQ(read_arrays(folder_ / "a.nc"), sample());
  publish(folder_ / "a.nc", large);
  EXPECT_EQ(read_arrays(folder_ / "a.nc"), large);
}

TEST_F(ArrayFiles, AMissingFolderIsAnOutputError) {
  EXPECT_THROW(publish(folder_ / "none" / "a.nc", sample()), OutputError);
}

TEST_F(ArrayFiles, WhatIsRejectedAfterWritingIsRemoved) {
  const auto reject = [](const fs::path&) { throw DataError("a flipped bit"); };
  EXPECT_THROW(publish_file(folder_ / "a.txt", "text", reject), OutputError);
  EXPECT_EQ(files(), 0U);
}

TEST_F(ArrayFiles, TruncatedFilesAreDataErrors) {
  publish(folder_ / "a.nc", sample());
  const std::string whole = read_file(folder_ / "a.nc");
  for (std::size_t size = 0; size < whole.size(); size += 1 + whole.size() / 101) {
    std::ofstream(folder_ / "b.nc", std::ios::binary) << whole.substr(0, size);
    EXPECT_THROW(read_arrays(folder_ / "b.nc"), DataError) << size;
  }
  EXPECT_THROW(read_arrays(folder_ / "missing.nc"), DataError);
  EXPECT_THROW(read_arrays(folder_), DataError);
}

TEST_F(ArrayFiles, OneChangedBitAnywhereIsADataError) {
  publish(folder_ / "a.nc", sample());
  const std::string whole = read_file(folder_ / "a.nc");
  std::uint64_t state = 7;
  for (int trial = 0; trial < 500; ++trial) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    std::string damaged = whole;
    char& byte = damaged[(state >> 20) % whole.size()];
    byte = static_cast<char>(byte ^ (1 << (state >> 61)));
    std::ofstream(folder_ / "b.nc", std::ios::binary) << damaged;
    EXPECT_THROW(read_arrays(folder_ / "b.nc"), DataError);
  }
}

TEST_F(ArrayFiles, ForeignFilesAreDataErrors) {
  std::ofstream(folder_ / "text.nc") << "not a file of arrays, but long enough to have room for a seal\n";
  EXPECT_THROW(read_arrays(folder_ / "text.nc"), DataError);
}

TEST_F(ArrayFiles, InconsistentShapesAreContractErrors) {
  ArrayFile file;
  file.arrays = {{"x", "", "", {"n"}, {3}, std::vector<double>{1, 2}, {}}};
  EXPECT_THROW(publish(folder_ / "a.nc", file), ContractError);
  file.arrays = {{"x", "", "", {"n"}, {2}, std::vector<double>{1, 2}, {}},
                 {"y", "", "", {"n"}, {1}, std::vector<double>{1}, {}}};
  EXPECT_THROW(publish(folder_ / "a.nc", file), ContractError);
  file.arrays = {{"x", "", "", {"n"}, {0}, std::vector<double>{}, {}}};
  EXPECT_THROW(publish(folder_ / "a.nc", file), ContractError);
  EXPECT_EQ(files(), 0U);
}

TEST_F(ArrayFiles, ResultsReadBackWhole) {
  Result result = sample_result();
  result.observables[0].z = {-1, 0, 0, 2};
  publish(folder_ / "result.nc", to_array_file(result));
  EXPECT_EQ(from_array_file(read_arrays(folder_ / "result.nc")), result);
}

TEST(Results, ZIsInUnitsOfBothErrors) {
  Observable observable{"x", "", "", {}, {1.5, 1, 1}, {0.3, 0, 0}, {}, {1.0, 1, 0}, {0.4, 0, 0}, {}, ""};
  const std::vector<double> z = z_scores(observable);
  EXPECT_DOUBLE_EQ(z[0], 1.0);
  EXPECT_TRUE(std::isnan(z[1]));
  EXPECT_EQ(z[2], HUGE_VAL);
}

TEST(Results, CsvIsALongTable) {
  Result result = sample_result();
  result.axes[1].values = std::vector<std::string>{"re,lu", "erf"};
  const std::string csv = to_csv(result);
  EXPECT_EQ(csv.substr(0, csv.find('\n')),
            "observable,units,width,activation,mean,se,count,theory,theory_error,z");
  EXPECT_NE(csv.find("\nntk,1,128,\"re,lu\",3,0.2,9,3,,0\n"), std::string::npos) << csv;
  EXPECT_NE(csv.find("\nntk,1,128,erf,4,0,9,4,,nan\n"), std::string::npos) << csv;
  EXPECT_NE(csv.find("\nslope,,,erf,-0.5,,,,,\n"), std::string::npos) << csv;
}

TEST(Results, SummaryTableIsAlignedAndSaysWhatItLeavesOut) {
  const std::string table = summary_table(sample_result(), 3);
  EXPECT_NE(table.find("ntk [1]: mean kernel\nprediction: closed form\n"), std::string::npos) << table;
  EXPECT_NE(table.find("width  activation  mean  se   count  theory"), std::string::npos) << table;
  EXPECT_NE(table.find("64     relu        1     0.1  9      1.1"), std::string::npos) << table;
  EXPECT_NE(table.find("... 1 more"), std::string::npos) << table;
}

TEST(Results, CompareMatchesCoordinatesNotPositions) {
  const Result first = sample_result();
  Result second = first;
  second.axes[0].values = std::vector<double>{128, 64};
  second.observables[0].mean = {3, 4, 1.5, 2};
  second.observables[0].se = {.2, .3, .1, .1};
  second.observables[1].name = "other";
  const Comparison comparison = compare(first, second);
  ASSERT_EQ(comparison.entries.size(), 4U);
  EXPECT_EQ(comparison.only_first.size(), 2U);
  EXPECT_EQ(comparison.only_second.size(), 2U);
  EXPECT_NEAR(comparison.largest_z, 0.5 / std::hypot(0.1, 0.1), 1e-12);
  for (const ComparedEntry& row : comparison.entries) {
    EXPECT_EQ(row.difference, row.coordinates == "width=64, activation=relu" ? 0.5 : 0.0) << row.coordinates;
  }
  EXPECT_NE(comparison_table(comparison).find("largest |z| 3.5355"), std::string::npos);
  EXPECT_EQ(compare(first, first).largest_z, 0.0);
}

TEST(Results, AnObservableThatDoesNotFillItsAxesIsAContractError) {
  Result result = sample_result();
  result.observables[0].mean.pop_back();
  EXPECT_THROW(to_array_file(result), ContractError);
  result = sample_result();
  result.observables[1].dims = {"depth"};
  EXPECT_THROW(to_array_file(result), ContractError);
}

}  // namespace
}  // namespace widelab::io
