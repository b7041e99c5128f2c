// CUDA devices as the rest of widelab sees them: no CUDA type, so that any C++ compiler takes this header. Where CUDA
// was not built, kernels/unavailable/ stands in.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "widelab/base/types.hpp"
#include "widelab/plan/device_limits.hpp"

namespace widelab::cuda {

struct Context;

/// What is known of a CUDA device without creating a context on it.
struct DeviceDescription {
  int ordinal = 0;
  std::string name;
  double memory_bytes = 0;
  int multiprocessors = 0;
  std::string detail;  ///< architecture, driver and runtime versions
};

/// Whether this build contains the CUDA kernels.
bool compiled();

/// All CUDA devices; empty where there is no driver, a driver older than the runtime, or no device.
/// CudaError for any other failure.
std::vector<DeviceDescription> list_devices();

struct ContextDeleter {
  void operator()(Context* context) const noexcept;
};
using ContextHandle = std::unique_ptr<Context, ContextDeleter>;

/// A stream, library handles and a workspace on device `ordinal`. limits.workspace_bytes bounds the workspace of an op;
/// 0 means half of the device's memory (its total, not what happens to be free: plans must not depend on neighbours).
/// BackendNotCompiled, DeviceError (no such device) or CudaError.
ContextHandle make_context(int ordinal, const DeviceLimits& limits);

const DeviceDescription& description(const Context& context);

/// Versions of the libraries in use: "CUDA 13.0, cuBLAS 13.1, cuSOLVER 12.0".
std::string library_versions();

/// Device memory; `name` appears in the error when it does not fit (PlanError).
void* allocate(Context& context, std::size_t bytes, const std::string& name);
void release(Context& context, void* memory) noexcept;

/// Copies that have finished when the call returns.
void copy_to_device(Context& context, void* device, const void* host, std::size_t bytes);
void copy_to_host(Context& context, void* host, const void* device, std::size_t bytes);

}  // namespace widelab::cuda
