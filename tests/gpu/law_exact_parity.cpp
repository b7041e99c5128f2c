// The law-exact sampler on the device against the CPU's: the same draws, so the same samples.
#include <gtest/gtest.h>

#include "tests/gpu/device_ops.hpp"

namespace widelab {
namespace {

struct Sample {
  std::vector<double> ntk, nngp, outputs;
};

Sample sample(runtime::Backend& backend, const Network& network, Index inputs, const std::vector<DrawId>& ids) {
  const std::vector<double> x = test::normals<double>(inputs, network.shape.input_dim, 4);
  const Index columns = inputs * network.shape.outputs;
  const auto poisoned = [&](Index each) {
    return std::vector<double>(ids.size() * static_cast<std::size_t>(each), NAN);
  };
  Sample s{poisoned(columns * columns), poisoned(inputs * inputs), poisoned(columns)};
  backend.law_exact_ntk({&network, ids.data(), static_cast<Index>(ids.size()),
                         matrix_view(x.data(), inputs, network.shape.input_dim), s.ntk.data(), s.nngp.data(),
                         s.outputs.data()});
  return s;
}

void expect_parity(const test::NetworkCase& c, Index inputs) {
  const Network network = c.network();
  const Sample there = sample(test::device(), network, inputs, test::draw_ids(2)),
               here = sample(test::host(), network, inputs, test::draw_ids(2));
  const std::string label = c.name + ", " + std::to_string(inputs) + " inputs";
  EXPECT_LT(test::relative_distance(there.ntk, here.ntk), 1e-9) << label;
  EXPECT_LT(test::relative_distance(there.nngp, here.nngp), 1e-9) << label;
  EXPECT_LT(test::relative_distance(there.outputs, here.outputs), 1e-9) << label;
}

TEST(DeviceLawExactNtk, EqualsTheHosts) {
  for (const char* activation : {"relu", "erf", "tanh", "cos"})
    for (const Index width : {17, 64, 1300})
      for (const double sigma_b : {0.0, 0.5})
        for (const Index outputs : {1, 3})
          for (const Index inputs : {1, 3, 5})
            expect_parity({.name = std::string(activation) + " n=" + std::to_string(width),
                           .activation = activation,
                           .widths = {width, width + 3, width},
                           .input_dim = 7,
                           .outputs = outputs,
                           .sigma_b = sigma_b},
                          inputs);
}

TEST(DeviceLawExactNtk, EqualsTheHostsAcrossSteps) {
  // More units than one step of the loop over them holds.
  expect_parity({.name = "wide", .activation = "erf", .widths = {150001, 140003}, .input_dim = 5}, 3);
}

TEST(DeviceLawExactNtk, NarrowerThanTheNumberOfInputs) {
  expect_parity({.name = "n < N", .activation = "relu", .widths = {3, 3}, .input_dim = 7, .sigma_b = 0.5}, 6);
}

TEST(DeviceLawExactNtk, BitsDoNotDependOnWhoRunsBeside) {
  const Network network = test::NetworkCase{.widths = {700, 700}, .input_dim = 7, .outputs = 2}.network();
  const Sample all = sample(test::device(), network, 5, test::draw_ids(6));
  const Sample alone = sample(test::device(), network, 5, {test::draw_ids(6)[4]});
  EXPECT_TRUE(std::equal(alone.ntk.begin(), alone.ntk.end(), all.ntk.begin() + 4 * 100));
  EXPECT_TRUE(std::equal(alone.outputs.begin(), alone.outputs.end(), all.outputs.begin() + 4 * 10));
  EXPECT_EQ(sample(test::device(), network, 5, test::draw_ids(6)).ntk, all.ntk);
}

}  // namespace
}  // namespace widelab
