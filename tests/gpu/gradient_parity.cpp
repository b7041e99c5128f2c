// Gram matrices of loss gradients on the device against the host's.
#include <gtest/gtest.h>

#include "tests/gpu/device_ops.hpp"
#include "tests/support/gradient_gram_case.hpp"

namespace widelab {
namespace {

const auto on_device = [](const auto& problem) { test::device().gradient_gram(problem); };
const auto on_host = [](const auto& problem) { test::host().gradient_gram(problem); };

template <class T>
void expect_parity(const Network& network, const test::GramRequest& request, double tolerance,
                   const std::string& what) {
  test::GramRequest unlimited = request;
  unlimited.limits = {};
  const auto there = test::gradient_grams<T>(on_device, network, request);
  const auto here = test::gradient_grams<double>(on_host, network, unlimited);
  if (request.pairs) {
    EXPECT_LT(test::relative_distance(there.gram, here.gram), tolerance) << what;
  }
  EXPECT_LT(test::relative_distance(there.squares, here.squares), tolerance) << what;
  EXPECT_LT(test::relative_distance(there.outputs, here.outputs), tolerance) << what;
}

TEST(DeviceGradientGram, DoublePrecisionEqualsTheHosts) {
  for (const test::NetworkCase& c : test::network_cases())
    for (const Index n : {1, 7}) expect_parity<double>(c.network(), {n}, 1e-12, c.name);
}

TEST(DeviceGradientGram, EveryLossGivesItsGradients) {
  const Network network = test::NetworkCase{.activation = "tanh", .widths = {13, 11}, .outputs = 3}.network();
  for (const LossKind loss :
       {LossKind::half_squared, LossKind::squared, LossKind::cross_entropy, LossKind::logistic, LossKind::hinge})
    for (const bool pairs : {true, false})
      expect_parity<double>(network, {.examples = 9, .loss = loss, .pairs = pairs}, 1e-12,
                            "loss " + std::to_string(static_cast<int>(loss)));
}

TEST(DeviceGradientGram, SinglePrecisionIsWithinItsRounding) {
  const Network network =
      test::NetworkCase{.activation = "tanh", .widths = {13, 11}, .input_dim = 5, .outputs = 3}.network();
  expect_parity<float>(network, {.examples = 9, .loss = LossKind::cross_entropy}, 40 * 3 * std::sqrt(13.0) * 0x1p-24,
                       "fp32");
}

TEST(DeviceGradientGram, TilesGiveTheSameGram) {
  const Network network =
      test::NetworkCase{.activation = "tanh", .widths = {300, 300}, .input_dim = 4, .outputs = 2}.network();
  for (const double bytes : {3e6, 1.2e6, 6e5})
    expect_parity<double>(network, {.examples = 37, .limits = {bytes, 0}}, 1e-12, "tiled");
}

TEST(DeviceGradientGram, AForgottenMultiplierIsSeen) {
  Network network = test::NetworkCase{.activation = "erf"}.network();
  const auto here = test::gradient_grams<double>(on_host, network, {});
  network.layers[1].weight_multiplier *= 1.001;
  EXPECT_GT(test::relative_distance(test::gradient_grams<double>(on_device, network, {}).gram, here.gram), 1e-6);
}

}  // namespace
}  // namespace widelab
