// Fused training: every member a block, its state in shared memory for a whole launch of steps.
#pragma once

#include "kernels/cuda/train_state.hpp"

namespace widelab::cuda {

/// Trains the running members of all groups of the problem, whatever their widths; host arrays in, host arrays out.
/// PlanError if a member does not fit a block's shared memory, or one member's state the device.
/// `datasets`: the problem's, with device pointers.
void train_fused(Context& context, const TrainProblem<float>& problem, const std::vector<TrainData<float>>& datasets);
void train_fused(Context& context, const TrainProblem<double>& problem, const std::vector<TrainData<double>>& datasets);

}  // namespace widelab::cuda
