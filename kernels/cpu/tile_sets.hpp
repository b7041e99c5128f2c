// Which register tiles this processor can run.
#pragma once

#include "kernels/cpu/matmul_tiles.hpp"

namespace widelab::cpu {

/// Instruction set of the tiles. All give the same bits.
enum class TileKind { best, plain, avx2, avx512 };

/// Whether this processor has it.
bool can_run(TileKind tiles);

/// Its tiles; `best`: of the widest that this processor has.
template <class T>
const TileSet<T>& tile_set(TileKind tiles = TileKind::best);

extern template const TileSet<float>& tile_set(TileKind);
extern template const TileSet<double>& tile_set(TileKind);

}  // namespace widelab::cpu
