// Our Philox4x32-10 against its authors' library, and against their known answers.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "widelab/rng/philox.hpp"
#include "widelab/rng/streams.hpp"

// Random123 defines philox4x32 as a macro, so it comes last and its macro goes.
#include <Random123/philox.h>
#undef philox4x32

namespace {

using namespace widelab;

std::array<std::uint32_t, 4> ours(const std::array<std::uint32_t, 4>& c, std::uint64_t key) {
  const PhiloxBlock b = philox4x32({{c[0], c[1], c[2], c[3]}}, key);
  return {b.w[0], b.w[1], b.w[2], b.w[3]};
}

std::array<std::uint32_t, 4> theirs(const std::array<std::uint32_t, 4>& c, std::uint64_t key) {
  const r123::Philox4x32::ctr_type counter = {{c[0], c[1], c[2], c[3]}};
  const r123::Philox4x32::key_type k = {{static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)}};
  const r123::Philox4x32::ctr_type out = r123::Philox4x32{}(counter, k);
  return {out[0], out[1], out[2], out[3]};
}

// Random123's file kat_vectors, lines "philox4x32 10".
TEST(Philox, GivesTheKnownAnswers) {
  using Block = std::array<std::uint32_t, 4>;
  EXPECT_EQ(ours({0, 0, 0, 0}, 0), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(ours({~0u, ~0u, ~0u, ~0u}, ~0ull), (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(ours({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822ull),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, EqualsRandom123OnAMillionCounters) {
  // SplitMix64 (Steele, Lea, Flood 2014) supplies counters and keys, independently of Philox itself.
  std::uint64_t state = 20240229;
  const auto next = [&state] {
    std::uint64_t x = state += 0x9E3779B97F4A7C15ull;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
    return x ^ (x >> 31);
  };
  int mismatches = 0;
  for (int trial = 0; trial < 1000000; ++trial) {
    const std::uint64_t lo = next(), hi = next(), key = next();
    const std::array<std::uint32_t, 4> counter{static_cast<std::uint32_t>(lo), static_cast<std::uint32_t>(lo >> 32),
                                               static_cast<std::uint32_t>(hi), static_cast<std::uint32_t>(hi >> 32)};
    mismatches += ours(counter, key) != theirs(counter, key);
  }
  EXPECT_EQ(mismatches, 0);
}

// The counter's layout is part of what a seed means: {block, row, replicate, stream:8 | layer:8 | step high:16}.
TEST(Streams, CounterLayoutIsTheDocumentedOne) {
  const StreamId id{0x1122334455667788ull, 99, Stream::weights, 5};
  const PhiloxBlock plain = random_block(id, 7, 3);
  const auto expected = theirs({3, 7, 99, (1u << 24) | (5u << 16)}, id.key);
  const PhiloxBlock stepped = random_block_at_step(id, 7, (0xABCDull << 32) | 0x1234u);
  const auto expected_stepped = theirs({7, 0x1234, 99, (1u << 24) | (5u << 16) | 0xABCDu}, id.key);
  for (std::size_t k = 0; k < 4; ++k) {
    EXPECT_EQ(plain.w[k], expected[k]);
    EXPECT_EQ(stepped.w[k], expected_stepped[k]);
  }
}

}  // namespace
