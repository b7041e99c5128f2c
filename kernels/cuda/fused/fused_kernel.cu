// Compiled with --fmad=false --ftz=false --prec-div=true --prec-sqrt=true: bitwise the CPU's fused training.
#include "kernels/cuda/fused/fused_kernel.hpp"

#include "kernels/cuda/fused/block_team.hpp"
#include "kernels/cuda/fused/fused_body.hpp"
#include "kernels/cuda/support/launch.hpp"

namespace widelab::cuda {
namespace {

template <class T>
__global__ void __launch_bounds__(kMostFusedThreads, 1)
    train_fused_kernel(const FusedMember<T>* members, const __grid_constant__ FusedRule rule) {
  extern __shared__ __align__(16) unsigned char memory[];
  __shared__ __align__(16) unsigned char member_bytes[sizeof(FusedMember<T>)];
  const FusedMember<T>& home = members[blockIdx.x];
  if (home.status->status != TrainStatus::running) return;
  train_in_shared(BlockTeam{}, home, rule, reinterpret_cast<T*>(memory),
                  *reinterpret_cast<FusedMember<T>*>(member_bytes));
}

template <class T>
void train(Context& context, const FusedLaunch<T>& work) {
  launch(context, "train_fused_kernel", Grid{work.count, work.threads, static_cast<int>(work.shared_bytes)},
         train_fused_kernel<T>, work.members, work.rule);
}

}  // namespace

void train_fused_members(Context& context, const FusedLaunch<float>& work) { train(context, work); }
void train_fused_members(Context& context, const FusedLaunch<double>& work) { train(context, work); }

}  // namespace widelab::cuda
