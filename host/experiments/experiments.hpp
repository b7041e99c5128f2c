// Every experiment, one line each.
#pragma once

#include "host/experiments/experiment.hpp"

namespace widelab::experiments {

const Experiment& ntk_limit();  // ntk_limit.cpp: kernels of finite networks against their infinite-width limits
const Experiment& ntk_map();    // ntk_map.cpp: fluctuations of the NTK over depth and width

}  // namespace widelab::experiments
