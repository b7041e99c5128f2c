// What a plan may use of a device.
#pragma once

#include "widelab/base/types.hpp"

namespace widelab {

/// workspace_bytes: memory an op may take beside its inputs and outputs; 0 = no limit stated.
/// workers: threads (CPU) that work at once; 0 = all that the runtime offers.
struct DeviceLimits {
  double workspace_bytes = 0;
  int workers = 0;
};

}  // namespace widelab
