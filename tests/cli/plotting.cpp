// tools/plotting/plot.py on results with the laws of real ones: which figures it draws, what it says where it cannot.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

namespace {

namespace fs = std::filesystem;
const std::string kPython = "/usr/bin/python3 -B ";
const std::string kSource = WIDELAB_SOURCE_DIR;

struct Outcome {
  int code = -1;
  std::string output;
};

Outcome run(const std::string& command) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (!pipe) return {};
  Outcome outcome;
  std::array<char, 4096> buffer{};
  while (fgets(buffer.data(), static_cast<int>(buffer.size()), pipe)) outcome.output += buffer.data();
  const int status = pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

class Plotting : public ::testing::Test {
 protected:
  void SetUp() override {
    if (run(kPython + "-c 'import xarray, netCDF4, matplotlib'").code != 0)
      GTEST_SKIP() << "needs python3-xarray, python3-netcdf4 and python3-matplotlib (tools/setup installs them)";
    std::string name = (fs::temp_directory_path() / "widelab-plots-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override {
    if (!folder_.empty()) fs::remove_all(folder_);
  }

  void make_result(const std::string& experiment) const {
    const Outcome made = run(kPython + kSource + "/tests/cli/synthetic_result.py " + experiment + " " +
                             (folder_ / "result.nc").string());
    ASSERT_EQ(made.code, 0) << made.output;
  }
  Outcome plot(const std::string& options = "") const {
    return run(kPython + "-W error::UserWarning " + kSource + "/tools/plotting/plot.py " + folder_.string() + options);
  }
  // Names of the figures that are there and are not trivially small.
  std::set<std::string> figures(const fs::path& where) const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(where))
      if (entry.path().extension() == ".png" && entry.file_size() > 20000) names.insert(entry.path().stem().string());
    return names;
  }

  fs::path folder_;
};

TEST_F(Plotting, DrawsConvergenceAndResidualsOfNtkLimit) {
  make_result("ntk-limit");
  const Outcome outcome = plot();
  EXPECT_EQ(outcome.code, 0) << outcome.output;
  EXPECT_EQ(figures(folder_ / "figures"), (std::set<std::string>{"convergence_ntk", "convergence_nngp", "residuals"}));
}

TEST_F(Plotting, DrawsTheFluctuationMapIntoTheNamedFolder) {
  make_result("ntk-map");
  const Outcome outcome = plot(" --out " + (folder_ / "elsewhere").string());
  EXPECT_EQ(outcome.code, 0) << outcome.output;
  EXPECT_EQ(figures(folder_ / "elsewhere"), (std::set<std::string>{"fluctuation_map", "residuals"}));
  EXPECT_FALSE(fs::exists(folder_ / "figures"));
}

TEST_F(Plotting, NamesTheWayOutWhereTheResultIsMissingOrBroken) {
  const Outcome missing = plot();
  EXPECT_EQ(missing.code, 3);
  EXPECT_NE(missing.output.find("widelab summarise"), std::string::npos) << missing.output;
  std::ofstream(folder_ / "result.nc") << "not a NetCDF file";
  const Outcome broken = plot();
  EXPECT_EQ(broken.code, 3);
  EXPECT_EQ(broken.output.find("Traceback"), std::string::npos) << broken.output;
}

}  // namespace
