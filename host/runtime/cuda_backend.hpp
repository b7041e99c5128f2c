// The CUDA backend: uploads, runs, downloads.
#pragma once

#include <memory>

#include "host/runtime/backend.hpp"

namespace widelab::runtime {

/// A backend on CUDA device `ordinal`. BackendNotCompiled, DeviceError or CudaError.
std::unique_ptr<Backend> make_cuda_backend(int ordinal);

}  // namespace widelab::runtime
