// Transposition of small matrices through registers.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "widelab/base/types.hpp"

namespace widelab::cpu {

#if defined(__AVX2__)
/// Four numbers from `low`, four from `high`.
inline __m256 load_halves(const float* low, const float* high) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high), 1);
}

/// 8 x 8, as 4 x 4 in both halves of each register: rows i and i + 4 are loaded next to each other.
inline void transpose_square(const float* from, Index from_stride, float* to, Index to_stride) {
  for (int half = 0; half < 8; half += 4) {
    __m256 r[4];
    for (int i = 0; i < 4; ++i) r[i] = load_halves(from + i * from_stride + half, from + (i + 4) * from_stride + half);
    const __m256 s0 = _mm256_unpacklo_ps(r[0], r[1]), s1 = _mm256_unpackhi_ps(r[0], r[1]);
    const __m256 s2 = _mm256_unpacklo_ps(r[2], r[3]), s3 = _mm256_unpackhi_ps(r[2], r[3]);
    float* rows = to + half * to_stride;
    _mm256_storeu_ps(rows, _mm256_shuffle_ps(s0, s2, 0x44));
    _mm256_storeu_ps(rows + to_stride, _mm256_shuffle_ps(s0, s2, 0xEE));
    _mm256_storeu_ps(rows + 2 * to_stride, _mm256_shuffle_ps(s1, s3, 0x44));
    _mm256_storeu_ps(rows + 3 * to_stride, _mm256_shuffle_ps(s1, s3, 0xEE));
  }
}

/// 4 x 4.
inline void transpose_square(const double* from, Index from_stride, double* to, Index to_stride) {
  const __m256d r0 = _mm256_loadu_pd(from), r1 = _mm256_loadu_pd(from + from_stride);
  const __m256d r2 = _mm256_loadu_pd(from + 2 * from_stride), r3 = _mm256_loadu_pd(from + 3 * from_stride);
  const __m256d s0 = _mm256_unpacklo_pd(r0, r1), s1 = _mm256_unpackhi_pd(r0, r1);
  const __m256d s2 = _mm256_unpacklo_pd(r2, r3), s3 = _mm256_unpackhi_pd(r2, r3);
  _mm256_storeu_pd(to, _mm256_permute2f128_pd(s0, s2, 0x20));
  _mm256_storeu_pd(to + to_stride, _mm256_permute2f128_pd(s1, s3, 0x20));
  _mm256_storeu_pd(to + 2 * to_stride, _mm256_permute2f128_pd(s0, s2, 0x31));
  _mm256_storeu_pd(to + 3 * to_stride, _mm256_permute2f128_pd(s1, s3, 0x31));
}
#endif

/// to(j, i) = from(i, j) for a rows x cols matrix `from`.
template <class T>
void transpose(const T* from, Index from_stride, Index rows, Index cols, T* to, Index to_stride) {
  Index row = 0;
#if defined(__AVX2__)
  constexpr Index kSquare = 32 / static_cast<Index>(sizeof(T));
  for (; row + kSquare <= rows; row += kSquare) {
    Index col = 0;
    for (; col + kSquare <= cols; col += kSquare)
      transpose_square(from + row * from_stride + col, from_stride, to + col * to_stride + row, to_stride);
    for (; col < cols; ++col)
      for (Index i = row; i < row + kSquare; ++i) to[col * to_stride + i] = from[i * from_stride + col];
  }
#endif
  for (; row < rows; ++row)
    for (Index col = 0; col < cols; ++col) to[col * to_stride + row] = from[row * from_stride + col];
}

}  // namespace widelab::cpu
