// The launch of the body that solves a small ridge path by one block.
#pragma once

#include "kernels/cuda/support/context.hpp"
#include "kernels/shared/small_ridge.hpp"

namespace widelab::cuda {

/// `problem` is member 0's; those of member m lie this much further on. All pointers are device memory.
struct SmallRidgeBatch {
  least_squares::SmallRidge problem;
  Index members = 0, order = 0;
  Index z_stride = 0, y_stride = 0, solution_stride = 0, residual_stride = 0, extremes_stride = 0, vectors_stride = 0;
};

/// Blocks of small_plan.hpp, one a member.
void solve_small_ridges(Context& context, const SmallRidgeBatch& batch);

}  // namespace widelab::cuda
