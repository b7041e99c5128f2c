// Laws of the initial parameters. Every elementwise law has mean 0 and variance 1 before it is scaled by the
// standard deviation of its layer.
#pragma once

#include <cstdint>
#include <string_view>

#include "widelab/base/host_device.hpp"
#include "widelab/rng/distributions.hpp"
#include "widelab/rng/normal.hpp"

namespace widelab {

/// `orthogonal` (rows or columns orthogonal, mean square entry 1) and `file` exist only as stored weights.
enum class InitKind : std::uint8_t { normal, uniform, rademacher, orthogonal, file };

constexpr bool is_elementwise(InitKind kind) { return kind != InitKind::orthogonal && kind != InitKind::file; }

/// Four draws of an elementwise law from one random block.
WIDELAB_HD Draw4 init_draw4(InitKind kind, const PhiloxBlock& block) {
  if (kind == InitKind::uniform) return unit_variance_uniform4(block);
  if (kind == InitKind::rademacher) return rademacher4(block);
  return normal4(block);
}

/// The draw at (row, col) of an elementwise law.
WIDELAB_HD float init_draw_at(InitKind kind, const StreamId& id, std::uint32_t row, std::uint32_t col) {
  return init_draw4(kind, random_block(id, row, col / 4)).v[col % 4];
}

}  // namespace widelab
