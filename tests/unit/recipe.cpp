// Recipes: types, ranges, defaults, overrides, and what the errors say.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "host/io/recipe.hpp"
#include "host/io/sweep.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::io {
namespace {

KeySpec key(std::string path, KeyType type, std::string default_value) {
  KeySpec spec;
  spec.path = std::move(path);
  spec.type = type;
  spec.default_value = std::move(default_value);
  return spec;
}

Schema test_schema() {
  Schema schema;
  schema.experiment = "ntk-limit";
  schema.description = "A test\nof recipes.";
  KeySpec width = key("model.width", KeyType::integer, "");
  width.minimum = 1;
  width.maximum = 1e9;
  width.sweepable = true;
  width.doc = "units of a hidden layer";
  KeySpec sigma = key("model.sigma_w", KeyType::real, "1.0");
  sigma.minimum = 0;
  sigma.sweepable = true;
  KeySpec activation = key("model.activation", KeyType::text, "\"relu\"");
  activation.choices = {"relu", "erf", "tanh"};
  activation.sweepable = true;
  KeySpec se = key("seeds.until.se_rel", KeyType::real, "0.01");
  se.minimum = 1e-9;
  se.maximum = 1;
  schema.keys = {width, sigma, activation, key("model.bias", KeyType::boolean, "false"),
                 key("data.path", KeyType::text, "\"\""), key("data.classes", KeyType::integer_list, "[]"),
                 key("data.spectrum", KeyType::real_list, "[1, 0.5]"), key("data.labels", KeyType::text_list, "[]"),
                 key("data.flags", KeyType::boolean_list, "[true]"), se};
  schema.example_sweep = {{"width", "[64, 128]"}};
  return schema;
}

const char* const kHead = "schema = 1\nexperiment = \"ntk-limit\"\n";

Recipe parse(const std::string& body, const std::vector<std::string>& overrides = {}) {
  return Recipe::parse(kHead + body, "run.toml", test_schema(), overrides);
}

/// The message of the RecipeError that `body` must cause.
std::string message(const std::string& body, const std::vector<std::string>& overrides = {}) {
  try {
    parse(body, overrides);
  } catch (const RecipeError& error) {
    return error.what();
  }
  return "no error";
}

void expect_parts(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << "\nnot in: " << text;
  EXPECT_NE(text.find("Way out:"), std::string::npos) << text;
}

TEST(Recipe, FillsInDefaultsAndReadsEveryType) {
  const Recipe recipe = parse(
      "[model]\nwidth = 64\nsigma_w = 2\nbias = true\n[data]\npath = \"a b\"\nclasses = 3\nspectrum = [1, 2.5]\n"
      "labels = [\"x\", \"y\"]\n[seeds]\nuntil = {se_rel = 0.05}\n");
  EXPECT_EQ(recipe.integer("model.width"), 64);
  EXPECT_EQ(recipe.real("model.sigma_w"), 2.0);
  EXPECT_TRUE(recipe.flag("model.bias"));
  EXPECT_EQ(recipe.text("model.activation"), "relu");
  EXPECT_EQ(recipe.text("data.path"), "a b");
  EXPECT_EQ(recipe.integers("data.classes"), std::vector<std::int64_t>{3});
  EXPECT_EQ(recipe.reals("data.spectrum"), (std::vector<double>{1.0, 2.5}));
  EXPECT_EQ(recipe.texts("data.labels"), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(recipe.flags("data.flags"), std::vector<bool>{true});
  EXPECT_EQ(recipe.real("seeds.until.se_rel"), 0.05);
  EXPECT_TRUE(recipe.given("model.sigma_w"));
  EXPECT_FALSE(recipe.given("model.activation"));
}

TEST(Recipe, AGetterOfTheWrongTypeIsAContractError) {
  const Recipe recipe = parse("[model]\nwidth = 64\n");
  EXPECT_THROW(recipe.real("model.width"), ContractError);
  EXPECT_THROW(recipe.integer("model.depth"), ContractError);
}

TEST(Recipe, NamesTheNearestKeyAndTheLineOfAMisspeltOne) {
  expect_parts(message("[model]\nwidht = 64\n"), {"run.toml:4:1", "'model.widht' = 64", "'model.width'"});
  expect_parts(message("[data]\nwidth = 64\n"), {"'data.width'", "nearest valid key: 'model.width'"});
  expect_parts(message("[modle]\n"), {"run.toml:3:2", "[modle]", "[model]"});
  expect_parts(message("expermnt = 3\n"), {"'expermnt'", "'experiment'"});
}

TEST(Recipe, NamesTheTypeThatIsWrongAndTheOneThatIsRight) {
  expect_parts(message("[model]\nwidth = \"wide\"\n"),
               {"run.toml:4:1", "'model.width'", "a text", "an integer in [1,"});
  expect_parts(message("[model]\nwidth = 1e3\n"), {"a real number", "write it as an integer: 1000"});
  expect_parts(message("[model]\nwidth = 1\nbias = 1\n"), {"'model.bias' = 1", "true or false"});
  expect_parts(message("[model]\nwidth = {a = 1}\n"), {"'model.width'", "a table"});
  expect_parts(message("[model]\nwidth = [1, 2]\n"), {"'model.width'", "a list"});
  expect_parts(message("[model]\nwidth = 1\n[data]\nclasses = [1, 2.5]\n"), {"'data.classes' = 2.5"});
  expect_parts(message("[model]\nwidth = 1\n[data]\npath = 2020-01-01\n"), {"'data.path'", "a date or time"});
}

TEST(Recipe, RefusesValuesOutOfRangeAndNotFinite) {
  expect_parts(message("[model]\nwidth = 0\n"), {"run.toml:4:1", "'model.width' = 0", "out of range", "[1, 1e+09]"});
  expect_parts(message("[model]\nwidth = 1\nsigma_w = -1\n"), {"'model.sigma_w' = -1.0", ">= 0"});
  expect_parts(message("[model]\nwidth = 1\nsigma_w = nan\n"), {"'model.sigma_w'", "not a finite number"});
  expect_parts(message("[model]\nwidth = 1\nsigma_w = inf\n"), {"'model.sigma_w'", "not a finite number"});
  expect_parts(message("[model]\nwidth = 1\n[data]\nspectrum = [1, inf]\n"), {"'data.spectrum'", "not a finite"});
}

TEST(Recipe, NamesTheNearestChoice) {
  expect_parts(message("[model]\nwidth = 1\nactivation = \"rellu\"\n"),
               {"'model.activation' = \"rellu\"", "nearest: 'relu'", "one of 'relu', 'erf', 'tanh'"});
}

TEST(Recipe, NamesAMissingRequiredKey) {
  expect_parts(message(""), {"required key 'model.width' is missing", "units of a hidden layer", "[model]"});
}

TEST(Recipe, ShowsWhereTheTomlIsBroken) {
  expect_parts(message("[model\nwidth = 64\n"), {"run.toml:3:", "not valid TOML", "expected"});
  expect_parts(message("[model]\nwidth = \n"), {"run.toml:4:"});
  expect_parts(message("[model]\nwidth = 1\nwidth = 2\n"), {"run.toml:5:"});
}

TEST(Recipe, RefusesCurlyQuotesAndLettersBeyondAsciiOutsideQuotes) {
  expect_parts(message("[model]\nwidth = \u201cwide\u201d\n"), {"run.toml:4:9", "straight quotes"});
  expect_parts(message("[model]\nwidth = 1 \u00e9\n"), {"run.toml:4:11"});
  expect_parts(message("[*odel]\n"), {"run.toml:3:2"});
  const Recipe recipe = parse(
      "# caf\u00e9\n[model]\nwidth = 1\n[data]\npath = \"caf\u00e9 \\\" \"\n"
      "labels = ['\u00e9', \"\"\"\n\u00e9\"\"\"]\n");
  EXPECT_EQ(recipe.text("data.path"), "caf\u00e9 \" ");
  EXPECT_EQ(recipe.texts("data.labels"), (std::vector<std::string>{"\u00e9", "\u00e9"}));
  EXPECT_EQ(parse("[model]\nwidth = 1\n", {"data.path=caf\u00e9"}).text("data.path"), "caf\u00e9");
}

TEST(Recipe, RefusesOtherSchemaVersionsAndMissingHeads) {
  const auto error = [](const std::string& text) {
    try {
      Recipe::parse(text, "run.toml", test_schema());
    } catch (const RecipeError& caught) {
      return std::string(caught.what());
    }
    return std::string("no error");
  };
  expect_parts(error("experiment = \"ntk-limit\"\n"), {"'schema' is missing", "schema = 1"});
  expect_parts(error("schema = 2\nexperiment = \"ntk-limit\"\n"), {"run.toml:1:", "'schema' = 2"});
  expect_parts(error("schema = 1\n"), {"'experiment' is missing"});
  expect_parts(error("schema = 1\nexperiment = \"other\"\n"), {"\"other\"", "\"ntk-limit\""});
}

TEST(Recipe, OverridesReplaceWhatTheFileSays) {
  const Recipe recipe = parse("[model]\nwidth = 0\nsigma_w = 1.5\n",
                              {"model.width=128", "model.activation=erf", "data.path=data/file.npy", "model.bias=true",
                               "data.labels=[cat, dog]", "data.spectrum=[1,2e-3]"});
  EXPECT_EQ(recipe.integer("model.width"), 128);
  EXPECT_EQ(recipe.text("model.activation"), "erf");
  EXPECT_EQ(recipe.text("data.path"), "data/file.npy");
  EXPECT_EQ(recipe.texts("data.labels"), (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(recipe.reals("data.spectrum"), (std::vector<double>{1.0, 2e-3}));
  EXPECT_TRUE(recipe.flag("model.bias"));
  EXPECT_EQ(parse("[model]\nwidth = 1\n", {"data.path=1234"}).text("data.path"), "1234");
  EXPECT_EQ(parse("", {"model.width=1", "model.width=2"}).integer("model.width"), 2);
}

TEST(Recipe, OverridesAreCheckedLikeTheFile) {
  const std::string body = "[model]\nwidth = 1\n";
  expect_parts(message(body, {"model.widht=3"}), {"--set model.widht=3", "'model.width'"});
  expect_parts(message(body, {"model.width=0"}), {"--set model.width=0", "out of range"});
  expect_parts(message(body, {"model.width=\"a"}), {"--set", "not a TOML value"});
  expect_parts(message(body, {"model.width"}), {"no 'key=value'"});
  expect_parts(message(body, {"schema=2"}), {"'schema'"});
  expect_parts(message(body, {"model=2"}), {"unknown key 'model'"});
}

TEST(Recipe, ResolvedTextReadsBackToTheSameRecipe) {
  const Recipe recipe = parse(
      "[model]\nbias = true\nsigma_w = 0.1\n[data]\npath = \"q\\\"uo\\\\te\\n\\u0007\"\nlabels = [\"a\"]\n"
      "[sweep]\nactivation = [\"tanh\", \"erf\"]\nwidth = [8, 4]\nzip = [\"width\", \"activation\"]\n");
  const std::string text = recipe.to_toml();
  const Recipe again = Recipe::parse(text, "again.toml", test_schema());
  EXPECT_EQ(again.to_toml(), text);
  EXPECT_EQ(first_difference(recipe, again), "");
  EXPECT_EQ(again.text("data.path"), recipe.text("data.path"));
  EXPECT_NE(text.find("se_rel = 0.01"), std::string::npos) << text;
  EXPECT_NE(text.find("# units of a hidden layer"), std::string::npos) << text;
}

TEST(Recipe, FirstDifferenceNamesTheKey) {
  const Recipe one = parse("[model]\nsigma_w = 0.1\n[sweep]\nwidth = [8, 4]\n");
  EXPECT_EQ(first_difference(one, parse("[model]\nsigma_w = 0.2\n[sweep]\nwidth = [8, 4]\n")), "model.sigma_w");
  EXPECT_EQ(first_difference(one, parse("[model]\nsigma_w = 0.1\n[sweep]\nwidth = [8]\n")), "sweep.width");
  EXPECT_EQ(first_difference(one, parse("[model]\nsigma_w = 0.1\n[sweep]\nwidth = [8]\n"), {"sweep.width"}), "");
  EXPECT_EQ(first_difference(one, parse("[model]\nsigma_w = 0.1\nwidth = 8\n")), "sweep.width");
}

TEST(Recipe, CommentedRecipeIsAValidRecipe) {
  const std::string text = commented_recipe(test_schema());
  const Recipe recipe = Recipe::parse(text, "init", test_schema());
  EXPECT_EQ(expand_sweep(recipe).size(), 2U);
  EXPECT_NE(text.find("Keys that can be swept: width, sigma_w, activation"), std::string::npos) << text;
  EXPECT_NE(text.find("one of 'relu', 'erf', 'tanh'"), std::string::npos) << text;
}

TEST(Recipe, LoadReadsFilesAndNamesMissingOnes) {
  const std::filesystem::path file = std::filesystem::path(testing::TempDir()) / "widelab_recipe.toml";
  std::ofstream(file) << kHead << "[model]\nwidth = 7\n";
  const auto lookup = [](const std::string& name) {
    if (name != "ntk-limit") throw RecipeError("unknown experiment");
    return test_schema();
  };
  EXPECT_EQ(Recipe::load(file, lookup).integer("model.width"), 7);
  std::filesystem::remove(file);
  EXPECT_THROW(Recipe::load(file, lookup), RecipeError);
  EXPECT_THROW(Recipe::load(testing::TempDir(), lookup), RecipeError);
}

TEST(Recipe, GarbageIsAnErrorNeverACrash) {
  const std::string good = std::string(kHead) + "[model]\nwidth = 64\n[sweep]\nsigma_w = [1, 2]\n";
  std::uint64_t state = 1;
  for (int trial = 0; trial < 2000; ++trial) {
    std::string text = good;
    for (int flips = 0; flips < 3; ++flips) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      text[(state >> 33) % text.size()] = static_cast<char>(state >> 56);
    }
    try {
      make_sweep(Recipe::parse(text, "fuzz", test_schema()));
    } catch (const RecipeError&) {
      continue;
    }
  }
}

}  // namespace
}  // namespace widelab::io
