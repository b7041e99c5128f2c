// The regression laws of the registry: what `widelab theory` prints equals the functions behind it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "host/theory/isotropic_regression.hpp"
#include "host/theory/registry.hpp"
#include "widelab/base/errors.hpp"

namespace widelab {
namespace {

using nlohmann::json;

json values(const std::string& law, const std::vector<std::string>& arguments) {
  return json::parse(theory::evaluate_json(law, arguments)).at("points").at(0).at("values");
}

double number(const json& values, const std::string& name) { return values.at(name).get<double>(); }

void expect_relative(double measured, double expected, double tolerance) {
  EXPECT_NEAR(measured, expected, tolerance * std::abs(expected));
}

std::string message(const std::string& law, const std::vector<std::string>& arguments) {
  try {
    theory::evaluate_json(law, arguments);
  } catch (const RecipeError& error) {
    return error.what();
  }
  return "";
}

TEST(RegressionLaws, LinearRegressionGivesAllFourRidges) {
  const json mean = values("linear-regression", {"n=400", "p=300", "ridge=0.01"});
  expect_relative(number(mean, "bias"), 0.004049173243861296, 1e-9);
  expect_relative(number(mean, "variance"), 0.5792028396309278, 1e-9);
  expect_relative(number(mean, "ridge_sum"), 4, 1e-14);
  expect_relative(number(mean, "ridge_per_feature"), 4.0 / 300, 1e-14);
  expect_relative(number(mean, "ridge_mean"), 0.01, 1e-14);
  expect_relative(number(mean, "ridge_mei_montanari"), 0.01, 1e-14);
  const json sum = values("linear-regression", {"n=400", "p=300", "ridge=4", "convention=sum"});
  EXPECT_EQ(number(sum, "excess"), number(mean, "excess"));
  EXPECT_NE(message("linear-regression", {"convention=total"}).find("mei-montanari"), std::string::npos);
}

TEST(RegressionLaws, LinearRegressionSaysWhyAMeanIsMissing) {
  const json far = values("linear-regression", {"n=400", "p=320"});
  expect_relative(number(far, "finite_least_norm_variance"), 1.0126582278481013, 1e-12);
  EXPECT_FALSE(far.contains("finite_least_norm_reason"));
  const json close = values("linear-regression", {"n=400", "p=400", "ridge=0.1"});
  EXPECT_TRUE(close.at("finite_least_norm_excess").is_null());
  EXPECT_NE(close.at("finite_least_norm_reason").get<std::string>().find("infinite"), std::string::npos);
  EXPECT_TRUE(close.at("flow_excess").is_null());  // inf: the least norm
  EXPECT_GT(number(close, "excess"), 0);
  const json flow = values("linear-regression", {"n=400", "p=600", "time=10"});
  expect_relative(number(flow, "flow_bias"), 0.34144821615713006, 1e-9);
}

TEST(RegressionLaws, RandomFeaturesStandBesideTheirLimit) {
  const json relu = values("random-features", {"d=100", "n=300", "N=600", "ridge=1e-4"});
  expect_relative(number(relu, "chi"), -2.131629589534501, 1e-9);
  expect_relative(number(relu, "B"), 0.17131155202419102, 1e-9);
  expect_relative(number(relu, "limit_bias"), 0.17131155202419102, 1e-9);
  expect_relative(number(relu, "V"), 1.3001212091328305, 1e-9);
  EXPECT_NEAR(number(relu, "bias"), 0.16642, 5.1e-6);
  EXPECT_NEAR(number(relu, "variance"), 0.33761, 5.1e-6);
  expect_relative(number(relu, "ridge_sum"), 1e-4 * 300 * 600 / 100, 1e-12);
  for (const std::string prefix : {"", "limit_"}) {
    double sum = 0;
    for (const char* term : {"bias2", "variance_features", "variance_data", "variance_features_data",
                             "variance_data_noise", "variance_features_data_noise"})
      sum += number(relu, prefix + term);
    expect_relative(sum, number(relu, prefix + "excess"), 1e-12);
  }
  const json sum = values("random-features", {"d=100", "n=300", "N=600", "ridge=0.18", "convention=sum"});
  expect_relative(number(sum, "excess"), number(relu, "excess"), 1e-12);
  const json five = values("random-features", {"d=100", "n=300", "N=600", "ridge=1e-4", "networks=5"});
  expect_relative(number(five, "mean_of_networks_excess"),
                  number(relu, "excess") / 5 + 0.8 * number(relu, "ensemble_excess"), 1e-13);
  EXPECT_NE(message("random-features", {"activation=identity"}).find("affine"), std::string::npos);
  EXPECT_NE(message("random-features", {"degrees=61"}).find("at most 60"), std::string::npos);
  EXPECT_NE(message("random-features", {"target=0:-1"}).find("negative"), std::string::npos);
}

TEST(RegressionLaws, RandomFeaturesTakeEveryActivation) {
  for (const char* activation : {"tanh", "erf", "gelu", "sin", "cos", "quadratic", "leaky-relu(0.1)", "hermite(2)"}) {
    const json law = values("random-features", {std::string("activation=") + activation, "d=400", "n=1200", "N=2400",
                                                "ridge=0.05", "target=0:1:0.2"});
    EXPECT_NEAR(number(law, "excess") / number(law, "limit_excess"), 1, 0.03) << activation;
  }
}

TEST(RegressionLaws, KernelsOfNetworksHaveSpectra) {
  for (const char* activation : {"tanh", "erf", "gelu", "relu", "sin"}) {
    for (const char* kernel : {"kernel=nngp", "kernel=ntk"}) {
      const json law = values("kernel-regression", {kernel, "depth=2", "d=30", "n=400", "sigma_w2=1.5", "sigma_b2=0.1",
                                                    std::string("activation=") + activation});
      EXPECT_GT(number(law, "excess"), 0);
      EXPECT_LT(number(law, "excess"), 1.2);
      const std::vector<double> learned = law.at("learned"), multiplicities = law.at("multiplicities");
      EXPECT_GT(learned[1], learned[2]);
      EXPECT_EQ(multiplicities[2], 464);
    }
  }
  const json odd = values("kernel-regression", {"kernel=nngp", "activation=tanh", "d=30", "n=400"});
  EXPECT_EQ(odd.at("learned").at(2), 0.0);  // an odd activation without biases knows odd degrees alone
  EXPECT_EQ(odd.at("learned").at(4), 0.0);
}

TEST(RegressionLaws, KernelRegressionPolynomialRegimeAndTangentFeaturesEqualTheReferences) {
  const json exponential = values("kernel-regression", {});
  expect_relative(number(exponential, "excess"), 0.5915968670583012, 1e-9);
  EXPECT_NEAR(number(values("kernel-polynomial", {}), "excess"), 0.5255, 5.1e-5);
  const json tangent = values("neural-tangent-regression", {});
  expect_relative(number(tangent, "excess"), 0.3918042202124343, 1e-9);
  EXPECT_EQ(number(tangent, "p"), 2700);
  EXPECT_EQ(theory::theory_entry("neural-tangent-regression").description.find("Conjecture"), 0u);
  EXPECT_TRUE(values("neural-tangent-regression", {"N=inf"}).at("p").is_null());
  EXPECT_NE(message("kernel-regression", {"kernel=inverse(0.5)"}).find("1.01"), std::string::npos);
  EXPECT_NE(message("kernel-regression", {"kernel=ntkk"}).find("exp"), std::string::npos);
}

}  // namespace
}  // namespace widelab
