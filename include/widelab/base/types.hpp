// Scalar types and names shared by every layer.
#pragma once

#include <cstdint>

#include "widelab/base/host_device.hpp"

namespace widelab {

/// Sizes and subscripts; signed, so that differences and downward loops are safe.
using Index = std::int64_t;

/// Arithmetic of a run. The weights are the same fp32 draws, widened, in every precision.
enum class Precision { fp32, fp64 };

/// Smallest q with q * step >= value, for value >= 0 and step > 0.
WIDELAB_HD constexpr Index ceil_div(Index value, Index step) { return (value + step - 1) / step; }

}  // namespace widelab
