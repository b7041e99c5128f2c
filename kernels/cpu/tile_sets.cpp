#include "kernels/cpu/tile_sets.hpp"

namespace widelab::cpu {

bool can_run(TileKind tiles) {
#if defined(__x86_64__)
  if (tiles == TileKind::avx512) return __builtin_cpu_supports("x86-64-v4") != 0;
  return true;
#else
  return tiles == TileKind::plain || tiles == TileKind::best;
#endif
}

template <class T>
const TileSet<T>& tile_set(TileKind tiles) {
#if defined(__x86_64__)
  if (tiles == TileKind::best) tiles = can_run(TileKind::avx512) ? TileKind::avx512 : TileKind::avx2;
  if (tiles == TileKind::avx512) return avx512::kTiles<T>;
  if (tiles == TileKind::avx2) return avx2::kTiles<T>;
#endif
  return plain::kTiles<T>;
}

template const TileSet<float>& tile_set(TileKind);
template const TileSet<double>& tile_set(TileKind);

}  // namespace widelab::cpu
