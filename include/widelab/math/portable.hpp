// Elementary functions in fp32 from IEEE-exact operations alone: add, multiply, divide, explicit fma, integer
// arithmetic and selects. Host and device agree bit for bit (host: -ffp-contract=off, device: --fmad=false and no
// fast math), and loops over them vectorise. The double overloads are the standard library's functions.
// The polynomials are minimax fits in relative error, made for these ranges; errors are measured in the tests.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "widelab/base/host_device.hpp"

namespace widelab::portable {

WIDELAB_HD std::int32_t to_bits(float x) {
  std::int32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

WIDELAB_HD float from_bits(std::int32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/// An integer |n| < 2^22 as the float `value` and as `integer`.
struct RoundedProduct {
  float value;
  std::int32_t integer;
};

/// The integer nearest to x y: adding 1.5 * 2^23 leaves it in the low mantissa bits.
WIDELAB_HD RoundedProduct round_product(float x, float y) {
  const float shift = 12582912.0f;
  const float shifted = fmaf(x, y, shift);
  // Unsigned, because huge products (of arguments beyond the functions' range) wrap around.
  const std::uint32_t integer = static_cast<std::uint32_t>(to_bits(shifted)) - 0x4B400000u;
  return {shifted - shift, static_cast<std::int32_t>(integer)};
}

WIDELAB_HD float power_of_two(std::int32_t n) { return from_bits((n + 127) << 23); }

/// e^x, within 1.1 ulp, with gradual underflow, 0 below -104 and infinity above 88.73.
WIDELAB_HD float exp(float x) {
  const float below = x > 89.0f ? 89.0f : x;
  const float clamped = below < -104.0f ? -104.0f : below;
  const RoundedProduct n = round_product(clamped, 1.442695041f);
  float r = fmaf(n.value, -0.693359375f, clamped);  // log 2 = 0.693359375 - 2.12194440e-4
  r = fmaf(n.value, 2.12194440e-4f, r);
  float p = 1.381456037e-3f;
  p = fmaf(p, r, 8.368735202e-3f);
  p = fmaf(p, r, 4.166838899e-2f);
  p = fmaf(p, r, 1.666652113e-1f);
  p = fmaf(p, r, 4.999999404e-1f);
  p = fmaf(p * r, r, r) + 1.0f;
  // Two factors, because 2^n itself can lie outside the normal range.
  const std::int32_t half = n.integer >> 1;
  return p * power_of_two(half) * power_of_two(n.integer - half);
}

/// e^(-x^2), within 2.5 ulp; the rounding error of x^2 is carried to first order.
WIDELAB_HD float exp_minus_square(float x) {
  const float a = fabsf(x) > 15.0f ? 15.0f : fabsf(x);
  const float square = a * a;
  const float e = exp(-square);
  return fmaf(-fmaf(a, a, -square), e, e);
}

/// tanh x, within 2 ulp.
WIDELAB_HD float tanh(float x) {
  const float a = fabsf(x), s = x * x;
  float p = 2.142961835e-3f;
  p = fmaf(p, s, -8.177398704e-3f);
  p = fmaf(p, s, 2.170070261e-2f);
  p = fmaf(p, s, -5.394676328e-2f);
  p = fmaf(p, s, 1.333320588e-1f);
  p = fmaf(p, s, -3.333333135e-1f);
  const float near = fmaf(p * s, x, x);
  const float far = 1.0f - 2.0f / (exp(2.0f * a) + 1.0f);
  return a > 0.625f ? (x < 0.0f ? -far : far) : near;
}

/// erf x, within 2 ulp.
WIDELAB_HD float erf(float x) {
  const float a = fabsf(x), s = x * x;
  float p = 8.513104694e-5f;
  p = fmaf(p, s, -8.175639668e-4f);
  p = fmaf(p, s, 5.203858949e-3f);
  p = fmaf(p, s, -2.686050907e-2f);
  p = fmaf(p, s, 1.128371507e-1f);
  p = fmaf(p, s, -3.761263490e-1f);
  p = fmaf(p, s, 1.283791661e-1f);
  const float near = fmaf(p, x, x);
  // log erfc(t) on [0.9, 4]; erf(4) rounds to 1.
  const float t = a > 4.0f ? 4.0f : a;
  float q = -1.043292923e-5f;
  q = fmaf(q, t, 3.148563555e-4f);
  q = fmaf(q, t, -3.610335290e-3f);
  q = fmaf(q, t, 2.369455248e-2f);
  q = fmaf(q, t, -1.061590314e-1f);
  q = fmaf(q, t, -6.351980567e-1f);
  q = fmaf(q, t, -1.286370754e-1f);
  const float far = 1.0f - exp(fmaf(q, t, -t));
  return a > 0.9f ? (x < 0.0f ? -far : far) : near;
}

/// e^(-x^2/2), the rounding error of x^2 carried to first order.
WIDELAB_HD float exp_minus_half_square(float x) {
  const float a = fabsf(x) > 20.0f ? 20.0f : fabsf(x);
  const float square = a * a;
  const float e = exp(-0.5f * square);
  return fmaf(-0.5f * fmaf(a, a, -square), e, e);
}

/// The standard normal density, within 3 ulp.
WIDELAB_HD float normal_density(float x) { return 0.3989422804f * exp_minus_half_square(x); }

/// The standard normal distribution function, within 6 ulp down to the underflow of its lower tail:
/// Phi(-a) = e^(-a^2/2) g(a) / (a + 4), g a polynomial in (a - 4) / (a + 4).
WIDELAB_HD float normal_cdf(float x) {
  const float a = fabsf(x) > 15.0f ? 15.0f : fabsf(x);
  const float inverse = 1.0f / (a + 4.0f);
  const float u = fmaf(-8.0f, inverse, 1.0f);
  float g = -1.341963361e-4f;
  g = fmaf(g, u, 1.746592607e-4f);
  g = fmaf(g, u, 1.568408334e-3f);
  g = fmaf(g, u, -3.510210896e-3f);
  g = fmaf(g, u, -7.524004206e-3f);
  g = fmaf(g, u, 6.040348858e-2f);
  g = fmaf(g, u, -1.865236610e-1f);
  g = fmaf(g, u, 3.871369064e-1f);
  g = fmaf(g, u, -6.078965664e-1f);
  g = fmaf(g, u, 7.552851439e-1f);
  const float tail = g * inverse * exp_minus_half_square(a);
  return x < 0.0f ? tail : 1.0f - tail;
}

struct QuarterTurn {
  float sine;
  float cosine;
  std::int32_t quadrant;
};

/// sin and cos of the remainder of x by pi/2 in three parts (Cody and Waite 1980), by the Cephes polynomials. Up to
/// |x| = 1e5 the quadrant is right; from there the remainder may exceed pi/4 (error 1e-5 at 4e6), and from 2^22 on,
/// where neighbouring fp32 numbers are half a radian apart, it is only kept in range.
WIDELAB_HD QuarterTurn quarter_turn(float x) {
  const RoundedProduct n = round_product(x, 0.636619772f);
  float r = fmaf(n.value, -1.57079637e+0f, x);
  r = fmaf(n.value, 4.37113883e-8f, r);
  r = fmaf(n.value, 1.71512489e-15f, r);
  r = r > 1.0f ? 1.0f : r;
  r = r < -1.0f ? -1.0f : r;
  const float z = r * r;
  float s = -1.9515295891e-4f;
  s = fmaf(s, z, 8.3321608736e-3f);
  s = fmaf(s, z, -1.6666654611e-1f);
  s = fmaf(s * z, r, r);
  float c = 2.443315711809948e-5f;
  c = fmaf(c, z, -1.388731625493765e-3f);
  c = fmaf(c, z, 4.166664568298827e-2f);
  c = fmaf(c * z, z, fmaf(-0.5f, z, 1.0f));
  return {s, c, n.integer};
}

/// sin x, within 2 ulp for |x| <= 1e5; in [-1, 1] for finite x.
WIDELAB_HD float sin(float x) {
  const QuarterTurn t = quarter_turn(x);
  const float magnitude = (t.quadrant & 1) != 0 ? t.cosine : t.sine;
  return (t.quadrant & 2) != 0 ? -magnitude : magnitude;
}

/// cos x, as accurate as sin.
WIDELAB_HD float cos(float x) {
  const QuarterTurn t = quarter_turn(x);
  const float magnitude = (t.quadrant & 1) != 0 ? t.sine : t.cosine;
  return ((t.quadrant + 1) & 2) != 0 ? -magnitude : magnitude;
}

WIDELAB_HD double exp(double x) { return ::exp(x); }
WIDELAB_HD double exp_minus_square(double x) { return ::exp(-x * x); }
WIDELAB_HD double tanh(double x) { return ::tanh(x); }
WIDELAB_HD double erf(double x) { return ::erf(x); }
WIDELAB_HD double normal_density(double x) { return 0.39894228040143268 * ::exp(-0.5 * x * x); }
WIDELAB_HD double normal_cdf(double x) { return 0.5 * ::erfc(-0.70710678118654752 * x); }
WIDELAB_HD double sin(double x) { return ::sin(x); }
WIDELAB_HD double cos(double x) { return ::cos(x); }

}  // namespace widelab::portable
