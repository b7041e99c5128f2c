// Training by strided-batched matrix products.
#pragma once

#include "kernels/cuda/train_state.hpp"

namespace widelab::cuda {

/// Trains the running members of a group; host arrays in, host arrays out. PlanError if a member does not fit.
void train_gemm(Context& context, const TrainProblem<float>& problem, const TrainGroup<float>& group,
                const TrainData<float>* datasets);
void train_gemm(Context& context, const TrainProblem<double>& problem, const TrainGroup<double>& group,
                const TrainData<double>* datasets);

}  // namespace widelab::cuda
