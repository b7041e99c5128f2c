// Our Philox on the device against cuRAND's, block by block, over a million random counters and keys.
#include <curand_kernel.h>
#include <gtest/gtest.h>

#include "kernels/cuda/support/device_array.hpp"
#include "kernels/cuda/support/launch.hpp"
#include "widelab/rng/philox.hpp"

namespace widelab::cuda {
namespace {

constexpr Index kCounters = 1 << 20;

/// wrong[t] = 1 where block t differs. Counters and keys are themselves Philox output, of two other keys.
__global__ void compare_philox_kernel(std::uint64_t flip, unsigned char* wrong) {
  const Index t = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (t >= kCounters) return;
  const PhiloxBlock counter = philox4x32({{static_cast<std::uint32_t>(t), 1, 2, 3}}, 11);
  const PhiloxBlock key = philox4x32({{static_cast<std::uint32_t>(t), 4, 5, 6}}, 12);
  const std::uint64_t key64 = (static_cast<std::uint64_t>(key.w[1]) << 32) | key.w[0];
  const PhiloxBlock ours = philox4x32(counter, key64 ^ flip);
  const uint4 theirs = curand_Philox4x32_10(make_uint4(counter.w[0], counter.w[1], counter.w[2], counter.w[3]),
                                            make_uint2(key.w[0], key.w[1]));
  wrong[t] = ours.w[0] != theirs.x || ours.w[1] != theirs.y || ours.w[2] != theirs.z || ours.w[3] != theirs.w;
}

Index mismatches(std::uint64_t flip) {
  const ContextHandle context = make_context(0, {});
  const DeviceGuard guard(*context);
  const DeviceArray<unsigned char> wrong(*context, "mismatches", kCounters);
  launch(*context, "compare_philox_kernel", elementwise_grid(kCounters), compare_philox_kernel, flip, wrong.data());
  Index count = 0;
  for (const unsigned char w : wrong.to_host()) count += w;
  return count;
}

TEST(DevicePhilox, EqualsCurandOverAMillionCounters) { EXPECT_EQ(mismatches(0), 0); }

TEST(DevicePhilox, AFlippedKeyBitIsSeen) { EXPECT_EQ(mismatches(1), kCounters); }

}  // namespace
}  // namespace widelab::cuda
