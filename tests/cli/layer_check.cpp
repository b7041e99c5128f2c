// tools/layer_check.py on planted violations, each of which it must name, and on the tree itself.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace {

namespace fs = std::filesystem;

struct Outcome {
  int code = -1;
  std::string output;
};

Outcome run_layer_check(const fs::path& tree) {
  const std::string command =
      "/usr/bin/python3 '" WIDELAB_SOURCE_DIR "/tools/layer_check.py' '" + tree.string() + "' 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return {};
  Outcome outcome;
  std::array<char, 4096> buffer{};
  while (fgets(buffer.data(), static_cast<int>(buffer.size()), pipe)) outcome.output += buffer.data();
  const int status = pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

// A clean miniature of the real tree, in a folder of its own that is removed at the end.
class LayerCheck : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "widelab-layers-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    tree_ = name;
    write("include/widelab/base/types.hpp", "#include <cstdint>\n");
    write("include/widelab/model/shape.hpp", "#include \"widelab/base/types.hpp\"\n");
    write("include/widelab/ops/ntk.hpp", "#include \"widelab/model/shape.hpp\"\n");
    write("kernels/cpu/ntk.cpp", "#include \"widelab/ops/ntk.hpp\"\n");
    write("host/theory/limit.hpp", "#include \"widelab/model/shape.hpp\"\n");
    write("host/io/recipe.cpp", "#include <toml++/toml.h>\n#include \"widelab/base/types.hpp\"\n");
    write("tests/unit/ntk.cpp", "#include \"kernels/cpu/blas.hpp\"\n#include <Random123/philox.h>\n");
    write(".gitignore", "/build/\n/build-*/\n");
    fs::create_directories(tree_ / "build-cuda");
  }
  void TearDown() override { fs::remove_all(tree_); }

  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((tree_ / path).parent_path());
    std::ofstream(tree_ / path) << text;
  }

  // Plants one file and expects exactly one violation, at that file and line.
  void expect_violation(const std::string& path, const std::string& text, int line, const std::string& words) const {
    write(path, text);
    const Outcome outcome = run_layer_check(tree_);
    EXPECT_EQ(outcome.code, 1) << path << "\n" << outcome.output;
    const std::string place = path + ":" + std::to_string(line) + ": ";
    EXPECT_EQ(outcome.output.rfind(place, 0), 0U) << "expected " << place << "\n" << outcome.output;
    EXPECT_NE(outcome.output.find(words), std::string::npos) << "expected '" << words << "'\n" << outcome.output;
    EXPECT_EQ(outcome.output.find('\n') + 1, outcome.output.size()) << "more than one line:\n" << outcome.output;
    fs::remove(tree_ / path);
  }

  fs::path tree_;
};

TEST_F(LayerCheck, AcceptsACleanTree) {
  const Outcome outcome = run_layer_check(tree_);
  EXPECT_EQ(outcome.code, 0) << outcome.output;
  EXPECT_EQ(outcome.output, "");
}

TEST_F(LayerCheck, RejectsIncludesAgainstTheOrderOfLayers) {
  expect_violation("include/widelab/base/up.hpp", "\n#include \"widelab/model/shape.hpp\"\n", 2, "not include model");
  expect_violation("include/widelab/rng/side.hpp", "#include <widelab/math/erf.hpp>\n", 1, "must not include math");
  expect_violation("kernels/reference/a.cpp", "#include \"kernels/cpu/blas.hpp\"\n", 1, "must not include kernels/cpu");
  expect_violation("kernels/reference/a.cpp", "#include \"kernels/shared/b.hpp\"\n", 1, "not include kernels/shared");
  expect_violation("kernels/cpu/a.cpp", "#include \"host/io/recipe.hpp\"\n", 1, "must not include host/io");
  expect_violation("host/theory/a.cpp", "#include \"host/engine/run.hpp\"\n", 1, "must not include host/engine");
  expect_violation("host/theory/a.cpp", "#include \"widelab/ops/ntk.hpp\"\n", 1, "must not include ops");
  expect_violation("host/engine/a.cpp", "#include \"host/experiments/e.hpp\"\n", 1, "not include host/experiments");
  expect_violation("host/runtime/a.cpp", "#include \"host/engine/run.hpp\"\n", 1, "must not include host/engine");
  expect_violation("host/estimators/a.cpp", "#include \"host/theory/limit.hpp\"\n", 1, "not include host/theory");
  expect_violation("host/cli/a.cpp", "#include \"kernels/cpu/blas.hpp\"\n", 1, "must not include kernels/cpu");
  expect_violation("include/widelab/plan/a.hpp", "#include \"widelab/ops/ntk.hpp\"\n", 1, "must not include ops");
}

TEST_F(LayerCheck, RejectsDeviceHeadersAndLaunchesElsewhere) {
  expect_violation("host/engine/a.cpp", "#include <cuda_runtime.h>\n", 1, "kernels/cuda and host/runtime");
  expect_violation("include/widelab/base/a.hpp", "# include <cublas_v2.h>\n", 1, "kernels/cuda and host/runtime");
  expect_violation("kernels/cuda/a.cu", "void f() {\n  g<<<1, 1>>>();\n}\n", 2, "launched through the wrapper");
}

TEST_F(LayerCheck, RejectsHeavyAndForeignHeadersOutOfPlace) {
  expect_violation("host/io/second.cpp", "#include <toml++/toml.hpp>\n", 1, "host/io/recipe.cpp already");
  expect_violation("host/io/results.hpp", "#include <netcdf.h>\n", 1, "in one .cpp");
  expect_violation("host/cli/a.hpp", "#include <nlohmann/json.hpp>\n", 1, "in a .cpp");
  expect_violation("kernels/cpu/a.cpp", "#include <Random123/philox.h>\n", 1, "tests/ alone");
  expect_violation("host/engine/a.cpp", "#include \"run.hpp\"\n", 1, "path from the root");
}

TEST_F(LayerCheck, RejectsUnknownFoldersAndLongFiles) {
  expect_violation("host/helpers/a.cpp", "\n", 1, "no layer");
  std::string lines(501, '\n');
  expect_violation("host/engine/a.cpp", lines, 501, "at most 500");
  expect_violation("notes.txt", "\n", 1, "files at the top level");
  fs::create_directories(tree_ / "src");
  const Outcome outcome = run_layer_check(tree_);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.output.find("src:1: the top level is fixed"), std::string::npos) << outcome.output;
}

TEST_F(LayerCheck, RefusesAFolderThatIsNoTree) {
  fs::create_directories(tree_ / "build-cuda/empty");
  EXPECT_EQ(run_layer_check(tree_ / "build-cuda/empty").code, 2);
}

TEST(LayerCheckOfThisTree, FindsNothing) {
  const Outcome outcome = run_layer_check(WIDELAB_SOURCE_DIR);
  EXPECT_EQ(outcome.code, 0) << outcome.output;
}

}  // namespace
