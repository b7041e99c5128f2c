// Data laws that read files: which examples, labels and targets they give, and what they refuse. MNIST itself is read
// where WIDELAB_DATA says that it is.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <set>

#include "host/data/gaussian_spectrum.hpp"
#include "host/data/make_dataset.hpp"
#include "host/data/npy_file.hpp"
#include "tests/support/data_files.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::data {
namespace {

namespace fs = std::filesystem;
const DrawId kId{42, 1};

class FileLaws : public DataFiles {
 protected:
  // Twelve examples of two numbers, the first of which is the row; labels 0 1 2 0 1 2 ...
  DataSpec npy_spec() {
    std::vector<double> inputs;
    std::string labels;
    for (int row = 0; row < 12; ++row) {
      inputs.insert(inputs.end(), {static_cast<double>(row), 0.5});
      labels += static_cast<char>(row % 3);
    }
    write_npy((folder_ / "x.npy").string(), {12, 2}, inputs);
    write("y.npy", npy_with_header(npy_header("|u1", "(12,)"), labels));
    DataSpec spec;
    spec.law = "npy";
    spec.folder = folder_.string();
    spec.paths = {"x.npy"};
    spec.labels_path = "y.npy";
    spec.examples = 12;
    return spec;
  }
};

TEST_F(FileLaws, CifarReadsItsBatchesFromTheFolder) {
  for (int b = 1; b <= 5; ++b)
    write("cifar-10-batches-bin/data_batch_" + std::to_string(b) + ".bin", cifar_batch(CifarKind::cifar10, 3, b));
  write("cifar-100-binary/test.bin", cifar_batch(CifarKind::cifar100, 4, 97));
  DataSpec spec;
  spec.law = "cifar10";
  spec.folder = folder_.string();
  spec.order = "file";
  spec.examples = 15;
  const Dataset ten = make_dataset(spec, kId);
  EXPECT_EQ(ten.dimension, 3072);
  EXPECT_EQ(ten.class_count, 10);
  EXPECT_EQ(ten.classes[3], 2);
  EXPECT_EQ(ten.input_view()(4, 300), (300 + 1) % 256);
  spec.law = "cifar100";
  spec.split = "test";
  spec.examples = 4;
  EXPECT_EQ(make_dataset(spec, kId).classes, (std::vector<int>{97, 98, 99, 0}));
  spec.split = "validation";
  EXPECT_THROW(make_dataset(spec, kId), RecipeError);
}

TEST_F(FileLaws, ChoiceIsAKeyedOrderWhosePrefixIsStable) {
  DataSpec spec = npy_spec();
  const Dataset all = make_dataset(spec, kId);
  std::set<double> rows;
  for (Index i = 0; i < 12; ++i) {
    rows.insert(all.input_view()(i, 0));
    EXPECT_EQ(all.classes[i], static_cast<int>(all.input_view()(i, 0)) % 3);
  }
  EXPECT_EQ(rows.size(), 12u);
  EXPECT_EQ(all.inputs, make_dataset(spec, kId).inputs);
  EXPECT_NE(all.inputs, make_dataset(spec, DrawId{kId.key, 2}).inputs);
  spec.examples = 5;
  spec.first = 3;
  const Dataset some = make_dataset(spec, kId);
  EXPECT_TRUE(std::equal(some.inputs.begin(), some.inputs.end(), all.inputs.begin() + 6));
  spec.order = "file";
  EXPECT_EQ(make_dataset(spec, kId).inputs[0], 3.0);
}

TEST_F(FileLaws, ClassSubsetsAreRenumberedInTheOrderGiven) {
  DataSpec spec = npy_spec();
  spec.classes = {2, 0};
  spec.examples = 8;
  spec.target.kind = "classes";
  spec.target.label_coding = "plus-minus";
  const Dataset set = make_dataset(spec, kId);
  for (Index i = 0; i < 8; ++i) {
    const int label = static_cast<int>(set.input_view()(i, 0)) % 3;
    EXPECT_NE(label, 1);
    EXPECT_EQ(set.classes[i], label == 2 ? 0 : 1);
    EXPECT_EQ(set.targets[i], label == 2 ? -1.0 : 1.0);
  }
  spec.examples = 9;
  EXPECT_TRUE(mentions(message_of([&] { make_dataset(spec, kId); }), "has 8 examples of the chosen classes"));
  spec.examples = 4;
  spec.classes = {0, 7};
  EXPECT_THROW(make_dataset(spec, kId), RecipeError);
  spec.classes = {0, 0};
  EXPECT_THROW(make_dataset(spec, kId), RecipeError);
  spec.classes = {0, 1};
  spec.labels_path.clear();
  EXPECT_THROW(make_dataset(spec, kId), RecipeError);
}

TEST_F(FileLaws, TargetsFromAFileFollowTheirExamples) {
  DataSpec spec = npy_spec();
  std::vector<double> targets(24);
  for (int row = 0; row < 12; ++row) targets[2 * row] = 10.0 * row, targets[2 * row + 1] = -row;
  write_npy((folder_ / "t.npy").string(), {12, 2}, targets);
  spec.target.kind = "file";
  spec.target.path = "t.npy";
  const Dataset set = make_dataset(spec, kId);
  ASSERT_EQ(set.outputs, 2);
  for (Index i = 0; i < 12; ++i) EXPECT_EQ(set.target_view()(i, 0), 10.0 * set.input_view()(i, 0));
  write_npy((folder_ / "t.npy").string(), {8, 3}, targets);
  EXPECT_TRUE(mentions(message_of([&] { make_dataset(spec, kId); }), "8 rows, expected 12"));
}

TEST_F(FileLaws, FilesThatDoNotBelongTogetherAreRefused) {
  DataSpec spec = npy_spec();
  write("y.npy", npy_with_header(npy_header("|u1", "(11,)"), std::string(11, '\1')));
  EXPECT_TRUE(mentions(message_of([&] { make_dataset(spec, kId); }), "11 labels, expected 12"));
  write_npy((folder_ / "y.npy").string(), {12}, std::vector<double>(12, 1.0));
  EXPECT_TRUE(mentions(message_of([&] { make_dataset(spec, kId); }), "labels must be integers"));
  write("y.npy", npy_with_header(npy_header("|i1", "(12,)"), std::string(12, '\xFF')));
  EXPECT_TRUE(mentions(message_of([&] { make_dataset(spec, kId); }), "must be in 0"));
  spec.labels_path = "";
  spec.dimension = 3;
  EXPECT_TRUE(mentions(message_of([&] { make_dataset(spec, kId); }), "has 2 numbers, expected data.dimension = 3"));
  spec.dimension = 2;
  EXPECT_NO_THROW(make_dataset(spec, kId));
  spec.examples = 13;
  EXPECT_TRUE(mentions(message_of([&] { make_dataset(spec, kId); }), "has 12 examples"));
}

TEST_F(FileLaws, NumbersThatAreNotFiniteAreNamedByExampleAndCoordinate) {
  DataSpec spec = npy_spec();
  for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    std::vector<double> inputs(24, 1.0);
    inputs[13] = bad;
    write_npy((folder_ / "x.npy").string(), {12, 2}, inputs);
    EXPECT_TRUE(mentions(message_of([&] { make_dataset(spec, kId); }), "example 6, coordinate 1 is"));
  }
}

TEST_F(FileLaws, TheFolderComesFromTheSpecOrTheEnvironmentOrIsAskedFor) {
  DataSpec spec;
  spec.law = "mnist";
  spec.examples = 1;
  set_environment("");
  const std::string message = message_of([&] { make_dataset(spec, kId); });
  EXPECT_TRUE(mentions(message, "data.folder") && mentions(message, "WIDELAB_DATA")) << message;
  set_environment((folder_ / "absent").string());
  EXPECT_TRUE(mentions(message_of([&] { make_dataset(spec, kId); }), "no such folder"));
  set_environment(folder_.string());
  EXPECT_TRUE(mentions(message_of([&] { make_dataset(spec, kId); }), "train-images-idx3-ubyte"));
  write("mnist/train-images-idx3-ubyte", idx_header(0x08, {2, 28, 28}) + std::string(2 * 784, '\7'));
  write("mnist/train-labels-idx1-ubyte.gz", gzipped(idx_header(0x08, {2}) + "\x03\x04"));
  spec.examples = 2;
  const Dataset set = make_dataset(spec, kId);
  EXPECT_EQ(set.inputs, std::vector<double>(2 * 784, 7.0));
  set_environment("");
  spec.folder = (folder_ / "mnist").string();
  EXPECT_EQ(make_dataset(spec, kId).classes, set.classes);
  write("mnist/train-images-idx3-ubyte", idx_header(0x08, {2}) + "\x03\x04");
  EXPECT_TRUE(mentions(message_of([&] { make_dataset(spec, kId); }), "expected 28 x 28"));
}

TEST_F(FileLaws, SpectrumFromAFileIsUsedAndChecked) {
  DataSpec spec;
  spec.law = "gaussian";
  spec.spectrum = "file";
  spec.dimension = 3;
  spec.spectrum_path = (folder_ / "s.npy").string();
  write_npy(spec.spectrum_path, {3}, std::vector<double>{0.0, 4.0, 1.0});
  EXPECT_EQ(gaussian_eigenvalues(spec), (std::vector<double>{0, 4, 1}));
  const Dataset set = make_dataset(spec, kId);
  for (Index i = 0; i < set.examples; ++i) EXPECT_EQ(set.input_view()(i, 0), 0.0);
  for (const std::vector<double>& bad : std::vector<std::vector<double>>{{1, -1, 1}, {1, HUGE_VAL, 1}, {0, 0, 0}}) {
    write_npy(spec.spectrum_path, {3}, bad);
    EXPECT_THROW(make_dataset(spec, kId), DataError);
  }
  write_npy(spec.spectrum_path, {2}, std::vector<double>{1, 1});
  EXPECT_THROW(make_dataset(spec, kId), DataError);
}

// Known facts of the published files: sizes, first labels, number of zeros and ones, mean pixel 33.3184.
TEST(Mnist, IsWhatWasPublished) {
  const char* folder = std::getenv("WIDELAB_DATA");
  if (folder == nullptr || !fs::exists(fs::path(folder) / "mnist"))
    GTEST_SKIP() << "WIDELAB_DATA does not name a folder that holds mnist/";
  DataSpec spec;
  spec.law = "mnist";
  spec.examples = 60000;
  spec.order = "file";
  const Dataset train = make_dataset(spec, kId);
  EXPECT_EQ(train.dimension, 784);
  EXPECT_EQ(train.class_count, 10);
  EXPECT_EQ(std::vector<int>(train.classes.begin(), train.classes.begin() + 5), (std::vector<int>{5, 0, 4, 1, 9}));
  EXPECT_EQ(std::count(train.classes.begin(), train.classes.end(), 0), 5923);
  EXPECT_EQ(std::count(train.classes.begin(), train.classes.end(), 1), 6742);
  const double mean = std::accumulate(train.inputs.begin(), train.inputs.end(), 0.0) / (60000.0 * 784.0);
  EXPECT_NEAR(mean, 33.3184, 1e-4);
  spec.examples = 60001;
  EXPECT_THROW(make_dataset(spec, kId), DataError);
  spec.split = "test";
  spec.examples = 10000;
  const Dataset test = make_dataset(spec, kId);
  EXPECT_EQ(test.classes[0], 7);
  EXPECT_EQ(test.examples, 10000);
}

TEST(Mnist, TwoDigitsOnTheSphereWithSigns) {
  const char* folder = std::getenv("WIDELAB_DATA");
  if (folder == nullptr || !fs::exists(fs::path(folder) / "mnist"))
    GTEST_SKIP() << "WIDELAB_DATA does not name a folder that holds mnist/";
  DataSpec spec;
  spec.law = "mnist";
  spec.examples = 64;
  spec.classes = {3, 8};
  spec.preprocessing = {"pixel/255", "centred", "sphere"};
  spec.target.kind = "classes";
  spec.target.label_coding = "plus-minus";
  const Dataset set = make_dataset(spec, kId);
  EXPECT_EQ(set.outputs, 1);
  for (Index i = 0; i < 64; ++i) {
    const double* row = set.input_view().row(i);
    EXPECT_NEAR(std::inner_product(row, row + 784, row, 0.0), 784.0, 1e-10);
    EXPECT_EQ(set.targets[i], 2.0 * set.classes[i] - 1.0);
  }
  EXPECT_GT(std::count(set.classes.begin(), set.classes.end(), 0), 10);
}

}  // namespace
}  // namespace widelab::data
