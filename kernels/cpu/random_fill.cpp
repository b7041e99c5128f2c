#include "kernels/cpu/random_fill.hpp"

#include <algorithm>

#include "kernels/cpu/clones.hpp"

namespace widelab::cpu {
namespace {

constexpr int kLanes = 16;  // random blocks in flight: one AVX-512 register of counters
constexpr Index kBatch = 4 * kLanes;

/// 64 draws from kLanes consecutive blocks. Structure of arrays, so that every loop vectorises.
template <InitKind kind>
[[gnu::always_inline]] inline void draw_batch(const StreamId& id, std::uint32_t row, std::uint32_t first_block,
                                              float* out) {
  std::uint32_t word[4][kLanes];
  float draw[4][kLanes];
  for (int i = 0; i < kLanes; ++i) {
    const PhiloxBlock block = random_block(id, row, first_block + static_cast<std::uint32_t>(i));
    for (int k = 0; k < 4; ++k) word[k][i] = block.w[k];
  }
  if constexpr (kind == InitKind::normal) {
    normal4_each<kLanes>(word, draw);
  } else {
    for (int i = 0; i < kLanes; ++i) {
      const Draw4 four = init_draw4(kind, {{word[0][i], word[1][i], word[2][i], word[3][i]}});
      for (int k = 0; k < 4; ++k) draw[k][i] = four.v[k];
    }
  }
  for (int i = 0; i < kLanes; ++i)
    for (int k = 0; k < 4; ++k) out[4 * i + k] = draw[k][i];
}

template <InitKind kind, class T>
[[gnu::always_inline]] inline void fill_row(const StreamId& id, std::uint32_t row, Index first_col, Index count,
                                            T scale, T* out) {
  float batch[kBatch];
  for (Index done = 0; done < count; done += kBatch) {
    draw_batch<kind>(id, row, static_cast<std::uint32_t>((first_col + done) / 4), batch);
    if (count - done >= kBatch) {
      for (Index k = 0; k < kBatch; ++k) out[done + k] = scale * static_cast<T>(batch[k]);
    } else {
      for (Index k = 0; k < count - done; ++k) out[done + k] = scale * static_cast<T>(batch[k]);
    }
  }
}

// One function a law and type, because only plain functions can be cloned for several instruction sets.
WIDELAB_CLONES void fill_normal(const StreamId& id, std::uint32_t row, Index first, Index count, float scale,
                                float* out) {
  fill_row<InitKind::normal>(id, row, first, count, scale, out);
}
WIDELAB_CLONES void fill_normal_wide(const StreamId& id, std::uint32_t row, Index first, Index count, double scale,
                                     double* out) {
  fill_row<InitKind::normal>(id, row, first, count, scale, out);
}

template <class T>
void fill_other(InitKind kind, const StreamId& id, std::uint32_t row, Index first, Index count, T scale, T* out) {
  if (kind == InitKind::uniform)
    fill_row<InitKind::uniform>(id, row, first, count, scale, out);
  else
    fill_row<InitKind::rademacher>(id, row, first, count, scale, out);
}

}  // namespace

void fill_normal_row(const StreamId& id, std::uint32_t row, Index first_col, Index count, float scale, float* out) {
  fill_normal(id, row, first_col, count, scale, out);
}

void fill_init_row(InitKind kind, const StreamId& id, std::uint32_t row, Index first_col, Index count, double scale,
                   float* out) {
  if (kind == InitKind::normal)
    fill_normal(id, row, first_col, count, static_cast<float>(scale), out);
  else
    fill_other(kind, id, row, first_col, count, static_cast<float>(scale), out);
}

void fill_init_row(InitKind kind, const StreamId& id, std::uint32_t row, Index first_col, Index count, double scale,
                   double* out) {
  if (kind == InitKind::normal)
    fill_normal_wide(id, row, first_col, count, scale, out);
  else
    fill_other(kind, id, row, first_col, count, scale, out);
}

}  // namespace widelab::cpu
