#include "kernels/cuda/support/context.hpp"

#include <string>

#include "kernels/cuda/support/errors.hpp"

namespace widelab::cuda {
namespace {

// NVIDIA's recommendation for Hopper; smaller workspaces exclude some kernels.
constexpr std::size_t kBlasWorkspaceBytes = std::size_t{32} << 20;

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string gigabytes(double bytes) { return std::to_string(bytes * 1e-9) + " GB"; }

void* allocate_bytes(std::size_t bytes, const std::string& name) {
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status != cudaErrorMemoryAllocation) {
    WIDELAB_CUDA(status);
    return memory;
  }
  static_cast<void>(cudaGetLastError());
  std::size_t free = 0, total = 0;
  WIDELAB_CUDA(cudaMemGetInfo(&free, &total));
  throw PlanError(name + " needs " + gigabytes(static_cast<double>(bytes)) + " on the device, but " +
                  gigabytes(static_cast<double>(free)) + " of its " + gigabytes(static_cast<double>(total)) +
                  " are free: use fewer inputs or members at once, a smaller memory limit, or free the device");
}

DeviceDescription describe(int ordinal) {
  cudaDeviceProp properties{};
  WIDELAB_CUDA(cudaGetDeviceProperties(&properties, ordinal));
  int driver = 0, runtime = 0;
  WIDELAB_CUDA(cudaDriverGetVersion(&driver));
  WIDELAB_CUDA(cudaRuntimeGetVersion(&runtime));
  DeviceDescription device;
  device.ordinal = ordinal;
  device.name = properties.name;
  device.memory_bytes = static_cast<double>(properties.totalGlobalMem);
  device.multiprocessors = properties.multiProcessorCount;
  device.detail = "compute capability " + std::to_string(properties.major) + "." + std::to_string(properties.minor) +
                  ", " + std::to_string(properties.multiProcessorCount) + " multiprocessors, driver for CUDA " +
                  version_text(driver) + ", runtime " + version_text(runtime);
  return device;
}

}  // namespace

bool compiled() { return true; }

std::vector<DeviceDescription> list_devices() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorNoDevice || status == cudaErrorInsufficientDriver) {
    static_cast<void>(cudaGetLastError());
    return {};
  }
  WIDELAB_CUDA(status);
  std::vector<DeviceDescription> devices;
  for (int ordinal = 0; ordinal < count; ++ordinal) devices.push_back(describe(ordinal));
  return devices;
}

std::string library_versions() {
  int runtime = 0, solver[2] = {0, 0}, blas[2] = {0, 0};
  WIDELAB_CUDA(cudaRuntimeGetVersion(&runtime));
  WIDELAB_CUDA(cublasGetProperty(MAJOR_VERSION, &blas[0]));
  WIDELAB_CUDA(cublasGetProperty(MINOR_VERSION, &blas[1]));
  WIDELAB_CUDA(cusolverGetProperty(MAJOR_VERSION, &solver[0]));
  WIDELAB_CUDA(cusolverGetProperty(MINOR_VERSION, &solver[1]));
  return "CUDA " + version_text(runtime) + ", cuBLAS " + std::to_string(blas[0]) + "." + std::to_string(blas[1]) +
         ", cuSOLVER " + std::to_string(solver[0]) + "." + std::to_string(solver[1]);
}

Context::Context(int ordinal, const DeviceLimits& limits) : device(describe(ordinal)) {
  workspace_limit = limits.workspace_bytes > 0 ? limits.workspace_bytes : 0.5 * device.memory_bytes;
  const DeviceGuard guard(*this);
  try {
    WIDELAB_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    WIDELAB_CUDA(cublasCreate(&blas));
    WIDELAB_CUDA(cublasSetStream(blas, stream));
    blas_workspace_ = allocate_bytes(kBlasWorkspaceBytes, "the workspace of cuBLAS");
    WIDELAB_CUDA(cublasSetWorkspace(blas, blas_workspace_, kBlasWorkspaceBytes));
    WIDELAB_CUDA(cublasSetAtomicsMode(blas, CUBLAS_ATOMICS_NOT_ALLOWED));
    WIDELAB_CUDA(cusolverDnCreate(&solver));
    WIDELAB_CUDA(cusolverDnSetStream(solver, stream));
    WIDELAB_CUDA(cusolverDnSetDeterministicMode(solver, CUSOLVER_DETERMINISTIC_RESULTS));
  } catch (...) {
    release();
    throw;
  }
}

Context::~Context() {
  int previous = 0;
  static_cast<void>(cudaGetDevice(&previous));
  static_cast<void>(cudaSetDevice(device.ordinal));
  release();
  static_cast<void>(cudaSetDevice(previous));
}

void Context::release() noexcept {
  if (stream) static_cast<void>(cudaStreamSynchronize(stream));
  if (solver) static_cast<void>(cusolverDnDestroy(solver));
  if (blas) static_cast<void>(cublasDestroy(blas));
  if (blas_workspace_) static_cast<void>(cudaFree(blas_workspace_));
  arena.free();
  if (stream) static_cast<void>(cudaStreamDestroy(stream));
  solver = nullptr;
  blas = nullptr;
  blas_workspace_ = nullptr;
  stream = nullptr;
}

DeviceGuard::DeviceGuard(const Context& context) {
  WIDELAB_CUDA(cudaGetDevice(&previous_));
  WIDELAB_CUDA(cudaSetDevice(context.device.ordinal));
}

DeviceGuard::~DeviceGuard() { static_cast<void>(cudaSetDevice(previous_)); }

void synchronise(Context& context) { WIDELAB_CUDA(cudaStreamSynchronize(context.stream)); }

Arena::~Arena() { free(); }

void Arena::free() noexcept {
  if (memory_) static_cast<void>(cudaFree(memory_));
  memory_ = nullptr;
  capacity_ = used_ = 0;
}

void Arena::reserve(double bytes, const std::string& what) {
  used_ = 0;
  if (bytes <= static_cast<double>(capacity_)) return;
  free();
  const std::size_t wanted = padded_bytes(static_cast<std::size_t>(bytes));
  memory_ = static_cast<std::byte*>(allocate_bytes(wanted, "the workspace of " + what));
  capacity_ = wanted;
}

void ContextDeleter::operator()(Context* context) const noexcept { delete context; }

ContextHandle make_context(int ordinal, const DeviceLimits& limits) {
  const std::size_t count = list_devices().size();
  if (ordinal < 0 || static_cast<std::size_t>(ordinal) >= count)
    throw DeviceError("cuda:" + std::to_string(ordinal) + " was asked for, but this machine has " +
                      std::to_string(count) + " CUDA device(s)" + (count ? ", numbered from 0" : "") +
                      ": choose another, or --device cpu");
  return ContextHandle(new Context(ordinal, limits));
}

const DeviceDescription& description(const Context& context) { return context.device; }

void* allocate(Context& context, std::size_t bytes, const std::string& name) {
  if (bytes == 0) return nullptr;
  const DeviceGuard guard(context);
  return allocate_bytes(bytes, "array '" + name + "'");
}

void release(Context& context, void* memory) noexcept {
  // cudaFree finds the device by the address; work that may still use the memory is waited for first.
  static_cast<void>(cudaStreamSynchronize(context.stream));
  static_cast<void>(cudaFree(memory));
}

void copy_to_device(Context& context, void* device, const void* host, std::size_t bytes) {
  if (bytes == 0) return;
  const DeviceGuard guard(context);
  WIDELAB_CUDA(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, context.stream));
  synchronise(context);
}

void copy_to_host(Context& context, void* host, const void* device, std::size_t bytes) {
  if (bytes == 0) return;
  const DeviceGuard guard(context);
  WIDELAB_CUDA(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, context.stream));
  synchronise(context);
}

}  // namespace widelab::cuda
