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

TEST(TheoryRegistry, TrainingOnTheCircleEqualsTheReferences) {
  using test::golden;
  // x = (1, 0), (0.6, 0.8), test (-0.28, 0.96): |x|^2 = 1 = d / 2
  const std::vector<std::string> common{"angles=0:0.92729521800161223",
                                        "targets=1:-0.5",
                                        "test_angle=1.8545904360032246",
                                        "q=0.5",
                                        "depth=2",
                                        "sigma_w2=2",
                                        "sigma_b2=0.01",
                                        "learning_rate=0.2"};
  const auto check = [&](std::vector<std::string> extra, const std::string& mean, const std::string& variance) {
    extra.insert(extra.end(), common.begin(), common.end());
    expect_relative(value("linear-dynamics", extra, "mean"), golden("gd_dynamics", mean), 1e-10);
    expect_relative(value("linear-dynamics", extra, "variance"), golden("gd_dynamics", variance), 1e-10);
  };
  check({"steps=10"}, "mean_gd", "var_gd");
  check({"rule=flow", "steps=10"}, "mean_gf_t2", "var_gf_t2");
  check({"rule=heavy-ball", "momentum=0.3", "steps=inf"}, "mean_inf", "var_inf");
  check({"steps=inf", "train=readout"}, "nngp_post_mean", "nngp_post_var");
  EXPECT_NE(message("linear-dynamics", {"depth=1", "angles=1:2:3"}).find("3 training inputs, but 2"),
            std::string::npos);
  EXPECT_NE(message("linear-dynamics", {"depth=1", "rule=gradient"}).find("One of gd"), std::string::npos);
  EXPECT_NE(message("linear-dynamics", {"depth=1", "learning_rate=50", "steps=inf"}).find("diverges"),
            std::string::npos);
}

TEST(TheoryRegistry, ModesFollowTheirRule) {
  expect_relative(value("linear-mode", {"lambda=2", "learning_rate=0.2", "steps=3"}, "residual"), 0.6 * 0.6 * 0.6,
                  1e-14);
  const std::vector<std::string> heavy{"rule=heavy-ball", "lambda=2", "learning_rate=0.2", "steps=2", "momentum=0.5"};
  expect_relative(value("linear-mode", heavy, "residual"), 0.6 - 0.4 * (0.5 + 0.6), 1e-14);  // v: 1, then 0.5 + 0.6
  expect_relative(value("linear-mode", {"lambda=2", "steps=inf"}, "weight"), 0.5, 1e-14);
  EXPECT_TRUE(points("linear-mode", {"lambda=0", "steps=5"}).at(0).at("values").at("largest_stable_rate").is_null());
}

TEST(TheoryRegistry, LangevinVarianceIsTheDiscreteOne) {
  const std::vector<std::string> ula{"h=3", "learning_rate=0.1", "temperature=0.7"};
  expect_relative(value("langevin-variance", ula, "variance"), 0.7 / (3 * 0.85), 1e-14);
  std::vector<std::string> sgld = ula;
  sgld.emplace_back("rule=sgld");
  expect_relative(value("langevin-variance", sgld, "variance"), 0.7 / (3 * (1 - 0.1 * 3 / 4)), 1e-14);
  sgld.emplace_back("gradient_noise=2");  // (eps + eps^2 V / 4) / (1 - (1 - eps h / 2)^2) with eps T in the first place
  expect_relative(value("langevin-variance", sgld, "variance"), (0.07 + 0.01 * 2 / 4) / (1 - 0.85 * 0.85), 1e-13);
  // three steps of S <- a^2 S + 2 eta T from 1
  double s = 1;
  for (int t = 0; t < 3; ++t) s = 0.49 * s + 0.14;
  std::vector<std::string> early = ula;
  early.insert(early.end(), {"steps=3", "initial_variance=1"});
  expect_relative(value("langevin-variance", early, "variance"), s, 1e-13);
  EXPECT_NE(message("langevin-variance", {"h=3", "learning_rate=0.7"}).find("0.66"), std::string::npos);
}

TEST(TheoryRegistry, CoordinateChecksHaveTheExponentsOfTheirParametrisation) {
  const auto expect = [](const std::vector<std::string>& arguments, double input, double hidden, double output) {
    EXPECT_EQ(value("coordinate-check", arguments, "dz_input"), input) << arguments.front();
    EXPECT_EQ(value("coordinate-check", arguments, "dz_hidden"), hidden) << arguments.front();
    EXPECT_EQ(value("coordinate-check", arguments, "df"), output) << arguments.front();
  };
  expect({"parametrization=ntk"}, -0.5, -0.5, 0);
  expect({"parametrization=mup"}, 0, 0, 0);
  expect({"parametrization=mean-field"}, 0, 0, 0);
  expect({"parametrization=standard", "rate_power=-1"}, -1.5, -0.5, 0);
  expect({"parametrization=standard"}, -0.5, 0.5, 1);
  expect({"parametrization=mup", "optimiser=adam"}, 0, 0, 0);
  // the readout is aligned with what sign steps do to the last hidden layer: n^(1 - 1/2)
  expect({"parametrization=standard", "optimiser=sign", "rate_power=-1", "biases=false"}, -1, 0, 0.5);
  const json shallow = points("coordinate-check", {"parametrization=mean-field", "depth=1"}).at(0).at("values");
  EXPECT_EQ(shallow.at("dz_input"), 0.0);
  EXPECT_EQ(shallow.at("df"), 0.0);
  EXPECT_EQ(shallow.at("f_0"), -0.5);
  EXPECT_TRUE(shallow.at("dz_hidden").is_null());
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
