// The only place where a kernel is launched: limits are checked first, errors name the kernel, and a profiler sees a
// range of that name.
#pragma once

#include <cuda_runtime.h>
#include <nvtx3/nvToolsExt.h>

#include <string>

#include "kernels/cuda/support/context.hpp"
#include "kernels/cuda/support/errors.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/base/types.hpp"

namespace widelab::cuda {

/// Threads of every elementwise and row kernel; reductions are trees over exactly this many lanes.
inline constexpr int kThreads = 256;
/// Blocks of an elementwise kernel: it strides over what they do not cover.
inline constexpr Index kMaxBlocks = 1 << 16;

struct Grid {
  Index blocks = 0;
  int threads = kThreads;
  int shared_bytes = 0;  ///< dynamic shared memory of a block
};

/// Dynamic shared memory that every kernel may have without asking for it.
inline constexpr int kDefaultSharedBytes = 48 * 1024;

/// Enough blocks for one thread an element, up to kMaxBlocks.
inline Grid elementwise_grid(Index elements) {
  const Index blocks = ceil_div(elements, kThreads);
  return {blocks < kMaxBlocks ? blocks : kMaxBlocks, kThreads, 0};
}

/// One block a row.
inline Grid row_grid(Index rows) { return {rows, kThreads, 0}; }

class ProfilerRange {
 public:
  explicit ProfilerRange(const char* name) { nvtxRangePushA(name); }
  ~ProfilerRange() { nvtxRangePop(); }
  ProfilerRange(const ProfilerRange&) = delete;
  ProfilerRange& operator=(const ProfilerRange&) = delete;
};

/// Runs kernel(arguments...) on the context's stream. No blocks: nothing to do. ContractError beyond the limits.
template <class... Parameters, class... Arguments>
void launch(Context& context, const char* name, Grid grid, void (*kernel)(Parameters...), Arguments... arguments) {
  if (grid.blocks == 0) return;
  WIDELAB_REQUIRE(grid.blocks > 0 && grid.blocks <= 0x7FFFFFFF, std::string(name) + ": number of blocks out of range");
  WIDELAB_REQUIRE(grid.threads > 0 && grid.threads <= 1024, std::string(name) + ": number of threads out of range");
  const ProfilerRange range(name);
  if (grid.shared_bytes > kDefaultSharedBytes)
    WIDELAB_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, grid.shared_bytes));
  kernel<<<dim3(static_cast<unsigned>(grid.blocks)), dim3(static_cast<unsigned>(grid.threads)),
           static_cast<std::size_t>(grid.shared_bytes), context.stream>>>(static_cast<Parameters>(arguments)...);
  check(cudaGetLastError(), name, __FILE__, __LINE__);
}

}  // namespace widelab::cuda
