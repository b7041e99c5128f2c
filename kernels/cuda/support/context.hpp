// What an op needs of a device: a stream, library handles with their own workspace, and an arena for its own.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cusolverDn.h>

#include "kernels/cuda/support/arena.hpp"
#include "kernels/cuda/support/device.hpp"
#include "widelab/base/types.hpp"

namespace widelab::cuda {

/// One stream and everything bound to it; used by one host thread at a time.
///
/// cuBLAS gives the same bits for the same call only if its workspace is not shared between streams, so it has one
/// here.
struct Context {
  Context(int ordinal, const DeviceLimits& limits);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  DeviceDescription device;
  double workspace_limit = 0;  ///< bytes an op may take beside its inputs and outputs
  cudaStream_t stream = nullptr;
  cublasHandle_t blas = nullptr;
  cusolverDnHandle_t solver = nullptr;
  Arena arena;

 private:
  void release() noexcept;
  void* blas_workspace_ = nullptr;
};

/// Makes the context's device current in this thread for the life of the guard.
class DeviceGuard {
 public:
  explicit DeviceGuard(const Context& context);
  ~DeviceGuard();
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int previous_ = 0;
};

/// Waits for the op's work and reports what went wrong in it.
void synchronise(Context& context);

}  // namespace widelab::cuda
