// Laws by name: values, broadcasting, JSON and messages.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "host/theory/registry.hpp"
#include "tests/unit/theory_golden.hpp"
#include "widelab/base/errors.hpp"

namespace widelab {
namespace {

using nlohmann::json;
using theory::evaluate_json;

json points(const std::string& law, const std::vector<std::string>& arguments) {
  return json::parse(evaluate_json(law, arguments)).at("points");
}

double value(const std::string& law, const std::vector<std::string>& arguments, const std::string& name) {
  return points(law, arguments).at(0).at("values").at(name).get<double>();
}

std::string message(const std::string& law, const std::vector<std::string>& arguments) {
  try {
    evaluate_json(law, arguments);
  } catch (const RecipeError& error) {
    return error.what();
  }
  return "";
}

void expect_relative(double measured, double expected, double tolerance) {
  EXPECT_NEAR(measured, expected, tolerance * std::abs(expected));
}

TEST(TheoryRegistry, EveryLawIsDescribedAndHasAUniqueName) {
  std::set<std::string> names;
  for (const theory::TheoryEntry& entry : theory::theory_entries()) {
    EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
    EXPECT_FALSE(entry.description.empty() || entry.source.empty() || entry.domain.empty() || entry.params.empty());
    for (const theory::ParamDoc& doc : entry.params) EXPECT_FALSE(doc.meaning.empty()) << entry.name << " " << doc.name;
  }
}

TEST(TheoryRegistry, EveryLawEvaluatesWithItsDefaults) {
  for (const theory::TheoryEntry& entry : theory::theory_entries()) {
    std::vector<std::string> arguments;
    for (const theory::ParamDoc& doc : entry.params)
      if (doc.fallback.empty()) arguments.push_back(doc.name + (doc.name == "beta" ? "=0.5" : "=2"));
    EXPECT_NO_THROW({ EXPECT_EQ(points(entry.name, arguments).size(), 1u); }) << entry.name;
  }
}

TEST(TheoryRegistry, ValuesEqualTheReferences) {
  using test::golden;
  const std::vector<std::string> relu{"depth=3", "q12=0.5", "sigma_w2=2"};
  expect_relative(value("nngp-ntk", relu, "nngp"), golden("relu_fc_L3", "nngp"), 1e-10);
  expect_relative(value("nngp-ntk", relu, "ntk"), golden("relu_fc_L3", "ntk"), 1e-10);
  const std::string name = "deep_relu_ntk_second_moment_ratio";
  expect_relative(value("deep-relu-second-moment", {"depth=16", "width=64"}, "ratio"), golden(name, "L16_n64"), 1e-10);
  expect_relative(value("deep-relu-ratio-limit", {"beta=1"}, "ratio"), golden(name, "limit_beta1"), 1e-10);
  expect_relative(value("dual-moments", {"activation=tanh", "k11=1.2", "k12=0.5", "k22=0.8"}, "value"),
                  golden("dual_tanh", "E_phi_phi"), 1e-10);
  expect_relative(value("deep-relu-second-moment-bias", {"depth=3", "width=16", "sigma_b2=1.5"}, "ratio"), 1.498, 5e-4);
  expect_relative(value("forward-kurtosis", {"depth=2", "width=10"}, "kurtosis"), 3 * 1.5 * 1.5, 1e-12);
  const json vertex = points("four-point-vertex", {"depth=5", "activation=tanh"}).at(0).at("values").at("vertex");
  expect_relative(vertex.at(5).get<double>(), test::golden_list("pdlt_tanh_V", "V").at(4), 1e-10);
}

TEST(TheoryRegistry, NumbersCarrySeventeenDigits) {
  const std::string text = evaluate_json("deep-relu-ratio-limit", {"beta=0.1"});
  EXPECT_NE(text.find("\"beta\": 0.10000000000000001"), std::string::npos);
}

TEST(TheoryRegistry, ListsRunTogetherOrAsAProduct) {
  const json zip = points("deep-relu-second-moment", {"depth=1,2,3", "width=8,16,32", "q=0.5"});
  ASSERT_EQ(zip.size(), 3u);
  EXPECT_EQ(zip[1]["parameters"]["depth"], 2);
  EXPECT_EQ(zip[1]["parameters"]["width"], 16);
  EXPECT_EQ(zip[2]["parameters"]["q"], 0.5);
  const json product = points("deep-relu-second-moment", {"depth=1,2", "width=8,16,32", "broadcast=product"});
  ASSERT_EQ(product.size(), 6u);
  EXPECT_EQ(product[1]["parameters"]["width"], 16);
  EXPECT_EQ(product[3]["parameters"]["depth"], 2);
  const std::string unequal = message("deep-relu-second-moment", {"depth=1,2", "width=8,16,32"});
  EXPECT_NE(unequal.find("unequal length"), std::string::npos);
}

TEST(TheoryRegistry, LayersTakeValuesOfTheirOwn) {
  const double ratio = value("forward-kurtosis", {"depth=2", "width=5:10"}, "ratio");
  expect_relative(ratio, 2.0 * 1.5, 1e-12);
  EXPECT_NE(message("forward-kurtosis", {"depth=3", "width=5:10"}).find("depth = 3"), std::string::npos);
}

TEST(TheoryRegistry, MistakesNameTheNearestKey) {
  EXPECT_NE(message("nngp-ntk", {"depht=3"}).find("did you mean \"depth\""), std::string::npos);
  EXPECT_NE(message("nngp-nkt", {}).find("did you mean \"nngp-ntk\""), std::string::npos);
  EXPECT_NE(message("nngp-ntk", {"depth=3", "parametrization=standrd"}).find("\"standard\""), std::string::npos);
  EXPECT_NE(message("nngp-ntk", {}).find("needs depth="), std::string::npos);
  EXPECT_NE(message("nngp-ntk", {"depth=two"}).find("depth = \"two\""), std::string::npos);
  EXPECT_NE(message("nngp-ntk", {"depth=0"}).find("at least 1"), std::string::npos);
  EXPECT_NE(message("nngp-ntk", {"depth=3", "depth=4"}).find("twice"), std::string::npos);
  EXPECT_NE(message("nngp-ntk", {"depth"}).find("key=value"), std::string::npos);
  EXPECT_NE(message("nngp-ntk", {"depth=3", "q12=2"}).find("q12"), std::string::npos);
  EXPECT_NE(message("nngp-ntk", {"depth=3", "sigma_w2=-1"}).find("sigma_w2"), std::string::npos);
}

}  // namespace
}  // namespace widelab
