// The layerwise Gram of loss gradients against explicit gradients.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tests/support/gradient_gram_case.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/plan/storage_plan.hpp"

namespace widelab {
namespace {

const auto fast = [](const auto& problem) { cpu::gradient_gram(problem); };
const auto exact = [](const auto& problem) { reference::gradient_gram(problem); };

template <class A, class B>
void expect_near(const test::Grams<A>& a, const test::Grams<B>& b, double tolerance, const std::string& what) {
  EXPECT_LT(test::relative_distance(a.gram, b.gram), tolerance) << what;
  EXPECT_LT(test::relative_distance(a.squares, b.squares), tolerance) << what;
  EXPECT_LT(test::relative_distance(a.outputs, b.outputs), tolerance) << what;
}

TEST(GradientGram, LayerwiseEqualsExplicitGradients) {
  for (const test::NetworkCase& c : test::network_cases()) {
    const Network network = c.network();
    for (const Index n : {1, 7})
      expect_near(test::gradient_grams<double>(fast, network, {n}), test::gradient_grams<double>(exact, network, {n}),
                  1e-12, c.name);
  }
}

TEST(GradientGram, EveryLossGivesItsGradients) {
  const Network network = test::NetworkCase{.activation = "tanh", .widths = {13, 11}, .outputs = 3}.network();
  for (const LossKind loss :
       {LossKind::half_squared, LossKind::squared, LossKind::cross_entropy, LossKind::logistic, LossKind::hinge}) {
    const test::GramRequest request{.examples = 9, .loss = loss};
    expect_near(test::gradient_grams<double>(fast, network, request),
                test::gradient_grams<double>(exact, network, request), 1e-12,
                "loss " + std::to_string(static_cast<int>(loss)));
  }
}

TEST(GradientGram, SinglePrecisionIsWithinItsRounding) {
  // Chains of three products over at most 13 terms: sqrt(k) eps a factor, with room for the softmax's differences.
  const Network network =
      test::NetworkCase{.activation = "tanh", .widths = {13, 11}, .input_dim = 5, .outputs = 3}.network();
  for (const LossKind loss : {LossKind::half_squared, LossKind::cross_entropy}) {
    const test::GramRequest request{.examples = 9, .loss = loss};
    expect_near(test::gradient_grams<float>(fast, network, request),
                test::gradient_grams<double>(exact, network, request), 40 * 3 * std::sqrt(13.0) * 0x1p-24, "fp32");
  }
}

TEST(GradientGram, SelectedParametersAloneCount) {
  const Network network = test::NetworkCase{.activation = "erf", .widths = {13, 11, 7}, .outputs = 2}.network();
  const std::vector<std::vector<bool>> flags{{true, true, true, true}, {false, true, false, false}, {}};
  for (const std::vector<bool>& weights : flags)
    for (const std::vector<bool>& biases : {std::vector<bool>(4, false), std::vector<bool>{false, false, true, true}}) {
      const test::GramRequest request{.parameters = {weights, biases}};
      expect_near(test::gradient_grams<double>(fast, network, request),
                  test::gradient_grams<double>(exact, network, request), 1e-12, "selection");
    }
  const test::GramRequest middle{.parameters = {{false, true, false, false}, std::vector<bool>(4, false)}};
  EXPECT_GT(test::relative_distance(test::gradient_grams<double>(fast, network, {}).gram,
                                    test::gradient_grams<double>(exact, network, middle).gram),
            1e-3);
  EXPECT_THROW(test::gradient_grams<double>(fast, network, {.parameters = {{true}, {}}}), ContractError);
}

TEST(GradientGram, NormsNeedNoPairs) {
  const Network network = test::NetworkCase{.activation = "gelu", .widths = {11, 11}, .residual = 0.7}.network();
  const test::Grams<double> alone = test::gradient_grams<double>(fast, network, {.pairs = false}),
                            all = test::gradient_grams<double>(exact, network, {});
  EXPECT_LT(test::relative_distance(alone.squares, all.squares), 1e-12);
  EXPECT_TRUE(std::isnan(alone.gram.front()));
}

TEST(GradientGram, ManyInputsFillSeveralBlocksAndTiles) {
  const Network network = test::NetworkCase{.activation = "erf", .widths = {300, 200}, .outputs = 3}.network();
  const test::Grams<double> whole = test::gradient_grams<double>(fast, network, {157});
  expect_near(whole, test::gradient_grams<double>(exact, network, {157}), 1e-12, "blocks");
  KernelWorkload work;
  work.members = 2;
  work.rows = 157;
  work.of_loss = true;
  work.scalar_bytes = 8;
  const double all = make_storage_plan(network.shape, work, {0, 2}).total_bytes;
  const DeviceLimits tight{0.4 * all, 2};
  ASSERT_LT(make_storage_plan(network.shape, work, tight).input_tile, 157);
  expect_near(test::gradient_grams<double>(fast, network, {.examples = 157, .limits = tight}), whole, 1e-13, "tiles");
}

TEST(GradientGram, AForgottenMultiplierIsSeen) {
  // The planted fault: gradients by the product m W in place of W.
  Network network = test::NetworkCase{.activation = "erf"}.network();
  const test::Grams<double> right = test::gradient_grams<double>(exact, network, {});
  network.layers[1].weight_multiplier *= 1.001;
  EXPECT_GT(test::relative_distance(test::gradient_grams<double>(fast, network, {}).gram, right.gram), 1e-6);
}

}  // namespace
}  // namespace widelab
