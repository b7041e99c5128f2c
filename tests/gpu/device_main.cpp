// Entry of the tests that need a device.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kernels/cuda/support/device.hpp"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (widelab::cuda::list_devices().empty()) {
    const char* required = std::getenv("WIDELAB_REQUIRE_GPU");
    const bool fail = required && std::strcmp(required, "1") == 0;
    std::fprintf(stderr, "no CUDA device: %s\n", fail ? "failed, because WIDELAB_REQUIRE_GPU=1" : "skipped");
    return fail ? EXIT_FAILURE : 77;
  }
  return RUN_ALL_TESTS();
}
