// What may stand in a recipe or after --set, and what is said where it may not; then hundreds of broken recipes.
#include <algorithm>
#include <random>

#include "host/experiments/run.hpp"
#include "tests/support/command.hpp"
#include "widelab/base/errors.hpp"

namespace {

namespace fs = std::filesystem;
using namespace widelab;
using test::CommandTest;
using test::Outcome;

class Recipes : public CommandTest {
 protected:
  /// The tiny recipe with one more --set is refused with exit code `code`, and the message holds all the words.
  void expect_refused(const std::string& setting, int code, const std::vector<std::string>& words) const {
    const Outcome outcome = run({"run", tiny_recipe().string(), "--out", "refused", "--set", setting});
    EXPECT_TRUE(exits(outcome, code)) << setting;
    expect_message(outcome, words);
    EXPECT_FALSE(fs::exists(folder() / "refused")) << setting << " left a folder";
  }

  /// One screen, the words, and no sign of a crash.
  static void expect_message(const Outcome& outcome, const std::vector<std::string>& words) {
    EXPECT_FALSE(outcome.err.empty());
    EXPECT_LT(outcome.err.size(), 1600u) << outcome.err;
    for (const std::string& word : words)
      EXPECT_NE(outcome.err.find(word), std::string::npos) << word << " not in: " << outcome.err;
    for (const char* word : {"terminate", "internal", "what():", "broken:"})
      EXPECT_EQ(outcome.err.find(word), std::string::npos) << outcome.err;
  }
};

TEST_F(Recipes, MisspeltKeysAreRefusedWithTheNearestName) {
  expect_refused("model.widht=8", 2, {"model.widht", "model.width"});
  expect_refused("model.depht=2", 2, {"model.depht", "model.depth"});
  expect_refused("seed.replicates=5", 2, {"seed.replicates", "seeds.replicates"});
  expect_refused("sweep.widths=[8]", 2, {"widths"});
}

TEST_F(Recipes, WrongTypesAreRefusedWithWhatIsAllowed) {
  expect_refused("model.sigma_b=often", 2, {"model.sigma_b", "often"});
  expect_refused("seeds.replicates=10.5", 2, {"seeds.replicates", "10.5", "an integer"});
  expect_refused("model.train_bias=7", 2, {"model.train_bias", "7"});
  expect_refused("data.law=3", 2, {"data.law", "3"});
  expect_refused("sweep.width=[8, \"x\"]", 2, {"width", "x"});
}

TEST_F(Recipes, ValuesOutOfRangeAreRefusedWithTheRange) {
  expect_refused("sweep.width=[0]", 2, {"width", "0", "[1, "});
  expect_refused("sweep.width=[8, -3]", 2, {"width", "-3"});
  expect_refused("data.examples=0", 2, {"data.examples", "0", "[1, "});
  expect_refused("data.dimension=0", 2, {"data.dimension", "0"});
  expect_refused("seeds.replicates=1", 2, {"seeds.replicates", "1", "[2, "});
  expect_refused("seeds.run=-1", 2, {"seeds.run", "-1"});
  expect_refused("model.sigma_b=nan", 2, {"model.sigma_b", "nan"});
  expect_refused("model.sigma_b=inf", 2, {"model.sigma_b", "inf"});
  expect_refused("model.depth=251", 2, {"model.depth", "251", "250"});
  expect_refused("until.se_rel=2", 2, {"until.se_rel", "2"});
  expect_refused("sweep.width=[]", 2, {"width"});
  expect_refused("sweep.width=[8, 8]", 2, {"width", "8"});
}

TEST_F(Recipes, UnknownNamesAreRefusedWithTheNearest) {
  expect_refused("model.activation=rellu", 2, {"rellu", "relu"});
  expect_refused("data.law=spheer", 2, {"spheer", "sphere"});
  expect_refused("model.parametrization=ntkk", 2, {"ntkk", "ntk"});
  expect_refused("measure.method=weight", 2, {"weight", "law-exact"});
  expect_refused("seeds.shared=[depth]", 2, {"seeds.shared", "depth"});
  expect_refused("data.preprocessing=[centered]", 2, {"centered"});
  expect_refused("experiment=ntk-limits", 2, {"ntk-limits", "ntk-limit"});
  const Outcome init = run({"init", "ntk-limt"});
  EXPECT_TRUE(exits(init, 2));
  expect_message(init, {"ntk-limt", "ntk-limit"});
}

TEST_F(Recipes, ChoicesThatContradictEachOtherAreRefusedBeforeAnythingIsWritten) {
  const auto refused = [&](const std::vector<std::string>& settings, int code, const std::string& word) {
    std::vector<std::string> arguments{"run", tiny_recipe().string(), "--out", "refused"};
    for (const std::string& setting : settings) arguments.insert(arguments.end(), {"--set", setting});
    const Outcome outcome = run(arguments);
    EXPECT_TRUE(exits(outcome, code)) << word;
    expect_message(outcome, {word});
    EXPECT_FALSE(fs::exists(folder() / "refused")) << word;
  };
  refused({"measure.method=law-exact", "model.layer_norm=true"}, 5, "layer_norm");
  refused({"measure.method=law-exact", "model.residual=0.5"}, 5, "residual");
  refused({"measure.method=law-exact", "model.init=uniform"}, 5, "model.init");
  refused({"model.depth=250", "model.sigma_w=1e6"}, 2, "model.sigma_w");
  refused({"sweep.width=[8, 16]", "model.width=8"}, 2, "model.width");
  refused({"model.train_layers=[true, false]"}, 2, "train_layers");
  refused({"model.sigma_w=[1, 2]"}, 2, "sigma_w");
}

TEST_F(Recipes, SchemaVersionAndSyntaxAreCheckedWithThePlace) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases{
      {"experiment = \"ntk-limit\"\n", {"schema"}},
      {"schema = 2\nexperiment = \"ntk-limit\"\n", {"schema", "2", "1"}},
      {"schema = \"one\"\nexperiment = \"ntk-limit\"\n", {"schema"}},
      {"schema = 1\n", {"experiment"}},
      {"schema = 1\nexperiment = \"ntk-limit\"\n[model\nwidth = 8\n", {"bad.toml:3"}},
      {"schema = 1\nexperiment = \"ntk-limit\"\n[model]\nwidth = = 8\n", {"bad.toml:4"}},
      {"schema = 1\nexperiment = \"ntk-limit\"\n[model]\nwidth = 8\nwidth = 9\n", {"width"}},
      {"schema = 1\nexperiment = \xE2\x80\x9Cntk-limit\xE2\x80\x9D\n", {"bad.toml:2"}},
      {"schema = 1\nexperiment = \"ntk-limit\"\n[modell]\nwidth = 8\n", {"modell", "model"}},
      {std::string("schema = 1\n\0\n", 13), {"bad.toml"}},
      {"", {"bad.toml"}}};
  for (const auto& [text, words] : cases) {
    const Outcome outcome = run({"run", write("bad.toml", text).string(), "--out", "refused"});
    EXPECT_TRUE(exits(outcome, 2)) << text;
    expect_message(outcome, words);
    EXPECT_FALSE(fs::exists(folder() / "refused"));
  }
}

TEST_F(Recipes, MissingRecipeOrBadUsageIsRefusedWithTheWayOut) {
  const Outcome missing = run({"run", "nowhere.toml"});
  EXPECT_TRUE(exits(missing, 2));
  expect_message(missing, {"nowhere.toml", "widelab init"});
  EXPECT_TRUE(exits(run({"run", "."}), 2));
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{},
                                             {"rum"},
                                             {"run"},
                                             {"run", "a.toml", "--nope"},
                                             {"init"},
                                             {"show"},
                                             {"run", "a.toml", "--memory", "-1"},
                                             {"run", "a.toml", "--set"},
                                             {"run", "a.toml", "--require-z", "x"},
                                             {"theory"},
                                             {"theory", "nngp"},
                                             {"show", "a", "--table", "xls"}}) {
    const Outcome outcome = run(arguments);
    EXPECT_TRUE(exits(outcome, 2)) << ::testing::PrintToString(arguments);
    expect_message(outcome, {});
  }
  expect_message(run({"rum"}), {"rum", "run"});
  EXPECT_TRUE(exits(run({"run", tiny_recipe().string(), "--set", "novalue"}), 2));
  EXPECT_TRUE(exits(run({"run", tiny_recipe().string(), "--device", "tpu"}), 2));
}

/// One small damage to a recipe's text.
std::string mutated(std::string text, std::mt19937& draw) {
  static const std::vector<std::string> kValues{"-1",
                                                "0",
                                                "1",
                                                "3",
                                                "1e308",
                                                "-1e308",
                                                "nan",
                                                "inf",
                                                "-inf",
                                                "\"\"",
                                                "[]",
                                                "[1, \"a\"]",
                                                "true",
                                                "9223372036854775807",
                                                "9223372036854775808",
                                                "-0.0",
                                                "1e-320",
                                                "{a = 1}",
                                                "relu",
                                                "\"relu\"",
                                                "\"hermite(3)\"",
                                                "\"leaky-relu(0.1)\"",
                                                "\"hermite(99999)\"",
                                                "\"hermite-series(\"",
                                                "[0.5, 2]",
                                                "[4294967295]",
                                                "4294967295",
                                                "1979-05-27",
                                                "'''",
                                                "0x10",
                                                "1_000",
                                                "250",
                                                "\"law-exact\"",
                                                "\"fp64\"",
                                                "\"samples\"",
                                                "\"orthogonal\"",
                                                "\"mixture\"",
                                                "\"gaussian\"",
                                                "\"hypercube\"",
                                                "\"mnist\"",
                                                "[true, false]",
                                                "1e6",
                                                "1e-6",
                                                "\"pytorch\"",
                                                "\"mup\"",
                                                "[\"width\"]",
                                                "\"\\u0000\""};
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  const auto pick = [&](std::size_t n) { return static_cast<std::size_t>(draw() % n); };
  std::vector<std::size_t> settings;
  for (std::size_t k = 0; k < lines.size(); ++k)
    if (lines[k].find(" = ") != std::string::npos && lines[k][0] != '#') settings.push_back(k);
  if (settings.empty()) return text;
  std::string& line = lines[settings[pick(settings.size())]];
  switch (pick(10)) {
    case 0:
      line += line.substr(0, pick(line.size()));
      break;
    case 1:
      line.erase(pick(line.size()), 1);
      break;
    case 2:
      line.insert(pick(line.size()), 1, static_cast<char>(draw() % 256));
      break;
    case 3:
      lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(pick(lines.size())));
      break;
    case 4:
      std::swap(lines[pick(lines.size())], lines[pick(lines.size())]);
      break;
    default:
      line = line.substr(0, line.find(" = ") + 3) + kValues[pick(kValues.size())];
      break;
  }
  std::string out;
  for (const std::string& each : lines) out += each + "\n";
  if (pick(40) == 0) out.resize(pick(out.size()));
  return out;
}

/// Reads, plans and, where it is small enough, runs a recipe. The exit code that the command would have.
int outcome_of(const fs::path& recipe, const fs::path& out, std::string& message) {
  try {
    const io::Recipe read = experiments::load_recipe(recipe, {});
    experiments::RunOptions options;
    options.out = out;
    options.device = "cpu";
    options.memory_bytes = 2e8;
    options.quiet = true;
    const experiments::RunPlan plan = experiments::plan_run(read, options);
    double networks = 0;
    for (const auto& cell : plan.cells) networks += static_cast<double>(cell.replicates);
    const bool trains = io::find_key(read.schema(), "train.steps") != nullptr;
    const double steps = trains ? static_cast<double>(read.integer("train.steps")) : 1.0;
    if (plan.draws < 3e6 && plan.flops < (trains ? 2e7 : 1e9) && networks * steps < 3000)
      experiments::run(read, options);
    return 0;
  } catch (const Error& error) {
    message = error.what();
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    message = std::string("not one of widelab's errors: ") + error.what();
    return 1;
  }
}

/// What makes a run of an experiment take milliseconds.
std::map<std::string, std::string> tiny_settings(const std::string& experiment) {
  if (experiment == "ntk-limit" || experiment == "ntk-map")
    return {{"seeds.replicates", "12"},
            {"model.width", "6"},
            {"data.dimension", "4"},
            {"data.examples", experiment == "ntk-map" ? "1" : "3"}};
  if (experiment == "double-descent")
    return {{"seeds.replicates", "3"},
            {"regression.dimension", "4"},
            {"regression.examples", "6"},
            {"regression.sizes", "[3, 9]"}};
  if (experiment == "staircase")
    return {{"seeds.replicates", "3"}, {"model.width", "6"}, {"curve.dimension", "4"},
            {"curve.first", "4"},      {"curve.last", "9"},  {"curve.points", "2"}};
  if (experiment == "pool-regression")
    return {{"seeds.replicates", "3"}, {"model.width", "6"}, {"data.dimension", "3"}, {"data.examples", "12"},
            {"curve.first", "4"},      {"curve.last", "9"},  {"curve.points", "2"}};
  if (experiment == "langevin")
    return {{"seeds.replicates", "3"}, {"model.width", "6"},   {"data.dimension", "3"},
            {"data.examples", "4"},    {"train.steps", "200"}, {"data.test_examples", "2"},
            {"observe.count", "3"},    {"chain.thin", "2"},    {"chain.burn_in", "150"}};
  if (experiment == "effective-landscape")
    return {{"seeds.replicates", "3"}, {"valley.time", "0.1"}, {"valley.burn_in", "0.01"},   {"valley.along", "1.0"},
            {"valley.bins", "4"},      {"train.steps", "6"},   {"observe.spacing", "linear"}};
  if (experiment == "variance-flatness")
    return {{"seeds.replicates", "3"},
            {"model.width", "4"},
            {"data.dimension", "3"},
            {"data.examples", "12"},
            {"train.batch", "2"},
            {"train.steps", "18"},
            {"data.test_examples", "0"},
            {"flatness.window", "2"},
            {"flatness.every", "2"},
            {"flatness.replicas", "3"},
            {"flatness.replica_epochs", "2"},
            {"flatness.modes", "5"}};
  if (experiment == "transient-freezing")
    return {{"seeds.replicates", "3"},  {"model.width", "6"},        {"model.outputs", "3"},
            {"data.law", "mixture"},    {"data.dimension", "3"},     {"data.components", "3"},
            {"data.examples", "4"},     {"data.test_examples", "2"}, {"data.target.label_coding", "one-hot"},
            {"freezing.branches", "2"}, {"freezing.time", "2.0"},    {"train.learning_rate", "0.1"}};
  const std::string replicates = experiment == "trained-double-descent" ? "8" : "3";
  return {{"seeds.replicates", replicates}, {"model.width", "6"},         {"data.dimension", "3"},
          {"data.examples", "4"},           {"train.steps", "6"},         {"data.test_examples", "2"},
          {"observe.count", "3"},           {"observe.spacing", "linear"}};
}

TEST_F(Recipes, HundredsOfBrokenOnesNeverEndInAnInternalErrorOrACrash) {
  std::mt19937 draw(20240611);
  std::vector<std::string> texts{test::read_text(tiny_recipe())};
  for (const std::string& name : experiments::experiment_names()) {
    std::vector<std::string> settings;
    for (const auto& [key, value] : tiny_settings(name)) settings.push_back(key + "=" + value);
    const fs::path base = write("base.toml", "schema = 1\nexperiment = \"" + name + "\"\n");
    texts.push_back(experiments::load_recipe(base, settings).to_toml());
  }
  std::map<int, int> codes;
  for (int k = 0; k < 840; ++k) {
    std::string text = mutated(texts[static_cast<std::size_t>(k) % texts.size()], draw);
    for (std::uint32_t more = draw() % 3; more > 0; --more) text = mutated(text, draw);
    const fs::path out = folder() / "out";
    std::string message;
    const int code = outcome_of(write("broken.toml", text), out, message);
    ++codes[code];
    EXPECT_TRUE(code == 0 || (code >= 2 && code <= 6)) << "code " << code << ": " << message << "\nof\n" << text;
    EXPECT_LT(message.size(), 2500u) << message;
    fs::remove_all(out);
  }
  EXPECT_GT(codes[0], 5);    // some damage does no harm,
  EXPECT_GT(codes[2], 100);  // most is a recipe's error
}

/// A value in the range of a key, extremes included.
std::string any_value(const io::KeySpec& spec, std::mt19937& draw) {
  static const std::vector<std::string> kActivations{"identity",
                                                     "relu",
                                                     "leaky-relu(0.2)",
                                                     "ab-relu(1,-1)",
                                                     "erf",
                                                     "gelu",
                                                     "tanh",
                                                     "sin",
                                                     "cos",
                                                     "quadratic",
                                                     "hermite(3)",
                                                     "hermite(20)",
                                                     "hermite-series(0,1,0.5)",
                                                     "hermite(0)"};
  static const std::vector<std::string> kLaws{"sphere", "gaussian", "mixture", "hypercube"};
  static const std::vector<std::string> kSpectra{"isotropic", "power-law", "spiked", "two-scale"};
  const auto pick = [&](const std::vector<std::string>& list) { return list[draw() % list.size()]; };
  if (!spec.choices.empty()) return pick(spec.choices);
  if (spec.path == "model.activation") return pick(kActivations);
  if (spec.path == "data.law") return pick(kLaws);
  if (spec.path == "data.spectrum") return pick(kSpectra);
  const bool whole = spec.type == io::KeyType::integer || spec.type == io::KeyType::integer_list;
  if (spec.type == io::KeyType::boolean || spec.type == io::KeyType::boolean_list) return draw() % 2 ? "true" : "false";
  if (spec.type == io::KeyType::text || spec.type == io::KeyType::text_list) return spec.default_value;
  const double least = std::max(spec.minimum, -1e300), most = std::min(spec.maximum, 1e300);
  switch (draw() % 8) {
    case 0:
      return io::canonical_text(whole ? io::Value(static_cast<std::int64_t>(least)) : io::Value(least));
    case 1:
      return io::canonical_text(whole ? io::Value(static_cast<std::int64_t>(most)) : io::Value(most));
    case 2:
      return whole ? "1" : "1e-9";
    case 3:
      return whole ? "1000" : "1000.0";
    default:
      return whole ? std::to_string(1 + draw() % 9)
                   : io::canonical_text(io::Value(0.25 * static_cast<double>(draw() % 13)));
  }
}

TEST_F(Recipes, AnySettingsInRangeRunOrAreRefusedForAReason) {
  std::mt19937 draw(7);
  std::map<int, int> codes;
  const std::vector<std::string> names = experiments::experiment_names();
  for (int k = 0; k < 300; ++k) {
    const std::string name = names[static_cast<std::size_t>(k) % names.size()];
    const std::vector<io::KeySpec> keys = experiments::find_experiment(name).schema().keys;
    std::map<std::string, std::string> settings = tiny_settings(name);
    for (std::uint32_t n = 1 + draw() % 5; n > 0; --n) {
      const io::KeySpec& spec = keys[draw() % keys.size()];
      settings[spec.path] = any_value(spec, draw);
    }
    std::string text = "schema = 1\nexperiment = \"" + name + "\"\n", message;
    for (const auto& [key, value] : settings) {
      const bool quoted =
          io::find_key(experiments::find_experiment(name).schema(), key)->type == io::KeyType::text && value[0] != '"';
      text += key + " = " + (quoted ? "\"" + value + "\"" : value) + "\n";
    }
    const fs::path out = folder() / "out";
    const int code = outcome_of(write("any.toml", text), out, message);
    ++codes[code];
    EXPECT_TRUE(code == 0 || (code >= 2 && code <= 6)) << "code " << code << ": " << message << "\nof\n" << text;
    fs::remove_all(out);
  }
  EXPECT_GT(codes[0], 120);
}

}  // namespace
