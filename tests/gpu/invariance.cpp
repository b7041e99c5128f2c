// Bits that must not depend on who runs beside, on when it runs, or on where weights come from.
#include <gtest/gtest.h>

#include "tests/gpu/device_ops.hpp"

namespace widelab {
namespace {

std::vector<test::NetworkCase> cases() {
  return {test::NetworkCase{.widths = {37, 41}, .outputs = 2}, test::NetworkCase{.widths = {256, 256, 256}},
          test::NetworkCase{.activation = "gelu", .widths = {1100, 1100}, .layer_norm = true, .residual = 0.5}};
}

template <class T>
void expect_member_alone_equals_among_others() {
  constexpr Index kMembers = 300, kMember = 17;
  for (const test::NetworkCase& c : cases()) {
    const Network network = c.network();
    const std::vector<DrawId> ids = test::draw_ids(kMembers);
    const test::KernelRequest request{33, 0, NtkBlocks::trace, {}, false};
    const auto all = test::kernels<T>(test::device(), network, ids, request);
    const auto alone = test::kernels<T>(test::device(), network, {ids[kMember]}, request);
    const auto same = [](const auto& one, const auto& many) {
      return std::equal(one.begin(), one.end(), many.begin() + kMember * static_cast<Index>(one.size()));
    };
    EXPECT_TRUE(same(alone.ntk, all.ntk));
    EXPECT_TRUE(same(alone.nngp, all.nngp));
    EXPECT_TRUE(same(alone.outputs, all.outputs));
  }
}

TEST(DeviceInvariance, MemberSeventeenIsTheSameAloneAndAmongOthers) {
  expect_member_alone_equals_among_others<float>();
  expect_member_alone_equals_among_others<double>();
}

TEST(DeviceInvariance, TwoRunsGiveTheSameBits) {
  for (const test::NetworkCase& c : cases()) {
    const Network network = c.network();
    const test::KernelRequest request{33, 0, NtkBlocks::full, {}, false};
    const auto first = test::kernels<float>(test::device(), network, test::draw_ids(9), request);
    const auto second = test::kernels<float>(test::device(), network, test::draw_ids(9), request);
    EXPECT_EQ(first.ntk, second.ntk);
    EXPECT_EQ(first.nngp, second.nngp);
    EXPECT_EQ(first.outputs, second.outputs);
  }
}

TEST(DeviceInvariance, StoredWeightsGiveTheSameBitsAsDrawnOnes) {
  for (const test::NetworkCase& c : cases()) {
    const Network network = c.network();
    const auto drawn =
        test::kernels<float>(test::device(), network, test::draw_ids(9), {7, 0, NtkBlocks::full, {}, false});
    const auto stored =
        test::kernels<float>(test::device(), network, test::draw_ids(9), {7, 0, NtkBlocks::full, {}, true});
    EXPECT_EQ(drawn.ntk, stored.ntk);
    EXPECT_EQ(drawn.outputs, stored.outputs);
  }
}

TEST(DeviceInvariance, SymmetricKernelsAreSymmetric) {
  const Network network = cases()[1].network();
  const auto out =
      test::kernels<float>(test::device(), network, test::draw_ids(1), {33, 0, NtkBlocks::trace, {}, false});
  for (std::size_t i = 0; i < 33; ++i)
    for (std::size_t j = 0; j < i; ++j)
      EXPECT_NEAR(out.ntk[i * 33 + j], out.ntk[j * 33 + i], 1e-6 * std::abs(out.ntk[0]));
}

}  // namespace
}  // namespace widelab
