// The devices that this build can use on this machine.
#pragma once

#include <string>
#include <vector>

namespace widelab::runtime {

struct DeviceInfo {
  std::string kind;  ///< "cpu" or "cuda"
  std::string name;
  int index = 0;            ///< among the devices of its kind
  double memory_bytes = 0;  ///< all of it, not what is free
  std::string detail;       ///< threads and instruction set; architecture and driver
  double fast_bytes = 0;    ///< for DeviceLimits::fast_bytes: a core's second-level cache; 0 = not known
};

/// The CPU first, then the CUDA devices, if this build has CUDA code. No driver and no device both mean: none.
std::vector<DeviceInfo> list_devices();

/// The CPU that this process runs on.
DeviceInfo cpu_device();

}  // namespace widelab::runtime
