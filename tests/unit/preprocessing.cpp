// Preprocessing steps and label codings.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "host/data/label_coding.hpp"
#include "host/data/make_dataset.hpp"
#include "host/data/preprocessing.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::data {
namespace {

Dataset three_points() {
  Dataset set;
  set.examples = 3;
  set.dimension = 2;
  set.inputs = {0, 255, 51, 102, 255, 0};
  return set;
}

TEST(Preprocessing, StepsDoWhatTheirNamesSay) {
  Dataset set = three_points();
  preprocess({"pixel/255"}, set);
  EXPECT_EQ(set.inputs, (std::vector<double>{0, 1, 0.2, 0.4, 1, 0}));

  set = three_points();
  preprocess({"centred"}, set);
  EXPECT_EQ(set.inputs, (std::vector<double>{-102, 136, -51, -17, 153, -119}));

  set = three_points();
  preprocess({"row-centred"}, set);
  EXPECT_EQ(set.inputs, (std::vector<double>{-127.5, 127.5, -25.5, 25.5, 127.5, -127.5}));

  set = three_points();
  preprocess({"unit-scale"}, set);
  double square = 0.0;
  for (const double value : set.inputs) square += value * value;
  EXPECT_NEAR(square / 6.0, 1.0, 1e-15);

  set = three_points();
  preprocess({"sphere"}, set);
  for (Index i = 0; i < 3; ++i)
    EXPECT_NEAR(std::hypot(set.inputs[2 * i], set.inputs[2 * i + 1]), std::sqrt(2.0), 1e-15);
  EXPECT_NEAR(set.inputs[3] / set.inputs[2], 2.0, 1e-15);
}

TEST(Preprocessing, ShuffledPermutesEachExampleByItsOwnNumber) {
  Dataset all;
  all.examples = 5, all.dimension = 100;
  for (Index k = 0; k < 500; ++k) all.inputs.push_back(static_cast<double>(k % 100));
  Dataset last = all;
  const DrawId id{3, 0};
  preprocess({"shuffled"}, all, id);
  for (Index i = 0; i < 5; ++i) {
    std::vector<double> row(all.inputs.begin() + 100 * i, all.inputs.begin() + 100 * (i + 1));
    EXPECT_NE(row, std::vector<double>(all.inputs.begin() + 100 * ((i + 1) % 5),
                                       all.inputs.begin() + 100 * ((i + 1) % 5 + 1)));
    std::sort(row.begin(), row.end());
    for (Index j = 0; j < 100; ++j) ASSERT_EQ(row[static_cast<std::size_t>(j)], static_cast<double>(j));
  }
  // Example 3 is permuted alike, wherever its data set begins; under another id it is not.
  last.examples = 2, last.inputs.resize(200);
  Dataset other = last;
  preprocess({"shuffled"}, last, id, 3);
  EXPECT_TRUE(std::equal(last.inputs.begin(), last.inputs.begin() + 100, all.inputs.begin() + 300));
  preprocess({"shuffled"}, other, {4, 0}, 3);
  EXPECT_NE(last.inputs, other.inputs);
}

TEST(Preprocessing, StepsApplyInTheOrderGiven) {
  Dataset first = three_points(), second = three_points();
  preprocess({"centred", "sphere"}, first);
  preprocess({"sphere", "centred"}, second);
  EXPECT_NE(first.inputs, second.inputs);
  EXPECT_EQ(first.description, ", centred, sphere");
}

TEST(Preprocessing, SphereScalesRowsWhoseSquaresOverflowOrUnderflow) {
  Dataset set = three_points();
  set.inputs = {3e200, 4e200, 3e-200, 4e-200, -5e-324, 0};
  preprocess({"sphere"}, set);
  const double root = std::sqrt(2.0);
  const std::vector<double> expected{0.6 * root, 0.8 * root, 0.6 * root, 0.8 * root, -root, 0.0};
  for (std::size_t k = 0; k < 6; ++k) EXPECT_NEAR(set.inputs[k], expected[k], 1e-15);
}

TEST(Preprocessing, ZeroVectorIsNamedWhereItHasNoDirection) {
  Dataset set = three_points();
  set.inputs[2] = set.inputs[3] = 0.0;
  try {
    preprocess({"sphere"}, set);
    FAIL() << "a zero vector was scaled to the sphere";
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("example 1 "), std::string::npos) << error.what();
  }
  set.inputs.assign(6, 0.0);
  EXPECT_THROW(preprocess({"unit-scale"}, set), DataError);
}

TEST(Preprocessing, UnknownStepIsARecipeError) {
  Dataset set = three_points();
  EXPECT_THROW(preprocess({"centered"}, set), RecipeError);
}

TEST(Preprocessing, OverflowIsReportedAndNotPassedOn) {
  DataSpec spec;
  spec.law = "gaussian";
  spec.dimension = 3;
  spec.spectrum = "spiked";
  spec.strength = 1e300;
  spec.target.kind = "single-index";
  spec.target.link = Quadratic{};
  EXPECT_NO_THROW(make_dataset(spec, DrawId{1, 0}));  // t has unit variance whatever the spectrum
  spec.spectrum = "isotropic";
  spec.target.kind = "hermite";
  spec.target.coefficients = {{0.0, 0.0, 1e308}};
  EXPECT_THROW(make_dataset(spec, DrawId{1, 0}), DataError);
}

TEST(LabelCoding, CodesAreAsNamed) {
  const std::vector<int> classes{1, 0, 2};
  EXPECT_EQ(code_labels("one-hot", classes, 3).values, (std::vector<double>{0, 1, 0, 1, 0, 0, 0, 0, 1}));
  EXPECT_EQ(code_labels("one-hot", classes, 3).outputs, 3);
  const CodedLabels centred = code_labels("centred-one-hot", classes, 3);
  for (int i = 0; i < 3; ++i)
    EXPECT_NEAR(centred.values[3 * i] + centred.values[3 * i + 1] + centred.values[3 * i + 2], 0.0, 1e-15);
  EXPECT_NEAR(centred.values[1], 2.0 / 3.0, 1e-15);
  const CodedLabels signs = code_labels("plus-minus", {1, 0, 1}, 2);
  EXPECT_EQ(signs.values, (std::vector<double>{1, -1, 1}));
  EXPECT_EQ(signs.outputs, 1);
}

TEST(LabelCoding, ImpossibleCodingsAreRefused) {
  EXPECT_THROW(code_labels("plus-minus", {0, 1, 2}, 3), RecipeError);
  EXPECT_THROW(code_labels("onehot", {0, 1}, 2), RecipeError);
  EXPECT_THROW(code_labels("one-hot", {0, 2000000000}, 2000000001), DataError);
}

TEST(LabelCoding, MixtureComponentsAndRandomLabelsBecomeTargets) {
  DataSpec spec;
  spec.law = "mixture";
  spec.dimension = 4;
  spec.target.kind = "classes";
  spec.target.label_coding = "plus-minus";
  const Dataset mixture = make_dataset(spec, DrawId{5, 0});
  for (Index i = 0; i < mixture.examples; ++i) EXPECT_EQ(mixture.targets[i], 2 * mixture.classes[i] - 1);
  spec.law = "sphere";
  EXPECT_THROW(make_dataset(spec, DrawId{5, 0}), RecipeError);
  spec.target.kind = "random-labels";
  spec.target.label_coding = "one-hot";
  spec.target.random_classes = 5;
  const Dataset random = make_dataset(spec, DrawId{5, 0});
  EXPECT_EQ(random.outputs, 5);
  EXPECT_EQ(random.class_count, 5);
  for (Index i = 0; i < random.examples; ++i) EXPECT_EQ(random.target_view()(i, random.classes[i]), 1.0);
}

}  // namespace
}  // namespace widelab::data
