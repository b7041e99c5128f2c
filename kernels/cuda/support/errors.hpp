// Turns status codes of CUDA, cuBLAS and cuSOLVER into CudaError: the call, the place, the reason, the way out.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cusolverDn.h>

#include "widelab/base/errors.hpp"

namespace widelab::cuda {

void check(cudaError_t status, const char* call, const char* file, int line);
void check(cublasStatus_t status, const char* call, const char* file, int line);
void check(cusolverStatus_t status, const char* call, const char* file, int line);

}  // namespace widelab::cuda

/// Throws CudaError unless the call succeeded.
#define WIDELAB_CUDA(call) ::widelab::cuda::check((call), #call, __FILE__, __LINE__)
