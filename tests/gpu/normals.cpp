// Initial parameters drawn on the device: bitwise those of the host.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "tests/gpu/device_ops.hpp"

namespace widelab {
namespace {

constexpr Index kSide = 4096;

Index members_for_a_billion_draws() {
  const char* small = std::getenv("WIDELAB_GPU_SMALL");
  return small && std::strcmp(small, "1") == 0 ? 1 : 60;
}

/// One layer of 2^24 weights a member.
Network square_layer(InitKind law) {
  return test::NetworkCase{.widths = {kSide}, .input_dim = kSide, .law = law}.network();
}

/// Draws of the members, and how many differ in any bit.
template <class T>
Index mismatches(const Network& network, std::uint32_t first, Index members) {
  Index wrong = 0;
  for (Index m = 0; m < members; ++m) {
    const std::vector<DrawId> id{{0xC0FFEE, first + static_cast<std::uint32_t>(m)}};
    const std::vector<T> there = test::initial_weights<T>(test::device(), network, id);
    const std::vector<T> here = test::initial_weights<T>(test::host(), network, id);
    if (std::memcmp(there.data(), here.data(), here.size() * sizeof(T)) == 0) continue;
    for (std::size_t k = 0; k < here.size(); ++k) wrong += std::memcmp(&there[k], &here[k], sizeof(T)) != 0;
  }
  return wrong;
}

TEST(DeviceNormals, ABillionDrawsAreBitwiseThoseOfTheHost) {
  EXPECT_EQ(mismatches<float>(square_layer(InitKind::normal), 0, members_for_a_billion_draws()), 0);
}

TEST(DeviceNormals, WidenedAndOtherLawsAreBitwiseThoseOfTheHost) {
  EXPECT_EQ(mismatches<double>(square_layer(InitKind::normal), 100, 1), 0);
  EXPECT_EQ(mismatches<float>(square_layer(InitKind::uniform), 101, 1), 0);
  EXPECT_EQ(mismatches<float>(square_layer(InitKind::rademacher), 102, 1), 0);
}

TEST(DeviceNormals, RaggedLayersOfManyMembersAreBitwiseThoseOfTheHost) {
  const Network network = test::NetworkCase{.widths = {1, 37, 130, 5}, .input_dim = 7, .outputs = 3}.network();
  const std::vector<DrawId> ids = test::draw_ids(33);
  EXPECT_EQ(test::initial_weights<float>(test::device(), network, ids),
            test::initial_weights<float>(test::host(), network, ids));
  EXPECT_EQ(test::initial_weights<double>(test::device(), network, ids),
            test::initial_weights<double>(test::host(), network, ids));
}

TEST(DeviceInit, OrthogonalLayersEqualTheHosts) {
  const Network network =
      test::NetworkCase{.widths = {130, 37, 130}, .input_dim = 37, .law = InitKind::orthogonal}.network();
  const std::vector<DrawId> ids = test::draw_ids(3);
  const auto here = test::initial_weights<double>(test::host(), network, ids);
  EXPECT_LT(test::relative_distance(test::initial_weights<double>(test::device(), network, ids), here), 1e-12);
  EXPECT_LT(test::relative_distance(test::initial_weights<float>(test::device(), network, ids), here), 1e-6);
}

}  // namespace
}  // namespace widelab
