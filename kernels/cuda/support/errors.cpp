#include "kernels/cuda/support/errors.hpp"

#include <string>
#include <string_view>

namespace widelab::cuda {
namespace {

std::string advice(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation:
      return "the device is out of memory: lower the memory limit, use fewer inputs, or free the device";
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorUnsupportedPtxVersion:
      return "this build has no code for this device: rebuild with -DWIDELAB_CUDA_ARCHITECTURES=native, or update the "
             "driver";
    case cudaErrorInsufficientDriver:
    case cudaErrorNoDevice:
      return "no usable device: update the driver, or run with --device cpu";
    default:
      return "run the command under compute-sanitizer to find the cause, or with --device cpu to get a result";
  }
}

[[noreturn]] void fail(const std::string& library, const std::string& what, const char* call, const char* file,
                       int line, const std::string& way_out) {
  const std::string_view path(file);
  const std::size_t start = path.rfind("kernels/");
  const std::string place(start == std::string_view::npos ? path : path.substr(start));
  throw CudaError(library + " reported " + what + "\n  in " + call + "\n  at " + place + ":" + std::to_string(line) +
                  "\n  " + way_out);
}

}  // namespace

void check(cudaError_t status, const char* call, const char* file, int line) {
  if (status == cudaSuccess) return;
  // Clears the runtime's record of the error, unless the context itself is lost.
  static_cast<void>(cudaGetLastError());
  fail("CUDA", std::string(cudaGetErrorName(status)) + " (" + cudaGetErrorString(status) + ")", call, file, line,
       advice(status));
}

void check(cublasStatus_t status, const char* call, const char* file, int line) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  fail("cuBLAS", cublasGetStatusString(status), call, file, line,
       status == CUBLAS_STATUS_NOT_INITIALIZED || status == CUBLAS_STATUS_ALLOC_FAILED
           ? "cuBLAS could not start: check that the device has free memory and that driver and toolkit fit together"
           : "run with --device cpu to get a result, and report the sizes of the recipe");
}

void check(cusolverStatus_t status, const char* call, const char* file, int line) {
  if (status == CUSOLVER_STATUS_SUCCESS) return;
  fail("cuSOLVER", "status " + std::to_string(static_cast<int>(status)), call, file, line,
       "run with --device cpu to get a result, and report the sizes of the recipe");
}

}  // namespace widelab::cuda
