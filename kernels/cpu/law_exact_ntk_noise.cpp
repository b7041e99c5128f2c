#include "kernels/cpu/law_exact_ntk_noise.hpp"

#include <cstdint>

#include "kernels/cpu/clones.hpp"
#include "widelab/rng/normal.hpp"

namespace widelab::cpu {
namespace {

constexpr int kGroup = static_cast<int>(kNoiseGroup);

/// Columns 4 b .. 4 b + 3 (as far as they are wanted) of kGroup rows. Rows run in SIMD lanes, so that short rows, which
/// start at block boundaries, cost no more than long ones.
[[gnu::always_inline]] inline void fill_group(const StreamId& id, std::uint32_t first_row, std::uint32_t b,
                                              Index wanted, Index stride, double* out) {
  std::uint32_t word[4][kGroup];
  for (int i = 0; i < kGroup; ++i) {
    const PhiloxBlock block = random_block(id, first_row + static_cast<std::uint32_t>(i), b);
    for (int k = 0; k < 4; ++k) word[k][i] = block.w[k];
  }
  for (int pair = 0; pair < 2 && 2 * pair < wanted; ++pair) {
    float cosine[kGroup], sine[kGroup];
    for (int i = 0; i < kGroup; ++i) {
      const float r = box_muller::radius(word[2 * pair][i]);
      float c, s;
      box_muller::unit_circle(word[2 * pair + 1][i], c, s);
      cosine[i] = r * c;
      sine[i] = r * s;
    }
    double* first = out + 2 * pair * stride;
    for (int i = 0; i < kGroup; ++i) first[i] = static_cast<double>(cosine[i]);
    if (2 * pair + 1 < wanted)
      for (int i = 0; i < kGroup; ++i) first[stride + i] = static_cast<double>(sine[i]);
  }
}

}  // namespace

WIDELAB_CLONES void fill_noise_columns(const StreamId& id, Index first_row, Index rows, Index cols, Index stride,
                                       double* out) {
  for (Index b = 0; 4 * b < cols; ++b)
    for (Index r = 0; r < rows; r += kNoiseGroup)
      fill_group(id, static_cast<std::uint32_t>(first_row + r), static_cast<std::uint32_t>(b), cols - 4 * b, stride,
                 out + 4 * b * stride + r);
}

}  // namespace widelab::cpu
