// Register tiles of matrix products and the instruction sets that they exist for.
//
// The instruction set is chosen at run time. Each tile function carries its own target attribute, so that no inline
// function that other code shares is ever compiled for more than the baseline.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cmath>
#include <utility>

#include "widelab/base/types.hpp"

namespace widelab::cpu {

inline constexpr int kMostTileRows = 8, kLargestTile = 256;  // rows, numbers

/// The tiles of one instruction set: 1 .. rows rows, 1 or 2 registers of `lanes` columns.
template <class T>
struct TileSet {
  using Function = void (*)(Index k, const T* a, Index a_row, Index a_col, const T* b, Index ldb, T* c);
  Index rows, lanes;
  bool wide_vectors;  ///< whether elementwise loops may use AVX-512 as well
  Function table[kMostTileRows][2];

  Function of(Index tile_rows, Index registers) const { return table[tile_rows - 1][registers - 1]; }
};

#if defined(__x86_64__)
namespace avx2 {
#define WIDELAB_TILE_TARGET __attribute__((target("arch=x86-64-v3")))
inline constexpr int kTileRows = 6;
inline constexpr bool kWideVectors = false;

template <class T>
struct Lanes;

template <>
struct Lanes<float> {
  using Register = __m256;
  static constexpr int kCount = 8;
  WIDELAB_TILE_TARGET static Register load(const float* p) { return _mm256_loadu_ps(p); }
  WIDELAB_TILE_TARGET static Register spread(float x) { return _mm256_set1_ps(x); }
  WIDELAB_TILE_TARGET static Register fused(Register a, Register b, Register c) { return _mm256_fmadd_ps(a, b, c); }
  WIDELAB_TILE_TARGET static void store(float* p, Register x) { _mm256_storeu_ps(p, x); }
};

template <>
struct Lanes<double> {
  using Register = __m256d;
  static constexpr int kCount = 4;
  WIDELAB_TILE_TARGET static Register load(const double* p) { return _mm256_loadu_pd(p); }
  WIDELAB_TILE_TARGET static Register spread(double x) { return _mm256_set1_pd(x); }
  WIDELAB_TILE_TARGET static Register fused(Register a, Register b, Register c) { return _mm256_fmadd_pd(a, b, c); }
  WIDELAB_TILE_TARGET static void store(double* p, Register x) { _mm256_storeu_pd(p, x); }
};

#include "kernels/cpu/matmul_tile.inc"
#undef WIDELAB_TILE_TARGET
}  // namespace avx2

namespace avx512 {
#define WIDELAB_TILE_TARGET __attribute__((target("arch=x86-64-v4,prefer-vector-width=512")))
inline constexpr int kTileRows = 8;
inline constexpr bool kWideVectors = true;

template <class T>
struct Lanes;

template <>
struct Lanes<float> {
  using Register = __m512;
  static constexpr int kCount = 16;
  WIDELAB_TILE_TARGET static Register load(const float* p) { return _mm512_loadu_ps(p); }
  WIDELAB_TILE_TARGET static Register spread(float x) { return _mm512_set1_ps(x); }
  WIDELAB_TILE_TARGET static Register fused(Register a, Register b, Register c) { return _mm512_fmadd_ps(a, b, c); }
  WIDELAB_TILE_TARGET static void store(float* p, Register x) { _mm512_storeu_ps(p, x); }
};

template <>
struct Lanes<double> {
  using Register = __m512d;
  static constexpr int kCount = 8;
  WIDELAB_TILE_TARGET static Register load(const double* p) { return _mm512_loadu_pd(p); }
  WIDELAB_TILE_TARGET static Register spread(double x) { return _mm512_set1_pd(x); }
  WIDELAB_TILE_TARGET static Register fused(Register a, Register b, Register c) { return _mm512_fmadd_pd(a, b, c); }
  WIDELAB_TILE_TARGET static void store(double* p, Register x) { _mm512_storeu_pd(p, x); }
};

#include "kernels/cpu/matmul_tile.inc"
#undef WIDELAB_TILE_TARGET
}  // namespace avx512
#endif

/// Any processor: numbers one at a time.
namespace plain {
#define WIDELAB_TILE_TARGET
inline constexpr int kTileRows = 4;
inline constexpr bool kWideVectors = false;

template <class T>
struct Lanes {
  struct Register {
    T x[4];
  };
  static constexpr int kCount = 4;
  static Register load(const T* p) { return {{p[0], p[1], p[2], p[3]}}; }
  static Register spread(T x) { return {{x, x, x, x}}; }
  static Register fused(Register a, Register b, Register c) {
    for (int i = 0; i < 4; ++i) c.x[i] = std::fma(a.x[i], b.x[i], c.x[i]);
    return c;
  }
  static void store(T* p, Register x) {
    for (int i = 0; i < 4; ++i) p[i] = x.x[i];
  }
};

#include "kernels/cpu/matmul_tile.inc"
#undef WIDELAB_TILE_TARGET
}  // namespace plain

}  // namespace widelab::cpu
