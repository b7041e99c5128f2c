#include "host/runtime/devices.hpp"

#include <unistd.h>

#include <fstream>
#include <thread>

#include "kernels/cuda/support/device.hpp"

namespace widelab::runtime {
namespace {

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "CPU";
}

std::string instruction_set() {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  const bool v4 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  return v4 ? "x86-64-v4 (AVX-512)" : "x86-64-v3 (AVX2)";
#else
  return "baseline instruction set";
#endif
}

}  // namespace

DeviceInfo cpu_device() {
  DeviceInfo cpu;
  cpu.kind = "cpu";
  cpu.name = processor_name();
  cpu.memory_bytes = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE));
  cpu.detail = std::to_string(std::thread::hardware_concurrency()) + " threads, " + instruction_set();
  const long cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
  cpu.fast_bytes = cache > 0 ? static_cast<double>(cache) : 0;
  return cpu;
}

std::vector<DeviceInfo> list_devices() {
  std::vector<DeviceInfo> devices{cpu_device()};
  for (const cuda::DeviceDescription& device : cuda::list_devices())
    devices.push_back({"cuda", device.name, device.ordinal, device.memory_bytes, device.detail});
  return devices;
}

}  // namespace widelab::runtime
