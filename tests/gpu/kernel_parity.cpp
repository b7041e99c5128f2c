// The kernel ops on the device against the CPU's, at awkward sizes, for every activation and structural option.
#include <gtest/gtest.h>

#include "tests/gpu/device_ops.hpp"

namespace widelab {
namespace {

constexpr Index kMembers = 3;

/// Rounding of sums of k products: sqrt(k) eps, times a constant for the depth of the chain of layers.
double tolerance(const Network& network, double eps) {
  double longest = static_cast<double>(network.shape.input_dim);
  for (const Index n : network.shape.widths) longest = std::max(longest, static_cast<double>(n));
  return 40 * static_cast<double>(network.shape.layers()) * std::sqrt(longest) * eps;
}

template <class T>
void expect_parity(const std::string& name, const Network& network, const test::KernelRequest& request, double limit) {
  const std::vector<DrawId> ids = test::draw_ids(kMembers);
  test::KernelRequest unlimited = request;
  unlimited.limits = {};
  const auto there = test::kernels<T>(test::device(), network, ids, request);
  const auto here = test::kernels<double>(test::host(), network, ids, unlimited);
  const std::string label = name + ", " + std::to_string(request.rows) + " x " + std::to_string(request.cols) +
                            ", blocks " + std::to_string(static_cast<int>(request.blocks));
  EXPECT_LT(test::relative_distance(there.ntk, here.ntk), limit) << label;
  EXPECT_LT(test::relative_distance(there.nngp, here.nngp), limit) << label;
  EXPECT_LT(test::relative_distance(there.outputs, here.outputs), limit) << label;
}

TEST(DeviceNtk, DoublePrecisionEqualsTheHosts) {
  for (const test::NetworkCase& c : test::network_cases())
    for (const NtkBlocks blocks : {NtkBlocks::full, NtkBlocks::trace, NtkBlocks::diagonal})
      for (const auto& [rows, cols] : {std::pair<Index, Index>{5, 0}, {1, 0}, {3, 4}, {37, 0}})
        expect_parity<double>(c.name, c.network(), {rows, cols, blocks, {}, false}, 1e-12);
}

TEST(DeviceNtk, SinglePrecisionIsWithinItsRounding) {
  for (const test::NetworkCase& c : test::network_cases())
    for (const NtkBlocks blocks : {NtkBlocks::full, NtkBlocks::trace, NtkBlocks::diagonal}) {
      const Network network = c.network();
      expect_parity<float>(c.name, network, {5, 3, blocks, {}, false}, tolerance(network, 0x1p-24));
    }
}

TEST(DeviceNtk, StoredOrthogonalWeightsEqualTheHosts) {
  const Network network =
      test::NetworkCase{.activation = "erf", .widths = {67, 31}, .law = InitKind::orthogonal}.network();
  expect_parity<double>("orthogonal", network, {5, 0, NtkBlocks::trace, {}, true}, 1e-11);
}

TEST(DeviceNtk, TilesAndPanelsGiveTheSameKernels) {
  for (const auto& [law, stored] : {std::pair{InitKind::normal, false}, {InitKind::rademacher, true}}) {
    test::NetworkCase c{.activation = "tanh", .widths = {300, 300}, .input_dim = 4, .outputs = 2};
    c.law = law;
    const Network network = c.network();
    for (const double bytes : {3e6, 1.2e6, 9e5, 6e5})
      for (const NtkBlocks blocks : {NtkBlocks::full, NtkBlocks::trace, NtkBlocks::diagonal})
        for (const Index cols : {0, 29})
          expect_parity<double>("tiled", network, {37, cols, blocks, {bytes, 0}, stored}, 1e-12);
  }
}

TEST(DeviceNtk, AMistakeInOneRateIsSeen) {
  Network network = test::NetworkCase{.activation = "erf"}.network();
  const auto here = test::kernels<double>(test::host(), network, test::draw_ids(kMembers), {});
  network.layers[1].bias_rate = 2.0;
  EXPECT_GT(test::relative_distance(test::kernels<double>(test::device(), network, test::draw_ids(kMembers), {}).ntk,
                                    here.ntk),
            1e-6);
}

TEST(DeviceForward, EqualsTheHosts) {
  for (const test::NetworkCase& c : test::network_cases()) {
    const Network network = c.network();
    const std::vector<DrawId> ids = test::draw_ids(kMembers);
    const std::vector<double> x = test::normals<double>(11, network.shape.input_dim, 3);
    std::vector<double> there(static_cast<std::size_t>(kMembers * 11 * network.shape.outputs), NAN),
        here(there.size(), NAN);
    ForwardProblem<double> problem{&network,
                                   {kMembers, ids.data(), nullptr},
                                   matrix_view(x.data(), 11, network.shape.input_dim),
                                   there.data(),
                                   {}};
    test::device().forward(problem);
    problem.outputs = here.data();
    test::host().forward(problem);
    EXPECT_LT(test::relative_distance(there, here), 1e-12) << c.name;
  }
}

TEST(DeviceNngp, EqualsTheHosts) {
  for (const test::NetworkCase& c : test::network_cases()) {
    const Network network = c.network();
    const std::vector<DrawId> ids = test::draw_ids(kMembers);
    const std::vector<double> x = test::normals<double>(6, network.shape.input_dim, 3),
                              y = test::normals<double>(4, network.shape.input_dim, 4);
    std::vector<double> there(static_cast<std::size_t>(kMembers * 24), NAN), here(there.size(), NAN);
    NngpProblem<double> problem{&network,
                                {kMembers, ids.data(), nullptr},
                                matrix_view(x.data(), 6, network.shape.input_dim),
                                matrix_view(y.data(), 4, network.shape.input_dim),
                                there.data(),
                                {}};
    test::device().nngp(problem);
    problem.nngp = here.data();
    test::host().nngp(problem);
    EXPECT_LT(test::relative_distance(there, here), 1e-12) << c.name;
  }
}

TEST(DeviceNtk, AStridedInputIsReadRowByRow) {
  const Network network = test::NetworkCase{.activation = "erf"}.network();
  const std::vector<DrawId> ids = test::draw_ids(kMembers);
  const std::vector<double> wide = test::normals<double>(5, 9, 5);
  std::vector<double> there(kMembers * 25, NAN), here(there);
  NtkProblem<double> problem;
  problem.network = &network;
  problem.weights = {kMembers, ids.data(), nullptr};
  problem.x1 = {wide.data(), 5, network.shape.input_dim, 9};
  problem.ntk = there.data();
  test::device().ntk(problem);
  problem.ntk = here.data();
  test::host().ntk(problem);
  EXPECT_LT(test::relative_distance(there, here), 1e-12);
}

}  // namespace
}  // namespace widelab
