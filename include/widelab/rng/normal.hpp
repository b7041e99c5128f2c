// Standard normals by Box and Muller (1958) from IEEE-exact operations alone: integer arithmetic, fma, multiply,
// square root and two polynomials. Host and device therefore agree bit for bit (host: -ffp-contract=off, device:
// --fmad=false and no fast math). A pair of 32-bit words gives a pair of fp32 normals; |z| reaches 6.8.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "widelab/base/host_device.hpp"
#include "widelab/rng/philox.hpp"
#include "widelab/rng/streams.hpp"

namespace widelab {

/// Four fp32 draws from one random block.
struct Draw4 {
  float v[4];
};

namespace box_muller {

WIDELAB_HD float fused(float a, float b, float c) { return fmaf(a, b, c); }

/// float(w), correctly rounded, through conversions that every SIMD instruction set has.
WIDELAB_HD float to_float(std::uint32_t w) {
  return fused(static_cast<float>(static_cast<std::int32_t>(w >> 16)), 65536.0f,
               static_cast<float>(static_cast<std::int32_t>(w & 0xFFFFu)));
}

/// sqrt(-2 log u) for u = (w + 1/2) / 2^32, with log by the Cephes polynomial on [sqrt(1/2), sqrt(2)).
WIDELAB_HD float radius(std::uint32_t w) {
  const float u = fused(to_float(w), 0x1p-32f, 0x1p-33f);
  std::uint32_t bits;
  memcpy(&bits, &u, sizeof bits);
  // Adding the distance from sqrt(1/2) to 1 carries into the exponent exactly when the mantissa exceeds sqrt(2).
  const std::uint32_t shifted = bits + (0x3F800000u - 0x3F3504F3u);
  const float exponent = static_cast<float>(static_cast<std::int32_t>(shifted >> 23) - 127);
  const std::uint32_t mantissa_bits = (shifted & 0x007FFFFFu) + 0x3F3504F3u;
  float mantissa;
  memcpy(&mantissa, &mantissa_bits, sizeof mantissa);
  const float x = mantissa - 1.0f, xx = x * x;
  float p = 7.0376836292e-2f;
  p = fused(p, x, -1.1514610310e-1f);
  p = fused(p, x, 1.1676998740e-1f);
  p = fused(p, x, -1.2420140846e-1f);
  p = fused(p, x, 1.4249322787e-1f);
  p = fused(p, x, -1.6668057665e-1f);
  p = fused(p, x, 2.0000714765e-1f);
  p = fused(p, x, -2.4999993993e-1f);
  p = fused(p, x, 3.3333331174e-1f);
  float tail = x * xx * p;
  tail = fused(exponent, -2.12194440e-4f, tail);  // log 2 = 0.693359375 - 2.12194440e-4
  tail = fused(-0.5f, xx, tail);
  const float log_u = fused(exponent, 0.693359375f, x + tail);
  // For u one rounding below 1 the sum can come out as +0; the clamp keeps the square root real.
  const float square = -2.0f * log_u;
  return sqrtf(square > 0.0f ? square : 0.0f);
}

/// cos and sin of 2 pi w / 2^32: quadrant by integer arithmetic, remainder in [-pi/4, pi/4) by Cephes polynomials.
WIDELAB_HD void unit_circle(std::uint32_t w, float& cosine, float& sine) {
  const std::uint32_t quadrant = (w + 0x20000000u) >> 30;
  const float turn = static_cast<float>(static_cast<std::int32_t>(w - (quadrant << 30)));
  const float angle = turn * 1.46291807926715968e-9f;  // 2 pi / 2^32
  const float z = angle * angle;
  float s = -1.9515295891e-4f;
  s = fused(s, z, 8.3321608736e-3f);
  s = fused(s, z, -1.6666654611e-1f);
  s = fused(s * z, angle, angle);
  float c = 2.443315711809948e-5f;
  c = fused(c, z, -1.388731625493765e-3f);
  c = fused(c, z, 4.166664568298827e-2f);
  c = fused(c * z, z, fused(-0.5f, z, 1.0f));
  const bool swap = (quadrant & 1u) != 0;
  const float base_cos = swap ? s : c, base_sin = swap ? c : s;
  cosine = (quadrant == 1u || quadrant == 2u) ? -base_cos : base_cos;
  sine = (quadrant >= 2u) ? -base_sin : base_sin;
}

}  // namespace box_muller

/// Four independent N(0,1) fp32 draws from one random block.
WIDELAB_HD Draw4 normal4(const PhiloxBlock& block) {
  Draw4 out;
  for (int pair = 0; pair < 2; ++pair) {
    const float r = box_muller::radius(block.w[2 * pair]);
    float c, s;
    box_muller::unit_circle(block.w[2 * pair + 1], c, s);
    out.v[2 * pair] = r * c;
    out.v[2 * pair + 1] = r * s;
  }
  return out;
}

/// normal4 of kBlocks blocks at once, number k of block i in [k][i]: the same bits, in loops that vectorise.
template <int kBlocks>
WIDELAB_HD void normal4_each(const std::uint32_t (&words)[4][kBlocks], float (&draws)[4][kBlocks]) {
  for (int pair = 0; pair < 2; ++pair)
    for (int i = 0; i < kBlocks; ++i) {
      const float r = box_muller::radius(words[2 * pair][i]);
      float c, s;
      box_muller::unit_circle(words[2 * pair + 1][i], c, s);
      draws[2 * pair][i] = r * c;
      draws[2 * pair + 1][i] = r * s;
    }
}

/// The N(0,1) draw at (row, col) of a stream without steps.
WIDELAB_HD float normal_at(const StreamId& id, std::uint32_t row, std::uint32_t col) {
  return normal4(random_block(id, row, col / 4)).v[col % 4];
}

}  // namespace widelab
