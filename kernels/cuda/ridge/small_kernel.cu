// Compiled with --fmad=false --ftz=false --prec-div=true --prec-sqrt=true: bitwise the body on a CPU.
#include "kernels/cuda/ridge/small_kernel.hpp"

#include "kernels/cuda/fused/block_team.hpp"
#include "kernels/cuda/ridge/small_plan.hpp"
#include "kernels/cuda/support/launch.hpp"

namespace widelab::cuda {
namespace {

__global__ void __launch_bounds__(kSmallThreads, 1) small_ridge_kernel(const __grid_constant__ SmallRidgeBatch batch) {
  extern __shared__ __align__(16) unsigned char memory[];
  const Index member = blockIdx.x;
  least_squares::SmallRidge problem = batch.problem;
  problem.z += member * batch.z_stride;
  problem.y += member * batch.y_stride;
  problem.solution += member * batch.solution_stride;
  if (problem.residuals) problem.residuals += member * batch.residual_stride;
  if (problem.extremes) {
    problem.extremes += member * batch.extremes_stride;
    problem.vectors += member * batch.vectors_stride;
  }
  problem.failed += member;
  double* scratch = reinterpret_cast<double*>(memory);
  TileBlock<double, BlockTeam> block({}, scratch);
  least_squares::solve_small_ridge(
      block, problem, least_squares::small_ridge_memory(scratch + kSmallScratch, batch.order, problem.targets));
}

}  // namespace

void solve_small_ridges(Context& context, const SmallRidgeBatch& batch) {
  const auto bytes = static_cast<int>(small_shared_bytes(batch.order, batch.problem.targets));
  launch(context, "small_ridge_kernel", Grid{batch.members, kSmallThreads, bytes}, small_ridge_kernel, batch);
}

}  // namespace widelab::cuda
