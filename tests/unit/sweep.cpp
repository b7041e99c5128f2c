// Sweeps: names of cells, order, pairs, and the recipe of one cell.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "host/io/sweep.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::io {
namespace {

KeySpec sweepable(std::string path, KeyType type, std::string default_value) {
  KeySpec spec;
  spec.path = std::move(path);
  spec.type = type;
  spec.default_value = std::move(default_value);
  spec.sweepable = true;
  return spec;
}

Schema test_schema() {
  Schema schema;
  schema.experiment = "demo";
  schema.keys = {sweepable("model.width", KeyType::integer, ""), sweepable("model.depth", KeyType::integer, "1"),
                 sweepable("model.activation", KeyType::text, "\"relu\""),
                 sweepable("model.sigma", KeyType::real, "1.0"), sweepable("data.noise", KeyType::real, "0.0"),
                 sweepable("label.noise", KeyType::real, "0.0")};
  schema.keys[0].minimum = 1;
  KeySpec fixed;
  fixed.path = "seeds.init";
  fixed.type = KeyType::integer;
  fixed.default_value = "10";
  schema.keys.push_back(fixed);
  return schema;
}

Recipe parse(const std::string& body) {
  return Recipe::parse("schema = 1\nexperiment = \"demo\"\n" + body, "run.toml", test_schema());
}

std::vector<std::string> names(const std::string& body) {
  std::vector<std::string> list;
  for (const Cell& cell : expand_sweep(parse(body))) list.push_back(cell.name);
  return list;
}

std::string message(const std::string& body) {
  try {
    make_sweep(parse(body));
  } catch (const RecipeError& error) {
    return error.what();
  }
  return "no error";
}

void expect_parts(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << "\nnot in: " << text;
  EXPECT_NE(text.find("Way out:"), std::string::npos) << text;
}

TEST(Sweep, IsAProductInTheOrderOfTheFile) {
  EXPECT_EQ(names("[sweep]\nwidth = [64, 8]\ndepth = [1, 2]\n"),
            (std::vector<std::string>{"depth=1,width=64", "depth=2,width=64", "depth=1,width=8", "depth=2,width=8"}));
  const Sweep sweep = make_sweep(parse("[sweep]\nwidth = [64, 8]\ndepth = [1, 2]\n"));
  EXPECT_TRUE(sweep.full_product);
  ASSERT_EQ(sweep.axes.size(), 2U);
  EXPECT_EQ(sweep.axes[0].key, "model.width");
  EXPECT_EQ(sweep.axes[1].label, "depth");
  EXPECT_EQ(sweep.cells[2].subscripts, (std::vector<std::size_t>{1, 0}));
}

TEST(Sweep, NamesDoNotDependOnOrderOrNeighbours) {
  const std::vector<std::string> one = names("[sweep]\nactivation = [\"relu\"]\nwidth = [64]\ndepth = [3]\n");
  EXPECT_EQ(one, std::vector<std::string>{"activation=relu,depth=3,width=64"});
  const std::vector<std::string> many =
      names("[sweep]\ndepth = [2, 3]\nwidth = [32, 64]\nactivation = [\"erf\", \"relu\"]\n");
  EXPECT_EQ(std::count(many.begin(), many.end(), one[0]), 1);
  const std::vector<std::string> reordered =
      names("[sweep]\nactivation = [\"relu\", \"erf\"]\nwidth = [64, 32, 16]\ndepth = [3, 2]\n");
  const std::set<std::string> wider(reordered.begin(), reordered.end());
  for (const std::string& name : many) EXPECT_EQ(wider.count(name), 1U) << name;
}

TEST(Sweep, RealsAreNamedByTheirValue) {
  for (const char* text : {"64", "64.0", "6.4e1", "+64", "640e-1"}) {
    EXPECT_EQ(names("[model]\nwidth = 1\n[sweep]\nsigma = [" + std::string(text) + "]\n"),
              std::vector<std::string>{"sigma=64"});
  }
  EXPECT_EQ(names("[model]\nwidth = 1\n[sweep]\nsigma = [-0.0, 0.1]\n"),
            (std::vector<std::string>{"sigma=0", "sigma=0.1"}));
}

TEST(Sweep, WithoutASweepThereIsOneCell) {
  const Sweep sweep = make_sweep(parse("[model]\nwidth = 5\n"));
  ASSERT_EQ(sweep.cells.size(), 1U);
  EXPECT_EQ(sweep.cells[0].name, "single");
  EXPECT_EQ(at_cell(parse("[model]\nwidth = 5\n"), sweep.cells[0]).integer("model.width"), 5);
}

TEST(Sweep, ZipPairsListsAndLeavesTheRestAProduct) {
  const std::string body =
      "[sweep]\nwidth = [8, 16]\nsigma = [1.0, 2.0]\ndepth = [1, 2]\nzip = [\"width\", \"depth\"]\n";
  EXPECT_EQ(names(body), (std::vector<std::string>{"depth=1,sigma=1,width=8", "depth=1,sigma=2,width=8",
                                                   "depth=2,sigma=1,width=16", "depth=2,sigma=2,width=16"}));
  EXPECT_FALSE(make_sweep(parse(body)).full_product);
  EXPECT_EQ(names("[sweep]\nwidth = [8, 16]\ndepth = [1, 2]\nsigma = [1, 2]\nactivation = [\"a\", \"b\"]\n"
                  "zip = [[\"width\", \"depth\"], [\"model.sigma\", \"activation\"]]\n")
                .size(),
            4U);
}

TEST(Sweep, ZipErrorsNameTheLists) {
  expect_parts(message("[sweep]\nwidth = [8, 16]\ndepth = [1]\nzip = [\"width\", \"depth\"]\n"),
               {"run.toml:5:1", "'model.width' has 2", "'model.depth' has 1"});
  expect_parts(message("[sweep]\nwidth = [8, 16]\nzip = [\"width\", \"depth\"]\n"), {"'depth'", "has no list"});
  expect_parts(message("[sweep]\nwidth = [8]\nzip = [\"width\", \"width\"]\n"), {"stands in it twice"});
  expect_parts(message("[sweep]\nwidth = [8]\nzip = [\"width\"]\n"), {"fewer than two keys"});
}

TEST(Sweep, RefusesDuplicateCells) {
  expect_parts(message("[model]\nwidth = 1\n[sweep]\nsigma = [64, 6.4e1]\n"), {"'sigma=64' stands twice"});
  expect_parts(message("[sweep]\nwidth = [8, 8]\n"), {"'width=8' stands twice"});
  EXPECT_EQ(names("[sweep]\nwidth = [8, 8]\ndepth = [1, 2]\nzip = [\"width\", \"depth\"]\n").size(), 2U);
}

TEST(Sweep, ErrorsNameTheKeyAndTheNearestOne) {
  expect_parts(message("[sweep]\nwidht = [8]\n"), {"run.toml:4:1", "'widht'", "nearest: 'width'"});
  expect_parts(message("[model]\nwidth = 1\n[sweep]\nnoise = [8]\n"), {"'data.noise'", "'label.noise'"});
  expect_parts(message("[model]\nwidth = 1\n[sweep]\n\"seeds.init\" = [8]\n"), {"'seeds.init' cannot be swept"});
  expect_parts(message("[sweep]\nwidth = [8, 0]\n"), {"'model.width' = 0", "out of range"});
  expect_parts(message("[sweep]\nwidth = []\n"), {"has no values"});
  expect_parts(message("[sweep]\nwidth = [8]\n\"model.width\" = [9]\n"), {"swept twice"});
  expect_parts(message("[model]\nwidth = 1\n[sweep]\nwidth = [8]\n"), {"run.toml:4:1", "swept at run.toml:6:1"});
}

TEST(Sweep, FullPathsAndNestedTablesMeanTheSameKey) {
  EXPECT_EQ(names("[sweep]\n\"model.width\" = [8]\n"), std::vector<std::string>{"width=8"});
  EXPECT_EQ(names("[sweep.model]\nwidth = [8]\n"), std::vector<std::string>{"width=8"});
  EXPECT_EQ(names("[model]\nwidth = 1\n[sweep]\n\"data.noise\" = [0.5]\n"), std::vector<std::string>{"data.noise=0.5"});
}

TEST(Sweep, OverridesReplaceAListInItsPlace) {
  const Recipe recipe = Recipe::parse("schema = 1\nexperiment = \"demo\"\n[sweep]\nwidth = [1, 2]\ndepth = [1, 2]\n",
                                      "run.toml", test_schema(), {"sweep.width=[4]", "sweep.activation=[erf, relu]"});
  const Sweep sweep = make_sweep(recipe);
  ASSERT_EQ(sweep.axes.size(), 3U);
  EXPECT_EQ(sweep.axes[0].label, "width");
  EXPECT_EQ(sweep.axes[2].label, "activation");
  EXPECT_EQ(sweep.cells[0].name, "activation=erf,depth=1,width=4");
}

TEST(Sweep, TheRecipeOfACellHasItsValuesAndNoSweep) {
  const Recipe recipe = parse("[sweep]\nsigma = [0.1]\nwidth = [8]\nactivation = [\"a,b=c%\"]\n");
  const Cell cell = expand_sweep(recipe)[0];
  EXPECT_EQ(cell.name, "activation=a%2Cb%3Dc%25,sigma=0.1,width=8");
  const Recipe one = at_cell(recipe, cell);
  EXPECT_EQ(one.integer("model.width"), 8);
  EXPECT_EQ(one.real("model.sigma"), 0.1);
  EXPECT_EQ(one.text("model.activation"), "a,b=c%");
  EXPECT_EQ(expand_sweep(one)[0].name, "single");
  EXPECT_THROW(recipe.integer("model.width"), ContractError);
}

TEST(Sweep, RefusesGridsBeyondAMillionCells) {
  std::string list = "1";
  for (int i = 2; i <= 1001; ++i) list += ", " + std::to_string(i);
  expect_parts(message("[sweep]\nwidth = [" + list + "]\ndepth = [" + list + "]\n"), {"1000000 cells"});
}

}  // namespace
}  // namespace widelab::io
