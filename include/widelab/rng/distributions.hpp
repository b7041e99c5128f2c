// Draws other than normals, each a pure function of (stream, row, col).
#pragma once

#include <cstdint>

#include "widelab/base/host_device.hpp"
#include "widelab/rng/normal.hpp"
#include "widelab/rng/philox.hpp"
#include "widelab/rng/streams.hpp"

namespace widelab {

/// Four +-1 draws from the top bits of one random block.
WIDELAB_HD Draw4 rademacher4(const PhiloxBlock& block) {
  Draw4 out;
  for (int k = 0; k < 4; ++k) out.v[k] = (block.w[k] >> 31) ? 1.0f : -1.0f;
  return out;
}

/// Four fp32 draws, uniform on (-sqrt 3, sqrt 3): mean 0, variance 1.
WIDELAB_HD Draw4 unit_variance_uniform4(const PhiloxBlock& block) {
  Draw4 out;
  for (int k = 0; k < 4; ++k) {
    const float centred = static_cast<float>(static_cast<std::int32_t>(block.w[k]));
    out.v[k] = box_muller::fused(centred, 8.0654936e-10f, 4.0327468e-10f);  // 2 sqrt(3) (centred + 1/2) / 2^32
  }
  return out;
}

/// Uniform on (0, 1) with 53 random bits, the first (half = 0) or second (half = 1) of a block.
WIDELAB_HD double uniform53(const PhiloxBlock& block, int half) {
  const std::uint32_t hi = block.w[2 * half], lo = block.w[2 * half + 1];
  const std::uint64_t bits = (static_cast<std::uint64_t>(hi) << 21) ^ (lo >> 11);
  return (static_cast<double>(bits) + 0.5) * 0x1p-53;
}

/// Uniform on {0, ..., n - 1} for n < 2^31, with bias below n / 2^53.
WIDELAB_HD std::int64_t uniform_index(double u, std::int64_t n) {
  const std::int64_t pick = static_cast<std::int64_t>(u * static_cast<double>(n));
  return pick < n ? pick : n - 1;
}

/// Uniform on (0, 1) with 53 random bits: use where the tail of a distribution matters. Two draws a block.
WIDELAB_HD double uniform53_at(const StreamId& id, std::uint32_t row, std::uint32_t col) {
  return uniform53(random_block(id, row, col / 2), static_cast<int>(col % 2));
}

/// uniform_index of the draw at (row, col).
WIDELAB_HD std::int64_t uniform_index_at(const StreamId& id, std::uint32_t row, std::uint32_t col, std::int64_t n) {
  return uniform_index(uniform53_at(id, row, col), n);
}

}  // namespace widelab
