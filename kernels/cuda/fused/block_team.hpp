// The Team (tile_block.hpp) that the threads of a block make.
#pragma once

#include "widelab/base/host_device.hpp"

namespace widelab::cuda {

/// The host side of these functions exists because a body for every device may call them, and is never run.
struct BlockTeam {
#if defined(__CUDA_ARCH__)
  WIDELAB_HD int rank() const { return static_cast<int>(threadIdx.x); }
  WIDELAB_HD int size() const { return static_cast<int>(blockDim.x); }
  WIDELAB_HD void sync() const { __syncthreads(); }
#else
  WIDELAB_HD int rank() const { return 0; }
  WIDELAB_HD int size() const { return 1; }
  WIDELAB_HD void sync() const {}
#endif
};

}  // namespace widelab::cuda
