// Compiled with --fmad=false --ftz=false --prec-div=true --prec-sqrt=true: the draws are bitwise those of the host.
#include "kernels/cuda/random_fill.hpp"
#include "kernels/cuda/support/row_tiling.cuh"

namespace widelab::cuda {
namespace {

constexpr Index kWordsPerBlock = 4;

/// Sixteen bytes, written at once where rows keep the alignment.
template <class T>
struct alignas(16) Pack {
  T v[16 / sizeof(T)];
};

template <class T>
__device__ void store_draws(const T (&value)[kWordsPerBlock], Index count, bool aligned, T* out) {
  constexpr int kPerPack = 16 / sizeof(T);
  if (aligned) {
#pragma unroll
    for (int first = 0; first < kWordsPerBlock; first += kPerPack) {
      Pack<T> pack;
#pragma unroll
      for (int k = 0; k < kPerPack; ++k) pack.v[k] = value[first + k];
      *reinterpret_cast<Pack<T>*>(out + first) = pack;
    }
  } else {
#pragma unroll
    for (int k = 0; k < kWordsPerBlock; ++k)
      if (k < count) out[k] = value[k];
  }
}

/// One random block, four draws, a thread and step; row of the tiling = (slot, row of the task), column = block in row.
template <InitKind kLaw, class T>
__global__ void __launch_bounds__(kThreads)
    fill_weights_kernel(RowTiling tiling, FillTask<T> task, T scale, bool aligned) {
  for_each_element(tiling, [&](Index slot_row, Index block) {
    const Index slot = slot_row / task.rows, i = slot_row - slot * task.rows;
    const Index column = block * kWordsPerBlock;
    T* out = task.out + slot * task.slot_stride + i * task.columns + column;
    const Index count = task.columns - column < kWordsPerBlock ? task.columns - column : kWordsPerBlock;
    T value[kWordsPerBlock] = {};
    if (slot < task.members) {
      const DrawId id = task.ids[slot];
      const StreamId stream{id.key, id.replicate, task.stream, static_cast<std::uint8_t>(task.layer)};
      const Draw4 draw = init_draw4(kLaw, random_block(stream, static_cast<std::uint32_t>(task.first_row + i),
                                                       static_cast<std::uint32_t>(block)));
#pragma unroll
      for (int k = 0; k < kWordsPerBlock; ++k) value[k] = scale * static_cast<T>(draw.v[k]);
    }
    store_draws(value, count, aligned, out);
  });
}

template <class T>
void fill(Context& context, const FillTask<T>& task) {
  WIDELAB_REQUIRE(is_elementwise(task.law), "only elementwise laws are drawn in place");
  const RowTiling tiling = row_tiling(task.slots * task.rows, ceil_div(task.columns, kWordsPerBlock));
  const T scale = static_cast<T>(task.scale);
  const bool aligned = task.columns % kWordsPerBlock == 0 && task.slot_stride % kWordsPerBlock == 0 &&
                       reinterpret_cast<std::uintptr_t>(task.out) % 16 == 0;
  const auto run = [&](auto kernel) {
    launch(context, "fill_weights_kernel", tiling.grid(), kernel, tiling, task, scale, aligned);
  };
  switch (task.law) {
    case InitKind::uniform:
      return run(fill_weights_kernel<InitKind::uniform, T>);
    case InitKind::rademacher:
      return run(fill_weights_kernel<InitKind::rademacher, T>);
    default:
      return run(fill_weights_kernel<InitKind::normal, T>);
  }
}

}  // namespace

void fill_weights(Context& context, const FillTask<float>& task) { fill(context, task); }
void fill_weights(Context& context, const FillTask<double>& task) { fill(context, task); }

}  // namespace widelab::cuda
